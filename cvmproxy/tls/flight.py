"""Reads ahead in a TLS 1.2 server's plaintext flight (RFC 5246, sections 6.2.1 and 7.4), sans-IO.

In TLS 1.2 OpenSSL chooses the client's certificate in the moment in which it reads the CertificateRequest (message 13),
and calls the verify callback for the server's Certificate before. So the bytes are held back until the request has
arrived as a whole: then the verify callback can appraise the server, and knows already whether, and with what nonce,
a certificate is asked for. TLS 1.3 needs none of this: there the scanner steps aside at the ServerHello.
"""

from typing import Final

_HANDSHAKE: Final = 22
_SERVER_HELLO: Final = 2
_CERTIFICATE_REQUEST: Final = 13
_SERVER_HELLO_DONE: Final = 14
_SUPPORTED_VERSIONS: Final = 43
_LARGEST_RECORD: Final = (1 << 14) + 2048

MAX_HELD_BYTES: Final = 192 << 10
"""A certificate of 96 KiB, what OpenSSL accepts around it, and the record headers fit; more is let through unread."""


class ServerFlightScanner:
    """Holds the server's bytes back until it is known whether they ask for a certificate.

    :ivar authorities: the DER names of the CertificateRequest, once one was read; ``None`` while there is none.
    """

    def __init__(self) -> None:
        self.authorities: tuple[bytes, ...] | None = None
        self._held = bytearray()
        self._position = 0
        self._messages = bytearray()
        self._done = False

    def feed(self, data: bytes) -> bytes:
        """Take bytes from the server; return those that may go on to OpenSSL now, in order."""
        if self._done:
            return data
        self._held += data
        try:
            self._done = self._read_ahead() or len(self._held) > MAX_HELD_BYTES
        except _NotTLS12Error:
            self._done = True
        if not self._done:
            return b""
        released, self._held, self._messages = bytes(self._held), bytearray(), bytearray()
        return released

    def _read_ahead(self) -> bool:
        while len(self._held) - self._position >= 5:
            kind = self._held[self._position]
            size = int.from_bytes(self._held[self._position + 3 : self._position + 5], "big")
            if kind != _HANDSHAKE or not 0 < size <= _LARGEST_RECORD:
                raise _NotTLS12Error
            end = self._position + 5 + size
            if len(self._held) < end:
                return False
            self._messages += self._held[self._position + 5 : end]
            self._position = end
            if self._read_messages():
                return True
        return False

    def _read_messages(self) -> bool:
        while len(self._messages) >= 4:
            kind, size = self._messages[0], int.from_bytes(self._messages[1:4], "big")
            if kind == _SERVER_HELLO_DONE:
                return True
            if len(self._messages) < 4 + size:
                return False
            body = bytes(self._messages[4 : 4 + size])
            del self._messages[: 4 + size]
            if kind == _SERVER_HELLO and _speaks_tls13(body):
                raise _NotTLS12Error
            if kind == _CERTIFICATE_REQUEST:
                self.authorities = authorities_of_request(body)
                return True
        return False


class _NotTLS12Error(Exception):
    """What was read is no TLS 1.2 server's flight: OpenSSL shall judge it."""


class _Reader:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def take(self, size: int) -> bytes:
        if len(self._body) < size:
            raise _NotTLS12Error
        taken, self._body = self._body[:size], self._body[size:]
        return taken

    def vector(self, length_size: int) -> bytes:
        return self.take(int.from_bytes(self.take(length_size), "big"))

    def __bool__(self) -> bool:
        return bool(self._body)


def _speaks_tls13(server_hello: bytes) -> bool:
    """A ServerHello (or HelloRetryRequest) of TLS 1.3 is one with the extension supported_versions."""
    reader = _Reader(server_hello)
    reader.take(34)
    reader.vector(1)
    reader.take(3)
    if not reader:
        return False
    extensions = _Reader(reader.vector(2))
    while extensions:
        kind = int.from_bytes(extensions.take(2), "big")
        extensions.vector(2)
        if kind == _SUPPORTED_VERSIONS:
            return True
    return False


def authorities_of_request(body: bytes) -> tuple[bytes, ...]:
    """Return the DER names of a TLS 1.2 CertificateRequest's body."""
    reader = _Reader(body)
    reader.vector(1)
    reader.vector(2)
    names = _Reader(reader.vector(2))
    found = []
    while names:
        found.append(names.vector(2))
    return tuple(found)
