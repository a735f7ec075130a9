"""What text and JSON logs have in common: levels, the time stamp, and how an event comes apart into fields.

A renderer turns one event of the typed stream (:mod:`cvmproxy.events`) or one message of Twisted's own logging into
one entry of the log, without its last newline. It is pure but for its cache of the current second.
"""

import time
from collections.abc import Mapping
from typing import Final, Protocol

import attrs
from attrs import frozen

from cvmproxy.events import Event

LEVELS: Final[Mapping[str, int]] = {"debug": 0, "info": 1, "warn": 2, "error": 3}


@frozen(kw_only=True)
class ForeignMessage:
    """A message that did not come from the typed stream: Twisted's own, a warning of Python's, a failure.

    :ivar source: the logger's name, e.g. ``twisted.internet``.
    :ivar traceback: lines of a traceback, or the empty string.
    """

    level: str
    source: str
    message: str
    traceback: str = ""


class Renderer(Protocol):
    """Makes log entries of events."""

    def event(self, event: Event, when: float) -> str:
        """Return the entry for an event of the typed stream at the time ``when`` (seconds since the epoch)."""
        ...

    def foreign(self, message: ForeignMessage, when: float) -> str:
        """Return the entry for a message from elsewhere."""
        ...


class TimeStamps:
    """RFC 3339 time stamps in UTC with milliseconds; all but the milliseconds are formatted once a second."""

    def __init__(self) -> None:
        self._second = -1
        self._prefix = ""

    def __call__(self, when: float) -> str:
        """Return e.g. ``2026-01-31T09:00:00.123Z``."""
        second = int(when)
        if second != self._second:
            self._prefix = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second = second
        return f"{self._prefix}.{int((when - second) * 1000):03d}Z"


def event_fields(event: Event) -> dict[str, object]:
    """Return an event's fields by name, in the order in which its class has them, without the empty strings."""
    fields: dict[str, object] = {}
    for attribute in attrs.fields(type(event)):
        value = getattr(event, attribute.name)
        if isinstance(value, float):
            value = round(value, 6)
        elif isinstance(value, Mapping):
            value = dict(value)
        if value != "":
            fields[attribute.name] = value
    return fields
