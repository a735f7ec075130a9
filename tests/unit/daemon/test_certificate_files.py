"""The operator's certificate and key: read once, with what is wrong said of the right file."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from doubles.simulated import NOW, platform

from cvmproxy.daemon.certificate_files import read_credential
from cvmproxy.errors import ConfigurationError


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
    credential = read_credential(*files, "--certificate", "--key")
    assert credential.certificate_der == pki.pck.certificate_der
    assert credential.chain_der == (pki.platform_ca.certificate_der, pki.root.certificate_der)
    assert credential.key.public_key() == pki.pck.key.public_key()


@pytest.mark.parametrize("key", [rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate()])
def test_operators_keys_of_other_kinds_are_read(files, key):
    name = x509.Name([])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(NOW).not_valid_after(NOW)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else x509.base.hashes.SHA256()
    files[0].write_bytes(builder.sign(key, algorithm).public_bytes(Encoding.PEM))
    files[1].write_bytes(pem(key))
    assert read_credential(*files, "--certificate", "--key").chain_der == ()


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
        read_credential(*files, "--certificate", "--key")
    assert caught.value.code == "bad-option"
    assert str(named) in caught.value.message
    assert "\n" not in caught.value.message
