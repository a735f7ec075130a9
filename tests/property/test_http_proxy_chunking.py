"""How bytes are cut into pieces never changes what comes out of the proxy, on either side."""

from doubles.http_stage import Stage
from hypothesis import given, settings
from hypothesis import strategies as st

CHUNKED_POST = b"POST /c HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"
REQUESTS = [
    b"GET /a HTTP/1.1\r\nHost: here\r\n\r\n",
    b"HEAD /a HTTP/1.1\r\nHost: here\r\n\r\n",
    b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"GET /a HTTP/1.0\r\n\r\n",
    b"PUT /b HTTP/1.1\r\nHost: here\r\nContent-Length: 10\r\n\r\n0123456789",
    CHUNKED_POST + b"5\r\nhello\r\n3;x=y\r\nabc\r\n0\r\nT: 1\r\n\r\n",
    CHUNKED_POST + b"3\r\nabc\r\n0\r\nX-Flashbots-Measurement: 1\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: here\r\nX_Flashbots_Measurement: {}\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: here\r\nHost: there\r\n\r\n",
    b"GET /ws HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
]
RESPONSES = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\nabc\r\n0\r\nT: 1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Flashbots-Measurement: 1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX-Flashbots-Attestation-Type: 1\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: nine\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nbytes",
    b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
]


def outcome(request: bytes, response: bytes, request_size: int, response_size: int) -> tuple[object, ...]:
    stage = Stage()
    requester = stage.requester()
    requester.deliver(request, request_size)
    target = stage.endpoint.opened[0] if stage.endpoint.opened else None
    if target is not None:
        target.deliver(response, response_size)
        stage.settle()
        if not target.gone:
            target.end()
    stage.settle()
    statuses = [(event.method, event.status, event.code) for event in stage.events]
    return requester.aborted, requester.write_ended or requester.closed, statuses, unchunked(requester.written)


def unchunked(data: bytes) -> tuple[bytes, bytes, bytes]:
    """Return head, body and what follows the last chunk's size: the sizes of chunks follow the pieces."""
    start = data.find(b"Transfer-Encoding: chunked\r\n\r\n")
    if start < 0:
        return data, b"", b""
    head, _, rest = data[start:].partition(b"\r\n\r\n")
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        if int(size, 16) == 0:
            return data[:start] + head, body, rest
        body, rest = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    return data[:start] + head, body, b"no end"


sizes = st.integers(1, 40)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(REQUESTS), st.sampled_from(RESPONSES), sizes)
def test_pieces_of_a_request_change_nothing(request, response, size):
    assert outcome(request, response, size, 0) == outcome(request, response, 0, 0)


def broken_off(result: tuple[object, ...]) -> bool:
    return result[0] is True


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(REQUESTS), st.sampled_from(RESPONSES), sizes)
def test_pieces_of_a_response_change_nothing_but_whether_an_error_still_can_be_answered(request, response, size):
    whole, pieces = outcome(request, response, 0, 0), outcome(request, response, 0, size)
    if broken_off(pieces):
        # The head was out when the trouble came; together with it, it is answered in place of the response.
        assert broken_off(whole) or b"\nreason: " in whole[3][0]
        assert [code for _, _, code in pieces[2]] == [code for _, _, code in whole[2]]
    else:
        assert pieces == whole


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), sizes)
def test_any_bytes_from_a_requester_end_in_an_answer_or_a_wait(data, size):
    stage = Stage()
    requester = stage.requester()
    requester.deliver(data, size)
    requester.end()
    stage.settle()
    assert requester.closed or stage.endpoint.opened
    assert requester.written == b"" or requester.written.startswith(b"HTTP/1.1 ")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), sizes)
def test_any_bytes_from_a_target_end_in_an_answer_or_a_reset(data, size):
    stage = Stage()
    requester = stage.requester()
    requester.deliver(REQUESTS[0])
    target = stage.target
    target.deliver(b"HTTP/1.1 200 OK\r\n" + data, size)
    stage.settle()
    if not target.gone:
        target.end()
    stage.settle()
    assert requester.aborted or requester.written.startswith(b"HTTP/1.1 ")
    assert len(stage.events) == 1
