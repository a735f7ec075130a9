"""The log as a whole: levels, Twisted's own messages, failures."""

import json

import pytest
from twisted.logger import Logger, LogLevel, LogPublisher
from twisted.python.failure import Failure

from cvmproxy.daemon.event_log import EventLog
from cvmproxy.events import Event, Notice


class Debugged(Notice):
    name = "debugged"
    level = "debug"


def lines_of(*events: Event, as_json: bool = True, debug: bool = False) -> list[str]:
    received: list[bytes] = []
    log = EventLog(received.append, as_json=as_json, debug=debug, clock=lambda: 0.0)
    for event in events:
        log.emit(event)
    assert log.close()
    return b"".join(received).decode().splitlines()


def foreign_lines(emit: object, *, debug: bool = False) -> list[dict[str, str]]:
    received: list[bytes] = []
    log = EventLog(received.append, as_json=True, debug=debug, clock=lambda: 0.0)
    emit(Logger(namespace="somewhere", observer=LogPublisher(log)))  # type: ignore[operator]
    assert log.close()
    return [json.loads(line) for line in b"".join(received).decode().splitlines()]


@pytest.mark.parametrize(("debug", "count"), [(False, 1), (True, 2)])
def test_debug_events_are_written_only_where_asked_for(debug: bool, count: int) -> None:
    assert len(lines_of(Debugged(message="d"), Notice(message="n"), debug=debug)) == count


def test_messages_of_twisted_are_objects_too() -> None:
    (entry,) = foreign_lines(lambda logger: logger.warn("{who} came\nand went", who="x"))
    assert entry == {
        "time": entry["time"],
        "level": "warn",
        "event": "log",
        "source": "somewhere",
        "message": "x came\nand went",
    }


def test_debug_messages_of_twisted_are_written_only_where_asked_for() -> None:
    assert foreign_lines(lambda logger: logger.debug("d")) == []
    assert len(foreign_lines(lambda logger: logger.debug("d"), debug=True)) == 1


def test_a_failure_has_its_traceback() -> None:
    (entry,) = foreign_lines(lambda logger: logger.failure("went wrong", Failure(ValueError("v")), LogLevel.critical))
    assert (entry["level"], entry["message"]) == ("error", "went wrong")
    assert "ValueError: v" in entry["traceback"]


def test_an_event_that_cannot_be_formatted_is_logged_all_the_same() -> None:
    (entry,) = foreign_lines(lambda logger: logger.info("{absent}"))
    assert "absent" in entry["message"]
