from threading import Event

import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from cvmproxy.tls.lanes import Job, Lane


class Held:
    """Jobs that end when they are let go."""

    def __init__(self, lane: Lane, count: int) -> None:
        self.gate = Event()
        self.begun: list[int] = []
        self.ended: list[object] = []
        self.all_ended: Deferred[None] = Deferred()
        self.jobs = [Job(lambda number=number: self._work(number), self._done) for number in range(count)]
        self._left = count
        for job in self.jobs:
            lane.submit(job)

    def _work(self, number: int) -> int:
        self.begun.append(number)
        self.gate.wait(10)
        return number

    def _done(self, result: object) -> None:
        self.ended.append(result)
        if len(self.ended) == self._left:
            self.all_ended.callback(None)

    def withdraw(self, lane: Lane, number: int) -> bool:
        withdrawn = lane.withdraw(self.jobs[number])
        self._left -= withdrawn
        return withdrawn


@pytest_twisted.ensureDeferred
async def test_no_more_jobs_run_at_once_than_the_lane_is_wide() -> None:
    lane = Lane(reactor, 2, "test")
    held = Held(lane, 5)
    # The lane has not started: what it hands to its threads is what could run at once.
    assert [lane.withdraw(job) for job in held.jobs] == [False, False, True, True, True]
    held._left = 2
    held.gate.set()
    lane.start()
    await held.all_ended
    assert sorted(held.ended) == [0, 1]
    lane.stop()


@pytest_twisted.ensureDeferred
async def test_what_waits_runs_in_order_and_what_is_withdrawn_does_not() -> None:
    lane = Lane(reactor, 1, "test")
    lane.start()
    held = Held(lane, 4)
    assert held.withdraw(lane, 2)
    assert not held.withdraw(lane, 2)
    held.gate.set()
    await held.all_ended
    assert held.ended == [0, 1, 3]
    lane.stop()
