"""Revocation lists made by hand, by the right key: what is refused of them all the same."""

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from doubles.simulated import NOW, platform

from cvmproxy.attestation import der_encoding as der
from cvmproxy.attestation.certificate_chain import Certificate
from cvmproxy.attestation.revocation import MAX_CRL_SIZE, RevocationList
from cvmproxy.errors import AuthenticationError, CollateralError

CA = platform().pki.platform_ca
ISSUER = Certificate.read(CA.certificate)
PCK = Certificate.read(platform().pki.pck.certificate)
NAME = CA.certificate.subject.public_bytes()
OTHER_NAME = platform().pki.root.certificate.subject.public_bytes()
ALGORITHMS = {SHA256: "1.2.840.10045.4.3.2", SHA384: "1.2.840.10045.4.3.3"}
DAY = timedelta(days=1)


def time(moment) -> bytes:
    return der.element(der.UTC_TIME, moment.strftime("%y%m%d%H%M%SZ").encode())


def crl(*, name=NAME, ends=NOW + DAY, revoked=(), hash_of_signature=SHA256) -> bytes:
    algorithm = der.sequence(der.object_identifier(ALGORITHMS[hash_of_signature]))
    entries = [der.sequence(der.integer(serial), time(NOW - DAY)) for serial in revoked]
    members = [der.integer(1), algorithm, name, time(NOW - DAY)]
    members += [time(ends)] if ends else []
    members += [der.sequence(*entries)] if entries else []
    tbs = der.sequence(*members)
    signature = CA.key.sign(tbs, ec.ECDSA(hash_of_signature()))
    return der.sequence(tbs, algorithm, der.element(der.BIT_STRING, b"\x00" + signature))


def refused(code: str, crl_der: bytes) -> str:
    with pytest.raises(CollateralError) as caught:
        RevocationList.authenticate(crl_der, ISSUER, NOW)
    assert caught.value.code == code
    return caught.value.message


def test_a_list_is_believed_and_asked():
    found = RevocationList.authenticate(crl(revoked=[PCK.parsed.serial_number]), ISSUER, NOW)
    assert found.next_update == NOW + DAY
    with pytest.raises(AuthenticationError) as caught:
        found.require_not_revoked(PCK, AuthenticationError)
    assert caught.value.code == "revoked"
    RevocationList.authenticate(crl(), ISSUER, NOW).require_not_revoked(PCK, AuthenticationError)


def test_a_list_in_another_name_is_refused():
    assert "names another issuer" in refused("collateral-signature", crl(name=OTHER_NAME))


def test_a_list_without_end_is_refused():
    assert "does not say when it ends" in refused("collateral-malformed", crl(ends=None))


def test_a_list_signed_with_another_algorithm_is_refused():
    assert "ECDSA and SHA-256" in refused("collateral-signature", crl(hash_of_signature=SHA384))


def test_a_list_over_the_limit_is_refused_before_it_is_parsed():
    assert str(MAX_CRL_SIZE) in refused("collateral-malformed", bytes(MAX_CRL_SIZE + 1))
    assert "cannot be read" in refused("collateral-malformed", bytes(MAX_CRL_SIZE))
