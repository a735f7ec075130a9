"""The scheme-neutral values of attestation: what goes in and out of verifiers and of the appraisal.

Names follow RFC 9334 (RATS architecture). Everything is frozen and made of bytes, numbers and times; no value here
knows a socket, a file or a clock. A scheme's own types stand beside its parser (``tdx_quote``); the proof that
evidence was appraised, ``AttestationResult``, stands in ``policy``, its only maker.
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import NewType, Protocol

from attrs import field, frozen

Nonce = NewType("Nonce", bytes)
"""What a verifier sends to get fresh evidence. Ours are 32 random bytes; a peer's may have any length, zero too."""


def _frozen_values(values: Mapping[int, bytes]) -> Mapping[int, bytes]:
    return MappingProxyType(dict(values))


@frozen(kw_only=True)
class Evidence:
    """A decoded attestation document: well-formed, not yet believed.

    :ivar attestation_type: the scheme's command-line name.
    :ivar document: the bytes as they were carried.
    :ivar decoded: the scheme's own frozen value; only that scheme's verifier looks into it.
    """

    attestation_type: str
    document: bytes = field(repr=False)
    decoded: object = field(repr=False)


@frozen
class EndorsementRequest:
    """One piece of collateral by name, e.g. ``("tdx-tcb-info", "00806f050000")``. Hashable: a cache's key."""

    kind: str
    key: str = ""


@frozen(kw_only=True)
class Endorsement:
    """One piece of collateral as its source gave it, not yet believed.

    :ivar body: the exact bytes of the answer.
    :ivar issuer_chain_pem: the chain that came with it (signer, then root), empty where there is none.
    """

    body: bytes = field(repr=False)
    issuer_chain_pem: bytes = field(default=b"", repr=False)


Endorsements = Mapping[EndorsementRequest, Endorsement]
"""What a verifier asked for, by request."""


class PlatformClaims(Protocol):
    """The part of the claims that only the scheme's own policy section understands."""

    def facts(self) -> Mapping[str, str]:
        """What to log and show: short names → printable values (``tcb_status``, ``fmspc``, ``advisory_ids`` …)."""
        ...


@frozen(kw_only=True)
class Claims:
    """What authenticated evidence says. Made by a verifier; nothing in it has been compared with a policy.

    :ivar measurements: register index → value (DCAP: 0 MRTD, 1–4 RTMR0–3, 48 bytes each; vTPM: PCRs, 32 bytes).
    :ivar platform: the scheme's own facts, for its policy section.
    :ivar not_after: the earliest end of validity of what the verification rested on (UTC).
    """

    attestation_type: str
    measurements: Mapping[int, bytes] = field(converter=_frozen_values)
    platform: PlatformClaims
    not_after: datetime


@frozen(kw_only=True)
class RegisterReference:
    """What one register may hold: any of ``expected_any``.

    :ivar warn_only: a mismatch is not refused; the attestation result names the register among its warnings. Already
        resolved: the reader of the file clears it where the format says that it is enforced all the same (DCAP).
    """

    expected_any: frozenset[bytes]
    warn_only: bool = False


def _frozen_registers(registers: Mapping[int, RegisterReference]) -> Mapping[int, RegisterReference]:
    return MappingProxyType(dict(registers))


@frozen(kw_only=True)
class ReferenceEntry:
    """One acceptable set of measurements. Empty ``registers``: authenticate and forward, no value is demanded."""

    measurement_id: str
    attestation_type: str
    registers: Mapping[int, RegisterReference] = field(converter=_frozen_registers)


@frozen(kw_only=True)
class ReferenceValues:
    """The entries of a measurements file that count; any one that matches makes evidence acceptable.

    :ivar digest: SHA-256 of the file's bytes in hex, or the empty string for "any measurements of the named type".
    """

    entries: tuple[ReferenceEntry, ...]
    digest: str
