"""The log: where the typed event stream and Twisted's own logging meet, and become lines of one form.

:class:`EventLog` is an :data:`~cvmproxy.events.EventSink` and an :class:`~twisted.logger.ILogObserver`. Events of ours
never pass through ``twisted.logger``, which costs tens of microseconds each; a request's entry costs two or three.
"""

import time
from collections.abc import Callable, Mapping
from typing import Final

from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from twisted.python.failure import Failure
from zope.interface import implementer

from cvmproxy.daemon.log_rendering import LEVELS, ForeignMessage, Renderer
from cvmproxy.daemon.log_writer import Deliver, LineWriter
from cvmproxy.daemon.logging_json import JsonRenderer
from cvmproxy.daemon.logging_text import TextRenderer
from cvmproxy.events import Event, Warned

_FOREIGN_LEVELS: Final[Mapping[object, str]] = {
    LogLevel.debug: "debug",
    LogLevel.info: "info",
    LogLevel.warn: "warn",
    LogLevel.error: "error",
    LogLevel.critical: "error",
}


@implementer(ILogObserver)
class EventLog:
    """Renders events and writes them.

    :ivar deliver: where the lines go.
    :ivar as_json: one JSON object a line, else text.
    :ivar debug: whether entries of level debug are written.
    :ivar clock: seconds since the epoch.
    """

    def __init__(self, deliver: Deliver, *, as_json: bool, debug: bool, clock: Callable[[], float] = time.time) -> None:
        self._renderer: Renderer = JsonRenderer() if as_json else TextRenderer()
        self._threshold = LEVELS["debug" if debug else "info"]
        self._clock = clock
        self._writer = LineWriter(deliver, self._describe_loss)

    def emit(self, event: Event) -> None:
        """Log one event of the typed stream."""
        if LEVELS[event.level] >= self._threshold:
            self._writer.write(self._renderer.event(event, self._clock()))

    def __call__(self, event: LogEvent) -> None:
        """Log one event of ``twisted.logger``."""
        message = _foreign_message(event)
        if LEVELS[message.level] >= self._threshold:
            self._writer.write(self._renderer.foreign(message, event.get("log_time", self._clock())))

    def start(self) -> None:
        """Start writing; what was logged before is kept until then. Call it after any fork."""
        self._writer.start()

    def close(self) -> bool:
        """Write what is left and stop; says whether all of it could be written in time."""
        return self._writer.close()

    def _describe_loss(self, lines: int) -> str:
        lost = Warned(message=f"{lines} log entries were dropped: the reader of the log is too slow or gone")
        return self._renderer.event(lost, self._clock())


def _foreign_message(event: LogEvent) -> ForeignMessage:
    failure = event.get("log_failure")
    text = formatEvent(event)
    return ForeignMessage(
        level=_FOREIGN_LEVELS.get(event.get("log_level", LogLevel.info), "info"),
        source=str(event.get("log_namespace", "")),
        message=text if text else str(failure.value) if isinstance(failure, Failure) else "",
        traceback=failure.getTraceback() if isinstance(failure, Failure) else "",
    )
