"""How readers are driven: order, pauses, ends, and what comes at the wrong time."""

import time

import pytest

from cvmproxy.errors import BackendError, RequestError
from cvmproxy.http.limits import HttpLimits
from cvmproxy.http.messages import BodyData, EndOfMessage, RequestHead, ResponseHead
from cvmproxy.http.reader import RequestReader, ResponseReader

LIMITS = HttpLimits()
GET = b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n"


def test_reader_stops_after_each_request() -> None:
    reader = RequestReader(LIMITS)
    reader.receive(GET % 1 + GET % 2)
    first = reader.next_event()
    assert isinstance(first, RequestHead)
    assert reader.next_event() == EndOfMessage()
    assert reader.next_event() is None
    assert reader.buffered == len(GET % 2)
    reader.next_message()
    second = reader.next_event()
    assert isinstance(second, RequestHead)
    assert (first.target, second.target) == (b"/1", b"/2")


def test_next_message_inside_a_message_is_a_bug_of_the_caller() -> None:
    reader = RequestReader(LIMITS)
    with pytest.raises(RuntimeError):
        reader.next_message()
    with pytest.raises(RuntimeError):
        reader.trailing_data()


def test_error_is_final() -> None:
    reader = RequestReader(LIMITS)
    reader.receive(b"\x00")
    for _ in range(2):
        with pytest.raises(RequestError) as caught:
            reader.next_event()
        assert caught.value.code == "request-malformed"
        reader.receive(GET % 1)


def test_half_closed_requester_gets_all_answers() -> None:
    reader = RequestReader(LIMITS)
    reader.receive(GET % 1 + GET % 2)
    reader.receive_eof()
    for _ in range(2):
        assert isinstance(reader.next_event(), RequestHead)
        assert reader.next_event() == EndOfMessage()
        reader.next_message()
    assert reader.next_event() is None
    assert reader.buffered == 0


def test_empty_line_before_the_end_is_no_request() -> None:
    reader = RequestReader(LIMITS)
    reader.receive(b"\r\n")
    assert reader.next_event() is None
    reader.receive_eof()
    assert reader.next_event() is None
    assert reader.buffered == 0


@pytest.mark.parametrize(
    "data", [b"G", GET[:-2] % 1, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nab", b"\r\nG", b"\r"]
)
def test_requester_that_goes_away_inside_a_request(data: bytes) -> None:
    reader = RequestReader(LIMITS)
    reader.receive(data)
    reader.receive_eof()
    with pytest.raises(RequestError) as caught:
        list(iter(reader.next_event, None))
    assert caught.value.code == "request-aborted"


def test_body_is_handed_on_as_it_came() -> None:
    reader = RequestReader(LIMITS)
    reader.receive(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n")
    assert isinstance(reader.next_event(), RequestHead)
    piece = bytes(200_000)
    reader.receive(piece)
    event = reader.next_event()
    assert isinstance(event, BodyData)
    assert event.data is piece
    reader.receive(piece)
    assert reader.next_event() == BodyData(bytes(100_000))
    assert reader.next_event() == EndOfMessage()
    assert reader.trailing_data() == bytes(100_000)


def test_bytes_after_an_upgrade_are_kept() -> None:
    reader = RequestReader(LIMITS)
    reader.receive(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\n\r\n\x81\x00")
    head = reader.next_event()
    assert isinstance(head, RequestHead)
    assert head.upgrade == b"websocket"
    assert reader.next_event() == EndOfMessage()
    reader.receive(b"\x82\x00")
    assert reader.trailing_data() == b"\x81\x00\x82\x00"


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket, h2c\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_upgrades_that_are_not_passed_on(head: bytes) -> None:
    reader = RequestReader(LIMITS)
    reader.receive(head)
    event = reader.next_event()
    assert isinstance(event, RequestHead)
    assert event.upgrade is None


def test_expectation_counts_in_http_1_1_with_a_body() -> None:
    for version, length, expected in ((1, b"3", True), (0, b"3", False), (1, None, False)):
        reader = RequestReader(LIMITS)
        body = b"" if length is None else b"Content-Length: " + length + b"\r\n"
        reader.receive(b"PUT / HTTP/1.%d\r\nHost: x\r\nExpect: 100-Continue\r\n%b\r\n" % (version, body))
        head = reader.next_event()
        assert isinstance(head, RequestHead)
        assert head.expects_continue is expected


def test_response_before_its_request_is_refused() -> None:
    reader = ResponseReader(LIMITS)
    reader.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert reader.next_event() is None
    with pytest.raises(BackendError) as caught:
        reader.next_message(b"GET")
    assert caught.value.code == "upstream-malformed"


def test_bytes_after_a_response_are_refused_with_the_next_request() -> None:
    reader = ResponseReader(LIMITS)
    reader.next_message(b"GET")
    reader.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nx")
    assert isinstance(reader.next_event(), ResponseHead)
    assert reader.next_event() == EndOfMessage()
    with pytest.raises(BackendError):
        reader.next_message(b"GET")


def test_head_in_single_bytes_takes_linear_time() -> None:
    def seconds(size: int) -> float:
        reader = RequestReader(LIMITS)
        reader.receive(b"GET / HTTP/1.1\r\nHost: x\r\nA: ")
        started = time.process_time()
        for _ in range(size):
            reader.receive(b"b")
            reader.next_event()
        return time.process_time() - started

    # Quadratic work would take 100 times as long; the bound leaves room for a busy machine.
    assert seconds(60_000) < 30 * max(seconds(6_000), 0.005)
