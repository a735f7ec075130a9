"""The log as text for people: ``time level event message key=value …``.

One entry is one line, save that a message's details, a ready-to-paste measurements entry and a traceback follow on
indented lines. No value can begin a line or hide one: whatever is not printable is escaped, so that a peer cannot
forge an entry.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from cvmproxy.daemon.log_rendering import ForeignMessage, TimeStamps, event_fields
from cvmproxy.events import Event, RequestServed

_PLAIN: Final = re.compile(r"[!#-<>-~]+")
_INDENT: Final = "    "
_PASTE_TITLE: Final = "what was measured, as an entry for the measurements file:"


class TextRenderer:
    """Implements :class:`~cvmproxy.daemon.log_rendering.Renderer`."""

    def __init__(self) -> None:
        self._stamp = TimeStamps()

    def event(self, event: Event, when: float) -> str:
        """Return the event as a line, and what is to be pasted from it on indented lines below."""
        if type(event) is RequestServed:
            return self._request(event, when)
        fields = event_fields(event)
        message, *details = str(fields.pop("message", "")).split("\n")
        paste = str(fields.pop("paste", ""))
        line = self._line(when, event.level, event.name, printable(message), _pairs(fields))
        below = [*details, *([_PASTE_TITLE, *paste.splitlines()] if paste else ())]
        return "\n".join([line, *_indented(below)])

    def foreign(self, message: ForeignMessage, when: float) -> str:
        """Return the message as a line, and its traceback on indented lines below."""
        text = f"{message.message} [{message.source}]" if message.source else message.message
        line = self._line(when, message.level, "log", printable(text), ())
        return "\n".join([line, *_indented(message.traceback.splitlines())])

    def _line(self, when: float, level: str, name: str, message: str, pairs: Iterable[str]) -> str:
        words = [self._stamp(when), f"{level:<5}", f"{name:<10}", *([message] if message else ()), *pairs]
        return " ".join(words)

    def _request(self, event: RequestServed, when: float) -> str:
        code = f" code={_value(event.code)}" if event.code else ""
        return (
            f"{self._stamp(when)} {event.level:<5} {event.name:<10} peer={_value(event.peer)} "
            f"method={_value(event.method)} target={_value(event.target)} status={event.status} "
            f"request_bytes={event.request_bytes} response_bytes={event.response_bytes} "
            f"seconds={event.seconds:.6f}{code}"
        )


def printable(text: str) -> str:
    """Return the text with everything unprintable (newlines, controls, direction marks) as a backslash escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _value(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return text
    return '"' + printable(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def _pairs(fields: Mapping[str, object]) -> list[str]:
    pairs = []
    for name, value in fields.items():
        if isinstance(value, Mapping):
            pairs.extend(_pairs({str(key): inner for key, inner in value.items()}))
        else:
            pairs.append(f"{_key(name)}={_value(str(value))}")
    return pairs


def _key(name: str) -> str:
    return name if name.isidentifier() else _value(name)


def _indented(lines: list[str]) -> list[str]:
    return [_INDENT + printable(line) for line in lines]
