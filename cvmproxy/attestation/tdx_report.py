"""The body of a TDX quote: what the TDX module reports about a TD, in its three versions.

Layout: attestation-formats, "TDX quote", and Intel's ``sgx_quote_5.h`` for body type 4.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from attrs import field, frozen, validators

from cvmproxy.attestation.byte_reader import ByteReader


def fixed_bytes(size: int) -> bytes:
    """Declare an attribute of exactly ``size`` bytes."""
    # attrs' field() is typed as the value that it stands for.
    value: bytes = field(validator=[validators.min_len(size), validators.max_len(size)])
    return value


class BodyType(IntEnum):
    """What a quote is about; the number is version 5's body type, and version 4 has TD 1.0 bodies only."""

    TD_1_0 = 2
    TD_1_5 = 3
    TD_1_5_EXTENDED = 4


BODY_SIZES: Final[Mapping[BodyType, int]] = {BodyType.TD_1_0: 584, BodyType.TD_1_5: 648, BodyType.TD_1_5_EXTENDED: 885}


@frozen(kw_only=True)
class ServiceTdBinding:
    """What a body of TD 1.5 adds: the TCB that the TD runs on now, and the service TDs bound to it.

    :ivar tee_tcb_svn2: 16 bytes; :ivar mr_service_td: 48 bytes, zero where no service TD is bound.
    """

    tee_tcb_svn2: bytes = fixed_bytes(16)
    mr_service_td: bytes = fixed_bytes(48)


@frozen(kw_only=True)
class ExtendedBody:
    """What a body of type 4 adds to TD 1.5: identity of the TD, and its history of launch and migration.

    Sizes in bytes: 1, 32, 48, 48, 8, 16, 16, 12, 48, 8.
    """

    vm_id: bytes = fixed_bytes(1)
    td_id: bytes = fixed_bytes(32)
    device_info: bytes = fixed_bytes(48)
    initial_service_td_hash: bytes = fixed_bytes(48)
    initial_service_td_attributes: bytes = fixed_bytes(8)
    initial_cpu_svn: bytes = fixed_bytes(16)
    initial_tee_tcb_svn: bytes = fixed_bytes(16)
    initial_tee_fmspc: bytes = fixed_bytes(12)
    current_service_td_hash: bytes = fixed_bytes(48)
    current_service_td_attributes: bytes = fixed_bytes(8)


@frozen(kw_only=True)
class TdReport:
    """The body of a quote: what the TDX module reported about the TD.

    :ivar tee_tcb_svn: 16 bytes, the TCB at launch.
    :ivar seam_attributes, td_attributes, xfam: 8 bytes each, as on the wire.
    :ivar rtmrs: four values of 48 bytes.
    :ivar report_data: 64 bytes, chosen by the TD.
    :ivar td_1_5: present in bodies of type 3 and 4; :ivar extended: present in bodies of type 4.
    """

    tee_tcb_svn: bytes = fixed_bytes(16)
    mr_seam: bytes = fixed_bytes(48)
    mr_signer_seam: bytes = fixed_bytes(48)
    seam_attributes: bytes = fixed_bytes(8)
    td_attributes: bytes = fixed_bytes(8)
    xfam: bytes = fixed_bytes(8)
    mr_td: bytes = fixed_bytes(48)
    mr_config_id: bytes = fixed_bytes(48)
    mr_owner: bytes = fixed_bytes(48)
    mr_owner_config: bytes = fixed_bytes(48)
    rtmrs: tuple[bytes, bytes, bytes, bytes]
    report_data: bytes = fixed_bytes(64)
    td_1_5: ServiceTdBinding | None = None
    extended: ExtendedBody | None = None

    @property
    def body_type(self) -> BodyType:
        """The type of body that holds exactly these fields."""
        if self.td_1_5 is None:
            return BodyType.TD_1_0
        return BodyType.TD_1_5 if self.extended is None else BodyType.TD_1_5_EXTENDED

    def serialise(self) -> bytes:
        """Return the body: 584, 648 or 885 bytes."""
        head = (
            self.tee_tcb_svn,
            self.mr_seam,
            self.mr_signer_seam,
            self.seam_attributes,
            self.td_attributes,
            self.xfam,
            self.mr_td,
            self.mr_config_id,
            self.mr_owner,
            self.mr_owner_config,
            *self.rtmrs,
            self.report_data,
        )
        body = b"".join(head)
        if self.td_1_5 is not None:
            body += self.td_1_5.tee_tcb_svn2 + self.td_1_5.mr_service_td
        if self.extended is not None:
            body += _serialise_extended(self.extended)
        return body


def parse_td_report(reader: ByteReader, body_type: BodyType) -> TdReport:
    """Take a body of the given type.

    :raises TruncatedError: there are fewer bytes.
    """
    take = reader.take
    return TdReport(
        tee_tcb_svn=take(16),
        mr_seam=take(48),
        mr_signer_seam=take(48),
        seam_attributes=take(8),
        td_attributes=take(8),
        xfam=take(8),
        mr_td=take(48),
        mr_config_id=take(48),
        mr_owner=take(48),
        mr_owner_config=take(48),
        rtmrs=(take(48), take(48), take(48), take(48)),
        report_data=take(64),
        td_1_5=None
        if body_type is BodyType.TD_1_0
        else ServiceTdBinding(tee_tcb_svn2=take(16), mr_service_td=take(48)),
        extended=_parse_extended(reader) if body_type is BodyType.TD_1_5_EXTENDED else None,
    )


def _parse_extended(reader: ByteReader) -> ExtendedBody:
    take = reader.take
    return ExtendedBody(
        vm_id=take(1),
        td_id=take(32),
        device_info=take(48),
        initial_service_td_hash=take(48),
        initial_service_td_attributes=take(8),
        initial_cpu_svn=take(16),
        initial_tee_tcb_svn=take(16),
        initial_tee_fmspc=take(12),
        current_service_td_hash=take(48),
        current_service_td_attributes=take(8),
    )


def _serialise_extended(body: ExtendedBody) -> bytes:
    return b"".join(
        (
            body.vm_id,
            body.td_id,
            body.device_info,
            body.initial_service_td_hash,
            body.initial_service_td_attributes,
            body.initial_cpu_svn,
            body.initial_tee_tcb_svn,
            body.initial_tee_fmspc,
            body.current_service_td_hash,
            body.current_service_td_attributes,
        )
    )
