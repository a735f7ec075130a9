"""Deadlines of many connections under one coarse timer.

A timer per request would cost more than the request's head. Here a connection only stores a time, and one tick looks
at all of them; a deadline is met late by at most one tick.
"""

from typing import Final, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

#: Where nothing is waited for.
NEVER: Final = float("inf")

#: The longest time between two looks, seconds.
_LONGEST_TICK: Final = 1.0


class Watched(Protocol):
    """What has a deadline."""

    #: In the clock's seconds; :data:`NEVER` where nothing is waited for.
    deadline: float

    def deadline_passed(self) -> None:
        """Act on it; called on each tick for as long as the deadline lies in the past."""


class Deadlines:
    """Watches any number of :class:`Watched`; no timer runs while there is none.

    :param clock: the reactor, or a test's clock.
    :param shortest: the shortest of the timeouts in use, seconds: the tick is a quarter of it, at most a second.
    """

    def __init__(self, clock: IReactorTime, *, shortest: float) -> None:
        self._clock = clock
        self._tick_seconds = min(_LONGEST_TICK, shortest / 4)
        self._watched: set[Watched] = set()
        self._timer: IDelayedCall | None = None

    def watch(self, watched: Watched) -> None:
        """Begin to watch."""
        self._watched.add(watched)
        if self._timer is None:
            self._timer = self._clock.callLater(self._tick_seconds, self._tick)

    def forget(self, watched: Watched) -> None:
        """Watch it no more."""
        self._watched.discard(watched)
        if not self._watched and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        try:
            for watched in [one for one in self._watched if one.deadline <= now]:
                if watched in self._watched:
                    watched.deadline_passed()
        finally:
            if self._watched and self._timer is None:
                self._timer = self._clock.callLater(self._tick_seconds, self._tick)
