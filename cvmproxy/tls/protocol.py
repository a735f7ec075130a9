"""The Twisted transport over the handshake engine: a wrapping factory in the manner of ``TLSMemoryBIOFactory``.

The wrapped protocol is built, and told of its connection, only when this side's appraisal is done. What happens when is
written in :mod:`cvmproxy.tls.connection_table`; this module does what the table puts out, and nothing on its own.

Nothing that is written is kept back here, so producers are registered with the transport below as they are, and its
buffer is the only one. Reading pauses there too; what was decrypted by then, one read's worth, has been delivered.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Final

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.error import ConnectionLost as TransportLost
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableDescriptor,
    IHalfCloseableProtocol,
    IProtocol,
    IProtocolFactory,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.protocols.policies import WrappingFactory
from twisted.python.failure import Failure
from zope.interface import alsoProvides, implementer, providedBy

from cvmproxy.attestation.policy import PeerIdentity
from cvmproxy.errors import CvmproxyError, TransportError
from cvmproxy.events import Event, EventSink
from cvmproxy.tls import connection_table as table
from cvmproxy.tls.connection_table import ConnectionLife, Output, State
from cvmproxy.tls.driver import HandshakeDriver
from cvmproxy.tls.handshake import Completed, Outcome
from cvmproxy.tls.openings import opening_for
from cvmproxy.tls.report import Subject, printed_peer, refused, succeeded
from cvmproxy.tls.runtime import HandshakeRuntime
from cvmproxy.tls.settings import Settings
from cvmproxy.tls.stream import Broken, PlaintextReceived, TLSStream
from cvmproxy.tls.transport import AttestedTransport

_PEER_MAY_SEND: Final = (State.IDENTIFIED, State.DIALLING_BACKEND, State.OPEN, State.LOCAL_FINISHED)


@implementer(IHalfCloseableProtocol)
class AttestedTLSProtocol(AttestedTransport, Protocol):
    """One connection: a protocol to the transport below, the transport of the wrapped protocol."""

    _log: ClassVar[Logger] = Logger()

    def __init__(self, factory: "AttestedTLSFactory", address: IAddress) -> None:
        self.factory = factory
        self._owner = factory
        self._runtime = factory.runtime
        self._address = address
        self._life = ConnectionLife(factory.opening.initial)
        self._driver = HandshakeDriver(factory.runtime, factory.settings, self, factory.opening.begin)
        self._identity: PeerIdentity | None = None
        self._wrapped: IProtocol | None = None
        self._waiters: list[Deferred[IProtocol]] = []
        self._flushed = False
        self._announcing = False
        self._sent_any = False
        self._linger: IDelayedCall | None = None
        self._dialling: Deferred[object] | None = None

    # -- the table

    def _give(self, happened: table.Input) -> None:
        for output in self._life.receive(happened):
            self._ACTIONS[output](self)

    def _start_handshake(self) -> None:
        self._driver.start()

    def _start_exchange(self) -> None:
        assert self._identity is not None
        self._give(table.PeerIdentified(self._identity))

    def _announce(self) -> None:
        assert self._stream is not None
        assert self._identity is not None
        self._emit(succeeded(self._subject, self._identity, self._stream.version, self._seconds()))
        self._announcing = True
        try:
            wrapped = self._owner.wrappedFactory.buildProtocol(self._address)
            if wrapped is not None:
                self._wrapped = wrapped
                wrapped.makeConnection(self)
        except Exception:  # noqa: BLE001 # a fault of the application ends its connection, and nothing else
            self._log.failure("the application failed at the start of a connection")
            self.abortConnection()
        if self._wrapped is None:
            self._give(table.CloseRequested())
            self._tell_waiters(TransportError("connection-lost", "the application refused the connection"))
            return
        self._tell_waiters(None)
        self._announcing = False
        self._give(table.ApplicationReady())

    def _dial_backend(self) -> None:
        assert self._life.identity is not None
        self._dialling = self._dial(self._life.identity)
        self._dialling.addCallbacks(
            lambda _: self._give(table.BackendConnected()), lambda _: self._give(table.CloseRequested())
        )

    def _start_reading(self) -> None:
        if self._announcing:
            return  # Nothing is delivered into connectionMade: ApplicationReady follows it.
        self._reading = True
        if not self._paused_by_application:
            self.resumeProducing()

    def _announce_end(self) -> None:
        halves: Any = IHalfCloseableProtocol(self._wrapped, None)
        if halves is not None:
            halves.readConnectionLost()
        elif self._life.state is State.PEER_FINISHED:
            self.loseConnection()

    def _send_close_notify(self) -> None:
        assert self._stream is not None
        self.send(self._stream.finish())

    def _hang_up(self) -> None:
        """End our side; then wait for the peer's end, so that unread bytes do not make the kernel reset ours away.

        A connection that was refused before we said anything has nothing to wait for.
        """
        self._stop_producer()
        has_halves = bool(IHalfCloseableDescriptor.providedBy(self._transport))
        if self._transport_ended or not has_halves or not self._sent_any:
            self._close()
            return
        self._transport.loseWriteConnection()
        self._reading = True
        self._transport.resumeProducing()
        if self._life.state is State.REFUSING:
            self._start_linger()

    def _start_linger(self) -> None:
        if self._linger is None:
            self._linger = self._runtime.reactor.callLater(self._runtime.bounds.linger_seconds, self._lingered)

    def _lingered(self) -> None:
        self._linger = None
        if self._flushed:
            self._close()
        else:
            self._abort()

    def _close(self) -> None:
        self._transport.loseConnection()

    def _abort(self) -> None:
        self._driver.abandon(_given_up())
        self._transport.abortConnection()

    def _report_refusal(self) -> None:
        error = self._life.error or _given_up()
        self._emit(refused(self._subject, error, self._seconds(), self._runtime.format_entry))
        self._tell_waiters(error)

    def _announce_loss(self) -> None:
        wrapped, self._wrapped = self._wrapped, None
        if wrapped is not None:
            wrapped.connectionLost(self._loss)

    _ACTIONS: ClassVar[Mapping[Output, Callable[["AttestedTLSProtocol"], None]]] = MappingProxyType(
        {
            Output.START_HANDSHAKE: _start_handshake,
            Output.START_EXCHANGE: _start_exchange,
            Output.ANNOUNCE: _announce,
            Output.DIAL_BACKEND: _dial_backend,
            Output.START_READING: _start_reading,
            Output.ANNOUNCE_END: _announce_end,
            Output.SEND_CLOSE_NOTIFY: _send_close_notify,
            Output.HANG_UP: _hang_up,
            Output.CLOSE: _close,
            Output.ABORT: _abort,
            Output.REPORT_REFUSAL: _report_refusal,
            Output.ANNOUNCE_LOSS: _announce_loss,
        }
    )

    def _emit(self, event: Event) -> None:
        if self._owner.events is not None:
            self._owner.events(event)

    def _seconds(self) -> float:
        return self._runtime.reactor.seconds() - self._began

    # -- a protocol to the transport below

    def makeConnection(self, transport: Any) -> None:
        """Begin the handshake."""
        alsoProvides(self, providedBy(transport))
        self._transport = transport
        super().makeConnection(transport)  # type: ignore[no-untyped-call] # Twisted's own has no types

    def connectionMade(self) -> None:
        """Begin the handshake."""
        self._began = self._runtime.reactor.seconds()
        self._subject = Subject(
            connection_id=self._runtime.next_connection_id(),
            role=self._owner.opening.role,
            peer=printed_peer(self._transport.getPeer()),
        )
        self._owner.registerProtocol(self)  # type: ignore[no-untyped-call] # Twisted's own has no types
        self._give(table.Admitted())

    def dataReceived(self, data: bytes) -> None:
        """Take ciphertext."""
        if self._stream is None:
            self._driver.bytes_received(data)
            return
        self._stream.feed(data)
        if self._reading:
            self._drain()

    def readConnectionLost(self) -> None:
        """The transport below ended: too early, unless a close_notify came before."""
        self._transport_ended = True
        if self._stream is None and self._life.state is State.HANDSHAKING:
            self._driver.hung_up(TransportError("connection-lost", "the peer hung up during the handshake"))
        elif self._stream is not None and self._life.state in _PEER_MAY_SEND:
            self._give(table.StreamBroken(self._stream.end_of_file()))
        elif self._life.state in (State.CLOSING, State.REFUSING):
            self._close()

    def writeConnectionLost(self) -> None:
        """All that was written is out; the peer gets a little time to end its side."""
        self._flushed = True
        self._start_linger()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The transport below is gone."""
        self._transport_ended = True
        error = None
        if self._life.identity is None:
            error = TransportError("connection-lost", f"the connection was lost during the handshake: {reason.value}")
            self._driver.lost(error)
        self._loss = self._reason_of_loss(reason)
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        if self._dialling is not None:
            self._dialling.cancel()
        self._owner.unregisterProtocol(self)  # type: ignore[no-untyped-call] # as above
        self._give(table.ConnectionLost(error))
        if self._stream is not None:
            self._stream.release()

    def _reason_of_loss(self, reason: Failure) -> Failure:
        error = self._life.error
        if error is None and self._life.state in _PEER_MAY_SEND and reason.check(ConnectionDone):
            return Failure(TransportLost("no TLS close_notify came: truncated"))
        if error is None:
            return reason
        return Failure(TransportLost(error.message)) if error.code == "connection-lost" else Failure(error)

    # -- the owner of a handshake

    def send(self, data: bytes) -> None:
        """Send ciphertext."""
        if data:
            self._sent_any = True
            self._transport.write(data)

    def pause(self) -> None:
        """Read nothing more for now."""
        self._transport.pauseProducing()

    def resume(self) -> None:
        """Read again."""
        self._transport.resumeProducing()

    def handshake_ended(self, outcome: Outcome) -> None:
        """The handshake is over; a step that was running when the connection was lost no longer counts."""
        if self._life.state is State.CLOSED:
            if isinstance(outcome, Completed):
                self._driver.handshake.release()
            return
        if not isinstance(outcome, Completed):
            self._give(table.Refused(outcome.error))
            return
        self._transport.pauseProducing()
        self._identity = outcome.identity
        self._stream = TLSStream(self._driver.handshake.connection)
        self._stream.feed(self._driver.left_over())
        self._give(table.HandshakeCompleted())

    # -- reading

    def _drain(self) -> None:
        stream = self._stream
        assert stream is not None
        events = stream.read()
        try:
            self.send(stream.answer())
        except CvmproxyError as error:
            events = (*events, Broken(error))
        for event in events:
            if self._life.state is State.CLOSED:
                return
            if isinstance(event, PlaintextReceived):
                if self._wrapped is not None and self._life.state is not State.CLOSING:
                    self._wrapped.dataReceived(event.data)
            elif isinstance(event, Broken):
                if event.error.code == "refused-by-peer":
                    # A TLS 1.3 client had its connection open already: only now is there a refusal to tell of.
                    self._emit(refused(self._subject, event.error, self._seconds(), None))
                self._give(table.StreamBroken(event.error))
            else:
                self._give(table.PeerEnded())
        if self._transport_ended and self._life.state in _PEER_MAY_SEND:
            self._give(table.StreamBroken(stream.end_of_file()))

    # -- those who wait for the appraisal

    def when_open(self) -> Deferred[IProtocol]:
        """Return a Deferred of the wrapped protocol; it fails with the :class:`CvmproxyError` of a refusal."""
        waiter: Deferred[IProtocol] = Deferred(lambda _: self.abortConnection())
        if self._wrapped is not None:
            waiter.callback(self._wrapped)
        elif self._life.state in (State.REFUSING, State.CLOSING, State.CLOSED):
            waiter.errback(self._life.error or _given_up())
        else:
            self._waiters.append(waiter)
        return waiter

    def _tell_waiters(self, error: CvmproxyError | None) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if error is not None:
                waiter.errback(error)
            else:
                assert self._wrapped is not None
                waiter.callback(self._wrapped)


def _given_up() -> TransportError:
    return TransportError("connection-lost", "the connection was given up before it was open")


class AttestedTLSFactory(WrappingFactory):
    """Puts TLS with attestation under the protocols of another factory.

    :param settings: of a server or of a client: they decide the role.
    :param events: gets one event for each connection; a TLS 1.3 client that is refused after it opened gets both.
    :raises ConfigurationError: the settings name a file that cannot be used.
    """

    noisy = False

    def __init__(
        self,
        runtime: HandshakeRuntime,
        settings: Settings,
        wrapped_factory: IProtocolFactory,
        events: EventSink | None = None,
    ) -> None:
        super().__init__(wrapped_factory)  # type: ignore[no-untyped-call] # as above
        self.runtime: Final = runtime
        self.settings: Final = settings
        self.events: Final = events
        self.opening: Final = opening_for(runtime, settings)

    def buildProtocol(self, addr: IAddress) -> AttestedTLSProtocol:  # type: ignore[override] # no ProtocolWrapper
        """Return the protocol for one connection; the wrapped one is built when the peer is identified."""
        return AttestedTLSProtocol(self, addr)
