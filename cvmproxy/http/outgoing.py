"""What one HTTP/1.1 connection is about to write of one message: head and body pieces that travel together.

Pieces that came at once leave as one chunk and in one write, so that a body in tiny chunks does not become one in
tinier ones, and a small message is one segment and one TLS record.
"""

from cvmproxy.http.messages import NO_BODY, Chunked, Fields, Framing
from cvmproxy.http.writer import encode_chunk, encode_last_chunk


class Outgoing:
    """Collects bytes of a message until they are taken to be written."""

    __slots__ = ("_chunked", "_head", "_pieces", "_tail")

    def __init__(self) -> None:
        self._chunked = False
        self._head = b""
        self._pieces: list[bytes] = []
        self._tail = b""

    def begin(self, head: bytes, framing: Framing) -> None:
        """Begin a message: its encoded head, and how its body is framed."""
        self._head += head
        self._chunked = isinstance(framing, Chunked)

    def interim(self, head: bytes) -> None:
        """Add a head that no body follows, before the message begins."""
        self.begin(head, NO_BODY)

    def add(self, data: bytes) -> None:
        """Add a piece of the body."""
        self._pieces.append(data)

    def end(self, trailers: Fields) -> None:
        """End the body."""
        if self._chunked:
            self._tail = encode_last_chunk(trailers)

    def take(self) -> bytes:
        """Return what has been collected, framed, and begin anew; empty where there is nothing."""
        pieces = self._pieces
        if pieces:
            self._pieces = []
            body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            if self._chunked:
                body = encode_chunk(body)
            data = self._head + body + self._tail if self._head or self._tail else body
        else:
            data = self._head + self._tail
        self._head = self._tail = b""
        return data

    def discard(self) -> None:
        """Forget what has been collected: it is withheld."""
        self._pieces.clear()
        self._head = self._tail = b""
