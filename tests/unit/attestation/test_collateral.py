"""Answers of a collateral service that are refused before anything of them is verified."""

import pytest
from attrs import evolve
from doubles.simulated import NOW, platform

from cvmproxy.attestation.certificate_chain import TrustRoot
from cvmproxy.attestation.collateral import MAX_BODY_SIZE, authenticate_tcb_info
from cvmproxy.attestation.model import Endorsement
from cvmproxy.attestation.revocation import RevocationList
from cvmproxy.errors import CollateralError

ROOT = TrustRoot.from_der(platform().pki.root.certificate_der)
COLLATERAL = platform().collateral(NOW)
CRL = RevocationList.authenticate(COLLATERAL.root_ca_crl, ROOT.certificate, NOW)
HONEST = Endorsement(body=COLLATERAL.tcb_info_body, issuer_chain_pem=COLLATERAL.tcb_info_issuer_chain)


def test_the_honest_answer_is_accepted():
    info, not_after = authenticate_tcb_info(HONEST, ROOT, CRL, NOW)
    assert info.next_update >= not_after > NOW


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"tcbInfo":{}}', "does not consist of"),
        (b'{"signature":"00"}', "does not consist of"),
        (HONEST.body[:-1] + b',"more":1}', "does not consist of"),
        (HONEST.body.replace(b'"tcbInfo"', b'"enclaveIdentity"'), "does not consist of"),
        (b'{"tcbInfo":{},"signature":"00"}', "is not 64 bytes in hex"),
        (b'{"tcbInfo":{},"signature":null}', "is not a string"),
        (b" " * (MAX_BODY_SIZE + 1), "more than"),
    ],
)
def test_a_body_of_another_shape_is_refused(body, why):
    with pytest.raises(CollateralError) as caught:
        authenticate_tcb_info(evolve(HONEST, body=body), ROOT, CRL, NOW)
    assert caught.value.code == "collateral-malformed"
    assert why in caught.value.message
