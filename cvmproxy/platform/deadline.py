"""A deadline for something that is awaited."""

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

T = TypeVar("T")


def within(
    seconds: float, coroutine: Coroutine[Deferred[Any], Any, T], *, clock: IReactorTime, late: Exception
) -> Deferred[T]:
    """Begin a coroutine and return its outcome, or ``late`` where it has none after so many seconds.

    At the deadline, and where the returned Deferred is cancelled, the coroutine is cancelled; whatever error it makes
    of that is of no interest then.
    """
    over = False

    def end(error: Exception) -> None:
        nonlocal over
        over = True
        if timer.active():
            timer.cancel()
        begun.cancel()
        outcome.errback(error)

    def deliver(result: T | Failure) -> None:
        if over:
            return
        timer.cancel()
        if isinstance(result, Failure):
            outcome.errback(result)
        else:
            outcome.callback(result)

    outcome: Deferred[T] = Deferred(lambda _: end(CancelledError()))
    timer = clock.callLater(seconds, end, late)
    begun = Deferred.fromCoroutine(coroutine)
    begun.addBoth(deliver)
    return outcome
