"""The face of a connection towards the wrapped protocol: its transport."""

from collections.abc import Callable, Iterable
from typing import Any, Final

from cryptography import x509
from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProducer
from zope.interface import implementer

from cvmproxy.attestation.policy import PeerIdentity
from cvmproxy.tls import connection_table as table
from cvmproxy.tls.alerts import tls_error
from cvmproxy.tls.connection_table import ConnectionLife, State
from cvmproxy.tls.interfaces import IAttestedTransport
from cvmproxy.tls.stream import TLSStream

_WRITABLE: Final = (State.IDENTIFIED, State.DIALLING_BACKEND, State.OPEN, State.PEER_FINISHED)


@implementer(IAttestedTransport)
class AttestedTransport:
    """What a wrapped protocol can do. What it wants is an input of the connection table.

    Whatever is not here (``getPeer``, ``setTcpNoDelay`` …) is asked of the transport below.
    """

    _life: ConnectionLife
    _stream: TLSStream | None = None
    _transport: Any = None
    _transport_ended = False
    _reading = False
    _paused_by_application = False
    _producer: IProducer | None = None
    _when_produced: table.CloseRequested | table.LocalEnded | None = None
    _dial: Callable[[PeerIdentity], Deferred[object]]

    def _give(self, happened: table.Input) -> None:
        """Take a step of the table, and do what it puts out."""
        raise NotImplementedError

    def _drain(self) -> None:
        """Deliver what has been received."""
        raise NotImplementedError

    # -- reading

    def pauseProducing(self) -> None:
        """Deliver nothing more for now."""
        self._paused_by_application = True
        self._transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Deliver again; nothing before the application is ready."""
        self._paused_by_application = False
        if not self._reading:
            return
        self._drain()
        if not self._paused_by_application and not self._transport_ended:
            self._transport.resumeProducing()

    def stopProducing(self) -> None:
        """The consumer of this connection's data is gone."""
        self.loseConnection()

    # -- writing

    def write(self, data: bytes) -> None:
        """Encrypt and send; dropped if this direction has ended."""
        if self._life.state not in _WRITABLE or (self._when_produced is not None and self._producer is None):
            return
        assert self._stream is not None
        try:
            for piece in self._stream.write(data):
                self._transport.write(piece)
        except SSL.Error as error:
            self._give(table.StreamBroken(tls_error(error)))

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Encrypt and send, as one."""
        self.write(b"".join(data))

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """Let the producer be paced by the buffer of the transport below."""
        if self._life.state not in _WRITABLE:
            producer.stopProducing()
            return
        if self._producer is not None:
            raise RuntimeError(f"{producer!r} cannot be registered, because {self._producer!r} is")
        self._producer = producer
        self._transport.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """The producer has produced all; do what waited for that."""
        self._producer = None
        self._transport.unregisterProducer()
        if self._when_produced is not None:
            happened, self._when_produced = self._when_produced, None
            self._give(happened)

    def _stop_producer(self) -> None:
        """What a producer writes has no way to go any more."""
        producer, self._producer, self._when_produced = self._producer, None, None
        if producer is not None:
            self._transport.unregisterProducer()
            producer.stopProducing()

    @property
    def disconnecting(self) -> bool:
        """Whether the connection was asked to close."""
        return self._life.state in (State.CLOSING, State.CLOSED) or self._when_produced == table.CloseRequested()

    def loseConnection(self) -> None:
        """Send what was written, then a close_notify, and close."""
        self._end(table.CloseRequested())

    def loseWriteConnection(self) -> None:
        """Send what was written, then a close_notify; the peer may go on sending."""
        self._end(table.LocalEnded())

    def _end(self, happened: table.CloseRequested | table.LocalEnded) -> None:
        if self._producer is not None:
            self._when_produced = happened
        else:
            self._give(happened)

    def abortConnection(self) -> None:
        """Drop everything."""
        self._give(table.AbortRequested())

    # -- an attested transport

    @property
    def identity(self) -> PeerIdentity:
        """What the appraisal said of the peer."""
        assert self._life.identity is not None
        return self._life.identity

    @property
    def negotiated_protocol(self) -> bytes | None:
        """What ALPN chose; nothing is offered today."""
        return None if self._stream is None else self._stream.negotiated_protocol

    def peer_certificate(self) -> x509.Certificate | None:
        """Return the peer's leaf, or ``None`` where it showed none."""
        return None if self._stream is None else self._stream.peer_certificate()

    def export_keying_material(self, label: bytes, size: int, context: bytes | None) -> bytes:
        """Return an exporter value of this connection."""
        assert self._stream is not None
        return self._stream.export_keying_material(label, size, context)

    def dial_backend(self, dial: Callable[[PeerIdentity], Deferred[object]]) -> None:
        """Dial before anything is read: the table allows it in ``connectionMade`` only."""
        self._dial = dial
        self._give(table.BackendNeeded())

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._transport, name)
