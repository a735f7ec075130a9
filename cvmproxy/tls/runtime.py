"""What all handshakes of a process share: worker threads, the bound on handshakes in flight, randomness, the reactor.

There are two lanes of threads. A handshake that may still have to make evidence steps in one, a handshake that only
appraises in the other, so that a slow attester never delays those that need nothing of it. What can ask nothing at all
steps on the reactor thread.
"""

from collections.abc import Callable, Mapping
from itertools import count
from typing import Final, Protocol

from attrs import frozen
from twisted.internet.interfaces import IReactorCore, IReactorFromThreads, IReactorTime

from cvmproxy.attestation.model import Nonce
from cvmproxy.carriage.nonce import NONCE_SIZE
from cvmproxy.errors import CvmproxyError, TransportError
from cvmproxy.tls.lanes import Lane

FormatEntry = Callable[[str, Mapping[int, bytes]], str]
"""Renders a refused peer's measurements as an entry that can be pasted into a measurements file."""


class Reactor(IReactorCore, IReactorFromThreads, IReactorTime):
    """What is needed of the reactor."""


class Abandonable(Protocol):
    """A handshake in flight, as the runtime sees it."""

    def abandon(self, error: CvmproxyError) -> None:
        """End it, and release the thread that waits for it."""


@frozen(kw_only=True)
class Bounds:
    """The sizes of the lanes and of the whole.

    :ivar evidence_workers: requests for evidence in flight; further ones queue, within their handshake's deadline.
    :ivar appraisal_workers: appraisals in flight.
    :ivar handshakes: handshakes in flight, queued ones included; a further one is refused at once.
    :ivar linger_seconds: how long a closed connection waits for the peer to close too.
    """

    evidence_workers: int = 32
    appraisal_workers: int = 16
    handshakes: int = 1024
    linger_seconds: float = 2.0


class HandshakeRuntime:
    """The shared part of all endpoints. Every method runs on the reactor thread.

    :param random_bytes: a source of cryptographic randomness like ``os.urandom``.
    :param format_entry: renders measurements for the log of a refusal.
    """

    def __init__(
        self,
        reactor: Reactor,
        random_bytes: Callable[[int], bytes],
        *,
        bounds: Bounds | None = None,
        format_entry: FormatEntry | None = None,
    ) -> None:
        self.reactor: Final = reactor
        self.bounds: Final = bounds if bounds is not None else Bounds()
        self.format_entry: Final = format_entry
        self.evidence_lane: Final = Lane(reactor, self.bounds.evidence_workers, "evidence")
        self.appraisal_lane: Final = Lane(reactor, self.bounds.appraisal_workers, "appraisal")
        self._random_bytes = random_bytes
        self._connection_ids = count(1)
        self._in_flight: set[Abandonable] = set()
        self._running = False

    def start(self) -> None:
        """Start the lanes; they stop with the reactor if :meth:`stop` is not called before."""
        self._running = True
        self.evidence_lane.start()
        self.appraisal_lane.start()
        self._trigger = self.reactor.addSystemEventTrigger("during", "shutdown", self._stop)

    def stop(self) -> None:
        """Give up the handshakes in flight and join the threads. Open connections are not touched."""
        if self._running:
            self.reactor.removeSystemEventTrigger(self._trigger)
            self._stop()

    def _stop(self) -> None:
        self._running = False
        for handshake in tuple(self._in_flight):
            handshake.abandon(TransportError("connection-lost", "the proxy is shutting down"))
        self.evidence_lane.stop()
        self.appraisal_lane.stop()

    @property
    def handshakes_in_flight(self) -> int:
        """How many handshakes have begun and not ended."""
        return len(self._in_flight)

    def admit(self, handshake: Abandonable) -> None:
        """Count a handshake in.

        :raises TransportError: ``handshake-overload``; there are too many, or the runtime does not run.
        """
        if not self._running:
            raise TransportError("handshake-overload", "the proxy is not running")
        if len(self._in_flight) >= self.bounds.handshakes:
            raise TransportError("handshake-overload", f"{self.bounds.handshakes} handshakes are in flight already")
        self._in_flight.add(handshake)

    def discharge(self, handshake: Abandonable) -> None:
        """Count a handshake out."""
        self._in_flight.discard(handshake)

    def fresh_nonce(self) -> Nonce:
        """Return a nonce for one connection."""
        return Nonce(self._random_bytes(NONCE_SIZE))

    def next_connection_id(self) -> int:
        """Return the number that names a connection in the log."""
        return next(self._connection_ids)
