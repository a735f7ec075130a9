"""Feed bytes to the HTTP codec and look at what comes out, in whatever pieces the bytes go in."""

from collections.abc import Iterable
from itertools import pairwise

from cvmproxy.errors import CvmproxyError
from cvmproxy.http.limits import HttpLimits
from cvmproxy.http.messages import (
    NO_BODY,
    BodyData,
    EndOfMessage,
    Fields,
    RequestEvent,
    RequestHead,
    ResponseEvent,
)
from cvmproxy.http.reader import RequestReader, ResponseReader

LIMITS = HttpLimits()


def cut(data: bytes, positions: Iterable[int]) -> list[bytes]:
    """Cut bytes at those positions."""
    edges = [0, *sorted({position for position in positions if 0 < position < len(data)}), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def merge_bodies(events: list[object]) -> list[object]:
    """Join neighbouring pieces of bodies: where one ends is the network's choice."""
    merged: list[object] = []
    for event in events:
        if isinstance(event, BodyData) and merged and isinstance(merged[-1], BodyData):
            merged[-1] = BodyData(merged[-1].data + event.data)
        else:
            merged.append(event)
    return merged


def read_requests(pieces: Iterable[bytes], limits: HttpLimits = LIMITS, *, eof: bool = True) -> list[object]:
    """Return all events of all requests; the code of an error is the last of them."""
    reader = RequestReader(limits)
    events: list[object] = []

    def pull() -> None:
        event: RequestEvent | None
        while (event := reader.next_event()) is not None:
            events.append(event)
            if isinstance(event, EndOfMessage):
                reader.next_message()

    try:
        for piece in pieces:
            reader.receive(piece)
            pull()
        if eof:
            reader.receive_eof()
            pull()
    except CvmproxyError as error:
        events.append(error.code)
    return merge_bodies(events)


def read_response(
    pieces: Iterable[bytes],
    limits: HttpLimits = LIMITS,
    *,
    method: bytes = b"GET",
    offered_upgrade: bytes | None = None,
    eof: bool = True,
) -> list[object]:
    """Return all events of one response; the code of an error, or the bytes after the response, are the last."""
    reader = ResponseReader(limits)
    reader.next_message(method, offered_upgrade)
    events: list[object] = []

    def pull() -> None:
        event: ResponseEvent | None
        while (event := reader.next_event()) is not None:
            events.append(event)

    try:
        for piece in pieces:
            reader.receive(piece)
            pull()
        if eof:
            reader.receive_eof()
            pull()
    except CvmproxyError as error:
        events.append(error.code)
    else:
        if events and isinstance(events[-1], EndOfMessage):
            rest = reader.trailing_data()
            events += [rest] if rest else []
    return merge_bodies(events)


def request_head(*lines: tuple[bytes, bytes], method: bytes = b"GET", target: bytes = b"/") -> RequestHead:
    """Return a head as the reader would make it, without a body."""
    return RequestHead(method=method, target=target, fields=Fields(lines), framing=NO_BODY)


class NaiveFieldParser:
    """In the place of httptools: refuses nothing, so that what is refused is refused by our own rules."""

    def __init__(self, protocol: object) -> None:
        self._protocol = protocol

    def feed_data(self, data: bytes) -> None:
        for line in data.split(b"\r\n")[1:-2]:
            name, _, value = line.partition(b":")
            self._protocol.on_header(name, value.strip(b" \t"))  # type: ignore[attr-defined]
