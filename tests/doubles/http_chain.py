"""HTTP proxies on real sockets: a target that the test scripts, one proxy or an attested pair, and raw requesters."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from os import urandom
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, UNIXClientEndpoint, UNIXServerEndpoint
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol, IStreamClientEndpoint, IStreamServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from cvmproxy.events import Event
from cvmproxy.http.header_rules import HttpTarget
from cvmproxy.http.placement import MeasurementPlacement, OnRequests, OnResponses
from cvmproxy.http.pool import UpstreamPool, UpstreamSettings
from cvmproxy.http.proxy import ProxyFactory, ProxySettings
from cvmproxy.tls.endpoints import AttestedClientEndpoint, AttestedServerEndpoint
from cvmproxy.tls.runtime import HandshakeRuntime
from cvmproxy.tls.settings import ClientSettings, ServerSettings
from doubles.attested_ends import Signal
from doubles.nonce_carriage import UNATTESTED, NonceAppraiser, NonceIssuer


@implementer(IHalfCloseableProtocol)
class Wire(Protocol):
    """One end of a TCP connection: what came, and its end."""

    def __init__(self, script: "Callable[[Wire], None] | None" = None) -> None:
        self.received = bytearray()
        self.count = 0
        self.keep = True
        self.made = Signal()
        self.ended = Signal()
        self.lost = Signal()
        self._script = script
        self._wanted: list[tuple[Callable[[bytes], bool], Signal]] = []

    def connectionMade(self) -> None:
        self.made.fire(self)

    def dataReceived(self, data: bytes) -> None:
        self.count += len(data)
        if self.keep:
            self.received += data
        if self._script is not None:
            self._script(self)
        for wanted, signal in self._wanted:
            if not signal.fired and wanted(bytes(self.received)):
                signal.fire(bytes(self.received))

    def until(self, wanted: Callable[[bytes], bool]) -> "Deferred[object]":
        """Wait until what has been received is wanted; fires with it."""
        signal = Signal()
        if wanted(bytes(self.received)):
            signal.fire(bytes(self.received))
        self._wanted.append((wanted, signal))
        return signal.wait()

    def readConnectionLost(self) -> None:
        self.ended.fire()

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason: Failure) -> None:
        self.ended.fire()
        self.lost.fire("closed" if reason.check(ConnectionDone) else "reset")


class Target(Factory):
    """Builds the target's ends; ``script`` is called with the end each time that bytes have come."""

    noisy = False

    def __init__(self, script: Callable[[Wire], None] | None) -> None:
        self.script = script
        self.wires: list[Wire] = []

    def buildProtocol(self, addr: object) -> Wire:
        wire = Wire(self.script)
        self.wires.append(wire)
        return wire


def answers(response: bytes) -> Callable[[Wire], None]:
    """Return a script that answers each complete head."""

    def script(wire: Wire) -> None:
        while b"\r\n\r\n" in wire.received:
            del wire.received[: wire.received.index(b"\r\n\r\n") + 4]
            wire.transport.write(response)

    return script


class Chain:
    """What was built, and a way to connect to its front."""

    def __init__(self, target: Target) -> None:
        self.target = target
        #: Of the port that was opened last.
        self.front: IAddress | None = None
        self.pools: list[UpstreamPool] = []
        self.proxies: list[ProxyFactory] = []
        self.events: list[Event] = []
        self.ports: list[object] = []
        self.requesters: list[Wire] = []

    async def requester(self) -> Wire:
        if isinstance(self.front, UNIXAddress):
            endpoint = UNIXClientEndpoint(reactor, self.front.name.decode())
        else:
            endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.front.port)
        wire = await endpoint.connect(Factory.forProtocol(Wire))
        self.requesters.append(wire)
        return wire

    async def listen(self, endpoint: IStreamServerEndpoint, factory: Factory) -> int:
        port = await endpoint.listen(factory)
        self.ports.append(port)
        self.front = port.getHost()
        return getattr(self.front, "port", 0)

    async def proxy(
        self,
        upstream: IStreamClientEndpoint,
        below: IStreamServerEndpoint,
        placement: MeasurementPlacement,
        *,
        plain: str,
    ) -> int:
        """Listen with a proxy; ``plain`` names the sides that nobody appraises."""
        settings = UpstreamSettings(unattested=UNATTESTED if "upstream" in plain else None, placement=placement)
        pool = UpstreamPool(upstream, reactor, settings)
        proxy = ProxyFactory(
            ProxySettings(
                target=HttpTarget(host=b"target.test"),
                unattested=UNATTESTED if "requester" in plain else None,
                placement=placement,
            ),
            pool,
            reactor,
            self.events.append,
        )
        self.pools.append(pool)
        self.proxies.append(proxy)
        return await self.listen(below, proxy)

    async def end(self) -> None:
        for port in self.ports:
            await maybeDeferred(port.stopListening)
        for wire in (*self.requesters, *self.target.wires):
            if not wire.lost.fired:
                wire.transport.abortConnection()
                await wire.lost.wait()
        for proxy in self.proxies:
            proxy.abort()
            await proxy.drain()
        for pool in self.pools:
            await pool.close()


def _port() -> TCP4ServerEndpoint:
    return TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")


@asynccontextmanager
async def one_proxy(
    script: Callable[[Wire], None] | None = None, port: int | None = None, folder: Path | None = None
) -> AsyncIterator[Chain]:
    """One proxy, plain on both sides, before a scripted target or one that listens on ``port`` already.

    With a folder it speaks over Unix sockets there, on both sides.
    """
    chain = Chain(Target(script))
    placement = OnRequests(lambda result: "made-up")
    if folder is None:
        port = port or await chain.listen(_port(), chain.target)
        below, upstream = _port(), TCP4ClientEndpoint(reactor, "127.0.0.1", port)
        await chain.proxy(upstream, below, placement, plain="requester upstream")
    else:
        back, front = str(folder / "target"), str(folder / "front")
        await chain.listen(UNIXServerEndpoint(reactor, back), chain.target)
        below, upstream = UNIXServerEndpoint(reactor, front), UNIXClientEndpoint(reactor, back)
        await chain.proxy(upstream, below, placement, plain="requester upstream")
    try:
        yield chain
    finally:
        await chain.end()


@asynccontextmanager
async def attested_pair(
    script: Callable[[Wire], None] | None = None,
    *,
    issuer: NonceIssuer | None = None,
    client_issuer: NonceIssuer | None = None,
) -> AsyncIterator[Chain]:
    """Client proxy and server proxy with attested TLS between them, both appraising each other."""
    runtime = HandshakeRuntime(reactor, urandom)
    runtime.start()
    chain = Chain(Target(script))
    target = await chain.listen(_port(), chain.target)
    server = ServerSettings(credential=issuer or NonceIssuer(), peer=NonceAppraiser())
    middle = await chain.proxy(
        TCP4ClientEndpoint(reactor, "127.0.0.1", target),
        AttestedServerEndpoint(_port(), server, runtime),
        OnRequests(lambda result: "made-up"),
        plain="upstream",
    )
    client = ClientSettings(peer=NonceAppraiser(), credential=client_issuer or NonceIssuer())
    await chain.proxy(
        AttestedClientEndpoint(TCP4ClientEndpoint(reactor, "127.0.0.1", middle), client, runtime),
        _port(),
        OnResponses(lambda result: "made-up"),
        plain="requester",
    )
    try:
        yield chain
    finally:
        await chain.end()
        runtime.stop()
