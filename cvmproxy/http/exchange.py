"""The exchange: one request and its response, and the only place where the accepting and the upstream side meet.

Neither side knows the other, nor which HTTP version it speaks; only the HTTP/1 modules know that a connection carries
one exchange at a time. What passes here is head, body, trailers, reset, credit in both directions, informational
responses, and the switch to another protocol. Pure: no socket, no clock.

Two rules of the wire contract ("HTTP rules") are kept here, because here no version of HTTP can go round them: a
message with reserved headers, in its head or its trailers, goes no further; and a response that has begun and cannot be
completed resets its requester, so that a truncated body never looks whole.
"""

from typing import Protocol

from cvmproxy.errors import CvmproxyError
from cvmproxy.http.header_rules import (
    interim_for_requester,
    response_for_requester,
    trailers_for_requester,
    trailers_for_target,
)
from cvmproxy.http.messages import NO_FIELDS, FieldLines, Fields, InterimHead, RequestHead, ResponseHead

#: RFC 9110, section 9.2.2: what may be sent twice without asking.
IDEMPOTENT_METHODS = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})


class RequesterSide(Protocol):
    """What an exchange tells the side that accepted the request."""

    def informational(self, head: InterimHead) -> None:
        """Pass a 1xx response on; the final one is still to come."""

    def response(self, head: ResponseHead) -> None:
        """Begin the final response."""

    def response_body(self, data: bytes) -> None:
        """Send a piece of the response's body, or of the switched protocol."""

    def response_end(self, trailers: Fields) -> None:
        """End the response; of a switched protocol, end this direction."""

    def flush_response(self) -> None:
        """Send what was held back to travel together: no more has come for now."""

    def switch(self, head: ResponseHead) -> None:
        """Pass a 101 on; from here the exchange carries the other protocol's bytes."""

    def fail(self, code: str) -> None:
        """End what cannot be completed.

        Where no head of a response has been sent: answer with the status and the code of that row of the table of
        reasons. Otherwise break off, so that the requester cannot take the response for a whole one.
        """

    def pause_request(self) -> None:
        """Withdraw credit: no more of the request for now."""

    def resume_request(self) -> None:
        """Give credit again."""


class UpstreamSide(Protocol):
    """What an exchange tells the side that carries the request to the target."""

    def request_body(self, data: bytes) -> None:
        """Send a piece of the request's body, or of the switched protocol."""

    def request_end(self, trailers: Fields) -> None:
        """End the request; of a switched protocol, end this direction."""

    def flush_request(self) -> None:
        """Send what was held back to travel together: no more has come for now."""

    def release(self) -> None:
        """Take the connection back: the whole response has come and was acceptable."""

    def abort(self) -> None:
        """Give the exchange up: nothing more is sent, and what was sent must not look whole."""

    def pause_response(self) -> None:
        """Withdraw credit: no more of the response for now."""

    def resume_response(self) -> None:
        """Give credit again."""


class Dispatcher(Protocol):
    """What an exchange asks of whoever has the upstreams."""

    def dispatch(self, exchange: "Exchange", fresh: bool) -> None:
        """Attach an upstream, now or later, or fail the exchange.

        :param fresh: only one that carried nothing yet will do.
        """

    def withdraw(self, exchange: "Exchange") -> None:
        """Look for no upstream any more, if there is none yet: the exchange is over."""


class Exchange:
    """One request and its response.

    The requester's side makes it, feeds it, and flushes it; whoever then finds an upstream attaches that. What comes
    before it is there is kept, and the requester gets no further credit, so this is at most what was read at once.

    :param request: the head for the target, already rewritten.
    :param upgrade: the protocol that the request offers to go over to, or ``None``.
    :param dispatcher: finds an upstream for it.
    """

    __slots__ = (
        "_body_seen",
        "_credit",
        "_dispatched",
        "_dispatcher",
        "_kept",
        "_one_direction_ended",
        "_response_paused",
        "_retried",
        "_trailers",
        "_upstream",
        "over",
        "request",
        "request_complete",
        "requester",
        "switched",
        "upgrade",
    )

    def __init__(
        self,
        request: RequestHead,
        *,
        requester: RequesterSide,
        dispatcher: Dispatcher,
        upgrade: bytes | None,
    ) -> None:
        self.request = request
        self.upgrade = upgrade
        self.requester = requester
        #: Nothing more passes in either direction.
        self.over = False
        #: The whole request has come, trailers too.
        self.request_complete = False
        #: The two sides exchange the bytes of another protocol.
        self.switched = False
        self._dispatcher = dispatcher
        self._upstream: UpstreamSide | None = None
        self._kept: list[bytes] = []
        self._trailers: Fields = NO_FIELDS
        self._body_seen = False
        self._credit = False
        self._dispatched = False
        self._response_paused = False
        self._retried = False
        self._one_direction_ended = False

    # -- called by the requester's side

    def request_body(self, data: bytes) -> None:
        """Pass on a piece of the request's body (or of the switched protocol)."""
        self._body_seen = True
        if self._upstream is not None:
            self._upstream.request_body(data)
        elif not self.over:
            self._kept.append(data)

    def request_end(self, trailers: Fields = NO_FIELDS) -> None:
        """Pass on the end of the request; reserved trailers refuse it, and its last chunk is never sent."""
        if self.over:
            return
        if self.switched:
            if self._upstream is not None:
                self._upstream.request_end(NO_FIELDS)
            self._end_direction()
            return
        if trailers:
            try:
                self._trailers = trailers_for_target(trailers)
            except CvmproxyError as error:
                self.fail(error.code)
                return
        self.request_complete = True
        if self._upstream is not None:
            self._upstream.request_end(self._trailers)

    def flush_request(self) -> None:
        """Say that no more of the request has come for now; the first time, what has come finds its upstream."""
        if self._upstream is not None:
            self._upstream.flush_request()
        elif not (self._dispatched or self.over):
            self._dispatched = True
            self._dispatcher.dispatch(self, False)
            if self._upstream is None and not (self.over or self.request_complete):
                self.requester.pause_request()

    def requester_gone(self) -> None:
        """Give up: the requester went away, or is being sent away."""
        if not self.over:
            self._finish(abort=True)

    def pause_response(self) -> None:
        """Withdraw the upstream's credit."""
        self._response_paused = True
        if self._upstream is not None:
            self._upstream.pause_response()

    def resume_response(self) -> None:
        """Give the upstream credit again."""
        self._response_paused = False
        if self._upstream is not None:
            self._upstream.resume_response()

    # -- called by the upstream's side

    def attach(self, upstream: UpstreamSide) -> None:
        """Connect an upstream that has just sent the request's head, and hand it what was kept."""
        self._upstream = upstream
        self._credit = True
        kept, self._kept = self._kept, []
        for piece in kept:
            upstream.request_body(piece)
        if self._response_paused:
            upstream.pause_response()
        if self.request_complete:
            upstream.request_end(self._trailers)
            return
        upstream.flush_request()
        # What was kept may have filled the upstream's buffer already.
        if self._credit:
            self.requester.resume_request()

    def informational(self, head: InterimHead) -> None:
        """Pass a 1xx response on (never a 101)."""
        if self.over:
            return
        try:
            forwarded = interim_for_requester(head)
        except CvmproxyError as error:
            self.fail(error.code)
        else:
            self.requester.informational(forwarded)

    def response(self, head: ResponseHead, additions: FieldLines) -> None:
        """Begin the final response, with the headers that the upstream's identity adds to it."""
        if self.over:
            return
        try:
            forwarded = response_for_requester(head, additions)
        except CvmproxyError as error:
            self.fail(error.code)
        else:
            self.requester.response(forwarded)

    def response_body(self, data: bytes) -> None:
        """Pass on a piece of the response's body (or of the switched protocol)."""
        if not self.over:
            self.requester.response_body(data)

    def response_end(self, trailers: Fields = NO_FIELDS) -> None:
        """End the response. Reserved trailers break it off instead; its last chunk is never sent."""
        if self.over:
            return
        if trailers:
            try:
                trailers = trailers_for_requester(trailers)
            except CvmproxyError as error:
                self.fail(error.code)
                return
        if self.switched:
            self._end_direction()
        else:
            self._finish(abort=False)
        self.requester.response_end(trailers)

    def flush_response(self) -> None:
        """Say that no more of the response has come for now."""
        if not self.over:
            self.requester.flush_response()

    def switch(self, head: ResponseHead, additions: FieldLines) -> None:
        """Pass a 101 on; from here both sides exchange another protocol's bytes.

        It is acceptable only where the request asked for it, and all of the request has been sent.
        """
        if self.over:
            return
        if self.upgrade is None or not self.request_complete:
            self.fail("upstream-malformed")
            return
        try:
            forwarded = response_for_requester(head, additions)
        except CvmproxyError as error:
            self.fail(error.code)
        else:
            self.switched = True
            self.requester.switch(forwarded)

    def pause_request(self) -> None:
        """Withdraw the requester's credit."""
        self._credit = False
        if not self.over:
            self.requester.pause_request()

    def resume_request(self) -> None:
        """Give the requester credit again."""
        self._credit = True
        if not self.over:
            self.requester.resume_request()

    def upstream_died(self, code: str) -> None:
        """Say that a reused connection ended, by no refusal, before the first byte of a response.

        The one case in which a request is sent again: once, on a connection that carried nothing yet.
        """
        if self._may_retry():
            self._retried = True
            self._upstream = None
            self._dispatcher.dispatch(self, True)
        else:
            self.fail(code)

    def fail(self, code: str) -> None:
        """Give up with a reason code: both sides are told, and neither is left with what looks whole."""
        if not self.over:
            self._finish(abort=True)
            self.requester.fail(code)

    # -- inside

    def _may_retry(self) -> bool:
        return (
            self.request.method in IDEMPOTENT_METHODS
            and self.request_complete
            and not (self._body_seen or self._retried or self.over)
        )

    def _end_direction(self) -> None:
        if self._one_direction_ended:
            self._finish(abort=False)
        self._one_direction_ended = True

    def _finish(self, *, abort: bool) -> None:
        self.over = True
        self._kept.clear()
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            if abort:
                upstream.abort()
            else:
                upstream.release()
        elif self._dispatched:
            self._dispatcher.withdraw(self)
