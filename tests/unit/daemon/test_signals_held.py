import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from cvmproxy.daemon.signals import handle_signals, hold_reloads


class RecordingReactor:
    def __init__(self) -> None:
        self.called: list[Callable[[], object]] = []

    def callFromThread(self, callable: Callable[[], object]) -> None:  # noqa: A002  # IReactorFromThreads' name
        self.called.append(callable)


@pytest.fixture
def hangup() -> Iterator[None]:
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, before)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})


@pytest.mark.usefixtures("hangup")
def test_a_reload_that_comes_before_its_handler_neither_kills_nor_is_lost() -> None:
    reactor = RecordingReactor()
    hold_reloads()
    # To this thread: others of the test run do not hold it.
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGHUP)
    handle_signals(reactor, {signal.SIGHUP: handle_signals})
    assert reactor.called == [handle_signals]


@pytest.mark.usefixtures("hangup")
def test_a_handler_does_nothing_but_hand_its_work_to_the_reactor() -> None:
    reactor = RecordingReactor()
    done: list[str] = []
    handle_signals(reactor, {signal.SIGHUP: lambda: done.append("reloaded")})
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGHUP)
    assert done == []
    (work,) = reactor.called
    work()
    assert done == ["reloaded"]
