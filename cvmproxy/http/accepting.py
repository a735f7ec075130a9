"""The accepting side of HTTP/1.1: one requester's connection, its requests answered in order (RFC 9112).

The next request is read only when the exchange before it is over; what a requester sends ahead is kept up to a bound,
and then the transport is paused. Bytes that are no strict HTTP/1.1 are answered once, and end the connection: after
them, nobody knows where the next request would begin.
"""

from typing import TYPE_CHECKING

from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from cvmproxy.attestation.policy import PeerIdentity
from cvmproxy.errors import CvmproxyError, RequestError
from cvmproxy.http.accepting_phase import READING, Phase, seconds_allowed
from cvmproxy.http.answer import Answer
from cvmproxy.http.deadlines import NEVER
from cvmproxy.http.exchange import Exchange
from cvmproxy.http.messages import BodyData, FieldLines, Fields, InterimHead, RequestEvent, RequestHead, ResponseHead
from cvmproxy.http.peers import StreamTransport, end_writing, identity_of, name_of, send_at_once
from cvmproxy.http.reader import RequestReader

if TYPE_CHECKING:
    from cvmproxy.http.proxy import ProxyFactory

#: What a requester may send ahead before the transport is paused, bytes.
_AHEAD_BYTES = 64 * 1024


@implementer(IHalfCloseableProtocol, IPushProducer)
class AcceptingConnection(Protocol):
    """One requester's connection.

    :ivar identity: what the appraisal said of the requester.
    :ivar additions: the headers that this identity puts on requests to the target.
    :ivar peer_host: the requester's address for X-Forwarded-For, or ``None`` where it has none.
    """

    identity: PeerIdentity
    transport: StreamTransport  # type: ignore[assignment]  # Twisted's ITransport lacks what streams have

    def __init__(self, proxy: "ProxyFactory") -> None:
        self._proxy = proxy
        self._clock = proxy.clock
        self._timeouts = proxy.settings.timeouts
        self._reader = RequestReader(proxy.settings.limits)
        self._phase = Phase.IDLE
        self.deadline = NEVER
        self.additions: FieldLines = ()
        self.peer_host: bytes | None = None
        self._peer = ""
        self._exchange: Exchange | None = None
        #: The answer to the request that is being served; once that is over, of no meaning.
        self._answer = Answer(None, 0.0)
        self._serving = False
        self._pumping = False
        # Why nothing is read: no credit, too much sent ahead. And the other direction: the requester is behind.
        self._no_credit = False
        self._too_far_ahead = False
        self._blocked = False
        self._eof = False

    def drain(self) -> None:
        """Close now if nothing is under way; otherwise the response that is will be the last."""
        if self._phase is Phase.IDLE:
            self._close()

    # -- called by the transport

    def connectionMade(self) -> None:
        """Find out who the requester is; without an identity not a byte is read."""
        try:
            self.identity = identity_of(self.transport, self._proxy.settings.unattested)
        except CvmproxyError:
            self._phase = Phase.CLOSED
            self.transport.abortConnection()
            return
        self.additions = self._proxy.settings.placement.for_target(self.identity)
        self.peer_host, self._peer = name_of(self.transport.getPeer())
        send_at_once(self.transport)
        self.transport.registerProducer(self, True)
        self.deadline = self._clock.seconds() + self._timeouts.head
        self._proxy.connection_opened(self)

    def dataReceived(self, data: bytes) -> None:
        """Read requests, or pass the other protocol's bytes on."""
        if self._phase in READING or self._phase is Phase.RESPONSE:
            self._reader.receive(data)
            self._pump()
            if self._phase in (Phase.IDLE, Phase.RESPONSE) and self._reader.buffered > _AHEAD_BYTES:
                self._too_far_ahead = True
                self.transport.pauseProducing()
        elif self._phase is Phase.TUNNEL and self._exchange is not None:
            self._answer.request_bytes += len(data)
            self._exchange.request_body(data)
            self._exchange.flush_request()

    def readConnectionLost(self) -> None:
        """Take the requester's end of sending; it may still want its responses."""
        if self._eof:
            return  # A transport that is resumed after the end may tell of it again.
        self._eof = True
        if self._phase is Phase.TUNNEL:
            if self._exchange is not None:
                self._exchange.request_end()
            self._close_ended_tunnel()
        elif self._phase in (Phase.LINGERING, Phase.CLOSED):
            self._close()
        else:
            self._reader.receive_eof()
            self._pump()

    def writeConnectionLost(self) -> None:
        """All that was written is out: the requester gets a little time to see it."""
        if self._phase is Phase.LINGERING:
            self.deadline = self._clock.seconds() + self._timeouts.linger

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Give up what was under way."""
        self._phase = Phase.CLOSED
        self.deadline = NEVER
        self._give_up("request-aborted")
        self._proxy.connection_lost(self)

    def deadline_passed(self) -> None:
        """Act on what has not come in time."""
        exchange = self._exchange
        if self._phase in (Phase.LINGERING, Phase.CLOSED):
            self.transport.abortConnection()
        elif self._blocked:
            # It does not take its response, so it would not take an error either.
            self._break_off("request-aborted")
        elif exchange is not None:
            exchange.fail("request-timeout")
        elif self._phase is Phase.HEAD:
            self._serve(None)
            self.fail("request-timeout")
        else:
            self._close()

    # -- IPushProducer: called by the transport that takes the response

    def pauseProducing(self) -> None:
        """Withdraw the upstream's credit: the requester is behind."""
        self._blocked = True
        self._rearm()
        if self._exchange is not None:
            self._exchange.pause_response()

    def resumeProducing(self) -> None:
        """Give the upstream credit again."""
        self._blocked = False
        self._rearm()
        if self._exchange is not None:
            self._exchange.resume_response()
        elif self._phase is Phase.IDLE:
            self._read_next()

    def stopProducing(self) -> None:
        """Nothing: ``connectionLost`` follows."""

    # -- RequesterSide: called by the exchange

    def informational(self, head: InterimHead) -> None:
        """Pass a 1xx response on."""
        self._answer.informational(head)

    def response(self, head: ResponseHead) -> None:
        """Begin the response."""
        self._answer.begin(head, may_persist=not self._proxy.draining)

    def response_body(self, data: bytes) -> None:
        """Hold a piece of the body until what came with it is there too."""
        self._answer.add(data)

    def response_end(self, trailers: Fields) -> None:
        """End the response, and go on to the next request or to the end of the connection."""
        if self._phase is Phase.TUNNEL:
            self.flush_response()
            end_writing(self.transport)
            self._blocked = False
            self._close_ended_tunnel()
            return
        self._answer.end(trailers)
        self._answered("")

    def flush_response(self) -> None:
        """Write what is held."""
        data = self._answer.take()
        if data:
            self.transport.write(data)
            if self._phase is Phase.BODY:
                self._rearm()

    def switch(self, head: ResponseHead) -> None:
        """Pass the 101 on, and then whatever the requester had sent ahead."""
        self._answer.switch(head)
        self.flush_response()
        self._phase = Phase.TUNNEL
        self._rearm()
        exchange = self._exchange
        assert exchange is not None
        ahead = self._reader.trailing_data()
        if ahead:
            exchange.request_body(ahead)
            exchange.flush_request()
        if self._eof:
            exchange.request_end()
        # Only now: a transport may deliver at once what it has kept.
        self._too_far_ahead = False
        self._apply_credit()

    def fail(self, code: str) -> None:
        """Answer with a short text that has the code; once a head has been sent, break the connection off."""
        if self._answer.sent:
            self._break_off(code)
            return
        whole = self._phase is Phase.RESPONSE
        self._answer.refuse(code, may_persist=whole and not self._proxy.draining)
        self._answered(code)

    def pause_request(self) -> None:
        """Read no more of the request for now."""
        if not self._no_credit:
            self._no_credit = True
            self.transport.pauseProducing()
            self._rearm()

    def resume_request(self) -> None:
        """Read on."""
        if self._no_credit:
            self._no_credit = False
            self._apply_credit()
            self._rearm()

    # -- inside: reading requests

    def _pump(self) -> None:
        """Read as many requests as can be answered now. Not a recursion, however many were sent at once."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while self._reads_on and self._take_event():
                pass
        finally:
            self._pumping = False
        if self._eof and self._reads_on and self._phase is not Phase.BODY:
            self._close()

    @property
    def _reads_on(self) -> bool:
        """Whether what comes is read now. A requester that is behind with its responses gets no further ones made."""
        return self._phase in READING and not (self._blocked and self._phase is Phase.IDLE)

    def _take_event(self) -> bool:
        """Act on one event; say whether there was one."""
        try:
            event = self._reader.next_event()
        except RequestError as error:
            self._broken(error.code)
            return False
        if event is not None:
            self._act_on(event)
            return True
        if self._phase is Phase.BODY:
            if self._exchange is not None:
                self._exchange.flush_request()
            self._rearm()
        elif self._phase is Phase.IDLE and self._reader.buffered:
            self._phase = Phase.HEAD
            self._rearm()
        return False

    def _act_on(self, event: RequestEvent) -> None:
        exchange = self._exchange
        if isinstance(event, RequestHead):
            self._begin(event)
        elif exchange is None:
            return  # Refused by its head: what of its body came along with that is of no interest.
        elif isinstance(event, BodyData):
            self._answer.request_bytes += len(event.data)
            exchange.request_body(event.data)
        else:
            self._phase = Phase.RESPONSE
            self.deadline = NEVER
            exchange.request_end(event.trailers)
            exchange.flush_request()

    def _serve(self, head: RequestHead | None) -> None:
        self._answer = Answer(head, self._clock.seconds())
        self._serving = True

    def _begin(self, head: RequestHead) -> None:
        self._serve(head)
        self._phase = Phase.BODY
        try:
            exchange = self._proxy.open_exchange(head, self)
        except RequestError as error:
            self.fail(error.code)
            return
        self._exchange = exchange
        if self._blocked:
            exchange.pause_response()

    def _broken(self, code: str) -> None:
        """Answer bytes that are no strict HTTP/1.1; an end in the midst of a request has nobody to answer."""
        if self._eof and code == "request-aborted":
            self._give_up(code)
            self._close()
        elif self._exchange is not None:
            self._exchange.fail(code)
        else:
            self._serve(None)
            self._phase = Phase.BODY
            self.fail(code)

    # -- inside: ending responses and connections

    def _answered(self, code: str) -> None:
        """The response is complete: write it, and go on."""
        self._exchange = None
        self.flush_response()
        self._record(code)
        if self._phase is not Phase.RESPONSE or not self._answer.persistent:
            self._close()
            return
        self._phase = Phase.IDLE
        self._reader.next_message()
        self._rearm()
        if not self._blocked:
            self._read_next()

    def _read_next(self) -> None:
        """Read the next request, of which something may be here already."""
        if self._no_credit or self._too_far_ahead:
            self._no_credit = self._too_far_ahead = False
            self.transport.resumeProducing()
        if self._reader.buffered or self._eof:
            self._pump()

    def _close_ended_tunnel(self) -> None:
        """Close once both directions of the other protocol have ended."""
        if self._exchange is not None and self._exchange.over:
            self._exchange = None
            self._record("")
            self._close()

    def _close(self) -> None:
        """Close so that the requester sees all that was written.

        A close with unread bytes resets the connection, which can destroy the answer on its way: so where more may
        come, end our direction first, and read and forget until the requester ends its own.
        """
        more_may_come = self._phase is Phase.BODY or self._reader.buffered > 0
        if more_may_come and not self._eof and self._phase is not Phase.CLOSED:
            self._leave(Phase.LINGERING)
            end_writing(self.transport)
            self.transport.resumeProducing()
        else:
            self._leave(Phase.CLOSED)
            self.transport.loseConnection()

    def _leave(self, phase: Phase) -> None:
        """Serve no more requests; the deadline is for the bytes that are still to be written."""
        self._phase = phase
        self.transport.unregisterProducer()
        self.deadline = self._clock.seconds() + self._timeouts.stall

    def _break_off(self, code: str) -> None:
        """Abort: no end of a response is ever written."""
        self._give_up(code)
        self._leave(Phase.CLOSED)
        self.transport.abortConnection()

    def _give_up(self, code: str) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.requester_gone()
        self._record(code)

    def _record(self, code: str) -> None:
        """Emit the one event of a request."""
        if self._serving:
            self._serving = False
            self._proxy.served(self._answer.event(peer=self._peer, now=self._clock.seconds(), code=code))

    # -- inside: credit, deadlines

    def _apply_credit(self) -> None:
        if not (self._no_credit or self._too_far_ahead):
            self.transport.resumeProducing()

    def _rearm(self) -> None:
        """Set the deadline by what is waited for."""
        allowed = seconds_allowed(self._phase, self._timeouts, behind=self._blocked, credit=not self._no_credit)
        if allowed is not None:
            self.deadline = self._clock.seconds() + allowed
