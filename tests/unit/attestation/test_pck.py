"""The SGX extension: strict DER, every part of the profile, nothing twice."""

import pytest

from cvmproxy.attestation import der_encoding as der
from cvmproxy.attestation.der_decoding import DerError, elements, only_element, unsigned
from cvmproxy.attestation.pck import PlatformConfiguration, parse_sgx_extension
from cvmproxy.errors import EvidenceError
from cvmproxy.platform.simulated_pki import PlatformIdentity, sgx_extension

IDENTITY = PlatformIdentity(pce_svn=0x1234, sgx_type=2, cached_keys=False)
OID = "1.2.840.113741.1.13.1"


def part(number: str, value: bytes) -> bytes:
    return der.sequence(der.object_identifier(f"{OID}.{number}"), value)


def parts() -> dict[str, bytes]:
    """The parts of an honest extension by number, each a complete element."""
    content = only_element(sgx_extension(IDENTITY), der.SEQUENCE)
    return {str(n): der.element(tag, value) for n, (tag, value) in enumerate(elements(content), start=1)}


def assembled(changed: dict[str, bytes]) -> bytes:
    return der.sequence(*{**parts(), **changed}.values())


def test_every_part_is_read() -> None:
    found = parse_sgx_extension(sgx_extension(IDENTITY))
    assert found.ppid == IDENTITY.ppid
    assert found.component_svns == IDENTITY.component_svns
    assert found.pce_svn == 0x1234
    assert found.cpu_svn == IDENTITY.cpu_svn
    assert found.pce_id == IDENTITY.pce_id
    assert found.fmspc == IDENTITY.fmspc
    assert found.sgx_type == 2
    assert found.platform_instance_id == IDENTITY.platform_instance_id
    assert found.configuration == PlatformConfiguration(dynamic_platform=True, cached_keys=False, smt_enabled=True)


def test_a_processor_certificate_lacks_the_last_two_parts() -> None:
    found = parse_sgx_extension(assembled({"6": b"", "7": b""}))
    assert (found.platform_instance_id, found.configuration) == (None, None)


def test_a_part_that_the_profile_does_not_define_is_tolerated() -> None:
    parse_sgx_extension(assembled({"8": part("8", der.integer(1))}))


@pytest.mark.parametrize("number", ["1", "2", "3", "4", "5"])
def test_a_part_of_every_certificate_cannot_be_missing(number: str) -> None:
    with pytest.raises(EvidenceError, match=f"evidence-malformed.*part {number} is missing"):
        parse_sgx_extension(assembled({number: b""}))


@pytest.mark.parametrize("number", ["1", "2", "3", "4", "5", "6", "7"])
def test_a_part_cannot_occur_twice(number: str) -> None:
    with pytest.raises(EvidenceError, match="occurs twice"):
        parse_sgx_extension(assembled({number: parts()[number] * 2}))


@pytest.mark.parametrize(
    ("number", "value"),
    [
        ("1", der.octet_string(bytes(15))),
        ("1", der.integer(1)),
        ("2", der.octet_string(b"")),
        ("2", der.sequence()),
        ("3", der.octet_string(bytes(3))),
        ("4", der.octet_string(bytes(5))),
        ("5", der.integer(3, der.ENUMERATED)),
        ("5", der.integer(1)),
        ("6", der.octet_string(b"")),
        ("7", der.sequence(part("7.1", der.element(der.BOOLEAN, b"\x01")))),
    ],
)
def test_a_part_of_another_type_or_size_is_refused(number: str, value: bytes) -> None:
    with pytest.raises(EvidenceError, match="evidence-malformed"):
        parse_sgx_extension(assembled({number: part(number, value)}))


def test_trailing_bytes_are_refused() -> None:
    with pytest.raises(EvidenceError, match="evidence-malformed"):
        parse_sgx_extension(sgx_extension(IDENTITY) + b"\x05\x00")


@pytest.mark.parametrize(
    "data",
    [b"\x04", b"\x04\x01", b"\x04\x80", b"\x04\x81\x01\x00", b"\x04\x82\x00\x81" + bytes(129), b"\x1f\x01\x00",
     b"\x04\x83\x00\x00\x00", b"\x04\x81", b"\x04\x02\x00"],
)  # fmt: skip
def test_der_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(DerError):
        list(elements(data))


@pytest.mark.parametrize("content", [b"", b"\xff", b"\x00\x7f", b"\x01\x00"])
def test_an_integer_is_shortest_positive_and_bounded(content: bytes) -> None:
    with pytest.raises(DerError):
        unsigned((der.INTEGER, content), 0xFF)
    assert unsigned((der.INTEGER, b"\x00\xff"), 0xFF) == 0xFF
