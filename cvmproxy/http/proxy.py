"""The HTTP proxy as a Twisted factory: its protocol works over plain TCP and over the attested TLS transport alike.

It joins the accepting side with a pool of upstream connections. It listens to nothing and dials nothing by itself.
"""

from attrs import field, frozen, validators
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Factory

from cvmproxy.attestation.policy import NoAttestation
from cvmproxy.events import EventSink, RequestServed
from cvmproxy.http.accepting import AcceptingConnection
from cvmproxy.http.deadlines import Deadlines
from cvmproxy.http.exchange import Exchange
from cvmproxy.http.header_rules import HttpTarget, request_for_target
from cvmproxy.http.limits import HttpLimits
from cvmproxy.http.messages import RequestHead
from cvmproxy.http.placement import MeasurementPlacement
from cvmproxy.http.pool import UpstreamPool

_positive = validators.gt(0.0)


@frozen(kw_only=True)
class AcceptingTimeouts:
    """How long the accepting side waits; all in seconds.

    :ivar head: for a request's head, from its first byte; for the first byte of a connection too.
    :ivar idle: between two requests.
    :ivar stall: for the next bytes of a request's body, or for the requester to take more of a response.
    :ivar linger: after an answer that ends the connection, for the requester to see it.
    """

    head: float = field(default=30.0, validator=_positive)
    idle: float = field(default=75.0, validator=_positive)
    stall: float = field(default=60.0, validator=_positive)
    linger: float = field(default=2.0, validator=_positive)


@frozen(kw_only=True)
class ProxySettings:
    """What an operator can say about the accepting side and about requests on their way to the target.

    :ivar target: what requests say of the target: Host, and the path and query that theirs are joined to.
    :ivar unattested: the explicit statement that requesters are not appraised; ``None``: only attested connections.
    :ivar placement: where the measurements go; asked what a requester's identity adds to its requests.
    """

    target: HttpTarget
    unattested: NoAttestation | None
    placement: MeasurementPlacement
    timeouts: AcceptingTimeouts = field(factory=AcceptingTimeouts)
    limits: HttpLimits = field(factory=HttpLimits)


class ProxyFactory(Factory):
    """Makes the accepting connections, and finds an upstream for each of their exchanges.

    :param clock: the reactor.
    :param events: told of every request, once.
    """

    noisy = False

    def __init__(
        self, settings: ProxySettings, pool: UpstreamPool, clock: IReactorTime, events: EventSink | None = None
    ) -> None:
        self.settings = settings
        self.clock = clock
        #: No connection serves another request after the one that it serves now.
        self.draining = False
        self._pool = pool
        self._events = events
        timeouts = settings.timeouts
        self._deadlines = Deadlines(clock, shortest=min(timeouts.head, timeouts.idle, timeouts.stall, timeouts.linger))
        self._connections: set[AcceptingConnection] = set()
        self._drained: list[Deferred[None]] = []

    @property
    def connection_count(self) -> int:
        """How many requesters are connected."""
        return len(self._connections)

    def buildProtocol(self, addr: IAddress | None) -> AcceptingConnection:
        """Make the protocol of one requester's connection."""
        return AcceptingConnection(self)

    def drain(self) -> Deferred[None]:
        """Serve what is under way and nothing more; fires when the last connection is closed, and closes the pool.

        Stop listening first. Idle connections are closed at once. It has no deadline: whoever drains sets one, and
        then calls :meth:`abort`.
        """
        self.draining = True
        for connection in list(self._connections):
            connection.drain()
        if not self._connections:
            self._pool.close()
            return succeed(None)
        drained: Deferred[None] = Deferred()
        self._drained.append(drained)
        return drained

    def abort(self) -> None:
        """Break off everything that is still under way."""
        for connection in list(self._connections):
            connection.transport.abortConnection()

    # -- called by the connections

    def connection_opened(self, connection: AcceptingConnection) -> None:
        """Count a connection."""
        self._connections.add(connection)
        self._deadlines.watch(connection)
        if self.draining:
            connection.drain()

    def connection_lost(self, connection: AcceptingConnection) -> None:
        """Forget a connection."""
        self._connections.discard(connection)
        self._deadlines.forget(connection)
        if self.draining and not self._connections:
            self._pool.close()
            drained, self._drained = self._drained, []
            for deferred in drained:
                deferred.callback(None)

    def open_exchange(self, head: RequestHead, connection: AcceptingConnection) -> Exchange:
        """Return the exchange for a request, its head rewritten for the target.

        :raises RequestError: it carries reserved headers.
        """
        request = request_for_target(
            head, self.settings.target, requester=connection.peer_host, additions=connection.additions
        )
        return Exchange(request, requester=connection, dispatcher=self._pool, upgrade=head.upgrade)

    def served(self, event: RequestServed) -> None:
        """Tell of a request that is over."""
        if self._events is not None:
            self._events(event)
