"""Whole cases of TDX evidence on the simulated platform, of which a test changes one part before it is signed."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from attrs import Factory, define, evolve, frozen

from cvmproxy.attestation.binding import Binding
from cvmproxy.attestation.dcap_document import DcapDocument
from cvmproxy.attestation.dcap_verifier import PCK_CRL, QE_IDENTITY, ROOT_CRL, TCB_INFO, DcapVerifier
from cvmproxy.attestation.model import Claims, Endorsement, Nonce
from cvmproxy.attestation.tdx_policy import DCAP_TDX_POLICY
from cvmproxy.attestation.tdx_report import TdReport
from cvmproxy.errors import CvmproxyError
from cvmproxy.platform.simulated_collateral import (
    SimulatedCollateral,
    default_qe_identity,
    default_tcb_info,
    mint_collateral,
)
from cvmproxy.platform.simulated_pki import (
    PkiTemplates,
    PlatformIdentity,
    SimulatedPki,
    default_templates,
    mint_pki,
    sgx_extension,
)
from cvmproxy.platform.simulated_quote import (
    QeReport,
    TdMeasurements,
    provision_quoting_enclave,
    td_report,
)
from doubles.simulated import NOW, seeded

BINDING = Binding(user_data=bytes(range(32)), nonce=Nonce(b"n" * 32))
ACCEPTED = "accepted"


@frozen(kw_only=True)
class Case:
    """A finished case: what a verifier is given."""

    quote: bytes
    user_data: bytes
    collateral: SimulatedCollateral
    root_der: bytes
    binding: Binding
    now: datetime

    @property
    def document(self) -> bytes:
        return DcapDocument(raw_quote=self.quote, user_data=self.user_data).encode()

    def authenticate(self) -> Claims:
        """Decode and authenticate, with the collateral under whatever the verifier asks for."""
        verifier = DcapVerifier(attestation_type="simulated", root_der=self.root_der)
        evidence = verifier.decode(self.document)
        pieces = {
            TCB_INFO: Endorsement(
                body=self.collateral.tcb_info_body, issuer_chain_pem=self.collateral.tcb_info_issuer_chain
            ),
            QE_IDENTITY: Endorsement(
                body=self.collateral.qe_identity_body, issuer_chain_pem=self.collateral.qe_identity_issuer_chain
            ),
            PCK_CRL: Endorsement(body=self.collateral.pck_crl),
            ROOT_CRL: Endorsement(body=self.collateral.root_ca_crl),
        }
        endorsements = {request: pieces[request.kind] for request in verifier.required_endorsements(evidence)}
        return verifier.authenticate(evidence, endorsements, self.binding, self.now)

    def outcome(self) -> str:
        """The code of the refusal by verifier or default policy, or ``accepted``."""
        try:
            DCAP_TDX_POLICY.appraise(self.authenticate())
        except CvmproxyError as error:
            return error.code
        return ACCEPTED


@define(kw_only=True)
class Scenario:
    """A case in the making: every part is honest until a test changes it, and is signed after that.

    :ivar altered_quote, altered_collateral, altered_pki: changes of what is already signed.
    """

    identity: PlatformIdentity = Factory(PlatformIdentity)
    templates: PkiTemplates = Factory(lambda: default_templates(NOW, PlatformIdentity()))
    report: TdReport = Factory(lambda: td_report(BINDING.report_data, TdMeasurements()))
    qe_report: QeReport = Factory(QeReport)
    tcb_info: dict[str, Any] = Factory(lambda: default_tcb_info(PlatformIdentity(), NOW))
    qe_identity: dict[str, Any] = Factory(lambda: default_qe_identity(NOW))
    version: int = 4
    user_data: bytes = BINDING.user_data
    binding: Binding = BINDING
    now: datetime = NOW
    revoked: Callable[[SimulatedPki], tuple[tuple[int, ...], tuple[int, ...]]] = lambda pki: ((), ())
    altered_pki: Callable[[SimulatedPki], SimulatedPki] = lambda pki: pki
    altered_quote: Callable[[bytes, SimulatedPki], bytes] = lambda quote, pki: quote
    altered_collateral: Callable[[SimulatedCollateral, SimulatedPki], SimulatedCollateral] = lambda found, pki: found

    def identify(self, **changes: object) -> None:
        """Change what the PCK certificate says of the platform."""
        self.identity = evolve(self.identity, **changes)
        self.templates = evolve(
            self.templates, pck=evolve(self.templates.pck, sgx_extension_der=sgx_extension(self.identity))
        )

    def finish(self) -> Case:
        """Sign everything."""
        random = seeded(3)
        pki = self.altered_pki(mint_pki(self.templates, random))
        quote = provision_quoting_enclave(pki, random, report=self.qe_report).mint_quote(
            self.report, version=self.version
        )
        by_platform_ca, by_root = self.revoked(pki)
        collateral = mint_collateral(
            pki,
            tcb_info=self.tcb_info,
            qe_identity=self.qe_identity,
            now=NOW,
            revoked_by_platform_ca=by_platform_ca,
            revoked_by_root=by_root,
        )
        return Case(
            quote=self.altered_quote(quote, pki),
            user_data=self.user_data,
            collateral=self.altered_collateral(collateral, pki),
            root_der=pki.root.certificate_der,
            binding=self.binding,
            now=self.now,
        )


def signed_tcb_info(collateral: SimulatedCollateral, pki: SimulatedPki, text: str) -> SimulatedCollateral:
    """Replace the TCB info by this text, signed as it stands."""
    return evolve(collateral, tcb_info=text.encode(), tcb_info_signature=pki.tcb_signing.sign_raw(text.encode()))


def pretty(body: bytes) -> str:
    """The same JSON in other bytes."""
    return json.dumps(json.loads(body), indent=2)
