"""What the handshake engine asks in the middle of a step, and waits for. Typed: a question knows its answer's type."""

from typing import Generic, Protocol, TypeVar

from attrs import frozen

from cvmproxy.attestation.model import Endorsements, Nonce
from cvmproxy.carriage.interfaces import Credential, PresentedEvidence

A = TypeVar("A")
T = TypeVar("T")


class Question(Generic[A]):
    """The root of all questions; ``A`` is the answer's type."""


@frozen(kw_only=True)
class CredentialRequested(Question[Credential]):
    """The peer's nonce is known: what do we show?"""

    peer_nonce: Nonce


@frozen(kw_only=True)
class EndorsementsRequested(Question[Endorsements]):
    """The peer's evidence is read: what is needed to authenticate it?"""

    presented: PresentedEvidence


class Ask(Protocol):
    """Answers a question; may block the thread that the step runs in."""

    def __call__(self, question: Question[T]) -> T:
        """Return the answer.

        :raises CvmproxyError: there is none; the handshake ends with an alert.
        """
        ...
