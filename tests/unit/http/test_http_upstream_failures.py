import pytest
from doubles.http_stage import GET, LOST, OK, Stage, answer_of
from twisted.internet.error import ConnectError, DNSLookupError, NoRouteError, TCPTimedOutError

from cvmproxy.errors import AppraisalError, PlatformError, TransportError

POST = b"POST /a HTTP/1.1\r\nHost: here\r\nContent-Length: 3\r\n\r\nabc"
UNBODIED_POST = b"POST /a HTTP/1.1\r\nHost: here\r\nContent-Length: 0\r\n\r\n"
BODIED_PUT = b"PUT /a HTTP/1.1\r\nHost: here\r\nContent-Length: 3\r\n\r\nabc"
HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"
CHUNKED_HALF = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"


@pytest.fixture
def stage():
    return Stage()


def refused(code, status="502 Bad Gateway"):
    return int(status[:3]), f"{status}\nreason: {code}\n".encode()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConnectError(), refused("upstream-unreachable")),
        (NoRouteError(), refused("upstream-unreachable")),
        (DNSLookupError(), refused("upstream-unreachable")),
        (TCPTimedOutError(), refused("upstream-connect-timeout", "504 Gateway Timeout")),
        (TransportError("refused-by-peer", "secret"), refused("refused-by-peer")),
        (AppraisalError("measurements-mismatch", "secret"), refused("measurements-mismatch")),
        (PlatformError("evidence-overload", "secret"), refused("evidence-overload", "503 Service Unavailable")),
        (TransportError("handshake-timeout", "secret"), refused("handshake-timeout", "504 Gateway Timeout")),
        (ZeroDivisionError("secret"), refused("internal-error")),
    ],
)
def test_a_dial_that_fails_is_answered_with_its_code_and_nothing_more(stage, error, expected):
    stage.endpoint.at_once = False
    requester = stage.requester()
    requester.deliver(GET)
    stage.endpoint.refuse(error)
    answer = requester.take()
    assert answer_of(answer) == expected
    assert b"secret" not in answer
    assert not requester.closed
    assert stage.events[0].code == expected[1].split()[-1].decode()


def test_a_dial_that_does_not_end_is_504(stage):
    stage.endpoint.at_once = False
    requester = stage.requester()
    requester.deliver(GET)
    stage.wait(9)
    assert answer_of(requester.take()) == refused("upstream-connect-timeout", "504 Gateway Timeout")
    assert stage.endpoint.cancelled == 1


def test_no_response_in_time_is_504(stage):
    requester = stage.requester()
    requester.deliver(GET)
    stage.wait(22)
    assert answer_of(requester.take()) == refused("upstream-timeout", "504 Gateway Timeout")
    assert stage.target.aborted


def test_a_target_that_takes_no_more_of_a_request_is_504(stage):
    requester = stage.requester()
    requester.deliver(b"PUT /a HTTP/1.1\r\nHost: here\r\nContent-Length: 9999\r\n\r\nabc")
    stage.target.fill()
    assert requester.paused
    stage.wait(42)
    assert answer_of(requester.take()) == refused("upstream-timeout", "504 Gateway Timeout")


def test_a_close_before_a_response_is_502(stage):
    requester = stage.requester()
    requester.deliver(GET)
    stage.target.lose()
    assert answer_of(requester.take()) == refused("upstream-closed")
    assert stage.endpoint.total == 1


def test_an_end_before_a_response_is_502(stage):
    requester = stage.requester()
    requester.deliver(GET)
    stage.target.end()
    assert answer_of(requester.take()) == refused("upstream-closed")


def test_a_refusal_after_the_handshake_is_502_with_its_code(stage):
    requester = stage.requester()
    requester.deliver(GET)
    stage.target.lose(TransportError("refused-by-peer", "alert 48"))
    assert answer_of(requester.take()) == refused("refused-by-peer")


@pytest.mark.parametrize(
    "response",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    ],
)
def test_a_response_that_is_no_strict_http_is_502(stage, response):
    requester = stage.requester()
    requester.deliver(GET)
    stage.target.deliver(response)
    assert answer_of(requester.take()) == refused("upstream-malformed")
    assert stage.target.aborted


def test_a_draining_pool_is_503(stage):
    stage.pool.close()
    requester = stage.requester()
    requester.deliver(GET)
    assert answer_of(requester.take()) == refused("draining", "503 Service Unavailable")


@pytest.mark.parametrize("half", [HALF, CHUNKED_HALF])
@pytest.mark.parametrize("loss", ["end", "lose"])
def test_a_response_cut_off_in_its_body_resets_the_requester(stage, half, loss):
    requester = stage.requester()
    requester.deliver(GET)
    stage.target.deliver(half)
    getattr(stage.target, loss)()
    assert requester.take() == half
    assert requester.aborted
    assert stage.events[0].code == "upstream-closed"


def test_a_response_that_turns_malformed_resets_the_requester(stage):
    requester = stage.requester()
    requester.deliver(GET)
    stage.target.deliver(CHUNKED_HALF)
    stage.target.deliver(b"zz\r\n")
    assert requester.aborted
    assert requester.take() == CHUNKED_HALF


def test_a_response_that_stalls_resets_the_requester(stage):
    requester = stage.requester()
    requester.deliver(GET)
    stage.target.deliver(HALF)
    stage.wait(42)
    assert requester.aborted
    assert stage.events[0].code == "upstream-timeout"


def test_a_body_until_close_is_whole_only_after_a_clean_end(stage):
    requester = stage.requester()
    requester.deliver(GET)
    stage.target.deliver(b"HTTP/1.1 200 OK\r\n\r\nabc")
    stage.target.lose(LOST)
    assert requester.aborted
    assert b"0\r\n\r\n" not in requester.take()


@pytest.mark.parametrize("loss", ["end", "lose"])
def test_a_body_until_close_reaches_a_requester_in_chunks(stage, loss):
    requester = stage.requester()
    requester.deliver(GET)
    stage.target.deliver(b"HTTP/1.1 200 OK\r\n\r\nabc")
    getattr(stage.target, loss)()
    assert requester.take() == b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    assert not requester.closed


# -- the retry


def pooled(stage):
    """Leave one connection idle in the pool; return a requester."""
    requester = stage.requester()
    requester.deliver(GET)
    stage.target.deliver(OK)
    assert requester.take() == OK
    assert stage.pool.idle_count == 1
    stage.target.take()
    return requester


@pytest.mark.parametrize("loss", ["end", "lose"])
def test_a_get_is_sent_again_when_its_pooled_connection_died_unanswered(stage, loss):
    requester = pooled(stage)
    requester.deliver(GET)
    getattr(stage.target, loss)()
    assert stage.endpoint.total == 2
    assert stage.target.take().startswith(b"GET /a ")
    stage.target.deliver(OK)
    assert requester.take() == OK


def test_it_is_sent_again_once_only(stage):
    requester = pooled(stage)
    requester.deliver(GET)
    stage.target.lose(LOST)
    stage.target.lose(LOST)
    assert stage.endpoint.total == 2
    assert answer_of(requester.take()) == refused("upstream-closed")


def test_it_is_sent_again_on_a_new_connection_even_where_another_is_idle(stage):
    first, second = stage.requester(), stage.requester()
    first.deliver(GET)
    second.deliver(GET)
    for target in stage.endpoint.opened:
        target.deliver(OK)
        target.take()
    first.take()
    assert stage.pool.idle_count == 2
    first.deliver(GET)
    stage.endpoint.opened[1].lose(LOST)
    assert stage.endpoint.total == 3
    assert stage.endpoint.opened[0].take() == b""
    stage.target.deliver(OK)
    assert first.take() == OK


@pytest.mark.parametrize("request_bytes", [POST, UNBODIED_POST, BODIED_PUT])
def test_what_is_not_idempotent_or_has_a_body_is_never_sent_again(stage, request_bytes):
    requester = pooled(stage)
    requester.deliver(request_bytes)
    stage.target.lose(LOST)
    assert stage.endpoint.total == 1
    assert answer_of(requester.take()) == refused("upstream-closed")


def test_a_request_is_not_sent_again_after_the_first_byte_of_a_response(stage):
    requester = pooled(stage)
    requester.deliver(GET)
    stage.target.deliver(b"H")
    stage.target.lose(LOST)
    assert stage.endpoint.total == 1
    assert answer_of(requester.take()) == refused("upstream-closed")


def test_a_request_is_not_sent_again_after_an_interim_response(stage):
    requester = pooled(stage)
    requester.deliver(GET)
    stage.target.deliver(b"HTTP/1.1 103 Early Hints\r\n\r\n")
    stage.target.lose(LOST)
    assert stage.endpoint.total == 1


def test_a_request_is_not_sent_again_after_a_refusal(stage):
    requester = pooled(stage)
    requester.deliver(GET)
    stage.target.lose(TransportError("refused-by-peer", "alert 48"))
    assert stage.endpoint.total == 1
    assert answer_of(requester.take()) == refused("refused-by-peer")


def test_a_request_is_not_sent_again_on_a_first_connection_that_died(stage):
    requester = stage.requester()
    requester.deliver(GET)
    stage.target.lose(LOST)
    assert stage.endpoint.total == 1
    assert answer_of(requester.take()) == refused("upstream-closed")
