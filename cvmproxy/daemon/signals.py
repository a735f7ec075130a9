"""The signals that an operator sends: SIGTERM and SIGINT stop, SIGHUP reloads, SIGUSR1 rotates the log file.

A handler does nothing but hand its work to the reactor. The launchers' own handlers for stopping are replaced,
because with them a process that drained in good order still ends as if killed, instead of with status 0.
"""

import signal
from collections.abc import Callable, Mapping
from typing import Protocol


class SignalReactor(Protocol):
    """The part of a reactor that is needed here."""

    def callFromThread(self, callable: Callable[[], object]) -> None:  # noqa: A002  # IReactorFromThreads' name
        """Call it in the reactor's thread, soon."""
        ...


def hold_reloads() -> None:
    """Keep a SIGHUP until its handler is there: by default it kills, and one that is ignored is lost."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})


def handle_signals(reactor: SignalReactor, handlers: Mapping[signal.Signals, Callable[[], object]]) -> None:
    """Have each signal call its function in the reactor's thread. To be called once the reactor runs, in its thread."""
    for number, handler in handlers.items():
        signal.signal(number, _deferred(reactor, handler))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, handlers)


def _deferred(reactor: SignalReactor, handler: Callable[[], object]) -> Callable[[int, object], None]:
    def handle(number: int, frame: object) -> None:
        reactor.callFromThread(handler)

    return handle
