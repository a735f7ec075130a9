"""What the reader accepts as a response, and what it makes of everything else."""

import pytest
from doubles.http_streams import NaiveFieldParser, read_response

from cvmproxy.http.limits import HttpLimits
from cvmproxy.http.messages import (
    CHUNKED,
    NO_BODY,
    UNTIL_CLOSE,
    BodyData,
    ContentLength,
    EndOfMessage,
    Framing,
    InterimHead,
    ResponseHead,
)

MALFORMED = "upstream-malformed"
CLOSED = "upstream-closed"
OK = b"HTTP/1.1 200 OK\r\n"
C = OK + b"Transfer-Encoding: chunked\r\n\r\n"
END = b"\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"

REFUSED = {
    "length with transfer-encoding": OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n" + END,
    "equal lengths": OK + b"Content-Length: 3\r\nContent-Length: 3\r\n" + END + b"abc",
    "list of lengths": OK + b"Content-Length: 3,3\r\n" + END + b"abc",
    "length with plus": OK + b"Content-Length: +3\r\n" + END + b"abc",
    "length too long": OK + b"Content-Length: 18446744073709551619\r\n" + END + b"abc",
    "transfer-encoding gzip": OK + b"Transfer-Encoding: gzip\r\n" + END,
    "transfer-encoding gzip, chunked": OK + b"Transfer-Encoding: gzip, chunked\r\n" + END,
    "transfer-encoding in 1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n" + END,
    "folded line": OK + b"A: b\r\n c\r\n" + END,
    "bare LF after status line": b"HTTP/1.1 200 OK\nA: b\r\n" + END,
    "bare LF after field": OK + b"A: b\nC: d\r\n" + END,
    "bare LF twice as end": OK + b"A: b\n\n",
    "bare CR in value": OK + b"A: b\rc\r\n" + END,
    "bare CR in reason": b"HTTP/1.1 200 O\rK\r\n" + END,
    "NUL in value": OK + b"A: \x00\r\n" + END,
    "NUL in reason": b"HTTP/1.1 200 O\x00K\r\n" + END,
    "space before colon": OK + b"A : b\r\n" + END,
    "empty name": OK + b": b\r\n" + END,
    "name not a token": OK + b"A(: b\r\n" + END,
    "empty line before": b"\r\n" + OK + END,
    "HTTP/2.0": b"HTTP/2.0 200 OK\r\n" + END,
    "HTTP/1.2": b"HTTP/1.2 200 OK\r\n" + END,
    "lower-case version": b"http/1.1 200 OK\r\n" + END,
    "ICY": b"ICY 200 OK\r\n" + END,
    "HTTP/0.9": b"<html>\r\n",
    "status 099": b"HTTP/1.1 099 A\r\n" + END,
    "status 600": b"HTTP/1.1 600 A\r\n" + END,
    "status of two digits": b"HTTP/1.1 20 OK\r\n" + END,
    "status of four digits": b"HTTP/1.1 2000 OK\r\n" + END,
    "status with sign": b"HTTP/1.1 +20 OK\r\n" + END,
    "two spaces before status": b"HTTP/1.1  200 OK\r\n" + END,
    "TLS": b"\x15\x03\x01\x00\x02\x02\x28",
    "204 with a length": b"HTTP/1.1 204 No\r\nContent-Length: 3\r\n" + END + b"abc",
    "204 with transfer-encoding": b"HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n" + END,
    "103 with a length": b"HTTP/1.1 103 E\r\nContent-Length: 3\r\n" + END + b"abc",
    "103 with transfer-encoding": b"HTTP/1.1 103 E\r\nTransfer-Encoding: chunked\r\n" + END,
    "101 unasked": SWITCH + END,
    "Connection not of tokens": OK + b"Connection: a b\r\n" + END,
    "chunk size with plus": C + b"+3\r\nabc\r\n",
    "chunk ends in LF": C + b"3\r\nabc\n0\r\n\r\n",
    "extension too long": C + b"3;a=" + b"b" * 4096 + b"\r\nabc\r\n",
    "trailer Content-Length": C + b"0\r\nContent-Length: 1\r\n\r\n",
    "trailer Set-Cookie": C + b"0\r\nSet-Cookie: a=b\r\n\r\n",
    "trailer section too large": C + b"0\r\nA: " + b"b" * 8192 + b"\r\n\r\n",
    "head too large": OK + b"A: " + b"b" * 65536 + b"\r\n" + END,
    "head too large, without an end": OK + b"A: " + b"b" * 65536,
    "too many fields": OK + b"A: b\r\n" * 101 + END,
    "too many interim responses": b"HTTP/1.1 102 P\r\n\r\n" * 17,
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_our_own_rules(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("httptools.HttpRequestParser", NaiveFieldParser)
    assert read_response([REFUSED[name]])[-1] == MALFORMED


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("eof", [False, True])
def test_refused_whole(name: str, eof: bool) -> None:
    assert read_response([REFUSED[name]], eof=eof)[-1] == MALFORMED


@pytest.mark.parametrize("name", REFUSED)
def test_refused_byte_by_byte(name: str) -> None:
    assert read_response([bytes([byte]) for byte in REFUSED[name]], eof=False)[-1] == MALFORMED


BROKEN_OFF = {
    "nothing": b"",
    "status line": b"HTTP/1.1 200 O",
    "head": OK + b"A: b\r\n",
    "interim": b"HTTP/1.1 100 C\r\n\r\n",
    "counted body": OK + b"Content-Length: 3\r\n\r\nab",
    "chunk line": C + b"3",
    "chunk": C + b"3\r\nab",
    "end of chunk": C + b"3\r\nabc\r",
    "between chunks": C + b"3\r\nabc\r\n",
    "trailers": C + b"0\r\nA: b\r\n",
}


@pytest.mark.parametrize("name", BROKEN_OFF)
def test_broken_off(name: str) -> None:
    assert read_response([BROKEN_OFF[name]])[-1] == CLOSED


@pytest.mark.parametrize(
    ("head", "method", "framing", "body"),
    [
        (OK + b"Content-Length: 3\r\n\r\n", b"GET", ContentLength(3), b"abc"),
        (OK + b"Content-Length: 3\r\n\r\n", b"HEAD", NO_BODY, b""),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"HEAD", NO_BODY, b""),
        (OK + b"\r\n", b"HEAD", NO_BODY, b""),
        (OK + b"\r\n", b"GET", UNTIL_CLOSE, b"abc"),
        (b"HTTP/1.0 200 OK\r\n\r\n", b"GET", UNTIL_CLOSE, b"abc"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b"GET", NO_BODY, b""),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", b"GET", NO_BODY, b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", b"GET", NO_BODY, b""),
        (b"HTTP/1.1 599 \r\n\r\n", b"GET", UNTIL_CLOSE, b"abc"),
        (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", b"GET", ContentLength(0), b""),
    ],
)
def test_framing(head: bytes, method: bytes, framing: Framing, body: bytes) -> None:
    events = read_response([head + body], method=method)
    assert isinstance(events[0], ResponseHead)
    assert events[0].framing == framing
    assert events[1:] == ([BodyData(body)] if body else []) + [EndOfMessage()]


def test_chunked_with_trailers() -> None:
    head, body, end = read_response([C + b"3\r\nabc\r\n0\r\nA: b\r\n\r\n"])
    assert isinstance(head, ResponseHead)
    assert head.framing == CHUNKED
    assert body == BodyData(b"abc")
    assert isinstance(end, EndOfMessage)
    assert end.trailers.lines == ((b"A", b"b"),)


def test_interim_heads_come_before_the_head() -> None:
    data = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + OK + b"Content-Length: 0\r\n\r\n"
    first, second, head, end = read_response([data])
    assert isinstance(first, InterimHead)
    assert isinstance(second, InterimHead)
    assert (first.status, second.status, second.fields.lines) == (100, 103, ((b"Link", b"x"),))
    assert isinstance(head, ResponseHead)
    assert end == EndOfMessage()


def test_interim_responses_at_the_limit() -> None:
    limits = HttpLimits(interim_responses=2)
    interim = b"HTTP/1.1 102 P\r\n\r\n"
    assert len(read_response([interim * 2 + OK + b"Content-Length: 0\r\n\r\n"], limits)) == 4
    assert read_response([interim * 3], limits)[-1] == MALFORMED


def test_switch_keeps_the_bytes_of_the_other_protocol() -> None:
    head, end, rest = read_response([SWITCH + b"\r\n\x81\x05hello"], offered_upgrade=b"websocket")
    assert isinstance(head, ResponseHead)
    assert (head.status, head.upgrade, end, rest) == (101, b"websocket", EndOfMessage(), b"\x81\x05hello")


@pytest.mark.parametrize(
    "lines",
    [
        b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
        b"Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n",
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n",
        b"Connection: Upgrade\r\n",
        b"Upgrade: websocket\r\n",
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n",
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n",
    ],
)
def test_switch_to_something_else_is_refused(lines: bytes) -> None:
    assert read_response([b"HTTP/1.1 101 S\r\n" + lines + END], offered_upgrade=b"websocket") == [MALFORMED]


@pytest.mark.parametrize(
    ("data", "persistent"),
    [
        (OK + b"Content-Length: 0\r\n\r\n", True),
        (OK + b"Content-Length: 0\r\nConnection: Close\r\n\r\n", False),
        (OK + b"Content-Length: 0\r\nConnection: keep-alive, close\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: Keep-Alive\r\n\r\n", True),
        (OK + b"Connection: keep-alive\r\n\r\n", False),
    ],
)
def test_persistence(data: bytes, persistent: bool) -> None:
    head = read_response([data])[0]
    assert isinstance(head, ResponseHead)
    assert head.wants_persistence is persistent
