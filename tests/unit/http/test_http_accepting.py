import pytest
from doubles.http_stage import GET, OK, Stage, answer_of
from twisted.internet.error import ConnectError

from cvmproxy.http.limits import HttpLimits


@pytest.fixture
def stage():
    return Stage()


def exchange(stage, requester, request=GET, response=OK):
    requester.deliver(request)
    sent = stage.target.take()
    stage.target.deliver(response)
    return sent, requester.take()


def test_a_request_reaches_the_target_and_its_response_the_requester(stage):
    requester = stage.requester()
    sent, answer = exchange(stage, requester)
    assert sent == b"GET /a HTTP/1.1\r\nHost: target.test\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n"
    assert answer == OK
    assert not requester.closed


def test_a_connection_serves_one_request_after_another_over_one_upstream(stage):
    requester = stage.requester()
    for _ in range(5):
        assert exchange(stage, requester)[1] == OK
    assert stage.endpoint.total == 1


def test_pipelined_requests_are_answered_in_order_and_one_at_a_time(stage):
    requester = stage.requester()
    requester.deliver(b"".join(b"GET /%d HTTP/1.1\r\nHost: here\r\n\r\n" % n for n in range(3)))
    for n in range(3):
        assert stage.target.take().startswith(b"GET /%d " % n)
        stage.target.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % n)
        assert answer_of(requester.take()) == (200, b"%d" % n)


def test_thousands_of_pipelined_requests_that_fail_at_once_are_no_recursion(stage):
    stage.pool.close()
    requester = stage.requester()
    requester.deliver(GET * 3000)
    assert requester.take().count(b"reason: draining\n") == 3000


def test_what_is_sent_ahead_is_bounded_by_pausing_the_requester(stage):
    requester = stage.requester()
    requester.deliver(GET)
    requester.deliver(GET * 3000)
    assert requester.paused
    stage.target.deliver(OK)
    assert not requester.paused


def test_a_close_asked_for_by_the_requester_ends_the_connection_after_the_response(stage):
    requester = stage.requester()
    _, answer = exchange(stage, requester, b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
    assert b"Connection: close\r\n" in answer
    assert requester.closed
    assert not requester.aborted


def test_http_1_0_closes_after_the_response(stage):
    requester = stage.requester()
    _, answer = exchange(stage, requester, b"GET / HTTP/1.0\r\n\r\n")
    assert b"Connection: close\r\n" in answer
    assert requester.closed


def test_http_1_0_keeps_the_connection_where_it_asks_to(stage):
    requester = stage.requester()
    _, answer = exchange(stage, requester, b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert b"Connection: keep-alive\r\n" in answer
    assert not requester.closed


def test_http_1_0_gets_a_chunked_response_unframed_and_ended_by_the_close(stage):
    requester = stage.requester()
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    _, answer = exchange(stage, requester, b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", chunked)
    assert answer == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok"
    assert requester.closed


def test_http_1_0_gets_no_interim_response(stage):
    requester = stage.requester()
    _, answer = exchange(stage, requester, b"GET / HTTP/1.0\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK)
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_the_answer_to_head_has_no_body_and_keeps_its_length(stage):
    requester = stage.requester()
    request = b"HEAD / HTTP/1.1\r\nHost: here\r\n\r\n"
    _, answer = exchange(stage, requester, request, b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    assert answer == b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    assert exchange(stage, requester)[1] == OK


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_a_response_without_body_keeps_both_connections(stage, status):
    requester = stage.requester()
    _, answer = exchange(stage, requester, GET, b"HTTP/1.1 " + status + b"\r\n\r\n")
    assert answer == b"HTTP/1.1 " + status + b"\r\n\r\n"
    exchange(stage, requester)
    assert stage.endpoint.total == 1


def test_an_expectation_is_the_targets_to_answer(stage):
    requester = stage.requester()
    requester.deliver(b"PUT / HTTP/1.1\r\nHost: here\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    assert b"Expect: 100-continue\r\n" in stage.target.take()
    stage.target.deliver(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert requester.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
    requester.deliver(b"abc")
    assert stage.target.take() == b"abc"


def test_bytes_that_are_no_strict_http_are_answered_once_and_end_the_connection(stage):
    requester = stage.requester()
    requester.deliver(b"GET / HTTP/1.1\r\nHost: here\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx" + GET)
    answer = requester.take()
    assert answer_of(answer) == (400, b"400 Bad Request\nreason: request-malformed\n")
    assert b"Connection: close\r\n" in answer
    assert stage.endpoint.total == 0
    requester.deliver(GET)
    assert requester.take() == b""


def test_an_answer_that_ends_the_connection_is_given_time_to_be_seen(stage):
    requester = stage.requester()
    requester.deliver(b"what\r\n\r\n" + GET)
    assert requester.write_ended
    assert not requester.closed
    requester.end()
    assert requester.closed
    assert not requester.aborted


def test_a_requester_that_never_stops_sending_is_not_listened_to_for_ever(stage):
    requester = stage.requester()
    requester.deliver(b"what\r\n\r\n")
    requester.deliver(b"x" * 1000)
    stage.wait(6)
    assert requester.aborted
    assert stage.proxy.connection_count == 0


def test_a_slow_requester_gets_its_last_response_whole(stage):
    requester = stage.requester()
    requester._closing = lambda error: None  # the last bytes are not out yet
    exchange(stage, requester, b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
    stage.wait(30)
    assert not requester.aborted
    stage.wait(4)
    assert requester.aborted


def test_a_slow_requester_gets_the_answer_that_ends_its_connection(stage):
    requester = stage.requester()
    requester.room = 0
    requester.deliver(b"what\r\n\r\n")
    assert requester.full
    assert requester.write_ended
    stage.wait(30)
    assert not requester.aborted
    requester.protocol.writeConnectionLost()
    stage.wait(6)
    assert requester.aborted


def test_a_head_over_the_limit_is_431():
    stage = Stage(limits=HttpLimits(head_bytes=200))
    requester = stage.requester()
    requester.deliver(b"GET / HTTP/1.1\r\nHost: here\r\nA: " + b"x" * 300)
    assert answer_of(requester.take())[0] == 431


def test_a_version_that_is_not_spoken_is_505(stage):
    requester = stage.requester()
    requester.deliver(b"GET / HTTP/2.0\r\nHost: here\r\n\r\n")
    assert answer_of(requester.take())[0] == 505


def test_connect_is_refused(stage):
    requester = stage.requester()
    requester.deliver(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n")
    assert answer_of(requester.take())[0] == 400
    assert stage.endpoint.total == 0


def test_a_malformed_body_is_400_and_the_target_never_sees_its_end(stage):
    requester = stage.requester()
    requester.deliver(b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n")
    assert answer_of(requester.take())[0] == 400
    assert stage.endpoint.total == 0 or (stage.target.aborted and not stage.target.take().endswith(b"0\r\n\r\n"))


def test_a_requester_that_ends_its_side_still_gets_its_responses(stage):
    requester = stage.requester()
    requester.deliver(GET + GET)
    requester.end()
    stage.target.deliver(OK)
    assert not requester.closed
    stage.target.deliver(OK)
    assert requester.take() == OK + OK
    assert requester.closed


def test_a_request_cut_off_in_its_body_never_looks_whole_to_the_target(stage):
    requester = stage.requester()
    requester.deliver(b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    requester.end()
    assert stage.target.aborted
    assert not stage.target.take().endswith(b"0\r\n\r\n")
    assert requester.closed


def test_a_requester_that_goes_away_takes_its_upstream_along(stage):
    requester = stage.requester()
    requester.deliver(GET)
    requester.lose()
    assert stage.target.aborted
    stage.settle()
    assert stage.pool.open_count == 0
    assert [event.code for event in stage.events] == ["request-aborted"]


def test_a_connection_without_a_byte_is_closed_in_silence(stage):
    requester = stage.requester()
    stage.wait(17)
    assert requester.closed
    assert requester.take() == b""
    assert stage.events == []


def test_a_head_that_does_not_arrive_in_time_is_408(stage):
    requester = stage.requester()
    requester.deliver(b"GET / HT")
    for _ in range(4):
        stage.wait(5)
        requester.deliver(b"x")
    assert answer_of(requester.take()) == (408, b"408 Request Timeout\nreason: request-timeout\n")


def test_an_idle_connection_is_closed_in_silence(stage):
    requester = stage.requester()
    exchange(stage, requester)
    stage.wait(20)
    assert not requester.closed
    stage.wait(6)
    assert requester.closed
    assert requester.take() == b""


def test_a_body_that_stalls_is_408(stage):
    requester = stage.requester()
    requester.deliver(b"PUT / HTTP/1.1\r\nHost: here\r\nContent-Length: 9\r\n\r\nabc")
    stage.wait(33)
    assert answer_of(requester.take())[0] == 408
    assert stage.target.aborted


def test_a_requester_that_does_not_take_its_response_is_aborted(stage):
    requester = stage.requester()
    requester.deliver(GET)
    stage.target.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nx")
    requester.fill()
    stage.wait(33)
    assert requester.aborted
    assert stage.target.aborted


def test_every_request_has_one_event(stage):
    requester = stage.requester()
    exchange(stage, requester, b"POST /x?y HTTP/1.1\r\nHost: here\r\nContent-Length: 3\r\n\r\nabc")
    requester.deliver(b"nonsense\r\n\r\n")
    first, second = stage.events
    assert (first.method, first.target, first.status, first.code) == ("POST", "/x?y", 200, "")
    assert (first.request_bytes, first.response_bytes, first.peer) == (3, 2, "192.0.2.7:4711")
    assert (second.method, second.target, second.status, second.code) == ("-", "-", 400, "request-malformed")


def test_draining_closes_idle_connections_and_lets_the_others_end(stage):
    idle, busy = stage.requester(), stage.requester()
    exchange(stage, idle)
    busy.deliver(GET)
    ended = []
    stage.proxy.drain().addCallback(ended.append)
    assert idle.closed
    assert not busy.closed
    stage.settle()
    assert not ended
    stage.target.deliver(OK)
    assert b"Connection: close\r\n" in busy.take()
    stage.settle()
    assert ended == [None]
    stage.settle()
    assert stage.pool.open_count == 0


def test_draining_with_no_connection_ends_at_once(stage):
    ended = []
    stage.proxy.drain().addCallback(ended.append)
    assert ended == [None]


def test_no_timer_is_left_when_nobody_is_connected(stage):
    requester = stage.requester()
    exchange(stage, requester)
    requester.lose()
    stage.wait(20)
    assert stage.clock.getDelayedCalls() == []


def test_a_requester_that_takes_no_answers_gets_none_made(stage):
    stage.endpoint.at_once = False
    requester = stage.requester()
    requester.room = 1000
    for _ in range(4000):
        if requester.paused:
            break
        requester.deliver(GET)
        while stage.endpoint.dials:
            stage.endpoint.refuse(ConnectError())
    assert requester.paused
    assert len(requester.written) < 2000
    stage.endpoint.at_once = True
    requester.take()
    assert not requester.paused
    assert len(stage.endpoint.opened) == 1


def test_a_requester_that_is_behind_is_not_waited_for_longer_the_more_it_asks(stage):
    stage.endpoint.at_once = False
    requester = stage.requester()
    requester.deliver(GET)
    requester.fill()
    stage.endpoint.refuse(ConnectError())
    for _ in range(40):
        requester.deliver(GET)
        stage.wait(1)
    assert requester.aborted


def test_a_requester_that_is_behind_and_has_ended_gets_all_its_answers(stage):
    requester = stage.requester()
    requester.deliver(GET)
    stage.target.deliver(OK)
    requester.fill()
    requester.deliver(GET)
    requester.end()
    assert not requester.closed
    requester.drain()
    stage.target.deliver(OK)
    assert requester.take() == OK + OK
    assert requester.closed
