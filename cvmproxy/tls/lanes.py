"""A lane: a bounded number of worker threads and the queue before them. Used on the reactor thread."""

from collections.abc import Callable
from functools import partial
from typing import Any, Generic, TypeVar

from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

R = TypeVar("R")


class Job(Generic[R]):
    """Work for a lane, and what to call with its result on the reactor thread."""

    def __init__(self, work: Callable[[], R], done: Callable[[R | Failure], None]) -> None:
        self.work = work
        self.done = done


class Lane:
    """At most ``width`` jobs run at once; the others wait in order, and can be withdrawn while they wait.

    The queue has no bound of its own: there is one job for each handshake in flight, and those are bounded.
    """

    def __init__(self, reactor: IReactorFromThreads, width: int, name: str) -> None:
        self._reactor = reactor
        self._width = width
        self._running = 0
        self._waiting: dict[Job[Any], None] = {}
        self._pool = ThreadPool(minthreads=0, maxthreads=width, name=name)

    def start(self) -> None:
        """Let jobs run."""
        self._pool.start()

    def stop(self) -> None:
        """Forget the jobs that wait and join the threads; whoever blocks in one has been released before."""
        self._waiting.clear()
        self._pool.stop()

    def submit(self, job: Job[R]) -> None:
        """Run the job as soon as there is a free thread."""
        self._waiting[job] = None
        self._run_waiting()

    def withdraw(self, job: Job[R]) -> bool:
        """Take back a job that waits. Returns whether it did; otherwise it runs or has run, and will be reported."""
        if job not in self._waiting:
            return False
        del self._waiting[job]
        return True

    def _run_waiting(self) -> None:
        while self._waiting and self._running < self._width:
            job = next(iter(self._waiting))
            del self._waiting[job]
            self._running += 1
            self._pool.callInThreadWithCallback(partial(self._report, job), job.work)

    def _report(self, job: Job[Any], succeeded: bool, result: object) -> None:
        """In the worker's thread."""
        self._reactor.callFromThread(self._finished, job, result)

    def _finished(self, job: Job[Any], result: object) -> None:
        self._running -= 1
        self._run_waiting()
        job.done(result)
