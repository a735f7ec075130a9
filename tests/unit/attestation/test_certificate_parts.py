"""What is read of a certificate before anybody vouches for it."""

import pytest
from cryptography import x509
from doubles.simulated import platform

from cvmproxy.attestation import der_encoding as der
from cvmproxy.attestation.certificate_parts import MAX_EXTENSIONS, has_known_head, take_apart
from cvmproxy.attestation.der_decoding import DerError, dotted, only_element

PCK = platform().pki.pck.certificate_der
EMPTY = der.sequence()
SIGNATURE = der.element(der.BIT_STRING, b"\x00signature")


def certificate(*after_key: bytes, signature: bytes = SIGNATURE) -> bytes:
    return der.sequence(der.sequence(*[EMPTY] * 7, *after_key), EMPTY, signature)


def extensions(*members: bytes) -> bytes:
    return der.element(0xA3, der.sequence(*members))


def extension(oid: str, value: bytes = b"value", *criticality: bytes) -> bytes:
    return der.sequence(der.object_identifier(oid), *criticality, der.octet_string(value))


def test_a_real_certificate_comes_apart_as_the_library_takes_it():
    parsed = x509.load_der_x509_certificate(PCK)
    parts = take_apart(PCK)
    assert has_known_head(PCK)
    assert parts.issuer == only_element(parsed.issuer.public_bytes(), der.SEQUENCE)
    assert parts.extensions == tuple((e.oid.dotted_string, e.value.public_bytes()) for e in parsed.extensions)


def test_extensions_are_given_in_their_order_repeated_ones_too():
    found = take_apart(certificate(extensions(extension("1.2.3"), extension("1.2.4", b"", der.boolean(True)))))
    assert found.extensions == (("1.2.3", b"value"), ("1.2.4", b""))
    twice = take_apart(certificate(extensions(extension("1.2.3", b"a"), extension("1.2.3", b"b"))))
    assert twice.extensions == (("1.2.3", b"a"), ("1.2.3", b"b"))
    assert take_apart(certificate()).extensions == ()


def test_no_more_extensions_are_read_than_the_bound():
    most = [extension(f"1.2.{number}") for number in range(MAX_EXTENSIONS)]
    assert len(take_apart(certificate(extensions(*most))).extensions) == MAX_EXTENSIONS
    with pytest.raises(DerError):
        take_apart(certificate(extensions(*most, extension("1.3.1"))))


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        EMPTY,
        der.sequence(der.sequence(*[EMPTY] * 6), EMPTY, SIGNATURE),
        der.sequence(der.sequence(*[EMPTY] * 11), EMPTY, SIGNATURE),
        der.sequence(der.sequence(*[EMPTY] * 7), EMPTY),
        certificate() + b"\x00",
        certificate(signature=der.element(der.BIT_STRING, b"")),
        certificate(signature=der.element(der.BIT_STRING, b"\x01\x00")),
        certificate(signature=der.octet_string(b"\x00signature")),
        certificate(extensions(), extensions()),
        certificate(extensions(der.sequence(der.object_identifier("1.2.3")))),
        certificate(extensions(der.sequence(der.octet_string(b"1.2.3"), der.octet_string(b"")))),
        certificate(extensions(der.sequence(der.object_identifier("1.2.3"), der.boolean(True)))),
        certificate(extensions(extension("1.2.3", b"", der.octet_string(b"")))),
        certificate(extensions(extension("1.2.3", b"", der.boolean(True), der.boolean(True)))),
    ],
)
def test_another_structure_is_refused(broken):
    with pytest.raises(DerError):
        take_apart(broken)


@pytest.mark.parametrize("oid", ["0.9.2342", "1.3.9900.5.99", "1.2.840.113741.1.13.1", "2.999.1", "2.5.29.17"])
def test_an_identifier_is_read_back(oid):
    assert dotted(only_element(der.object_identifier(oid), der.OBJECT_IDENTIFIER)) == oid


@pytest.mark.parametrize("encoded", [b"", b"\x2a\x80", b"\x2a\x80\x01", b"\x80\x2a", b"\x2a" + b"\xff" * 62 + b"\x01"])
def test_an_identifier_in_another_form_is_refused(encoded):
    with pytest.raises(DerError):
        dotted(encoded)
