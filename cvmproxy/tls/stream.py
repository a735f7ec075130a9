"""An open TLS connection, sans-IO: ciphertext in, events out; plaintext in, ciphertext out.

Starts where :mod:`cvmproxy.tls.handshake` ended. Nothing here blocks or asks; it runs on the reactor thread. RFC 8446,
section 6.1: a close_notify ends one direction only; an end of the connection without one is a truncation.
"""

from typing import Final, TypeAlias

from attrs import field, frozen
from cryptography import x509
from OpenSSL import SSL
from OpenSSL.crypto import X509

from cvmproxy.errors import CvmproxyError, TransportError
from cvmproxy.tls.alerts import fatal_alert, is_end_of_file, refused_by_peer, tls_error

_READ_SIZE: Final = 1 << 16
_WRITE_SIZE: Final = 1 << 18

MAX_UNSOLICITED_BYTES: Final = 1 << 16
"""What a peer can make us answer to key updates and the like in the life of a connection, in bytes."""


@frozen
class PlaintextReceived:
    """The peer sent these bytes."""

    data: bytes = field(repr=False)


@frozen
class PeerFinished:
    """The peer sent its close_notify: nothing more will come. It may still listen."""


@frozen
class Broken:
    """The connection can no longer be used."""

    error: CvmproxyError


StreamEvent: TypeAlias = PlaintextReceived | PeerFinished | Broken


class TLSStream:
    """Both directions of one open connection. Takes the place of the handshake as its application data."""

    def __init__(self, connection: SSL.Connection) -> None:
        self._connection: Final = connection
        self._alert: int | None = None
        self._received_any = False
        self._ended = False
        self._unsolicited = 0
        connection.set_app_data(self)

    # -- callbacks

    def server_name_received(self) -> None:
        """Not called any more: there is no renegotiation."""

    def certificate_received(self, certificate: X509, error: int, depth: int, acceptable: bool) -> bool:
        """No certificate is accepted after the handshake."""
        return False

    def progressed(self, where: int, value: int) -> None:
        """Remember a fatal alert from the peer."""
        if where == SSL.SSL_CB_READ_ALERT:
            self._alert = fatal_alert(value) or self._alert

    # -- reading

    def feed(self, data: bytes) -> None:
        """Take ciphertext from the peer; :meth:`read` acts on it. What comes after the peer's end is dropped."""
        if data and not self._ended:
            self._connection.bio_write(data)

    def read(self) -> tuple[StreamEvent, ...]:
        """Decrypt all that was fed: at most one ``PlaintextReceived``, then at most one other event, the last."""
        if self._ended:
            return ()
        parts: list[bytes] = []
        end: tuple[StreamEvent, ...] = ()
        recv = self._connection.recv
        try:
            while True:
                parts.append(recv(_READ_SIZE))
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            end = (PeerFinished(),)
        except SSL.Error as error:
            end = (Broken(self._failure(error, received_any=self._received_any or bool(parts))),)
        self._ended = bool(end)
        if not parts:
            return end
        self._received_any = True
        return (PlaintextReceived(parts[0] if len(parts) == 1 else b"".join(parts)), *end)

    def answer(self) -> bytes:
        """Return the bytes that reading has made us send: answers to key updates, alerts.

        :raises TransportError: the peer asks for more than any honest peer does.
        """
        data = self._outgoing()
        self._unsolicited += len(data)
        if self._unsolicited > MAX_UNSOLICITED_BYTES:
            raise TransportError("tls-error", f"the peer demanded over {MAX_UNSOLICITED_BYTES} bytes of TLS answers")
        return data

    def end_of_file(self) -> TransportError:
        """The error for an end of the connection that no close_notify announced."""
        return TransportError("connection-lost", "the connection ended without a TLS close_notify: truncated")

    def _failure(self, error: SSL.Error, *, received_any: bool) -> CvmproxyError:
        if self._alert is None:
            return self.end_of_file() if is_end_of_file(error) else tls_error(error)
        refusal = refused_by_peer(self._alert)
        # A TLS 1.3 client learns only now that the server refused it. An alert after data is a failure, no refusal.
        return TransportError("tls-error", refusal.message) if received_any else refusal

    # -- writing

    def write(self, data: bytes | memoryview) -> list[bytes]:
        """Encrypt; return the ciphertext in pieces. No byte is lost to a partial write, nothing is kept back."""
        pieces = []
        view = memoryview(data)
        for start in range(0, len(view), _WRITE_SIZE):
            self._connection.sendall(view[start : start + _WRITE_SIZE])
            pieces.append(self._outgoing())
        return pieces

    def finish(self) -> bytes:
        """End this direction: return the close_notify. The other direction goes on."""
        try:
            self._connection.shutdown()
        except SSL.Error:
            return b""
        return self._outgoing()

    def _outgoing(self) -> bytes:
        parts = []
        try:
            while True:
                parts.append(self._connection.bio_read(_WRITE_SIZE + (1 << 14)))
        except SSL.WantReadError:
            return b"".join(parts) if len(parts) != 1 else parts[0]

    # -- facts

    @property
    def version(self) -> str:
        """``"TLSv1.2"`` or ``"TLSv1.3"``."""
        return self._connection.get_protocol_version_name()

    @property
    def negotiated_protocol(self) -> bytes | None:
        """What ALPN chose; nothing is offered today."""
        return self._connection.get_alpn_proto_negotiated() or None

    def peer_certificate(self) -> x509.Certificate | None:
        """Return the peer's leaf, or ``None`` where it showed none."""
        return self._connection.get_peer_certificate(as_cryptography=True)

    def export_keying_material(self, label: bytes, size: int, context: bytes | None) -> bytes:
        """Return an exporter value (RFC 5705, RFC 8446 section 7.5)."""
        return self._connection.export_keying_material(label, size, context)

    def release(self) -> None:
        """Let go of the connection, so that its memory is freed at once."""
        self._connection.set_app_data(None)
