"""The chain profile, one demand at a time: an authority signed, and the chain is refused all the same."""

import base64

import pytest
from attrs import evolve, frozen
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from doubles.simulated import NOW
from doubles.tdx_changes import DAY

from cvmproxy.attestation.certificate_chain import (
    COLLATERAL_CHAIN,
    PCK_CHAIN,
    TrustRoot,
    load_chain,
    verify_chain,
)
from cvmproxy.errors import AuthenticationError, CollateralError, ConfigurationError

ROOT_KEY, CA_KEY, LEAF_KEY = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
NAMES = (frozenset({"leaf"}), frozenset({"CA"}), frozenset({"Intel SGX Root CA"}))


def key_usage(*allowed: str) -> x509.KeyUsage:
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: name in allowed for name in names})


@frozen(kw_only=True)
class Wanted:
    names: tuple[str, ...]
    key: object
    constraints: x509.BasicConstraints
    usage: x509.KeyUsage
    hash_of_signature: object = SHA256()

    def name(self) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in self.names])

    def signed(self, issuer: "Wanted", key: object = None) -> x509.Certificate:
        builder = x509.CertificateBuilder(
            issuer_name=issuer.name(),
            subject_name=self.name(),
            public_key=self.key.public_key(),
            serial_number=7,
            not_valid_before=NOW - DAY,
            not_valid_after=NOW + DAY,
        )
        builder = builder.add_extension(self.constraints, True).add_extension(self.usage, True)
        return builder.sign(key or issuer.key, self.hash_of_signature)


ROOT = Wanted(
    names=("Intel SGX Root CA",),
    key=ROOT_KEY,
    constraints=x509.BasicConstraints(True, 1),
    usage=key_usage("key_cert_sign", "crl_sign"),
)
CA = evolve(ROOT, names=("CA",), key=CA_KEY, constraints=x509.BasicConstraints(True, 0))
LEAF = Wanted(
    names=("leaf",),
    key=LEAF_KEY,
    constraints=x509.BasicConstraints(False, None),
    usage=key_usage("digital_signature"),
)


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def verify(*, leaf: Wanted = LEAF, authority: Wanted = CA, names=NAMES, leaf_certificate=None) -> None:
    root = ROOT.signed(ROOT)
    chain = (leaf_certificate or leaf.signed(authority), authority.signed(ROOT), root)
    verify_chain(chain, names, TrustRoot.from_der(der(root)), NOW, PCK_CHAIN)


def refusal(**changes) -> str:
    with pytest.raises(AuthenticationError) as caught:
        verify(**changes)
    assert caught.value.code == "pck-chain-invalid"
    return caught.value.message


def test_the_honest_chain_is_accepted():
    verify()


def test_an_error_is_of_the_family_that_was_asked_for():
    root = ROOT.signed(ROOT)
    with pytest.raises(CollateralError) as caught:
        verify_chain((root, root), NAMES[1:], TrustRoot.from_der(der(root)), NOW, COLLATERAL_CHAIN)
    assert caught.value.code == "collateral-signature"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"leaf": evolve(LEAF, names=())}, "not exactly one common name"),
        ({"leaf": evolve(LEAF, names=("leaf", "leaf"))}, "not exactly one common name"),
        ({"leaf": evolve(LEAF, key=ec.generate_private_key(ec.SECP384R1()))}, "not on P-256"),
        ({"leaf": evolve(LEAF, key=rsa.generate_private_key(65537, 2048))}, "not on P-256"),
        ({"leaf": evolve(LEAF, hash_of_signature=SHA384())}, "not signed with ECDSA and SHA-256"),
        ({"authority": evolve(CA, key=ec.generate_private_key(ec.SECP384R1()))}, "not on P-256"),
        ({"authority": evolve(CA, hash_of_signature=SHA384())}, "not signed with ECDSA and SHA-256"),
        ({"authority": evolve(CA, usage=key_usage("crl_sign"))}, "may not issue certificates and CRLs"),
        ({"authority": evolve(CA, usage=key_usage("key_cert_sign"))}, "may not issue certificates and CRLs"),
        (
            {"authority": evolve(CA, constraints=x509.BasicConstraints(False, None))},
            "may not issue certificates and CRLs",
        ),
        (
            {"leaf": evolve(LEAF, constraints=x509.BasicConstraints(True, None))},
            "not a certificate for signatures alone",
        ),
        (
            {"leaf": evolve(LEAF, usage=key_usage("digital_signature", "key_cert_sign"))},
            "not a certificate for signatures alone",
        ),
        ({"leaf": evolve(LEAF, usage=key_usage("key_agreement"))}, "not a certificate for signatures alone"),
        ({"names": (frozenset({"other"}), *NAMES[1:])}, "stands where ['other'] was expected"),
    ],
)
def test_what_the_profile_does_not_allow_is_refused_in_words(changes, why):
    assert why in refusal(**changes)


def test_a_path_that_is_longer_than_an_authority_allows_is_refused():
    root = evolve(ROOT, constraints=x509.BasicConstraints(True, 1)).signed(ROOT)
    middle = evolve(CA, names=("middle",), constraints=x509.BasicConstraints(True, 0))
    chain = (LEAF.signed(CA), CA.signed(middle, middle.key), middle.signed(ROOT), root)
    with pytest.raises(AuthenticationError) as caught:
        verify_chain(
            chain, (*NAMES[:2], frozenset({"middle"}), NAMES[2]), TrustRoot.from_der(der(root)), NOW, PCK_CHAIN
        )
    assert "the path below 'middle' is too long" in caught.value.message


def test_an_authority_without_a_path_length_is_accepted():
    verify(authority=evolve(CA, constraints=x509.BasicConstraints(True, None)))


@pytest.mark.parametrize(
    ("root_der", "why"),
    [
        (der(evolve(ROOT, names=("Intel SGX Root",)).signed(evolve(ROOT, names=("Intel SGX Root",)))), "common name"),
        (der(ROOT.signed(CA)), "did not issue"),
        (der(ROOT.signed(ROOT, CA_KEY)), "did not sign"),
        (der(evolve(ROOT, constraints=x509.BasicConstraints(False, None)).signed(ROOT)), "may not issue"),
        (der(evolve(ROOT, constraints=x509.BasicConstraints(True, 0)).signed(ROOT)), "too long"),
        (b"", "cannot be used"),
    ],
)
def test_a_root_that_cannot_be_one_is_refused(root_der, why):
    with pytest.raises(ConfigurationError) as caught:
        TrustRoot.from_der(root_der)
    assert caught.value.code == "bad-option"
    assert why in caught.value.message


def test_text_around_the_certificates_of_a_chain_means_nothing():
    certificates = (LEAF.signed(CA), CA.signed(ROOT))
    pem = b"a word\n" + b"another\r\n".join(each.public_bytes(Encoding.PEM) for each in certificates) + b"\x00"
    assert load_chain(pem) == certificates
    assert load_chain(pem.replace(b"\n", b"\r\n")) == certificates


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"-----BEGIN CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nMAA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
        b"-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n",
    ],
)
def test_what_holds_no_certificate_is_no_chain(pem):
    with pytest.raises(ValueError, match="the chain's PEM"):
        load_chain(pem)


def test_what_a_stranger_signed_is_not_decoded():
    # Decoding comes first where the missing name is what is complained about.
    nameless = evolve(LEAF, names=()).signed(CA, ec.generate_private_key(ec.SECP256R1()))
    assert "did not sign" in refusal(leaf_certificate=nameless)


def test_a_serial_number_that_is_not_positive_is_refused_before_the_library_warns():
    honest = der(LEAF.signed(CA))
    assert honest.count(b"\x02\x01\x07") == 1
    negative = honest.replace(b"\x02\x01\x07", b"\x02\x01\x87")
    pem = x509.load_der_x509_certificate(honest).public_bytes(Encoding.PEM)
    with pytest.raises(ValueError, match="positive serial number"):
        load_chain(pem + as_pem(negative))


def as_pem(certificate_der: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE-----\n%s-----END CERTIFICATE-----\n" % base64.encodebytes(certificate_der)
