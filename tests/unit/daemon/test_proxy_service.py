import json
from collections.abc import Callable

import pytest
from attrs import define, field
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock

from cvmproxy.daemon.event_log import EventLog
from cvmproxy.daemon.health import HealthResource
from cvmproxy.daemon.launcher import OpenedLog
from cvmproxy.daemon.proxy_service import Listener, ProxyParts, ProxyService, StartError


class RunningReactor(Clock):
    def __init__(self) -> None:
        super().__init__()
        self.stopped = 0

    def callWhenRunning(self, what: Callable[[], object]) -> None:
        if what.__name__ == "_stop_reactor":
            what()

    def stop(self) -> None:
        self.stopped += 1


@define
class Endpoint:
    """Says what happens to it, in order, to the steps of the whole stage."""

    steps: list[str]
    name: str
    outcome: Deferred[object] | None = None

    def listen(self, factory: Factory) -> Deferred[object]:
        self.steps.append(f"{self.name} bound")
        return self.outcome if self.outcome is not None else succeed(self)

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", 1)

    def stopListening(self) -> None:
        self.steps.append(f"{self.name} closed")


@define
class Traffic:
    steps: list[str]
    drained: Deferred[None] = field(factory=Deferred)

    def drain(self) -> Deferred[None]:
        self.steps.append("draining")
        return self.drained

    def abort(self) -> None:
        self.steps.append("aborted")


class Stage:
    def __init__(self, outcome: Deferred[object] | None = None) -> None:
        self.steps: list[str] = []
        self.written: list[bytes] = []
        self.reactor = RunningReactor()
        self.traffic = Traffic(self.steps)
        self.health = HealthResource()
        self.log = EventLog(self.written.append, as_json=True, debug=False)
        factory = Factory()
        self.service = ProxyService(
            self.reactor,
            OpenedLog(log=self.log),
            ProxyParts(
                listeners=[
                    Listener(
                        purpose="proxy",
                        address=":1",
                        endpoint=Endpoint(self.steps, "proxy", outcome),
                        factory=factory,
                    ),
                    Listener(
                        purpose="health",
                        address=":2",
                        endpoint=Endpoint(self.steps, "health"),
                        factory=factory,
                        lasts=True,
                    ),
                ],
                traffic=self.traffic,
                announcements=[],
                begin=lambda: self.steps.append("begun"),
                reload=lambda: None,
                release=lambda: self.steps.append("released"),
                health=self.health,
                grace_seconds=30,
            ),
        )

    def events(self) -> list[dict[str, str]]:
        assert self.log.close()
        return [json.loads(line) for line in b"".join(self.written).decode().splitlines()]


def test_everything_is_bound_once_and_closed_in_order() -> None:
    stage = Stage()
    stage.service.privilegedStartService()
    stage.service.startService()
    assert stage.steps == ["begun", "proxy bound", "health bound"]
    assert not stage.health.draining
    stopping = stage.service.stopService()
    assert stage.health.draining
    assert stage.steps[3:] == ["proxy closed", "draining"], "health is answered while it drains"
    stage.traffic.drained.callback(None)
    assert stage.steps[5:] == ["health closed", "released"]
    assert stopping.called
    assert stage.service.exit_status == 0


def test_what_is_left_when_the_grace_is_over_is_broken_off() -> None:
    stage = Stage()
    stage.service.startService()
    stopping = stage.service.stopService()
    stage.reactor.advance(29.9)
    assert "aborted" not in stage.steps
    assert not stopping.called
    stage.reactor.advance(0.2)
    assert stage.steps[-3:] == ["aborted", "health closed", "released"]
    assert stopping.called


@pytest.mark.parametrize("when", ["at once", "later"])
def test_a_listener_that_cannot_be_bound_ends_the_start(when: str) -> None:
    outcome: Deferred[object] = Deferred()
    stage = Stage(outcome)
    error = CannotListenError("127.0.0.1", 1, OSError("in use"))
    if when == "at once":
        outcome.errback(error)
        with pytest.raises(StartError) as refused:
            stage.service.startService()
        assert refused.value.code == 1
        assert "health bound" not in stage.steps
    else:
        stage.service.startService()
        outcome.errback(error)
    assert stage.service.exit_status == 1
    assert stage.reactor.stopped == 1
    (failed,) = [event for event in stage.events() if event["event"] == "failed"]
    assert failed["code"] == "cannot-listen"
    assert failed["message"] == "proxy listener :1: Couldn't listen on 127.0.0.1:1: in use"


def test_a_start_that_failed_is_an_exception_for_twistd_and_an_exit_for_python() -> None:
    assert issubclass(StartError, Exception)
    assert issubclass(StartError, SystemExit)
