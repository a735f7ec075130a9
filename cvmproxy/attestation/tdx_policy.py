"""The policy section for TDX evidence: what of a platform and of a TD is acceptable, beside its measurements.

Defaults: attestation formats, "Default policy for both TDX types", and wire protocol, "dcap-tdx document". Bits and
names of TD attributes: Intel "TDX Module Base Architecture Specification", TD attributes and XFAM.
"""

from typing import Final

from attrs import Attribute, field, frozen, validators

from cvmproxy.attestation.collateral import TcbStatus
from cvmproxy.attestation.model import Claims
from cvmproxy.attestation.tdx_claims import TdxClaims
from cvmproxy.attestation.tdx_report import TdReport
from cvmproxy.errors import AppraisalError

DEBUG: Final = 1 << 0
SEPT_VE_DISABLE: Final = 1 << 28
MIGRATABLE: Final = 1 << 29
PROTECTION_KEYS: Final = 1 << 30
PERFMON: Final = 1 << 63

XFAM_REQUIRED: Final = 0x3
XFAM_KNOWN: Final = 0x6DBE7

_ZERO: Final = bytes(48)


def _no_revoked(
    _instance: object, _attribute: "Attribute[frozenset[TcbStatus]]", statuses: frozenset[TcbStatus]
) -> None:
    if TcbStatus.REVOKED in statuses:
        raise ValueError("a revoked platform is never acceptable")


def _exactly(size: int) -> bytes | None:
    # attrs' field() is typed as the value that it stands for.
    value: bytes | None = field(validator=validators.optional([validators.min_len(size), validators.max_len(size)]))
    return value


@frozen(kw_only=True)
class TdxPolicy:
    """A policy section for TDX evidence (a ``PlatformPolicy``). ``None`` in a field demands nothing of it.

    :ivar tcb_statuses: the converged statuses that are accepted; ``Revoked`` cannot be one.
    :ivar allow_debug: whether the TD may be debugged: its memory is then open to the host.
    :ivar allow_migratable: whether the TD may be migrated.
    :ivar require_sept_ve_disable: whether the TD must have SEPT_VE_DISABLE.
    :ivar td_attributes_allowed: the bits that TDATTRIBUTES may have, DEBUG and MIGRATABLE apart.
    :ivar td_attributes: what TDATTRIBUTES must be exactly, 8 bytes as on the wire.
    :ivar xfam_required, xfam_allowed: the bits that XFAM must have, and those that it may have.
    :ivar mr_config_id, mr_owner, mr_owner_config: what they must be, 48 bytes each.
    :ivar allow_service_td: whether a service TD may be bound.
    """

    tcb_statuses: frozenset[TcbStatus] = field(validator=_no_revoked)
    allow_debug: bool
    allow_migratable: bool
    require_sept_ve_disable: bool
    td_attributes_allowed: int
    td_attributes: bytes | None = _exactly(8)
    xfam_required: int
    xfam_allowed: int
    mr_config_id: bytes | None = _exactly(48)
    mr_owner: bytes | None = _exactly(48)
    mr_owner_config: bytes | None = _exactly(48)
    allow_service_td: bool

    def appraise(self, claims: Claims) -> None:
        """Compare TDX claims with this section, in the order of its fields.

        :raises AppraisalError: ``tcb-status``, ``td-debug``, ``td-migratable``, ``td-sept-ve-disable``,
            ``td-attributes``, ``xfam``, ``mr-config-id``, ``mr-owner``, ``mr-owner-config`` or ``service-td``;
            ``no-policy`` where the claims are not of a TD.
        """
        if not isinstance(claims.platform, TdxClaims):
            raise AppraisalError("no-policy", "a policy section for TDX cannot appraise other evidence")
        refusal = self._refusal(claims.platform)
        if refusal is not None:
            raise AppraisalError(*refusal, attestation_type=claims.attestation_type)

    def _refusal(self, platform: TdxClaims) -> tuple[str, str] | None:
        report = platform.report
        if platform.tcb_status not in self.tcb_statuses:
            advisories = ", ".join(platform.advisory_ids) or "no advisories"
            return "tcb-status", f"the platform's TCB status is {platform.tcb_status.value} ({advisories})"
        return (
            self._refused_attributes(int.from_bytes(report.td_attributes, "little"), report.td_attributes)
            or self._refused_xfam(int.from_bytes(report.xfam, "little"))
            or self._refused_registers(report)
        )

    def _refused_attributes(self, bits: int, raw: bytes) -> tuple[str, str] | None:
        if bits & DEBUG and not self.allow_debug:
            return "td-debug", "the TD can be debugged: the host can read its memory"
        if bits & MIGRATABLE and not self.allow_migratable:
            return "td-migratable", "the TD can be migrated"
        if not bits & SEPT_VE_DISABLE and self.require_sept_ve_disable:
            return "td-sept-ve-disable", f"SEPT_VE_DISABLE is not among the TD's attributes {raw.hex()}"
        if bits & ~(self.td_attributes_allowed | DEBUG | MIGRATABLE):
            return "td-attributes", f"the TD's attributes {raw.hex()} have bits that are not allowed"
        if self.td_attributes is not None and raw != self.td_attributes:
            return "td-attributes", f"the TD's attributes are {raw.hex()}, not {self.td_attributes.hex()}"
        return None

    def _refused_xfam(self, bits: int) -> tuple[str, str] | None:
        if bits & self.xfam_required != self.xfam_required or bits & ~self.xfam_allowed:
            return "xfam", f"XFAM is {bits:#x}; required {self.xfam_required:#x}, allowed {self.xfam_allowed:#x}"
        return None

    def _refused_registers(self, report: TdReport) -> tuple[str, str] | None:
        registers = (
            ("mr-config-id", "MRCONFIGID", report.mr_config_id, self.mr_config_id),
            ("mr-owner", "MROWNER", report.mr_owner, self.mr_owner),
            ("mr-owner-config", "MROWNERCONFIG", report.mr_owner_config, self.mr_owner_config),
        )
        for code, name, value, expected in registers:
            if expected is not None and value != expected:
                return code, f"{name} is {value.hex()}, not {expected.hex()}"
        if not self.allow_service_td and _has_service_td(report):
            return "service-td", "a service TD is or was bound to the TD"
        return None


def _has_service_td(report: TdReport) -> bool:
    # A body of TD 1.0 has no such field; a service TD that migrates it would show in its attributes.
    bound = [report.td_1_5.mr_service_td] if report.td_1_5 is not None else []
    if report.extended is not None:
        bound += [report.extended.initial_service_td_hash, report.extended.current_service_td_hash]
    return any(any(value) for value in bound)


DCAP_TDX_POLICY: Final = TdxPolicy(
    tcb_statuses=frozenset({TcbStatus.UP_TO_DATE}),
    allow_debug=False,
    allow_migratable=False,
    require_sept_ve_disable=True,
    td_attributes_allowed=SEPT_VE_DISABLE | PROTECTION_KEYS | PERFMON,
    td_attributes=SEPT_VE_DISABLE.to_bytes(8, "little"),
    xfam_required=XFAM_REQUIRED,
    xfam_allowed=XFAM_KNOWN,
    mr_config_id=_ZERO,
    mr_owner=_ZERO,
    mr_owner_config=_ZERO,
    allow_service_td=False,
)
"""The default for dcap-tdx, and for the simulated platform: what the Go program accepts, and not a debug TD."""
