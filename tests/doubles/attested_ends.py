"""Both ends of attested TLS over real sockets: protocols that remember, and the endpoints to join them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from os import urandom

from attrs import define, field
from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.interfaces import IHalfCloseableProtocol, IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import LogEvent, globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import implementer

from cvmproxy.events import Event
from cvmproxy.tls.endpoints import AttestedClientEndpoint, AttestedServerEndpoint
from cvmproxy.tls.runtime import Bounds, HandshakeRuntime
from cvmproxy.tls.settings import ClientSettings, ServerSettings

PATIENCE_SECONDS = 10.0


class Signal:
    """Fires everybody who waits, now and later."""

    def __init__(self) -> None:
        self.value: object = None
        self.fired = False
        self._waiting: list[Deferred[object]] = []

    def fire(self, value: object = None) -> None:
        self.value, self.fired = value, True
        waiting, self._waiting = self._waiting, []
        for deferred in waiting:
            deferred.callback(value)

    def wait(self) -> Deferred[object]:
        deferred: Deferred[object] = Deferred()
        if self.fired:
            deferred.callback(self.value)
        else:
            self._waiting.append(deferred)
        return deferred.addTimeout(PATIENCE_SECONDS, reactor)


class Remembering(Protocol):
    """Remembers what it was told, and lets a test wait for it."""

    first_of_all: Signal

    def __init__(self) -> None:
        self.received = bytearray()
        self.made = Signal()
        self.lost = Signal()
        self._wanted: list[tuple[int, Signal]] = []

    def connectionMade(self) -> None:
        self.made.fire(self)
        if not self.first_of_all.fired:
            self.first_of_all.fire(self)

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        for size, signal in self._wanted:
            if len(self.received) >= size and not signal.fired:
                signal.fire()

    def bytes(self, size: int) -> Deferred[object]:
        signal = Signal()
        self._wanted.append((size, signal))
        self.dataReceived(b"")
        return signal.wait()

    def connectionLost(self, reason: Failure) -> None:
        self.lost.fire(reason.value)


@implementer(IHalfCloseableProtocol)
class HalfCloseable(Remembering):
    def __init__(self) -> None:
        super().__init__()
        self.read_ended = Signal()

    def readConnectionLost(self) -> None:
        self.read_ended.fire()

    def writeConnectionLost(self) -> None:
        """Not of interest."""


class Collecting(Factory):
    """Keeps the protocols that it built."""

    noisy = False

    def __init__(self, kind: type[Remembering] = Remembering) -> None:
        self.built: list[Remembering] = []
        self.first = Signal()
        self._kind = kind

    def buildProtocol(self, addr: object) -> Remembering:
        protocol = self._kind()
        protocol.first_of_all = self.first
        self.built.append(protocol)
        return protocol


class Events(list[Event]):
    """An event sink; a test can wait for the n-th event."""

    def __init__(self) -> None:
        super().__init__()
        self._wanted: list[tuple[int, Signal]] = []

    def __call__(self, event: Event) -> None:
        self.append(event)
        for count, signal in self._wanted:
            if len(self) >= count and not signal.fired:
                signal.fire()

    def reach(self, count: int) -> Deferred[object]:
        signal = Signal()
        self._wanted.append((count, signal))
        if len(self) >= count:
            signal.fire()
        return signal.wait()


@define
class Ends:
    """A listening attested server, and what it takes to connect to it."""

    runtime: HandshakeRuntime
    client_runtime: HandshakeRuntime
    port: IListeningPort
    server_factory: Collecting
    server_events: Events
    number: int
    client_events: Events = field(factory=Events)

    def connect(self, settings: ClientSettings, kind: type[Remembering] = Remembering) -> Deferred[Remembering]:
        below = TCP4ClientEndpoint(reactor, "127.0.0.1", self.number)
        return AttestedClientEndpoint(below, settings, self.client_runtime, self.client_events).connect(
            Collecting(kind)
        )

    def connect_plain(self) -> Deferred[Remembering]:
        return TCP4ClientEndpoint(reactor, "127.0.0.1", self.number).connect(Collecting())


def _keep_failure(failures: list[Failure], event: LogEvent) -> None:
    if "log_failure" in event:
        failures.append(event["log_failure"])


@asynccontextmanager
async def listening(
    settings: ServerSettings,
    kind: type[Remembering] = Remembering,
    bounds: Bounds | None = None,
    shared: HandshakeRuntime | None = None,
) -> AsyncIterator[Ends]:
    """Listen with attested TLS on a port of the loopback; closes everything that is left at the end."""
    failures: list[Failure] = []
    observe = partial(_keep_failure, failures)
    globalLogPublisher.addObserver(observe)
    runtime = shared or HandshakeRuntime(reactor, urandom, bounds=bounds)
    client_runtime = HandshakeRuntime(reactor, urandom)
    client_runtime.start()
    if shared is None:
        runtime.start()
    factory, events = Collecting(kind), Events()
    below = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
    port = await AttestedServerEndpoint(below, settings, runtime, events).listen(factory)
    try:
        yield Ends(runtime, client_runtime, port, factory, events, port.getHost().port)
    finally:
        await maybeDeferred(port.stopListening)
        for protocol in factory.built:
            if protocol.made.fired and not protocol.lost.fired:
                protocol.transport.abortConnection()
                await protocol.lost.wait()
        client_runtime.stop()
        if shared is None:
            runtime.stop()
        globalLogPublisher.removeObserver(observe)
    assert failures == []
