"""The upstream side of HTTP/1.1: one connection to the target, which carries one exchange at a time (RFC 9112).

It is used again only after a complete, well-framed response that allows it. What goes wrong ends in a reason code; what
comes while no exchange is under way (bytes or an end) ends the connection.
"""

from typing import TYPE_CHECKING

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from cvmproxy.attestation.policy import PeerIdentity
from cvmproxy.errors import CvmproxyError
from cvmproxy.http.deadlines import NEVER
from cvmproxy.http.exchange import Exchange
from cvmproxy.http.failures import is_plain_loss, loss_code
from cvmproxy.http.messages import (
    BodyData,
    EndOfMessage,
    FieldLines,
    Fields,
    InterimHead,
    ResponseEvent,
    ResponseHead,
)
from cvmproxy.http.outgoing import Outgoing
from cvmproxy.http.peers import StreamTransport, end_writing, identity_of, send_at_once
from cvmproxy.http.reader import ResponseReader
from cvmproxy.http.writer import encode_request_head

if TYPE_CHECKING:
    from cvmproxy.http.pool import UpstreamPool


@implementer(IHalfCloseableProtocol, IPushProducer)
class UpstreamConnection(Protocol):
    """One connection of a pool.

    :ivar identity: what the appraisal said of the target when this connection opened.
    :ivar usable: whether it is open and may carry exchanges.
    :ivar failure: why it is not usable.
    """

    identity: PeerIdentity
    transport: StreamTransport  # type: ignore[assignment]  # Twisted's ITransport lacks what streams have

    def __init__(self, pool: "UpstreamPool", clock: IReactorTime) -> None:
        self._pool = pool
        self._clock = clock
        self._timeouts = pool.settings.timeouts
        self._reader = ResponseReader(pool.settings.limits)
        self.usable = False
        self.failure = Failure(ConnectionDone())
        self.deadline = NEVER
        self._additions: FieldLines = ()
        self._exchange: Exchange | None = None
        self._outgoing = Outgoing()
        #: It has rested in the pool, or carried an exchange: its end may have been under way unseen.
        self._reused = False
        #: No byte of a response has come yet.
        self._unanswered = False
        self._persistent = False
        self._request_sent = False
        self._tunnel = False
        self._blocked = False
        self._paused = False

    # -- used by the pool

    def carry(self, exchange: Exchange) -> None:
        """Send the exchange's request, and deliver to it what comes back."""
        self._exchange = exchange
        self._unanswered = True
        self._request_sent = False
        self._persistent = False
        request = exchange.request
        self._reader.next_message(request.method, exchange.upgrade)
        self._outgoing.begin(encode_request_head(request), request.framing)
        exchange.attach(self)

    def rest(self) -> None:
        """Wait in the pool for the next exchange."""
        self._reused = True
        self.deadline = self._clock.seconds() + self._timeouts.idle

    def close(self) -> None:
        """End the connection in good order; it carries nothing."""
        self._leave()
        self.transport.loseConnection()

    # -- UpstreamSide: called by the exchange

    def request_body(self, data: bytes) -> None:
        """Hold a piece of the body until what came with it is there too."""
        self._outgoing.add(data)

    def request_end(self, trailers: Fields) -> None:
        """Send the end of the request; in a tunnel, of this direction."""
        if self._tunnel:
            self.flush_request()
            end_writing(self.transport)
            self._blocked = False
            return
        self._outgoing.end(trailers)
        self._request_sent = True
        self.flush_request()

    def flush_request(self) -> None:
        """Write what is held."""
        data = self._outgoing.take()
        if data:
            self.transport.write(data)
        self._rearm()

    def release(self) -> None:
        """Take another exchange, or close: the response was complete."""
        self._exchange = None
        if self._blocked or not self._request_sent:
            # An early response: the rest of the request will never come, or is of no more interest to the target.
            self.abort()
        elif self._persistent and not self._tunnel and not self._reader.buffered:
            self._reused = True
            if self._paused:
                # By a requester that was behind with a response that had come already. A transport may deliver at once
                # what it has kept, and nothing can be right: then this connection is gone.
                self._paused = False
                self.transport.resumeProducing()
            if self.usable:
                self._pool.freed(self)
        else:
            self.close()

    def abort(self) -> None:
        """Break the connection off, so that what was sent of the request does not look whole."""
        self._leave()
        self.transport.abortConnection()

    def pause_response(self) -> None:
        """Read no more: whoever has to take it is behind."""
        self._paused = True
        self.transport.pauseProducing()
        self._rearm()

    def resume_response(self) -> None:
        """Read again."""
        self._paused = False
        self.transport.resumeProducing()
        self._rearm()

    # -- IPushProducer: called by the transport that takes the request

    def pauseProducing(self) -> None:
        """Withdraw the requester's credit: the target is behind."""
        self._blocked = True
        self._rearm()
        if self._exchange is not None:
            self._exchange.pause_request()

    def resumeProducing(self) -> None:
        """Give the requester credit again."""
        self._blocked = False
        self._rearm()
        if self._exchange is not None:
            self._exchange.resume_request()

    def stopProducing(self) -> None:
        """Nothing: ``connectionLost`` follows."""

    # -- called by the transport

    def connectionMade(self) -> None:
        """Find out whose connection this is; without an identity it is never used."""
        try:
            self.identity = identity_of(self.transport, self._pool.settings.unattested)
        except CvmproxyError:
            self.failure = Failure()
            self.transport.abortConnection()
            return
        self._additions = self._pool.settings.placement.for_requester(self.identity)
        send_at_once(self.transport)
        self.transport.registerProducer(self, True)
        self.usable = True
        self._pool.opened(self)

    def dataReceived(self, data: bytes) -> None:
        """Deliver what the bytes amount to."""
        exchange = self._exchange
        if exchange is None:
            # Nothing was asked, so nothing can be an answer.
            self.abort()
            return
        if self._tunnel:
            self._rearm()
            exchange.response_body(data)
        else:
            self._unanswered = False
            self._rearm()
            self._reader.receive(data)
            self._deliver(exchange)
        exchange.flush_response()

    def readConnectionLost(self) -> None:
        """Take the target's end of sending: it may end a body, and a tunnel's direction."""
        exchange = self._exchange
        if exchange is None:
            self.close()
        elif self._tunnel:
            exchange.response_end()
        else:
            self._end_of_input(exchange, ConnectionDone())

    def writeConnectionLost(self) -> None:
        """Nothing: we ended this direction ourselves."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Fail the exchange that was under way, unless this end completes it."""
        was_tunnel, exchange = self._tunnel, self._exchange
        if self.usable:
            self.failure = reason
        self._leave()
        self._pool.lost(self)
        if exchange is None or exchange.over:
            return
        if was_tunnel or not reason.check(ConnectionDone):
            self._fail(exchange, reason.value)
        else:
            self._end_of_input(exchange, reason.value)

    def deadline_passed(self) -> None:
        """Close a connection that rested too long; fail an exchange whose target is too slow."""
        if not self.usable:
            # It was closed, and the target does not take the last bytes.
            self.transport.abortConnection()
        elif self._exchange is None:
            self.close()
        else:
            self._exchange.fail("upstream-timeout")

    # -- inside

    def _deliver(self, exchange: Exchange) -> None:
        """Hand on every event that is complete, until the exchange is no longer ours."""
        try:
            while self._exchange is exchange:
                event = self._reader.next_event()
                if event is None:
                    return
                self._hand_on(exchange, event)
        except CvmproxyError as error:
            exchange.fail(error.code)

    def _hand_on(self, exchange: Exchange, event: ResponseEvent) -> None:
        if isinstance(event, BodyData):
            exchange.response_body(event.data)
        elif isinstance(event, ResponseHead):
            if event.status == 101:
                # Set first: an exchange that does not accept it aborts this connection all the same.
                self._tunnel = True
                self._rearm()
                exchange.switch(event, self._additions)
            else:
                self._persistent = event.wants_persistence
                exchange.response(event, self._additions)
        elif isinstance(event, InterimHead):
            exchange.informational(event)
        elif self._tunnel:
            rest = self._reader.trailing_data()
            if rest:
                exchange.response_body(rest)
        else:
            exchange.response_end(event.trailers)

    def _end_of_input(self, exchange: Exchange, error: BaseException | None) -> None:
        """Complete a body that ends with the connection; everything else was cut off."""
        self._persistent = False
        self._reader.receive_eof()
        try:
            event = self._reader.next_event()
        except CvmproxyError:
            self._fail(exchange, error)
        else:
            # All complete events were taken as they came: only the end itself can be left.
            assert isinstance(event, EndOfMessage)
            exchange.response_end(event.trailers)

    def _fail(self, exchange: Exchange, error: BaseException | None) -> None:
        if self._unanswered and self._reused and is_plain_loss(error):
            self.abort()
            exchange.upstream_died("upstream-closed")
        else:
            exchange.fail(loss_code(error))

    def _leave(self) -> None:
        """Be no longer of the pool, nor of an exchange."""
        if self.usable:
            self.usable = False
            self._pool.left(self)
            self.transport.unregisterProducer()
            self.deadline = self._clock.seconds() + self._timeouts.stall
        self._exchange = None

    def _rearm(self) -> None:
        """Set the deadline by who has to act next."""
        if self._exchange is None:
            return
        now = self._clock.seconds()
        timeouts = self._timeouts
        if self._blocked:
            self.deadline = now + timeouts.stall
        elif self._paused or not self._request_sent:
            # The requester has to act, and its side has a deadline for that.
            self.deadline = NEVER
        elif self._tunnel:
            self.deadline = now + timeouts.tunnel
        elif self._unanswered:
            self.deadline = now + timeouts.response
        else:
            self.deadline = now + timeouts.stall
