"""The HTTP codec over any bytes: events or the one error, whatever the pieces; and what is written is read again."""

from doubles.http_streams import cut, read_requests, read_response
from hypothesis import given, settings
from hypothesis import strategies as st

from cvmproxy.http.limits import HttpLimits
from cvmproxy.http.messages import (
    CHUNKED,
    NO_BODY,
    BodyData,
    ContentLength,
    EndOfMessage,
    Fields,
    Framing,
    RequestHead,
    ResponseHead,
)
from cvmproxy.http.writer import encode_chunk, encode_last_chunk, encode_request_head, encode_response_head

REQUEST_CODES = {"request-malformed", "request-head-too-large", "request-version", "request-aborted"}
RESPONSE_CODES = {"upstream-malformed", "upstream-closed"}
SMALL = HttpLimits(head_bytes=96, header_count=4, chunk_extension_bytes=8, trailer_bytes=24, interim_responses=1)

FRAGMENTS = [
    b"GET / HTTP/1.1\r\n",
    b"POST /a?b HTTP/1.1\r\n",
    b"GET / HTTP/1.0\r\n",
    b"PRI * HTTP/2.0\r\n",
    b"OPTIONS * HTTP/1.1\r\n",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    b"HTTP/1.0 200\r\n",
    b"HTTP/1.1 204 No\r\n\r\n",
    b"HTTP/1.1 304 \r\n",
    b"Host: x\r\n",
    b"Host: x\r\n\r\n",
    b"Content-Length: 3\r\n",
    b"Content-Length: 3\r\n\r\nabc",
    b"Content-Length: +3\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Expect: 100-continue\r\n",
    b"Connection: close\r\n",
    b"A: b\r\n",
    b"A: b\r\n c\r\n",
    b"A : b\r\n",
    b"3\r\nabc\r\n",
    b"3;a=b\r\nabc\r\n",
    b"3;a\nabc\r\n",
    b"0\r\n\r\n",
    b"0\r\nA: b\r\n\r\n",
    b"0\r\nHost: b\r\n\r\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b"\x00",
    b" ",
    b":",
    b"a" * 40,
]

streams = st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=4), max_size=10).map(b"".join) | st.binary()
cuts = st.lists(st.integers(min_value=1, max_value=400), max_size=12)
limits = st.sampled_from([HttpLimits(), SMALL])
methods = st.sampled_from([b"GET", b"HEAD", b"POST"])
upgrades = st.sampled_from([None, b"websocket"])


def single_bytes(data: bytes) -> list[bytes]:
    return [bytes([byte]) for byte in data]


@settings(max_examples=300, deadline=None)
@given(data=streams, positions=cuts, limits=limits, eof=st.booleans())
def test_pieces_never_change_what_requests_are_read(
    data: bytes, positions: list[int], limits: HttpLimits, eof: bool
) -> None:
    whole = read_requests([data], limits, eof=eof)
    assert {event for event in whole if isinstance(event, str)} <= REQUEST_CODES
    assert read_requests(cut(data, positions), limits, eof=eof) == whole
    assert read_requests(single_bytes(data), limits, eof=eof) == whole


@settings(max_examples=300, deadline=None)
@given(data=streams, positions=cuts, limits=limits, eof=st.booleans(), method=methods, upgrade=upgrades)
def test_pieces_never_change_what_response_is_read(
    data: bytes, positions: list[int], limits: HttpLimits, eof: bool, method: bytes, upgrade: bytes | None
) -> None:
    def read(pieces: list[bytes]) -> list[object]:
        return read_response(pieces, limits, eof=eof, method=method, offered_upgrade=upgrade)

    whole = read([data])
    assert {event for event in whole if isinstance(event, str)} <= RESPONSE_CODES
    assert read(cut(data, positions)) == whole
    assert read(single_bytes(data)) == whole


TOKEN_CHARACTERS = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
VALUE_CHARACTERS = bytes([*range(0x21, 0x7F), *range(0x80, 0x100)])
ACTING = {
    b"host", b"content-length", b"transfer-encoding", b"connection", b"expect", b"keep-alive", b"te", b"trailer",
    b"upgrade", b"cookie", b"forwarded", b"authorization",
}  # fmt: skip


def strings_of(characters: bytes, *, min_size: int, max_size: int) -> st.SearchStrategy[bytes]:
    return st.lists(st.sampled_from(characters), min_size=min_size, max_size=max_size).map(bytes)


names = strings_of(TOKEN_CHARACTERS, min_size=1, max_size=12).filter(lambda name: name.lower() not in ACTING)
words = strings_of(VALUE_CHARACTERS, min_size=1, max_size=8)
values = st.lists(words, max_size=3).map(b" \t".join)
lines = st.lists(st.tuples(names, values), max_size=6).map(tuple)
bodies = st.lists(st.binary(min_size=1, max_size=40), max_size=5)
targets = strings_of(bytes(c for c in range(0x21, 0x7F) if c != 0x23), min_size=0, max_size=20).map(lambda t: b"/" + t)
framing_kinds = st.sampled_from(["none", "counted", "chunked"])


def framed(kind: str, pieces: list[bytes], trailers: Fields) -> tuple[Framing, bytes, list[object]]:
    """Return the framing, the body in it, and the events that have to come of it."""
    body = b"".join(pieces)
    events: list[object] = [BodyData(body)] if body else []
    if kind == "chunked":
        wire = b"".join(map(encode_chunk, pieces)) + encode_last_chunk(trailers)
        return CHUNKED, wire, [*events, EndOfMessage(trailers)]
    if kind == "counted":
        return ContentLength(len(body)), body, [*events, EndOfMessage()]
    return NO_BODY, b"", [EndOfMessage()]


def without_framing_lines(fields: Fields) -> Fields:
    return Fields(tuple(line for line in fields if line[0].lower() not in (b"content-length", b"transfer-encoding")))


@settings(max_examples=150, deadline=None)
@given(target=targets, lines=lines, kind=framing_kinds, pieces=bodies, trailers=lines, positions=cuts)
def test_written_request_is_read_again(
    target: bytes, lines: tuple[tuple[bytes, bytes], ...], kind: str, pieces: list[bytes],
    trailers: tuple[tuple[bytes, bytes], ...], positions: list[int],
) -> None:  # fmt: skip
    framing, wire, events = framed(kind, pieces, Fields(trailers))
    fields = Fields(((b"Host", b"x"), *lines))
    head = RequestHead(method=b"PUT", target=target, fields=fields, framing=framing)
    read = read_requests(cut(encode_request_head(head) + wire, positions))
    assert isinstance(read[0], RequestHead)
    assert without_framing_lines(read[0].fields) == fields
    assert (read[0].target, read[0].framing, read[1:]) == (target, framing, events)


@settings(max_examples=150, deadline=None)
@given(reason=values, lines=lines, kind=framing_kinds, pieces=bodies, trailers=lines, positions=cuts)
def test_written_response_is_read_again(
    reason: bytes, lines: tuple[tuple[bytes, bytes], ...], kind: str, pieces: list[bytes],
    trailers: tuple[tuple[bytes, bytes], ...], positions: list[int],
) -> None:  # fmt: skip
    framing, wire, events = framed(kind, pieces, Fields(trailers))
    head = ResponseHead(status=304 if kind == "none" else 200, reason=reason, fields=Fields(lines), framing=framing)
    read = read_response(cut(encode_response_head(head) + wire, positions))
    assert isinstance(read[0], ResponseHead)
    assert without_framing_lines(read[0].fields) == head.fields
    assert (read[0].status, read[0].reason, read[0].framing) == (head.status, reason, framing)
    assert read[1:] == events
