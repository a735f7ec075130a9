"""A plain web server to put behind the proxy in demos, tests and load runs (``cvmproxy target``).

* ``GET /bytes/N`` answers with N bytes of zeros, as fast as they are taken.
* Every other request, after its body has been read and thrown away, is answered with what arrived, as JSON:
  ``{"method", "path", "headers": [[name, value], …], "body_bytes"}``.

It attests nothing and checks nothing. Bodies of any size pass in constant memory.
"""

import json
from typing import Any, Final

from twisted.internet.interfaces import IAddress, IPullProducer
from twisted.web.http import HTTPFactory, Request
from zope.interface import implementer

_PATH: Final = b"/bytes/"
_PIECE: Final = bytes(64 * 1024)


@implementer(IPullProducer)
class _Zeros:
    """Writes a response body of zeros, piece by piece as the requester takes it."""

    def __init__(self, request: Request, size: int) -> None:
        self._request = request
        self._left = size

    def resumeProducing(self) -> None:
        piece = _PIECE[: self._left]
        self._left -= len(piece)
        self._request.write(piece)
        if not self._left:
            self._request.unregisterProducer()
            self._request.finish()

    def stopProducing(self) -> None:
        self._left = 0


class TargetRequest(Request):
    """One request; its body is counted, never kept."""

    body_bytes = 0

    def gotLength(self, length: int | None) -> None:
        """Keep nothing, whatever the length: the base class would open a file for a large body."""

    def handleContentChunk(self, data: bytes) -> None:
        """Count a piece of the body."""
        self.body_bytes += len(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """Answer: the request and its whole body have arrived."""
        self.method, self.uri, self.clientproto = command, path, version
        size = path.removeprefix(_PATH)
        if command == b"GET" and size != path and size.isdigit():
            self._answer_zeros(int(size))
        else:
            self._answer_echo()

    def _answer_zeros(self, size: int) -> None:
        self.setHeader(b"content-type", b"application/octet-stream")
        self.setHeader(b"content-length", b"%d" % size)
        if not size:
            self.finish()
            return
        self.registerProducer(_Zeros(self, size), False)

    def _answer_echo(self) -> None:
        headers = [
            [name.decode("latin-1"), value.decode("latin-1")]
            for name, values in self.requestHeaders.getAllRawHeaders()
            for value in values
        ]
        answer = {
            "method": self.method.decode("latin-1"),
            "path": self.uri.decode("latin-1"),
            "headers": headers,
            "body_bytes": self.body_bytes,
        }
        body = json.dumps(answer, indent=2).encode() + b"\n"
        self.setHeader(b"content-type", b"application/json")
        self.setHeader(b"content-length", b"%d" % len(body))
        if self.method != b"HEAD":
            self.write(body)
        self.finish()


class TargetFactory(HTTPFactory):
    """The target's factory. Nothing is logged: the proxies keep the access log."""

    noisy = False

    def __init__(self) -> None:
        super().__init__(timeout=60)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Return a channel that makes requests of the target's kind."""
        channel: Any = super().buildProtocol(addr)
        channel.requestFactory = TargetRequest
        return channel

    def log(self, request: Request) -> None:
        """Keep no access log."""
