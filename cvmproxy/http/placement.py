"""Where a peer's measurements go: to the target with its requests, or to the requester with its responses.

The server proxy puts the client's measurements on requests, the client proxy the server's on responses (wire protocol,
"HTTP rules"). Both are made from the identity that a connection has, once for that connection.
"""

from collections.abc import Callable
from typing import Protocol, TypeAlias

from attrs import frozen

from cvmproxy.attestation.policy import AttestationResult, PeerIdentity
from cvmproxy.http.messages import FieldLines
from cvmproxy.http.reserved import measurement_headers

HeaderLabel: TypeAlias = Callable[[AttestationResult], str]
"""Gives the value of ``X-Flashbots-Attestation-Type`` for a result."""


class MeasurementPlacement(Protocol):
    """Says which fields an identity adds, and where."""

    def for_target(self, requester: PeerIdentity) -> FieldLines:
        """Return what a requester's identity adds to its requests."""

    def for_requester(self, target: PeerIdentity) -> FieldLines:
        """Return what the target's identity adds to its responses."""


@frozen
class OnRequests:
    """The server proxy's: the target learns who asks."""

    label: HeaderLabel

    def for_target(self, requester: PeerIdentity) -> FieldLines:
        """Return the requester's measurements, or nothing where it was not appraised."""
        return _fields(requester, self.label)

    def for_requester(self, target: PeerIdentity) -> FieldLines:
        """Return nothing."""
        return ()


@frozen
class OnResponses:
    """The client proxy's: the requester learns who answers."""

    label: HeaderLabel

    def for_target(self, requester: PeerIdentity) -> FieldLines:
        """Return nothing."""
        return ()

    def for_requester(self, target: PeerIdentity) -> FieldLines:
        """Return the target's measurements, or nothing where it was not appraised."""
        return _fields(target, self.label)


def _fields(identity: PeerIdentity, label: HeaderLabel) -> FieldLines:
    if isinstance(identity, AttestationResult):
        return measurement_headers(identity, label(identity))
    return ()
