import base64
from contextlib import suppress

import pytest
from cryptography import x509
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from cvmproxy.attestation import der_encoding as der
from cvmproxy.attestation.model import Nonce
from cvmproxy.carriage.nonce import (
    authority_for_nonce,
    decode_nonce,
    encode_nonce,
    nonce_from_authorities,
    nonce_from_server_name,
)
from cvmproxy.errors import NonceError

limits = settings(max_examples=200, deadline=None)


def name(common_names: list[str], kind: _ASN1Type) -> bytes:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, value, kind) for value in common_names]
    return x509.Name(attributes).public_bytes()


@limits
@given(st.binary(max_size=190))
def test_a_nonce_of_any_length_comes_back_from_a_server_name(nonce: bytes) -> None:
    assert nonce_from_server_name(encode_nonce(Nonce(nonce))) == nonce


def test_thirty_two_bytes_are_forty_four_characters() -> None:
    assert len(encode_nonce(Nonce(bytes(32)))) == 44


def test_no_server_name_is_the_empty_nonce() -> None:
    assert nonce_from_server_name(None) == b""


@limits
@given(st.binary(max_size=60))
def test_any_server_name_gives_a_nonce_or_the_one_error(text: bytes) -> None:
    with suppress(NonceError):
        nonce = decode_nonce(text)
        assert len(base64.b64encode(nonce)) == len(text)


@pytest.mark.parametrize(
    "text", [b"YWI", b"YWI=.", b"YW-_", b" YWI=", b"YWI=\n", b"YWI==", b"=", b"Y\nWI=", b"YWI=YWI="]
)
def test_nothing_is_forgiven(text: bytes) -> None:
    with pytest.raises(NonceError) as caught:
        decode_nonce(text)
    assert caught.value.code == "nonce-malformed"


@limits
@given(st.binary(min_size=1, max_size=45), st.sampled_from([_ASN1Type.PrintableString, _ASN1Type.UTF8String]))
def test_both_kinds_of_string_are_read(nonce: bytes, kind: _ASN1Type) -> None:
    assert nonce_from_authorities([name([base64.b64encode(nonce).decode()], kind)]) == nonce


@limits
@given(st.binary(min_size=32, max_size=32))
def test_what_we_send_is_what_we_read(nonce: bytes) -> None:
    assert nonce_from_authorities([authority_for_nonce(Nonce(nonce)).subject.public_bytes()]) == nonce


@pytest.mark.parametrize("count", [0, 2, 3])
def test_exactly_one_name_is_demanded(count: int) -> None:
    with pytest.raises(NonceError):
        nonce_from_authorities([name(["YWJj"], _ASN1Type.UTF8String)] * count)


@pytest.mark.parametrize("common_names", [[], ["YWJj", "YWJj"]])
def test_exactly_one_common_name_is_demanded(common_names: list[str]) -> None:
    with pytest.raises(NonceError):
        nonce_from_authorities([name(common_names, _ASN1Type.UTF8String)])


@limits
@given(st.binary(max_size=80))
def test_any_name_gives_a_nonce_or_the_one_error(name_der: bytes) -> None:
    with suppress(NonceError):
        nonce_from_authorities([name_der])


def attribute(oid: str, tag: int, value: bytes) -> bytes:
    return der.element(der.SET, der.sequence(der.object_identifier(oid), der.element(tag, value)))


@limits
@given(
    st.sampled_from(["2.5.4.3", "2.5.4.6", "2.5.4.45"]),
    st.integers(0, 30),
    st.binary(max_size=300) | st.binary(max_size=90).map(base64.b64encode),
)
def test_any_attribute_gives_a_nonce_or_the_one_error_and_no_warning(oid: str, tag: int, value: bytes) -> None:
    with suppress(NonceError):
        nonce_from_authorities([der.sequence(attribute("2.5.4.6", 0x13, b"too long"), attribute(oid, tag, value))])


@pytest.mark.parametrize("tag", [0x03, 0x04, 0x14, 0x16, 0x1E])
def test_no_other_kind_of_string_is_read(tag: int) -> None:
    with pytest.raises(NonceError, match="nonce-malformed"):
        nonce_from_authorities([der.sequence(attribute("2.5.4.3", tag, b"YWJj"))])


def test_a_nonce_of_any_length_is_read_from_an_authority() -> None:
    nonce = bytes(range(200))
    assert nonce_from_authorities([der.sequence(attribute("2.5.4.3", 0x13, base64.b64encode(nonce)))]) == nonce
