"""The life of a proxy process: bind, announce, serve, drain, end.

Listeners are bound when privileges are still there, all of them before anything is announced; one that cannot be
bound ends the start with one line. A stop closes the listeners, lets exchanges in flight finish for as long as the
grace lasts, and then aborts what is left.
"""

import signal
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from attrs import field, frozen
from twisted.application.service import Service
from twisted.internet import defer
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.python.failure import Failure

from cvmproxy.daemon.endpoints import printed_address
from cvmproxy.daemon.health import HealthResource
from cvmproxy.daemon.launcher import OpenedLog
from cvmproxy.daemon.signals import handle_signals
from cvmproxy.events import Event, Listening, Notice, StartFailed, Warned

GRACE_SECONDS: Final = 30.0
EXIT_START_FAILED: Final = 1


class StartError(SystemExit, Exception):
    """The start failed and the log says why: ends the process with status 1 and no traceback.

    It is an ``Exception`` too, because only for those does ``twistd`` remove its pid file and report to its parent.
    """


class Traffic(Protocol):
    """The connections and exchanges that a proxy carries."""

    def drain(self) -> Deferred[None]:
        """Accept nothing new; fires when the last exchange in flight is over."""
        ...

    def abort(self) -> None:
        """Break off everything that is left."""
        ...


@frozen(kw_only=True)
class Listener:
    """One address to listen on.

    :ivar purpose: what it is for, as the log says it.
    :ivar address: where it should listen, as the operator gave it.
    :ivar lasts: whether it is kept open while the proxy drains (the health listener is).
    """

    purpose: str
    address: str
    endpoint: IStreamServerEndpoint
    factory: IProtocolFactory
    lasts: bool = False


@frozen(kw_only=True)
class ProxyParts:
    """All that a proxy process is made of.

    :ivar announcements: what the log says at the start, before the addresses.
    :ivar begin: called once, before anything is accepted and when the process will fork no more: may start threads.
    :ivar reload: what SIGHUP does; may return a Deferred, reports its own failures.
    :ivar release: gives up threads and the like, once the traffic has ended.
    """

    listeners: Sequence[Listener]
    traffic: Traffic
    announcements: Sequence[Event]
    begin: Callable[[], object]
    reload: Callable[[], object]
    release: Callable[[], object]
    health: HealthResource | None = None
    grace_seconds: float = field(default=GRACE_SECONDS)


class ProxyService(Service):
    """The service that ``twistd``, ``twist`` and ``cvmproxy`` run.

    :ivar exit_status: what the process should end with.
    """

    def __init__(self, reactor: Any, opened: OpenedLog, parts: ProxyParts) -> None:
        self.exit_status = 0
        self.opened_log = opened
        self._reactor = reactor
        self._log = opened.log
        self._parts = parts
        self._bound: list[tuple[Listener, IListeningPort]] = []
        self._listening = False
        self._stopping = False

    def address(self, purpose: str) -> str:
        """Return where the listener of that purpose is bound, as the log says it."""
        for listener, port in self._bound:
            if listener.purpose == purpose:
                return printed_address(port.getHost())
        raise LookupError(purpose)

    def setServiceParent(self, parent: object) -> None:
        """Tell the launcher of the log, too: only here does a service see the application that it is part of."""
        super().setServiceParent(parent)
        self.opened_log.attach(parent)

    def privilegedStartService(self) -> None:
        """Bind every listener.

        :raises StartError: one of them cannot be bound.
        """
        super().privilegedStartService()
        self._listen()

    def startService(self) -> None:
        """Announce, and serve."""
        super().startService()
        self._log.start()
        self._listen()
        self._reactor.callWhenRunning(self._handle_signals)

    def stopService(self) -> Deferred[None]:
        """Drain and end; fires when everything is closed."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    def _listen(self) -> None:
        if self._listening:
            return
        self._listening = True
        self._parts.begin()
        for event in self._parts.announcements:
            self._log.emit(event)
        for listener in self._parts.listeners:
            binding = listener.endpoint.listen(listener.factory)
            binding.addCallbacks(self._is_bound, self._is_not_bound, callbackArgs=(listener,), errbackArgs=(listener,))
            if self.exit_status:
                raise StartError(self.exit_status)

    def _is_bound(self, port: IListeningPort, listener: Listener) -> None:
        self._bound.append((listener, port))
        self._log.emit(Listening(purpose=listener.purpose, address=printed_address(port.getHost())))

    def _is_not_bound(self, failure: Failure, listener: Listener) -> None:
        why = failure.getErrorMessage().rstrip(".")
        message = f"{listener.purpose} listener {listener.address}: {why}"
        self._log.emit(StartFailed(message=message, code="cannot-listen"))
        self.exit_status = EXIT_START_FAILED
        # An endpoint that needs time to fail does so when the reactor runs, and there is no start left to refuse.
        self._reactor.callWhenRunning(self._stop_reactor)

    def _handle_signals(self) -> None:
        handle_signals(
            self._reactor,
            {
                signal.SIGTERM: self._asked_to_stop,
                signal.SIGINT: self._asked_to_stop,
                signal.SIGHUP: self._asked_to_reload,
                signal.SIGUSR1: self.opened_log.rotate,
            },
        )

    def _asked_to_stop(self) -> None:
        if self._stopping:
            self._log.emit(Warned(message="asked to stop again: not waiting any longer"))
            self._parts.traffic.abort()
        else:
            self._stop_reactor()

    def _stop_reactor(self) -> None:
        if not self._stopping:
            self._stopping = True
            self._reactor.stop()

    def _asked_to_reload(self) -> None:
        if not self._stopping:
            self._parts.reload()

    async def _stop(self) -> None:
        self._stopping = True
        if self._parts.health is not None:
            self._parts.health.draining = True
        self._log.emit(Notice(message=f"stopping; waiting up to {self._parts.grace_seconds:g} s for what is in flight"))
        await self._close(lasting=False)
        await self._drain()
        await self._close(lasting=True)
        await maybeDeferred(self._parts.release)
        self._log.emit(Notice(message="stopped"))

    async def _close(self, *, lasting: bool) -> None:
        for listener, port in self._bound:
            if listener.lasts == lasting:
                await maybeDeferred(port.stopListening)

    async def _drain(self) -> None:
        try:
            await self._parts.traffic.drain().addTimeout(self._parts.grace_seconds, self._reactor)
        except (defer.TimeoutError, defer.CancelledError):
            self._log.emit(Warned(message="the time to drain is over: breaking off what is left"))
            self._parts.traffic.abort()
