"""The TCB status of a platform: levels, TDX module, convergence, relaunch advice (attestation formats, steps 7 to 10).

Specification: Intel PCS API v4, "How to determine TCB status of the platform using TCB Info", and Intel's quote
verification library for convergence and relaunch. Everything compared here is authentic already.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from attrs import frozen

from cvmproxy.attestation.collateral import (
    IsvLevel,
    PlatformLevel,
    QeIdentity,
    TcbInfo,
    TcbStatus,
    TdxModule,
    TdxModuleIdentity,
)
from cvmproxy.attestation.pck import PckExtension
from cvmproxy.attestation.tdx_quote import QeReport
from cvmproxy.attestation.tdx_report import BodyType, TdReport
from cvmproxy.errors import AuthenticationError

_CONVERGED_OUT_OF_DATE: Final[Mapping[TcbStatus, TcbStatus]] = {
    TcbStatus.UP_TO_DATE: TcbStatus.OUT_OF_DATE,
    TcbStatus.SW_HARDENING_NEEDED: TcbStatus.OUT_OF_DATE,
    TcbStatus.CONFIGURATION_NEEDED: TcbStatus.OUT_OF_DATE_CONFIGURATION_NEEDED,
    TcbStatus.CONFIGURATION_AND_SW_HARDENING_NEEDED: TcbStatus.OUT_OF_DATE_CONFIGURATION_NEEDED,
}
_CURRENT = frozenset(_CONVERGED_OUT_OF_DATE)
_OUT_OF_DATE = frozenset(_CONVERGED_OUT_OF_DATE.values())
_CONFIGURATION_NEEDED = frozenset(
    {
        TcbStatus.CONFIGURATION_NEEDED,
        TcbStatus.CONFIGURATION_AND_SW_HARDENING_NEEDED,
        TcbStatus.OUT_OF_DATE_CONFIGURATION_NEEDED,
    }
)


@frozen(kw_only=True)
class TcbVerdict:
    """What the levels say together.

    :ivar status: converged over platform, TDX module and quoting enclave.
    :ivar advisory_ids: of all three levels, each once, sorted.
    :ivar date: of the platform's level; :ivar qe_date: of the quoting enclave's.
    :ivar module_date: of the TDX module's, ``None`` where no module identity decides.
    """

    status: TcbStatus
    advisory_ids: tuple[str, ...]
    date: datetime
    module_date: datetime | None
    qe_date: datetime


def match_qe(report: QeReport, identity: QeIdentity) -> IsvLevel:
    """Compare the quoting enclave with its identity, and return its level.

    :raises AuthenticationError: ``qe-identity-mismatch`` or ``tcb-not-supported``.
    """
    if report.mr_signer != identity.mr_signer:
        raise _qe_mismatch(f"its MRSIGNER is {report.mr_signer.hex()}")
    if report.isv_prod_id != identity.isv_prod_id:
        raise _qe_mismatch(f"its ISVPRODID is {report.isv_prod_id}, not {identity.isv_prod_id}")
    if _masked(report.misc_select, identity.misc_select_mask) != identity.misc_select:
        raise _qe_mismatch(f"its MISCSELECT is {report.misc_select.hex()}")
    if _masked(report.attributes, identity.attributes_mask) != identity.attributes:
        raise _qe_mismatch(f"its ATTRIBUTES are {report.attributes.hex()}")
    return _isv_level(identity.levels, report.isv_svn, "the quoting enclave")


def match_module(report: TdReport, info: TcbInfo) -> IsvLevel | None:
    """Compare the TDX module with its identity, and return its level; ``None`` where the module has no version.

    :raises AuthenticationError: ``tdx-module-mismatch`` or ``tcb-not-supported``.
    """
    version = report.tee_tcb_svn[1]
    if version == 0:
        _require_module(report, info.module)
        return None
    identity = _module_identity(info, version)
    if identity is None:
        raise AuthenticationError("tdx-module-mismatch", f"no TDX module of version {version} is known")
    _require_module(report, identity.module)
    return _isv_level(identity.levels, report.tee_tcb_svn[0], f"TDX module {identity.id}")


def evaluate_tcb(
    report: TdReport, pck: PckExtension, info: TcbInfo, module: IsvLevel | None, qe: IsvLevel
) -> TcbVerdict:
    """Find the platform's level and converge it with those of the module and of the quoting enclave.

    :raises AuthenticationError: ``tcb-not-supported``: no level matches the platform.
    """
    # Components 0 and 1 are the module's SVN and version: its own identity decides over them where there is one.
    skipped = 0 if module is None else 2
    on_sgx = [level for level in info.levels if _matches_sgx(level, pck)]
    matching = next((level for level in on_sgx if _matches_tdx(level, report.tee_tcb_svn, skipped)), None)
    if matching is None:
        raise AuthenticationError("tcb-not-supported", f"no TCB level of FMSPC {info.fmspc.hex()} matches the platform")
    levels = [matching, qe] if module is None else [matching, module, qe]
    status = _converge(matching.status, [level.status for level in levels[1:]])
    if module is not None and _relaunch_would_help(report, info, on_sgx[0].status, status, module, qe):
        either = {on_sgx[0].status, status}
        status = (
            TcbStatus.TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED
            if either & _CONFIGURATION_NEEDED
            else TcbStatus.TD_RELAUNCH_ADVISED
        )
    return TcbVerdict(
        status=status,
        advisory_ids=tuple(sorted({advisory for level in levels for advisory in level.advisory_ids})),
        date=matching.date,
        module_date=None if module is None else module.date,
        qe_date=qe.date,
    )


def _converge(platform: TcbStatus, others: Iterable[TcbStatus]) -> TcbStatus:
    statuses = {platform, *others}
    if TcbStatus.REVOKED in statuses:
        return TcbStatus.REVOKED
    if TcbStatus.OUT_OF_DATE in others:
        return _CONVERGED_OUT_OF_DATE.get(platform, platform)
    return platform


def _relaunch_would_help(
    report: TdReport, info: TcbInfo, on_sgx: TcbStatus, converged: TcbStatus, module: IsvLevel, qe: IsvLevel
) -> bool:
    """Say whether only the launch was on an old TDX module, and what runs now is current."""
    if report.td_1_5 is None or report.body_type is not BodyType.TD_1_5:
        return False
    if qe.status is not TcbStatus.UP_TO_DATE or module.status is not TcbStatus.OUT_OF_DATE:
        return False
    if on_sgx not in _CURRENT or converged not in _OUT_OF_DATE:
        return False
    module_svn, version, microcode_svn = report.td_1_5.tee_tcb_svn2[:3]
    top = info.levels[0]
    if microcode_svn < top.tdx_svns[2]:
        return False
    if version == 0:
        return module_svn >= top.tdx_svns[0]
    identity = _module_identity(info, version)
    return identity is not None and module_svn >= identity.levels[0].isv_svn


def _matches_sgx(level: PlatformLevel, pck: PckExtension) -> bool:
    return level.pce_svn <= pck.pce_svn and all(
        needed <= svn for needed, svn in zip(level.sgx_svns, pck.component_svns, strict=True)
    )


def _matches_tdx(level: PlatformLevel, tee_tcb_svn: bytes, skipped: int) -> bool:
    return all(needed <= svn for needed, svn in zip(level.tdx_svns[skipped:], tee_tcb_svn[skipped:], strict=True))


def _module_identity(info: TcbInfo, version: int) -> TdxModuleIdentity | None:
    wanted = f"TDX_{version:02X}"
    return next((identity for identity in info.module_identities if identity.id == wanted), None)


def _require_module(report: TdReport, module: TdxModule) -> None:
    if report.mr_signer_seam != module.mr_signer:
        raise AuthenticationError("tdx-module-mismatch", f"its MRSIGNERSEAM is {report.mr_signer_seam.hex()}")
    if _masked(report.seam_attributes, module.attributes_mask) != module.attributes:
        raise AuthenticationError("tdx-module-mismatch", f"its SEAMATTRIBUTES are {report.seam_attributes.hex()}")


def _isv_level(levels: Iterable[IsvLevel], isv_svn: int, what: str) -> IsvLevel:
    for level in levels:
        if level.isv_svn <= isv_svn:
            return level
    raise AuthenticationError("tcb-not-supported", f"no level matches SVN {isv_svn} of {what}")


def _masked(value: bytes, mask: bytes) -> bytes:
    return bytes(byte & bits for byte, bits in zip(value, mask, strict=True))


def _qe_mismatch(message: str) -> AuthenticationError:
    return AuthenticationError("qe-identity-mismatch", f"the quoting enclave is not Intel's: {message}")
