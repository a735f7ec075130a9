"""What a side shows: evidence made for each connection, or a certificate that stays."""

from datetime import timedelta
from os import urandom

import pytest
from attrs import evolve
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from doubles.attested import SettableClock, now_result, simulated_bench
from doubles.simulated import NOW, platform

from cvmproxy.attestation.model import Nonce
from cvmproxy.carriage.certificate import MAX_LEAF_SIZE, make_leaf_key
from cvmproxy.carriage.issuer import BareIssuer, EvidenceIssuer, StaticIssuer, read_operator_credential
from cvmproxy.errors import ConfigurationError, PlatformError

NONCE = Nonce(bytes(range(32)))


class Fixed:
    """An attester with a document of that size, or an error."""

    def __init__(self, size: int = 0, error: Exception | None = None) -> None:
        self.size, self.error = size, error

    async def attest(self, binding):
        if self.error:
            raise self.error
        return bytes(self.size)


def issuer(attester) -> EvidenceIssuer:
    return EvidenceIssuer(
        attester=attester,
        evidence_oid="1.3.9900.1.1",
        leaf_key=make_leaf_key(),
        now=SettableClock(),
        random=urandom,
    )


def test_each_connection_has_its_own_certificate_with_the_same_key(tmp_path):
    bench = simulated_bench(tmp_path / "simulated")
    bench_issuer = bench.issuer
    one, other = (now_result(bench_issuer.issue(nonce)) for nonce in (NONCE, Nonce(bytes(32))))
    assert one.certificate_der != other.certificate_der
    assert one.key is other.key
    assert x509.load_der_x509_certificate(one.certificate_der).public_key() == one.key.public_key()
    assert bench.appraise(one.certificate_der, NONCE)
    assert bench_issuer.needs_nonce


def test_the_largest_document_that_fits_is_sent_and_a_larger_one_refused():
    size = MAX_LEAF_SIZE - 400
    assert len(now_result(issuer(Fixed(size)).issue(NONCE)).certificate_der) <= MAX_LEAF_SIZE
    with pytest.raises(PlatformError) as caught:
        now_result(issuer(Fixed(MAX_LEAF_SIZE)).issue(NONCE))
    assert caught.value.code == "evidence-unavailable"
    assert str(MAX_LEAF_SIZE) in caught.value.message


def test_the_platforms_error_is_passed_on():
    with pytest.raises(PlatformError) as caught:
        now_result(issuer(Fixed(error=PlatformError("evidence-timeout", "slow"))).issue(NONCE))
    assert caught.value.code == "evidence-timeout"


def test_a_bare_certificate_is_kept_and_renewed_before_it_runs_out():
    clock = SettableClock()
    bare = BareIssuer(leaf_key=make_leaf_key(), now=clock, random=urandom)
    assert not bare.needs_nonce
    first = now_result(bare.issue(NONCE))
    assert list(x509.load_der_x509_certificate(first.certificate_der).extensions) == []
    clock.now += timedelta(minutes=59)
    assert now_result(bare.issue(Nonce(b""))) is first
    clock.now += timedelta(minutes=2)
    renewed = now_result(bare.issue(NONCE))
    assert x509.load_der_x509_certificate(renewed.certificate_der).not_valid_after_utc == clock.now + timedelta(hours=2)
    assert renewed.key is first.key


def test_a_bare_certificate_is_made_again_when_the_clock_was_set_back():
    clock = SettableClock()
    bare = BareIssuer(leaf_key=make_leaf_key(), now=clock, random=urandom)
    clock.now -= timedelta(days=1)
    leaf = x509.load_der_x509_certificate(now_result(bare.issue(NONCE)).certificate_der)
    assert leaf.not_valid_before_utc < clock.now < leaf.not_valid_after_utc


def pem(key, encryption=None) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


@pytest.fixture
def files(tmp_path):
    pki = platform().pki
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    certificate.write_bytes(pki.pck_chain_pem)
    key.write_bytes(pem(pki.pck.key))
    return certificate, key


def test_the_operators_certificate_is_read_with_its_chain(files):
    pki = platform().pki
    credential = read_operator_credential(*files)
    assert credential.certificate_der == pki.pck.certificate_der
    assert credential.chain_der == (pki.platform_ca.certificate_der, pki.root.certificate_der)
    assert credential.key.public_key() == pki.pck.key.public_key()
    static = StaticIssuer(credential)
    assert now_result(static.issue(NONCE)) is credential
    assert not static.needs_nonce


@pytest.mark.parametrize("key", [rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate()])
def test_operators_keys_of_other_kinds_are_read(files, key):
    name = x509.Name([])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(NOW).not_valid_after(NOW)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else x509.base.hashes.SHA256()
    files[0].write_bytes(builder.sign(key, algorithm).public_bytes(Encoding.PEM))
    files[1].write_bytes(pem(key))
    assert read_operator_credential(*files).chain_der == ()


def spoil_missing(certificate, key):
    certificate.unlink()
    return certificate


def spoil_missing_key(certificate, key):
    key.unlink()
    return key


def spoil_garbage(certificate, key):
    certificate.write_bytes(b"\xff not PEM")
    return certificate


def spoil_empty(certificate, key):
    certificate.write_bytes(b"")
    return certificate


def spoil_key(certificate, key):
    key.write_bytes(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    return key


def spoil_encrypted_key(certificate, key):
    key.write_bytes(pem(platform().pki.pck.key, BestAvailableEncryption(b"secret")))
    return key


def spoil_other_key(certificate, key):
    key.write_bytes(pem(ec.generate_private_key(ec.SECP256R1())))
    return key


def spoil_unsigning_key(certificate, key):
    key.write_bytes(pem(x25519.X25519PrivateKey.generate()))
    return key


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_missing,
        spoil_missing_key,
        spoil_garbage,
        spoil_empty,
        spoil_key,
        spoil_encrypted_key,
        spoil_other_key,
        spoil_unsigning_key,
    ],
)
def test_unusable_files_are_named_in_one_line(files, spoil):
    named = spoil(*files)
    with pytest.raises(ConfigurationError) as caught:
        read_operator_credential(*files)
    assert caught.value.code == "bad-option"
    assert str(named) in caught.value.message
    assert "\n" not in caught.value.message


def test_private_keys_are_not_printed(files):
    credential = read_operator_credential(*files)
    assert "PrivateKey" not in repr(credential)
    assert "PrivateKey" not in repr(evolve(platform()))
