"""The answer to one request, as HTTP/1.1 or HTTP/1.0 carries it to its requester: pure, bytes are taken to be written.

It knows how the requester's version frames a body, whether the connection can serve another request afterwards, and
what the one event of the request will say.
"""

from cvmproxy.events import RequestServed
from cvmproxy.http.failures import error_response
from cvmproxy.http.messages import (
    CHUNKED,
    UNTIL_CLOSE,
    Chunked,
    FieldLines,
    Fields,
    Framing,
    InterimHead,
    RequestHead,
    ResponseHead,
    UntilClose,
)
from cvmproxy.http.outgoing import Outgoing
from cvmproxy.http.writer import encode_response_head

_CLOSE: FieldLines = ((b"Connection", b"close"),)
_KEEP_ALIVE: FieldLines = ((b"Connection", b"keep-alive"),)


class Answer:
    """What is sent for one request.

    :param request: the request's head as it came, or ``None`` where it could not be read.
    :param began_at: when it came, in the clock's seconds.

    :ivar persistent: whether the connection may serve another request after this answer.
    :ivar sent: whether the final response's head has been taken to be written: there is no other answer any more.
    :ivar request_bytes: bytes of the request's body so far, without framing.
    """

    __slots__ = (
        "_began_at",
        "_outgoing",
        "_request",
        "_response_bytes",
        "_status",
        "persistent",
        "request_bytes",
        "sent",
    )

    def __init__(self, request: RequestHead | None, began_at: float) -> None:
        self._request = request
        self._began_at = began_at
        self._outgoing = Outgoing()
        self._status = 0
        self._response_bytes = 0
        self.persistent = request is not None and request.wants_persistence
        self.sent = False
        self.request_bytes = 0

    def informational(self, head: InterimHead) -> None:
        """Add a 1xx head; HTTP/1.0 knows none."""
        if not self._is_for_http_1_0:
            self._outgoing.interim(encode_response_head(head))

    def begin(self, head: ResponseHead, *, may_persist: bool) -> None:
        """Add the head, with what it has to say of framing and of the connection."""
        framing = self._framing_for(head.framing)
        self.persistent = self.persistent and may_persist and not isinstance(framing, UntilClose)
        lines = self._connection_lines()
        if lines or framing is not head.framing:
            fields = Fields((*head.fields.lines, *lines))
            head = ResponseHead(status=head.status, reason=head.reason, fields=fields, framing=framing)
        self._begin(head)

    def switch(self, head: ResponseHead) -> None:
        """Add a 101; what follows are bytes of the other protocol."""
        self.persistent = False
        self._begin(head)

    def add(self, data: bytes) -> None:
        """Add a piece of the body."""
        self._response_bytes += len(data)
        self._outgoing.add(data)

    def end(self, trailers: Fields) -> None:
        """Add the end."""
        self._outgoing.end(trailers)

    def refuse(self, code: str, *, may_persist: bool) -> None:
        """Make it a short text with the code, in place of what was begun and not sent."""
        self._response_bytes = 0
        self.persistent = self.persistent and may_persist
        self._outgoing.discard()
        head, body = error_response(code, self._connection_lines())
        self._begin(head)
        if self._request is None or self._request.method != b"HEAD":
            self.add(body)

    def take(self) -> bytes:
        """Return the bytes to write now; empty where there are none."""
        data = self._outgoing.take()
        # Without a status there are only interim heads.
        self.sent = self.sent or (self._status > 0 and data != b"")
        return data

    def event(self, *, peer: str, now: float, code: str) -> RequestServed:
        """Return the request's event. The status is 0 where no answer was begun."""
        request = self._request
        return RequestServed(
            peer=peer,
            method="-" if request is None else request.method.decode("ascii"),
            target="-" if request is None else request.target.decode("ascii"),
            status=self._status,
            request_bytes=self.request_bytes,
            response_bytes=self._response_bytes,
            seconds=now - self._began_at,
            code=code,
        )

    @property
    def _is_for_http_1_0(self) -> bool:
        return self._request is not None and self._request.version_minor == 0

    def _begin(self, head: ResponseHead) -> None:
        self._status = head.status
        self._outgoing.begin(encode_response_head(head), head.framing)

    def _framing_for(self, framing: Framing) -> Framing:
        if self._is_for_http_1_0:
            return UNTIL_CLOSE if isinstance(framing, Chunked) else framing
        return CHUNKED if isinstance(framing, UntilClose) else framing

    def _connection_lines(self) -> FieldLines:
        if not self.persistent:
            return _CLOSE
        return _KEEP_ALIVE if self._is_for_http_1_0 else ()
