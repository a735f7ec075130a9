"""The appraisal: claims against policy and reference values, and the proof that it was done (RFC 9334, section 7).

:func:`appraise` is the only maker of :class:`AttestationResult`. Everything that opens a connection demands one, or an
explicit :class:`NoAttestation`; absence never means that a check is skipped.
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import NoReturn, Protocol, TypeAlias

from attrs import field, frozen

from cvmproxy.attestation.mismatch import describe_mismatch, differing_registers, mismatch_message
from cvmproxy.attestation.model import Claims, ReferenceEntry, ReferenceValues
from cvmproxy.errors import AppraisalError


class PlatformPolicy(Protocol):
    """The policy section of one type of evidence."""

    def appraise(self, claims: Claims) -> None:
        """Compare the scheme's own facts with the section.

        :raises AppraisalError: with the code that names what was not accepted.
        """
        ...


def _frozen_sections(sections: Mapping[str, PlatformPolicy]) -> Mapping[str, PlatformPolicy]:
    return MappingProxyType(dict(sections))


@frozen(kw_only=True)
class AppraisalPolicy:
    """What is acceptable, as one immutable snapshot that a connection takes and keeps.

    :ivar references: the measurements; ``None`` is not a value it can have: "any" is an entry without registers.
    :ivar platform: attestation type → its section. A type without a section is refused (``no-policy``).
    """

    references: ReferenceValues
    platform: Mapping[str, PlatformPolicy] = field(converter=_frozen_sections)


@frozen(kw_only=True)
class NoAttestation:
    """The explicit statement that the peer is not appraised on this connection.

    :ivar because: why, for the log: ``"client attestation type is none"``, ``"ordinary PKI"`` …
    """

    because: str


@frozen(kw_only=True, init=False)
class AttestationResult:
    """Proof that evidence was authenticated and appraised. Only :func:`appraise` makes one.

    :ivar claims: the authenticated claims.
    :ivar measurement_id: the id of the entry that matched.
    :ivar reference_digest: digest of the reference values that were in force.
    :ivar warnings: registers of the matching entry that differ and are marked ``warnOnly``.
    :ivar appraised_at: when (aware, UTC).
    """

    claims: Claims
    measurement_id: str
    reference_digest: str
    warnings: tuple[int, ...]
    appraised_at: datetime

    def __init__(self) -> None:
        raise TypeError("an AttestationResult is made by appraise() only")

    @property
    def attestation_type(self) -> str:
        """The scheme's command-line name."""
        return self.claims.attestation_type

    @property
    def measurements(self) -> Mapping[int, bytes]:
        """Register index → value, as authenticated."""
        return self.claims.measurements

    def __init_subclass__(cls) -> NoReturn:
        raise TypeError("an AttestationResult has no kinds: a subclass would be proof of nothing")

    def __reduce__(self) -> NoReturn:
        raise TypeError("an AttestationResult is not copied or pickled: it is proof for this process only")


PeerIdentity: TypeAlias = AttestationResult | NoAttestation
"""What is known about the other end of an open connection."""


def appraise(claims: Claims, policy: AppraisalPolicy, now: datetime) -> AttestationResult:
    """Compare authenticated claims with the policy and its reference values.

    :raises AppraisalError: refused; the code names what was not accepted, and for ``measurements-mismatch`` the error
        carries the measured values, the nearest entry and the registers that differ.
    """
    section = policy.platform.get(claims.attestation_type)
    if section is None:
        raise AppraisalError(
            "no-policy",
            f"the appraisal policy has no section for evidence of type {claims.attestation_type}",
            attestation_type=claims.attestation_type,
        )
    section.appraise(claims)
    candidates = [e for e in policy.references.entries if e.attestation_type == claims.attestation_type]
    compared = [(entry, *differing_registers(entry, claims)) for entry in candidates]
    accepting = [(entry, warned) for entry, enforced, warned in compared if not enforced]
    if accepting:
        # A warning would be false where another entry matches in every register.
        entry, warned = min(accepting, key=lambda pair: len(pair[1]))
        return _result(claims, entry, policy, warned, now)
    raise AppraisalError(
        "measurements-mismatch",
        mismatch_message(candidates, claims),
        measured=dict(claims.measurements),
        attestation_type=claims.attestation_type,
        detail=describe_mismatch(candidates, claims),
    )


def _result(
    claims: Claims, entry: ReferenceEntry, policy: AppraisalPolicy, warned: tuple[int, ...], now: datetime
) -> AttestationResult:
    result = object.__new__(AttestationResult)
    values = {
        "claims": claims,
        "measurement_id": entry.measurement_id,
        "reference_digest": policy.references.digest,
        "warnings": warned,
        "appraised_at": now,
    }
    for name, value in values.items():
        object.__setattr__(result, name, value)
    return result
