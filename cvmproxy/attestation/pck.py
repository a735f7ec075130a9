"""The SGX extension of a PCK certificate: which platform it is for, and at which TCB (OID 1.2.840.113741.1.13.1).

Specification: Intel "SGX PCK Certificate and Certificate Revocation List Profile", section 1.3.5.
"""

from typing import Final

from attrs import field, frozen

from cvmproxy.attestation.der_decoding import (
    DerError,
    boolean,
    content_of,
    enumerated,
    octets,
    only_element,
    pairs,
    unsigned,
)
from cvmproxy.attestation.der_encoding import SEQUENCE
from cvmproxy.errors import EvidenceError

SGX_EXTENSION_OID: Final = "1.2.840.113741.1.13.1"

_SGX: Final = bytes.fromhex("2a864886f84d010d01")
_COMPONENTS: Final = 16

Element = tuple[int, bytes]


@frozen(kw_only=True)
class PlatformConfiguration:
    """How a multi-package platform is set up; absent from certificates of the processor CA."""

    dynamic_platform: bool
    cached_keys: bool
    smt_enabled: bool


@frozen(kw_only=True)
class PckExtension:
    """What Intel certifies about the platform that a PCK key belongs to.

    :ivar ppid: 16 bytes, the platform's provisioning id.
    :ivar component_svns: the 16 SGX TCB component SVNs, 0–255 each.
    :ivar pce_svn: 0–65535; :ivar cpu_svn: 16 bytes.
    :ivar pce_id: 2 bytes; :ivar fmspc: 6 bytes, the platform's family, model, stepping and type.
    :ivar sgx_type: 0 standard, 1 scalable, 2 scalable with integrity.
    :ivar platform_instance_id: 16 bytes, or ``None`` where the certificate has none.
    """

    ppid: bytes = field(repr=bytes.hex)
    component_svns: tuple[int, ...]
    pce_svn: int
    cpu_svn: bytes = field(repr=bytes.hex)
    pce_id: bytes = field(repr=bytes.hex)
    fmspc: bytes = field(repr=bytes.hex)
    sgx_type: int
    platform_instance_id: bytes | None = None
    configuration: PlatformConfiguration | None = None


def parse_sgx_extension(value: bytes) -> PckExtension:
    """Parse the extension's value. Parts that the profile does not define are tolerated, repeated ones are not.

    :raises EvidenceError: ``evidence-malformed``.
    """
    try:
        return _parse(value)
    except DerError as error:
        raise EvidenceError("evidence-malformed", f"the PCK certificate's SGX extension: {error}") from None


def _parse(value: bytes) -> PckExtension:
    parts = pairs(only_element(value, SEQUENCE))
    tcb = pairs(content_of(_part(parts, 2), SEQUENCE))
    instance_id = parts.get(_oid(6))
    configuration = parts.get(_oid(7))
    return PckExtension(
        ppid=octets(_part(parts, 1), 16),
        component_svns=tuple(unsigned(_part(tcb, 2, number), 0xFF) for number in range(1, _COMPONENTS + 1)),
        pce_svn=unsigned(_part(tcb, 2, 17), 0xFFFF),
        cpu_svn=octets(_part(tcb, 2, 18), 16),
        pce_id=octets(_part(parts, 3), 2),
        fmspc=octets(_part(parts, 4), 6),
        sgx_type=enumerated(_part(parts, 5), 2),
        platform_instance_id=None if instance_id is None else octets(instance_id, 16),
        configuration=None if configuration is None else _parse_configuration(configuration),
    )


def _parse_configuration(element: Element) -> PlatformConfiguration:
    parts = pairs(content_of(element, SEQUENCE))
    return PlatformConfiguration(
        dynamic_platform=boolean(_part(parts, 7, 1)),
        cached_keys=boolean(_part(parts, 7, 2)),
        smt_enabled=boolean(_part(parts, 7, 3)),
    )


def _oid(*arcs: int) -> bytes:
    # Every arc below Intel's SGX arc is under 128, and so a single byte.
    return _SGX + bytes(arcs)


def _part(parts: dict[bytes, Element], *arcs: int) -> Element:
    try:
        return parts[_oid(*arcs)]
    except KeyError:
        raise DerError(f"part {'.'.join(map(str, arcs))} is missing") from None
