"""A whole HTTP proxy in memory: requesters and a target that a test plays byte by byte, on a clock that it moves."""

from collections.abc import Mapping
from datetime import UTC, datetime

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import directlyProvides, implementer

from cvmproxy.attestation.model import Claims, ReferenceEntry, ReferenceValues
from cvmproxy.attestation.policy import AppraisalPolicy, AttestationResult, NoAttestation, PeerIdentity, appraise
from cvmproxy.events import Event
from cvmproxy.http.header_rules import HttpTarget
from cvmproxy.http.limits import HttpLimits
from cvmproxy.http.placement import MeasurementPlacement, OnRequests
from cvmproxy.http.pool import UpstreamPool, UpstreamSettings, UpstreamTimeouts
from cvmproxy.http.proxy import AcceptingTimeouts, ProxyFactory, ProxySettings
from cvmproxy.tls.interfaces import IAttestedTransport

NOBODY = NoAttestation(because="a test")
LATER = datetime(2030, 1, 1, tzinfo=UTC)
LABEL = "test-type"


class _AnyPlatform:
    def appraise(self, claims: Claims) -> None:
        pass

    def facts(self) -> Mapping[str, str]:
        return {}


def attested(**registers: bytes) -> AttestationResult:
    """Return a real result; registers are given as ``r0=b"..."``."""
    claims = Claims(
        attestation_type="test",
        measurements={int(name[1:]): value for name, value in registers.items()},
        platform=_AnyPlatform(),
        not_after=LATER,
    )
    entry = ReferenceEntry(measurement_id="any", attestation_type="test", registers={})
    policy = AppraisalPolicy(references=ReferenceValues(entries=(entry,), digest=""), platform={"test": _AnyPlatform()})
    return appraise(claims, policy, LATER)


class MemoryTransport:
    """One end of a connection, whose other end is the test."""

    def __init__(self, protocol: IProtocol, clock: Clock, identity: PeerIdentity | None = None) -> None:
        self.protocol = protocol
        self.clock = clock
        self.written = b""
        self.closed = self.aborted = self.write_ended = self.paused = self.gone = False
        self.producer = None
        #: How much is taken before the send buffer is full; none: only ``fill`` fills it.
        self.room: int | None = None
        self.full = False
        if identity is not None:
            self.identity = identity
            directlyProvides(self, IAttestedTransport)
        protocol.makeConnection(self)

    # -- the test's side

    def deliver(self, data: bytes, size: int = 0) -> None:
        """Let bytes arrive, in pieces of ``size``. A paused or closed transport delivers nothing."""
        for start in range(0, len(data), size or max(1, len(data))):
            if self.closed or self.gone:
                return
            assert not self.paused, "bytes delivered to a paused transport"
            self.protocol.dataReceived(data[start : start + (size or len(data))])

    def take(self) -> bytes:
        """Return what was written since the last time, which makes room."""
        taken, self.written = self.written, b""
        if self.full:
            self.drain()
        return taken

    def end(self) -> None:
        """Let the other end's FIN arrive."""
        self.protocol.readConnectionLost()

    def lose(self, error: Exception | None = None) -> None:
        """Let the connection be lost; cleanly, unless an error is given."""
        if not self.gone:
            self.gone = True
            self.protocol.connectionLost(Failure(error or ConnectionDone()))

    def fill(self) -> None:
        """Let the send buffer be full."""
        self.full = True
        self.producer.pauseProducing()

    def drain(self) -> None:
        """Let the send buffer be empty again."""
        self.full = False
        if self.producer is not None:
            self.producer.resumeProducing()

    # -- the protocol's side

    def write(self, data: bytes) -> None:
        assert isinstance(data, bytes)
        if not (self.closed or self.gone):
            assert not self.write_ended, "write after the end of writing"
            self.written += data
            if self.room is not None and len(self.written) > self.room and not self.full and self.producer is not None:
                self.fill()

    def loseConnection(self) -> None:
        assert self.producer is None, "a close would wait for the producer"
        self._closing(ConnectionDone())

    def abortConnection(self) -> None:
        self.aborted = self.aborted or not (self.closed or self.gone)
        self._closing(ConnectionAborted())

    def _closing(self, error: Exception) -> None:
        if not self.closed:
            self.closed = True
            self.clock.callLater(0, self.lose, error)

    def loseWriteConnection(self) -> None:
        assert self.producer is None, "an end would wait for the producer"
        self.write_ended = True
        if not self.full:
            self.clock.callLater(0, self.protocol.writeConnectionLost)

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False

    def registerProducer(self, producer: object, streaming: bool) -> None:
        assert streaming
        assert self.producer is None
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", "192.0.2.7", 4711)


@implementer(IStreamClientEndpoint)
class ScriptedEndpoint:
    """Hands each dial to the test, or answers it at once."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.at_once = True
        self.identity: PeerIdentity | None = None
        self.dials: list[tuple[IProtocolFactory, Deferred[IProtocol]]] = []
        self.opened: list[MemoryTransport] = []
        self.cancelled = 0
        self.total = 0

    def connect(self, factory: IProtocolFactory) -> "Deferred[IProtocol]":
        def count(_: object) -> None:
            self.cancelled += 1

        deferred: Deferred[IProtocol] = Deferred(count)
        self.dials.append((factory, deferred))
        self.total += 1
        if self.at_once:
            self.accept()
        return deferred

    def accept(self) -> MemoryTransport:
        """Let the oldest dial succeed."""
        factory, deferred = self.dials.pop(0)
        protocol = factory.buildProtocol(None)
        transport = MemoryTransport(protocol, self.clock, self.identity)
        self.opened.append(transport)
        deferred.callback(protocol)
        return transport

    def refuse(self, error: Exception) -> None:
        """Let the oldest dial fail."""
        _, deferred = self.dials.pop(0)
        deferred.errback(Failure(error))


class Stage:
    """The proxy, its clock, its endpoint, and the events that it emitted."""

    def __init__(
        self,
        *,
        placement: MeasurementPlacement | None = None,
        target: HttpTarget | None = None,
        limits: HttpLimits | None = None,
        max_idle: int = 10,
        **pool_arguments: object,
    ) -> None:
        self.clock = Clock()
        self.endpoint = ScriptedEndpoint(self.clock)
        self.events: list[Event] = []
        placement = placement or OnRequests(lambda result: LABEL)
        self.pool = UpstreamPool(
            self.endpoint,
            self.clock,
            UpstreamSettings(
                unattested=NOBODY,
                placement=placement,
                timeouts=UpstreamTimeouts(connect=8, response=20, stall=40, tunnel=80, idle=12),
                max_idle=max_idle,
            ),
            **pool_arguments,
        )
        self.proxy = ProxyFactory(
            ProxySettings(
                target=target or HttpTarget(host=b"target.test"),
                unattested=NOBODY,
                placement=placement,
                timeouts=AcceptingTimeouts(head=16, idle=24, stall=32, linger=4),
                limits=limits or HttpLimits(),
            ),
            self.pool,
            self.clock,
            self.events.append,
        )

    def requester(self, identity: PeerIdentity | None = None) -> MemoryTransport:
        """Return a new requester's connection."""
        return MemoryTransport(self.proxy.buildProtocol(None), self.clock, identity)

    @property
    def target(self) -> MemoryTransport:
        """The newest connection to the target."""
        return self.endpoint.opened[-1]

    def settle(self) -> None:
        """Let closes happen."""
        self.clock.advance(0)

    def wait(self, seconds: float) -> None:
        """Let time pass, tick by tick."""
        for _ in range(int(seconds)):
            self.clock.advance(1)


GET = b"GET /a HTTP/1.1\r\nHost: here\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LOST = ConnectionLost()


def answer_of(data: bytes) -> tuple[int, bytes]:
    """Return status and body of one response."""
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), body
