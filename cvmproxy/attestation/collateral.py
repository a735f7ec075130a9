"""TCB info and QE identity: from the body of the PCS answer to typed values that are authentic and in force.

Specification: Intel PCS API v4, "Get TDX TCB Info" (version 3) and "Get TDX Enclave Identity" (version 2). The
signature is over the exact bytes of the ``tcbInfo`` or ``enclaveIdentity`` value; it is verified before a member of
that value is looked at. Members that the specification does not name are tolerated: Intel adds some.
"""

from collections.abc import Callable
from datetime import datetime
from enum import Enum
from typing import Final, TypeVar

from attrs import field, frozen

from cvmproxy.attestation.certificate_chain import (
    COLLATERAL_CHAIN,
    ROOT_NAME,
    TCB_SIGNING_NAME,
    TrustRoot,
    load_chain,
    verify_chain,
)
from cvmproxy.attestation.ecdsa import signature_verifies
from cvmproxy.attestation.json_shape import Shape
from cvmproxy.attestation.model import Endorsement
from cvmproxy.attestation.revocation import RevocationList
from cvmproxy.attestation.signed_json import JsonError, cut_members
from cvmproxy.attestation.validity import require_validity
from cvmproxy.errors import CollateralError

MAX_BODY_SIZE: Final = 512 * 1024
"""Bytes of an answer's body. Intel's have 1 to 10 KiB."""

S = TypeVar("S")
T = TypeVar("T")


class TcbStatus(Enum):
    """The TCB statuses of Intel's specification; the value is the name that it writes."""

    UP_TO_DATE = "UpToDate"
    SW_HARDENING_NEEDED = "SWHardeningNeeded"
    CONFIGURATION_NEEDED = "ConfigurationNeeded"
    CONFIGURATION_AND_SW_HARDENING_NEEDED = "ConfigurationAndSWHardeningNeeded"
    OUT_OF_DATE = "OutOfDate"
    OUT_OF_DATE_CONFIGURATION_NEEDED = "OutOfDateConfigurationNeeded"
    REVOKED = "Revoked"
    TD_RELAUNCH_ADVISED = "TDRelaunchAdvised"
    TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED = "TDRelaunchAdvisedConfigurationNeeded"


_ISV_STATUSES: Final = tuple(
    status.value for status in (TcbStatus.UP_TO_DATE, TcbStatus.OUT_OF_DATE, TcbStatus.REVOKED)
)
# What a relaunch would do is concluded by a verifier; Intel's collateral never says it.
_PLATFORM_STATUSES: Final = tuple(
    status.value
    for status in TcbStatus
    if status not in (TcbStatus.TD_RELAUNCH_ADVISED, TcbStatus.TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED)
)


@frozen(kw_only=True)
class Level:
    """What every kind of TCB level says.

    :ivar date: when the TCB that it describes was recovered (UTC).
    :ivar advisory_ids: Intel's advisories that apply to it.
    """

    status: TcbStatus
    date: datetime
    advisory_ids: tuple[str, ...]


@frozen(kw_only=True)
class PlatformLevel(Level):
    """A level of the platform.

    :ivar sgx_svns, tdx_svns: 16 component SVNs each; :ivar pce_svn: 0–65535.
    """

    sgx_svns: tuple[int, ...]
    tdx_svns: tuple[int, ...]
    pce_svn: int


@frozen(kw_only=True)
class IsvLevel(Level):
    """A level of the TDX module or of the quoting enclave."""

    isv_svn: int


@frozen(kw_only=True)
class TdxModule:
    """What the TDX module of a quote has to be: MRSIGNERSEAM (48 bytes), SEAMATTRIBUTES and their mask (8 each)."""

    mr_signer: bytes
    attributes: bytes
    attributes_mask: bytes


@frozen(kw_only=True)
class TdxModuleIdentity:
    """A TDX module of one major version.

    :ivar id: ``TDX_`` and the version, two hex digits, in upper case.
    """

    id: str
    module: TdxModule
    levels: tuple[IsvLevel, ...]


@frozen(kw_only=True)
class TcbInfo:
    """TCB info for one FMSPC.

    :ivar fmspc: 6 bytes; :ivar pce_id: 2 bytes.
    :ivar levels: at least one, in Intel's order: the first that matches counts.
    """

    issue_date: datetime
    next_update: datetime
    fmspc: bytes = field(repr=bytes.hex)
    pce_id: bytes = field(repr=bytes.hex)
    evaluation_data_number: int
    module: TdxModule
    module_identities: tuple[TdxModuleIdentity, ...]
    levels: tuple[PlatformLevel, ...]


@frozen(kw_only=True)
class QeIdentity:
    """The quoting enclave that Intel made.

    :ivar misc_select: with its mask, 4 bytes; :ivar attributes: with its mask, 16 bytes; :ivar mr_signer: 32 bytes.
    """

    issue_date: datetime
    next_update: datetime
    evaluation_data_number: int
    misc_select: bytes
    misc_select_mask: bytes
    attributes: bytes
    attributes_mask: bytes
    mr_signer: bytes
    isv_prod_id: int
    levels: tuple[IsvLevel, ...]


@frozen(kw_only=True)
class SignedCollateral:
    """A value of which the signature has been verified.

    :ivar not_after: the end of its signer's validity (UTC).
    """

    value: Shape
    not_after: datetime


def authenticate_tcb_info(
    endorsement: Endorsement, root: TrustRoot, root_crl: RevocationList, now: datetime
) -> tuple[TcbInfo, datetime]:
    """Return authentic TCB info that is in force, and when the first thing that it rests on ends.

    :raises CollateralError: ``collateral-malformed``, ``-signature``, ``-expired``, ``-not-yet-valid``, ``-mismatch``
        (not for TDX, or of another version), or ``revoked``.
    """
    signed = _authenticate(endorsement, "tcbInfo", root, root_crl, now)
    info = _shaped(parse_tcb_info, signed.value)
    require_validity("the TCB info", info.issue_date, info.next_update, now, COLLATERAL_CHAIN)
    return info, min(info.next_update, signed.not_after)


def authenticate_qe_identity(
    endorsement: Endorsement, root: TrustRoot, root_crl: RevocationList, now: datetime
) -> tuple[QeIdentity, datetime]:
    """Return an authentic QE identity that is in force, and when the first thing that it rests on ends.

    :raises CollateralError: as :func:`authenticate_tcb_info`.
    """
    signed = _authenticate(endorsement, "enclaveIdentity", root, root_crl, now)
    identity = _shaped(parse_qe_identity, signed.value)
    require_validity("the QE identity", identity.issue_date, identity.next_update, now, COLLATERAL_CHAIN)
    return identity, min(identity.next_update, signed.not_after)


def _authenticate(
    endorsement: Endorsement, member: str, root: TrustRoot, root_crl: RevocationList, now: datetime
) -> SignedCollateral:
    """Verify chain, revocation and signature of one signed answer."""
    value, signed_bytes, signature = _shaped(lambda body: _cut(body, member), endorsement.body)
    try:
        chain = load_chain(endorsement.issuer_chain_pem)
    except ValueError as error:
        raise CollateralError("collateral-malformed", f"the issuer chain of {member}: {error}") from None
    names = (frozenset({TCB_SIGNING_NAME}), frozenset({ROOT_NAME}))
    signer, _ = certificates = verify_chain(chain, names, root, now, COLLATERAL_CHAIN)
    root_crl.require_not_revoked(signer, CollateralError)
    if not signature_verifies(signer.public_key, signature, signed_bytes):
        raise CollateralError("collateral-signature", f"the signature of {member} does not verify")
    not_after = min(certificate.parsed.not_valid_after_utc for certificate in certificates)
    return SignedCollateral(value=Shape(value, member), not_after=not_after)


def _cut(body: bytes, member: str) -> tuple[object, bytes, bytes]:
    """Cut an answer into the signed value, its exact bytes, and the signature r‖s."""
    if len(body) > MAX_BODY_SIZE:
        raise JsonError(f"the body of {member} has more than {MAX_BODY_SIZE} bytes")
    members = cut_members(body)
    if set(members) != {member, "signature"}:
        raise JsonError(f"the body does not consist of {member!r} and its signature")
    value, signed_bytes = members[member]
    return value, signed_bytes, Shape(members["signature"][0], "signature").octets(64)


def _shaped(parse: Callable[[S], T], source: S) -> T:
    try:
        return parse(source)
    except JsonError as error:
        raise CollateralError("collateral-malformed", f"the collateral cannot be read: {error}") from None


def parse_tcb_info(value: Shape) -> TcbInfo:
    """Read a ``tcbInfo`` value.

    :raises JsonError: it has another shape.
    :raises CollateralError: ``collateral-mismatch``: it is not TDX TCB info of version 3.
    """
    _require_kind(value, "TDX", 3)
    if value.member("tcbType").number(0xFFFF) != 0:
        raise CollateralError("collateral-mismatch", "the TCB info composes its components in an unknown way")
    identities = value.optional("tdxModuleIdentities")
    return TcbInfo(
        issue_date=value.member("issueDate").time(),
        next_update=value.member("nextUpdate").time(),
        fmspc=value.member("fmspc").octets(6),
        pce_id=value.member("pceId").octets(2),
        evaluation_data_number=value.member("tcbEvaluationDataNumber").number(0xFFFFFFFF),
        module=_parse_module(value.member("tdxModule")),
        module_identities=() if identities is None else tuple(map(_parse_module_identity, identities.elements())),
        levels=tuple(map(_parse_platform_level, value.member("tcbLevels").elements(1))),
    )


def parse_qe_identity(value: Shape) -> QeIdentity:
    """Read an ``enclaveIdentity`` value.

    :raises JsonError: it has another shape.
    :raises CollateralError: ``collateral-mismatch``: it is not the identity of the TDX quoting enclave, version 2.
    """
    _require_kind(value, "TD_QE", 2)
    return QeIdentity(
        issue_date=value.member("issueDate").time(),
        next_update=value.member("nextUpdate").time(),
        evaluation_data_number=value.member("tcbEvaluationDataNumber").number(0xFFFFFFFF),
        misc_select=value.member("miscselect").octets(4),
        misc_select_mask=value.member("miscselectMask").octets(4),
        attributes=value.member("attributes").octets(16),
        attributes_mask=value.member("attributesMask").octets(16),
        mr_signer=value.member("mrsigner").octets(32),
        isv_prod_id=value.member("isvprodid").number(0xFFFF),
        levels=tuple(map(_parse_isv_level, value.member("tcbLevels").elements(1))),
    )


def _require_kind(value: Shape, kind: str, version: int) -> None:
    found = (value.member("id").text(), value.member("version").number(0xFFFF))
    if found != (kind, version):
        raise CollateralError(
            "collateral-mismatch", f"{value.place} is {found[0]!r} of version {found[1]}, not {kind!r} of {version}"
        )


def _parse_module(value: Shape) -> TdxModule:
    return TdxModule(
        mr_signer=value.member("mrsigner").octets(48),
        attributes=value.member("attributes").octets(8),
        attributes_mask=value.member("attributesMask").octets(8),
    )


def _parse_module_identity(value: Shape) -> TdxModuleIdentity:
    return TdxModuleIdentity(
        id=value.member("id").text().upper(),
        module=_parse_module(value),
        levels=tuple(map(_parse_isv_level, value.member("tcbLevels").elements(1))),
    )


def _parse_platform_level(value: Shape) -> PlatformLevel:
    tcb = value.member("tcb")
    return PlatformLevel(
        sgx_svns=tcb.member("sgxtcbcomponents").svns(16),
        tdx_svns=tcb.member("tdxtcbcomponents").svns(16),
        pce_svn=tcb.member("pcesvn").number(0xFFFF),
        status=TcbStatus(value.member("tcbStatus").one_of(_PLATFORM_STATUSES)),
        date=value.member("tcbDate").time(),
        advisory_ids=_advisory_ids(value),
    )


def _parse_isv_level(value: Shape) -> IsvLevel:
    return IsvLevel(
        isv_svn=value.member("tcb").member("isvsvn").number(0xFFFF),
        status=TcbStatus(value.member("tcbStatus").one_of(_ISV_STATUSES)),
        date=value.member("tcbDate").time(),
        advisory_ids=_advisory_ids(value),
    )


def _advisory_ids(value: Shape) -> tuple[str, ...]:
    found = value.optional("advisoryIDs")
    return () if found is None else found.texts()
