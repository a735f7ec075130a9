"""The pool of upstream connections: who gets which one, when one is dialled, and when one is dropped.

A connection belongs to the identity that its transport had when it opened. The pool has no fixed limit: a connection is
dialled only where more exchanges wait than dials are under way; what comes free meanwhile goes to the exchange that
waits longest, and the connection that was dialled for it to the next one, or it becomes idle; likewise where its
requester went away. So there are never more than exchanges were ever under way at once, which matters where each one
costs an attestation.
"""

from collections import OrderedDict
from collections.abc import Callable

from attrs import field, frozen, validators
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IProtocol, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from cvmproxy.attestation.policy import NoAttestation, PeerIdentity
from cvmproxy.http.deadlines import Deadlines
from cvmproxy.http.exchange import Exchange
from cvmproxy.http.failures import dial_failure_code
from cvmproxy.http.limits import HttpLimits
from cvmproxy.http.placement import MeasurementPlacement
from cvmproxy.http.upstream import UpstreamConnection

_positive = validators.gt(0.0)


@frozen(kw_only=True)
class UpstreamTimeouts:
    """How long the upstream side waits; all in seconds.

    :ivar connect: for a connection, its handshake and appraisal included; the endpoint's own deadlines come first.
    :ivar response: for the head of a response, from the last byte of the request that could be sent.
    :ivar stall: for the next bytes of a body, or for the target to take more of one.
    :ivar tunnel: without a byte in either direction, after a switch of protocols.
    :ivar idle: that a connection is kept without an exchange.
    """

    connect: float = field(default=60.0, validator=_positive)
    response: float = field(default=300.0, validator=_positive)
    stall: float = field(default=300.0, validator=_positive)
    tunnel: float = field(default=3600.0, validator=_positive)
    idle: float = field(default=60.0, validator=_positive)


@frozen(kw_only=True)
class UpstreamSettings:
    """What an operator can say about upstream connections.

    :ivar unattested: the explicit statement that the target is not appraised; ``None``: only attested connections.
    :ivar placement: where the measurements go; asked what the upstream's identity adds to responses.
    :ivar max_idle: how many idle connections are kept; the one unused for longest goes first.
    """

    unattested: NoAttestation | None
    placement: MeasurementPlacement
    timeouts: UpstreamTimeouts = field(factory=UpstreamTimeouts)
    limits: HttpLimits = field(factory=HttpLimits)
    max_idle: int = 4096


def always(_identity: PeerIdentity) -> bool:
    """No maximum age: a connection may be used again for as long as it lives."""
    return True


class UpstreamPool:
    """Finds an upstream connection for each exchange.

    :param endpoint: dials the target; over TLS it attests and appraises before it hands the connection out.
    :param clock: the reactor.
    :param may_reuse: asked before a connection carries another exchange, with the identity that opened it.
    """

    def __init__(
        self,
        endpoint: IStreamClientEndpoint,
        clock: IReactorTime,
        settings: UpstreamSettings,
        *,
        may_reuse: Callable[[PeerIdentity], bool] = always,
    ) -> None:
        self.settings = settings
        self._endpoint = endpoint
        self._clock = clock
        self._may_reuse = may_reuse
        timeouts = settings.timeouts
        self._deadlines = Deadlines(
            clock, shortest=min(timeouts.response, timeouts.stall, timeouts.tunnel, timeouts.idle)
        )
        #: The one used last is at the end, and is used next.
        self._idle: dict[UpstreamConnection, None] = {}
        self._open: set[UpstreamConnection] = set()
        self._dials: set[Deferred[IProtocol]] = set()
        #: The one that waits longest is at the beginning.
        self._waiting: OrderedDict[Exchange, None] = OrderedDict()
        self._waiting_for_fresh: OrderedDict[Exchange, None] = OrderedDict()
        self._closed = False
        self._emptied: list[Deferred[None]] = []
        self._factory = Factory.forProtocol(self._new_connection)
        # Otherwise Twisted logs each dial.
        self._factory.noisy = False

    @property
    def open_count(self) -> int:
        """How many connections are open, idle or not."""
        return len(self._open)

    @property
    def idle_count(self) -> int:
        """How many of them are idle."""
        return len(self._idle)

    # -- called by the proxy

    def dispatch(self, exchange: Exchange, fresh: bool) -> None:
        """Give the exchange an upstream, now or when there is one, or fail it.

        :param fresh: only a connection that carried nothing yet will do.
        """
        if self._closed:
            exchange.fail("draining")
            return
        while self._idle and not fresh:
            connection, _ = self._idle.popitem()
            if self._may_reuse(connection.identity):
                connection.carry(exchange)
                return
            connection.close()
        (self._waiting_for_fresh if fresh else self._waiting)[exchange] = None
        # A dial whose exchange was served by a connection that came free meanwhile, or given up, is there for this one.
        if len(self._waiting) + len(self._waiting_for_fresh) > len(self._dials):
            self._dial()

    def withdraw(self, exchange: Exchange) -> None:
        """Let an exchange that is over wait no more; what is dialled for it will be the next one's."""
        self._waiting.pop(exchange, None)
        self._waiting_for_fresh.pop(exchange, None)

    def close(self) -> Deferred[None]:
        """Close what is idle, give up what is being dialled, and keep nothing any more.

        Fires when the last connection is closed, those included that carried an exchange to its end meanwhile.
        """
        self._closed = True
        for deferred in list(self._dials):
            deferred.cancel()
        for connection in list(self._idle):
            connection.close()
        if not self._open:
            return succeed(None)
        emptied: Deferred[None] = Deferred()
        self._emptied.append(emptied)
        return emptied

    # -- called by the connections

    def opened(self, connection: UpstreamConnection) -> None:
        """Count a connection whose identity is known."""
        self._open.add(connection)
        self._deadlines.watch(connection)

    def freed(self, connection: UpstreamConnection) -> None:
        """Take back a connection that may carry another exchange: the last one came to its well-framed end."""
        if self._closed or not self._may_reuse(connection.identity):
            connection.close()
            return
        exchange = _take_first(self._waiting)
        if exchange is not None:
            connection.carry(exchange)
            return
        self._idle[connection] = None
        connection.rest()
        if len(self._idle) > self.settings.max_idle:
            oldest = next(iter(self._idle))
            oldest.close()

    def left(self, connection: UpstreamConnection) -> None:
        """Give no more exchanges to a connection: it is being closed."""
        self._idle.pop(connection, None)

    def lost(self, connection: UpstreamConnection) -> None:
        """Forget a connection that is closed."""
        self._open.discard(connection)
        self._deadlines.forget(connection)
        if not self._open:
            emptied, self._emptied = self._emptied, []
            for deferred in emptied:
                deferred.callback(None)

    # -- inside

    def _new_connection(self) -> UpstreamConnection:
        return UpstreamConnection(self, self._clock)

    def _dial(self) -> None:
        deferred: Deferred[IProtocol] = self._endpoint.connect(self._factory)
        self._dials.add(deferred)
        timer = self._clock.callLater(self.settings.timeouts.connect, deferred.cancel)

        def ended(result: IProtocol | Failure) -> IProtocol | Failure:
            self._dials.discard(deferred)
            if timer.active():
                timer.cancel()
            return result

        deferred.addBoth(ended)
        deferred.addCallbacks(self._dialled, self._dial_failed)

    def _dialled(self, protocol: IProtocol) -> None:
        # Wrapping endpoints hand out what the factory built; anything else cannot happen.
        assert isinstance(protocol, UpstreamConnection)
        if not protocol.usable:
            self._dial_failed(protocol.failure)
            return
        exchange = _take_first(self._waiting_for_fresh) or _take_first(self._waiting)
        if exchange is not None:
            protocol.carry(exchange)
        else:
            self.freed(protocol)

    def _dial_failed(self, failure: Failure) -> None:
        # Each exchange that waits has a dial under way: where there is one for each of them still, nobody has to fail.
        if len(self._waiting) + len(self._waiting_for_fresh) > len(self._dials):
            exchange = _take_first(self._waiting) or _take_first(self._waiting_for_fresh)
            assert exchange is not None
            exchange.fail("draining" if self._closed else self._failure_code(failure))

    def _failure_code(self, failure: Failure) -> str:
        if failure.check(CancelledError, ConnectingCancelledError):
            return "upstream-connect-timeout"
        return dial_failure_code(failure.value)


def _take_first(queue: OrderedDict[Exchange, None]) -> Exchange | None:
    return queue.popitem(last=False)[0] if queue else None
