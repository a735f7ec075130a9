"""The roles of RFC 9334 as interfaces: attester, verifier, and where a verifier's endorsements come from.

An attester and a source of endorsements do I/O, so they are asynchronous and run on the reactor; what blocks goes to
their own bounded pool. A verifier is pure: it never fetches, it says what it needs.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from cvmproxy.attestation.binding import Binding
from cvmproxy.attestation.model import Claims, EndorsementRequest, Endorsements, Evidence


class Attester(Protocol):
    """Makes evidence about this machine."""

    async def attest(self, binding: Binding) -> bytes:
        """Return a fresh attestation document for this binding.

        :raises PlatformError: the platform did not deliver; every other exception is a bug.
        """
        ...


class EndorsementSource(Protocol):
    """Finds collateral: memory, disk, network, or a directory of the simulated platform."""

    async def endorse(self, requests: Sequence[EndorsementRequest]) -> Endorsements:
        """Return an answer for every request.

        :raises CollateralError: at least one of them cannot be had.
        """
        ...


class Verifier(Protocol):
    """Authenticates one type of evidence. Pure: every method may run in any thread."""

    def decode(self, document: bytes) -> Evidence:
        """Parse a document.

        :raises EvidenceError: it is not well-formed.
        """
        ...

    def required_endorsements(self, evidence: Evidence) -> tuple[EndorsementRequest, ...]:
        """Say which collateral ``authenticate`` will need for this evidence.

        :raises AuthenticationError: nothing that we trust vouches for what the evidence would have us fetch.
        """
        ...

    def authenticate(self, evidence: Evidence, endorsements: Endorsements, binding: Binding, now: datetime) -> Claims:
        """Verify every signature, identity and binding of the evidence at the time ``now`` (aware, UTC).

        :raises AuthenticationError: the evidence is not authentic, or not for this binding.
        :raises CollateralError: the collateral is malformed, expired, not yet valid or not authentic.
        """
        ...
