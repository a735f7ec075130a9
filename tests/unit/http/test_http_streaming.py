import pytest
from doubles.http_stage import GET, LOST, OK, Stage, answer_of

UPGRADE = b"GET /ws HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
CHUNKED_POST = b"POST /a HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def stage():
    return Stage()


def body_of(data):
    return data.partition(b"\r\n\r\n")[2]


def test_a_body_is_sent_on_as_it_comes(stage):
    requester = stage.requester()
    requester.deliver(b"PUT / HTTP/1.1\r\nHost: here\r\nContent-Length: 6\r\n\r\n")
    assert b"Content-Length: 6\r\n" in stage.target.take()
    for piece in (b"ab", b"cd", b"ef"):
        requester.deliver(piece)
        assert stage.target.take() == piece


def test_a_response_is_sent_on_as_it_comes(stage):
    requester = stage.requester()
    requester.deliver(GET)
    stage.target.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
    assert answer_of(requester.take()) == (200, b"")
    for piece in (b"ab", b"cd"):
        stage.target.deliver(piece)
        assert requester.take() == piece


def test_head_and_body_that_came_together_are_written_together(stage):
    requester = stage.requester()
    requester.deliver(b"PUT / HTTP/1.1\r\nHost: here\r\nContent-Length: 2\r\n\r\nab")
    assert body_of(stage.target.take()) == b"ab"


def test_chunks_keep_their_bytes_and_trailers_both_ways(stage):
    requester = stage.requester()
    requester.deliver(CHUNKED_POST + b"1\r\na\r\n2;x=y\r\nbc\r\n0\r\nA-Trailer: 1\r\n\r\n")
    assert body_of(stage.target.take()) == b"3\r\nabc\r\n0\r\nA-Trailer: 1\r\n\r\n"
    stage.target.deliver(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nB: 2\r\n\r\n")
    assert body_of(requester.take()) == b"2\r\nok\r\n0\r\nB: 2\r\n\r\n"


def test_tiny_chunks_that_came_together_leave_as_one(stage):
    requester = stage.requester()
    requester.deliver(CHUNKED_POST + b"1\r\na\r\n" * 1000)
    assert body_of(stage.target.take()) == b"3e8\r\n" + b"a" * 1000 + b"\r\n"


def test_interim_responses_are_passed_on_before_the_final_one(stage):
    requester = stage.requester()
    requester.deliver(GET)
    stage.target.deliver(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
    assert requester.take() == b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    stage.target.deliver(OK)
    assert requester.take() == OK


# -- back-pressure


def test_a_slow_target_pauses_the_requester(stage):
    requester = stage.requester()
    requester.deliver(b"PUT / HTTP/1.1\r\nHost: here\r\nContent-Length: 6\r\n\r\nab")
    stage.target.fill()
    assert requester.paused
    stage.target.drain()
    assert not requester.paused


def test_a_slow_requester_pauses_the_target(stage):
    requester = stage.requester()
    requester.deliver(GET)
    stage.target.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
    requester.fill()
    assert stage.target.paused
    requester.drain()
    assert not stage.target.paused


def test_no_more_of_a_request_is_read_while_its_upstream_is_dialled(stage):
    stage.endpoint.at_once = False
    requester = stage.requester()
    requester.deliver(b"PUT / HTTP/1.1\r\nHost: here\r\nContent-Length: 6\r\n\r\nab")
    assert requester.paused
    stage.endpoint.accept()
    assert not requester.paused
    assert body_of(stage.target.take()) == b"ab"


def test_a_requester_behind_with_one_response_holds_up_the_next(stage):
    requester = stage.requester()
    requester.deliver(GET)
    stage.target.take()
    stage.target.deliver(OK)
    requester.fill()
    requester.deliver(GET)
    assert stage.target.take() == b""
    requester.drain()
    assert stage.target.take().startswith(b"GET ")


def test_an_upstream_paused_by_a_slow_requester_is_not_blamed_for_it(stage):
    requester = stage.requester()
    requester.deliver(GET)
    stage.target.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
    for _ in range(3):
        requester.fill()
        stage.wait(30)
        requester.drain()
    stage.target.deliver(b"cd")
    assert body_of(requester.take()) == b"abcd"


def test_an_upstream_paused_by_the_last_bytes_of_a_response_is_free_for_the_next(stage):
    first, second = stage.requester(), stage.requester()
    first.deliver(GET)
    first.fill()
    stage.target.paused = False  # these bytes had been received already
    stage.target.deliver(OK)
    second.deliver(GET)
    assert stage.endpoint.total == 1
    stage.target.deliver(OK)
    assert second.take() == OK
    second.deliver(GET)
    second.fill()
    second.drain()
    assert not stage.target.paused


def test_bytes_held_stay_bounded_however_large_a_response_is(stage):
    requester = stage.requester()
    requester.room = 65536
    requester.deliver(GET)
    stage.target.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 13107200\r\n\r\n")
    received = most = 0
    for _ in range(200):
        while stage.target.paused:
            most = max(most, len(requester.written))
            received += len(requester.take())
        stage.target.deliver(bytes(65536))
    most = max(most, len(requester.written))
    received += len(requester.take())
    assert received > 13107200
    assert most <= 3 * 65536


def test_bytes_held_stay_bounded_however_large_a_request_is(stage):
    requester = stage.requester()
    requester.deliver(CHUNKED_POST)
    target = stage.target
    target.room = 65536
    sent = most = 0
    for _ in range(200):
        while requester.paused:
            most = max(most, len(target.written))
            sent += len(target.take())
        requester.deliver(b"10000\r\n" + bytes(65536) + b"\r\n")
    most = max(most, len(target.written))
    assert sent + len(target.take()) > 200 * 65536
    assert most <= 3 * 65536


def test_a_late_end_of_back_pressure_harms_nobody(stage):
    requester = stage.requester()
    requester.deliver(b"PUT / HTTP/1.1\r\nHost: here\r\nContent-Length: 2\r\n\r\nab")
    stage.target.fill()
    stage.target.deliver(OK)
    assert requester.take() == OK
    assert not requester.paused
    stage.target.drain()
    requester.deliver(GET)
    stage.target.deliver(OK)
    assert requester.take() == OK


# -- another protocol


@pytest.fixture
def tunnel(stage):
    requester = stage.requester()
    requester.deliver(UPGRADE)
    sent = stage.target.take()
    assert b"Connection: Upgrade\r\nUpgrade: websocket\r\n" in sent
    stage.target.deliver(SWITCHING)
    assert requester.take() == SWITCHING
    return stage, requester, stage.target


def test_after_a_switch_bytes_pass_both_ways(tunnel):
    _, requester, target = tunnel
    requester.deliver(b"GET / HTTP/1.1\r\n\r\n\x00")
    assert target.take() == b"GET / HTTP/1.1\r\n\r\n\x00"
    target.deliver(b"\x01\x02")
    assert requester.take() == b"\x01\x02"


def test_bytes_sent_together_with_the_switch_pass_too(stage):
    requester = stage.requester()
    requester.deliver(UPGRADE + b"early")
    stage.target.take()
    stage.target.deliver(SWITCHING + b"late")
    assert stage.target.take() == b"early"
    assert requester.take() == SWITCHING + b"late"


@pytest.mark.parametrize("first", ["requester", "target"])
def test_each_direction_of_a_tunnel_ends_by_itself(tunnel, first):
    stage, requester, target = tunnel
    one, other = (requester, target) if first == "requester" else (target, requester)
    one.end()
    assert other.write_ended
    assert (one.closed, other.closed) == (False, False)
    other.deliver(b"more")
    assert one.take() == b"more"
    other.end()
    stage.settle()
    assert one.closed
    assert other.closed
    assert (one.aborted, other.aborted) == (False, False)
    assert stage.pool.open_count == stage.proxy.connection_count == 0
    assert [(event.status, event.code) for event in stage.events] == [(101, "")]


@pytest.mark.parametrize("first", ["requester", "target"])
def test_back_pressure_acts_through_a_tunnel(tunnel, first):
    _, requester, target = tunnel
    one, other = (requester, target) if first == "requester" else (target, requester)
    one.fill()
    assert other.paused
    one.drain()
    assert not other.paused


def test_a_tunnel_whose_target_is_lost_resets_the_requester(tunnel):
    _, requester, target = tunnel
    target.lose(LOST)
    assert requester.aborted


def test_a_tunnel_whose_requester_is_lost_aborts_the_target(tunnel):
    _, requester, target = tunnel
    requester.lose(LOST)
    assert target.aborted


def test_a_tunnel_without_traffic_is_ended(tunnel):
    stage, requester, _ = tunnel
    stage.wait(40)
    requester.deliver(b"x")
    stage.wait(70)
    assert not requester.closed
    stage.wait(12)
    assert requester.aborted


def test_a_refused_switch_leaves_an_ordinary_exchange(stage):
    requester = stage.requester()
    requester.deliver(UPGRADE + GET)
    stage.target.take()
    stage.target.deliver(OK)
    assert requester.take() == OK
    assert stage.target.take().startswith(b"GET /a HTTP/1.1\r\n")


def test_an_end_that_is_told_of_twice_ends_one_direction_of_a_tunnel_once(stage):
    requester = stage.requester()
    requester.deliver(UPGRADE)
    requester.end()
    stage.target.deliver(SWITCHING)
    # Twisted's TCP transport, resumed by the switch, reads the end again.
    requester.end()
    assert stage.target.write_ended
    stage.target.deliver(b"late")
    assert requester.take().endswith(b"\r\n\r\nlate")
    assert not requester.closed
