"""A deadline: the outcome in time, or the error for being late, whatever the one who is late makes of it."""

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from cvmproxy.platform.deadline import within

LATE = TimeoutError("late")


class Bench:
    def __init__(self, on_cancel=None) -> None:
        self.clock = Clock()
        self.inner = Deferred(on_cancel)
        self.outcomes = []
        self.outer = within(10.0, self._wait(), clock=self.clock, late=LATE)
        self.outer.addCallbacks(self.outcomes.append, lambda failure: self.outcomes.append(failure.value))

    async def _wait(self):
        return await self.inner


@pytest.mark.parametrize("act", [lambda d: d.callback("value"), lambda d: d.errback(KeyError("x"))])
def test_the_outcome_is_passed_on_and_the_timer_stopped(act):
    bench = Bench()
    bench.clock.advance(9.9)
    act(bench.inner)
    assert bench.outcomes == ["value"] or isinstance(bench.outcomes[0], KeyError)
    assert bench.clock.getDelayedCalls() == []


def test_what_is_late_is_cancelled():
    cancelled = []
    bench = Bench(cancelled.append)
    bench.clock.advance(10)
    assert bench.outcomes == [LATE]
    assert cancelled == [bench.inner]


def test_cancelling_cancels_what_runs():
    cancelled = []
    bench = Bench(cancelled.append)
    bench.outer.cancel()
    assert [type(outcome) for outcome in bench.outcomes] == [CancelledError]
    assert cancelled == [bench.inner]
    assert bench.clock.getDelayedCalls() == []


@pytest.mark.parametrize("on_cancel", [lambda d: d.errback(KeyError("x")), lambda d: d.callback("value")])
def test_what_becomes_of_the_cancelled_does_not_matter(on_cancel):
    bench = Bench(on_cancel)
    bench.clock.advance(10)
    assert bench.outcomes == [LATE]


def test_an_outcome_without_waiting_needs_no_timer():
    clock = Clock()

    async def at_once():
        return "value"

    outcomes = []
    within(10.0, at_once(), clock=clock, late=LATE).addCallback(outcomes.append)
    assert outcomes == ["value"]
    assert clock.getDelayedCalls() == []
