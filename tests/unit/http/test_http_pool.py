import pytest
from doubles.http_stage import GET, LOST, NOBODY, OK, Stage, answer_of, attested
from twisted.internet.error import ConnectError

from cvmproxy.http.placement import OnResponses
from cvmproxy.http.pool import UpstreamPool, UpstreamSettings


@pytest.fixture
def stage():
    return Stage()


def use(stage, requester):
    requester.deliver(GET)
    stage.target.deliver(OK)
    assert requester.take() == OK


def test_no_connection_is_dialled_while_one_is_idle(stage):
    for _ in range(10):
        use(stage, stage.requester())
    assert stage.endpoint.total == 1


def test_the_connection_used_last_is_used_next(stage):
    requesters = [stage.requester() for _ in range(3)]
    for requester in requesters:
        requester.deliver(GET)
    opened = list(stage.endpoint.opened)
    for index in (0, 2, 1):
        opened[index].deliver(OK)
        opened[index].take()
    requesters[0].deliver(GET)
    assert [bool(target.take()) for target in opened] == [False, True, False]


def test_a_connection_that_comes_free_goes_to_the_exchange_that_waits_for_a_dial(stage):
    first, second = stage.requester(), stage.requester()
    first.deliver(GET)
    target = stage.target
    target.take()
    stage.endpoint.at_once = False
    second.deliver(GET)
    target.deliver(OK)
    assert target.take().startswith(b"GET /a ")
    target.deliver(OK)
    assert second.take() == OK
    stage.endpoint.accept()
    assert stage.pool.idle_count == 2
    assert stage.target.take() == b""


def test_a_dial_whose_exchange_was_served_otherwise_is_there_for_the_next(stage):
    first, second, third = (stage.requester() for _ in range(3))
    first.deliver(GET)
    target = stage.target
    stage.endpoint.at_once = False
    second.deliver(GET)
    target.deliver(OK)
    third.deliver(GET)
    assert stage.endpoint.total == 2
    stage.endpoint.accept()
    stage.target.deliver(OK)
    assert third.take() == OK
    target.deliver(OK)
    assert second.take() == OK


def test_a_dial_that_fails_fails_nobody_who_was_served_otherwise(stage):
    first, second = stage.requester(), stage.requester()
    first.deliver(GET)
    target = stage.target
    stage.endpoint.at_once = False
    second.deliver(GET)
    target.deliver(OK)
    stage.endpoint.refuse(ConnectError())
    target.deliver(OK)
    assert second.take() == OK


def test_each_dial_that_fails_fails_one_exchange(stage):
    stage.endpoint.at_once = False
    requesters = [stage.requester() for _ in range(3)]
    for requester in requesters:
        requester.deliver(GET)
    for count in (1, 2, 3):
        stage.endpoint.refuse(ConnectError())
        assert sum(bool(requester.written) for requester in requesters) == count


def test_an_exchange_given_up_while_it_waits_leaves_its_dial_to_the_pool(stage):
    stage.endpoint.at_once = False
    requester = stage.requester()
    requester.deliver(GET)
    requester.lose()
    stage.endpoint.accept()
    assert stage.pool.idle_count == 1
    assert stage.target.take() == b""


def test_an_idle_connection_is_closed_after_its_time(stage):
    use(stage, stage.requester())
    stage.wait(14)
    assert stage.target.closed
    assert stage.pool.open_count == 0


def test_more_idle_connections_than_allowed_are_closed_the_oldest_first():
    stage = Stage(max_idle=2)
    for requester in [stage.requester() for _ in range(3)]:
        requester.deliver(GET)
    for target in stage.endpoint.opened:
        target.deliver(OK)
    assert [target.closed for target in stage.endpoint.opened] == [True, False, False]


@pytest.mark.parametrize("event", ["bytes", "end", "loss"])
def test_whatever_comes_on_an_idle_connection_drops_it(stage, event):
    use(stage, stage.requester())
    idle = stage.target
    {"bytes": lambda: idle.deliver(OK), "end": idle.end, "loss": idle.lose}[event]()
    stage.settle()
    assert stage.pool.open_count == stage.pool.idle_count == 0
    use(stage, stage.requester())
    assert stage.endpoint.total == 2


@pytest.mark.parametrize(
    "response",
    [
        OK + b"x",
        OK + OK,
        OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
        OK.replace(b"HTTP/1.1", b"HTTP/1.0"),
    ],
)
def test_a_connection_is_used_again_only_after_a_well_framed_end_that_allows_it(stage, response):
    requester = stage.requester()
    requester.deliver(GET)
    stage.target.deliver(response)
    assert answer_of(requester.take()) == (200, b"ok")
    assert stage.pool.idle_count == 0
    requester.deliver(GET)
    assert stage.endpoint.total == 2


def test_a_response_before_the_end_of_its_request_ends_both_connections(stage):
    requester = stage.requester()
    requester.deliver(b"PUT / HTTP/1.1\r\nHost: here\r\nContent-Length: 9\r\n\r\nabc")
    stage.target.deliver(OK)
    assert requester.take() == OK
    assert requester.write_ended
    assert stage.target.aborted
    assert stage.pool.idle_count == 0


def test_a_connection_whose_target_has_not_taken_the_whole_request_is_not_used_again(stage):
    requester = stage.requester()
    requester.deliver(b"PUT / HTTP/1.1\r\nHost: here\r\nContent-Length: 3\r\n\r\nabc")
    stage.target.fill()
    stage.target.deliver(OK)
    assert requester.take() == OK
    assert stage.target.aborted
    assert stage.pool.idle_count == 0


def test_a_pipelined_request_after_a_failed_dial_gets_a_dial_of_its_own(stage):
    stage.endpoint.at_once = False
    first, second = stage.requester(), stage.requester()
    first.deliver(GET + GET)
    second.deliver(GET)
    stage.endpoint.refuse(ConnectError())
    assert answer_of(first.take())[0] == 502
    assert second.written == b""
    assert len(stage.endpoint.dials) == 2
    stage.endpoint.refuse(ConnectError())
    stage.endpoint.refuse(ConnectError())
    assert answer_of(first.take())[0] == answer_of(second.take())[0] == 502


def test_a_dial_that_fails_after_its_exchange_was_given_up_fails_nobody_else(stage):
    stage.endpoint.at_once = False
    first, second = stage.requester(), stage.requester()
    first.deliver(GET)
    second.deliver(GET)
    first.lose()
    stage.endpoint.refuse(ConnectError())
    assert second.written == b""
    stage.endpoint.accept().deliver(OK)
    assert second.take() == OK


def test_a_connection_is_not_used_again_once_its_identity_may_not_be():
    allowed = True
    asked = []

    def may_reuse(identity):
        asked.append(identity)
        return allowed

    stage = Stage(may_reuse=may_reuse)
    use(stage, stage.requester())
    allowed = False
    use(stage, stage.requester())
    assert stage.endpoint.total == 2
    assert all(target.closed for target in stage.endpoint.opened)
    assert set(asked) == {NOBODY}


def test_a_connection_without_identity_is_never_used():
    stage = Stage()
    pool = UpstreamPool(
        stage.endpoint, stage.clock, UpstreamSettings(unattested=None, placement=OnResponses(lambda _: "x"))
    )
    stage.proxy._pool = pool
    requester = stage.requester()
    requester.deliver(GET)
    assert answer_of(requester.take()) == (502, b"502 Bad Gateway\nreason: internal-error\n")
    assert stage.target.aborted
    assert stage.target.take() == b""


def test_measurements_on_a_response_are_those_of_its_own_connection():
    stage = Stage(placement=OnResponses(lambda result: "label"))
    requesters = [stage.requester(), stage.requester()]
    for number, requester in enumerate(requesters):
        stage.endpoint.identity = attested(r0=bytes([number]))
        requester.deliver(GET)
    for target in reversed(stage.endpoint.opened):
        target.deliver(OK)
    for number, requester in enumerate(requesters):
        assert b'X-Flashbots-Measurement: {"0":"0%d"}\r\n' % number in requester.take()


def test_closing_the_pool_gives_up_dials_and_idle_connections(stage):
    use(stage, stage.requester())
    stage.endpoint.at_once = False
    busy = stage.requester()
    busy.deliver(GET)
    waiting = stage.requester()
    waiting.deliver(GET)
    stage.pool.close()
    assert answer_of(waiting.take())[1].endswith(b"reason: draining\n")
    stage.target.deliver(OK)
    assert busy.take() == OK
    stage.settle()
    assert stage.pool.open_count == 0


def test_a_closed_connection_whose_peer_takes_nothing_is_aborted_in_time(stage):
    use(stage, stage.requester())
    transport = stage.target
    transport._closing = lambda error: None  # the last bytes never leave
    stage.pool.close()
    stage.wait(42)
    assert transport.aborted


def test_a_late_loss_leaves_the_pool_as_it_is(stage):
    use(stage, stage.requester())
    stage.target.lose(LOST)
    stage.target.protocol.connectionLost()
    assert stage.pool.open_count == 0


def test_ten_thousand_requests_at_64_connections_dial_64_times():
    stage = Stage(max_idle=64)
    requesters = [stage.requester() for _ in range(64)]
    for requester in requesters:
        requester.deliver(GET)
    for _ in range(10_000 // 64):
        for target in list(stage.endpoint.opened):
            target.deliver(OK)
        for requester in requesters:
            assert requester.take() == OK
            requester.deliver(GET)
    assert stage.endpoint.total == 64


def test_requesters_that_ask_and_go_away_cost_no_more_dials_than_were_there_at_once(stage):
    stage.endpoint.at_once = False
    for _ in range(20):
        requester = stage.requester()
        requester.deliver(GET)
        requester.lose(LOST)
    assert stage.endpoint.total == 1
    last = stage.requester()
    last.deliver(GET)
    assert stage.endpoint.total == 1
    stage.endpoint.accept()
    stage.target.deliver(OK)
    assert last.take() == OK


def test_a_dial_that_was_given_up_and_fails_fails_who_waits_for_it_now(stage):
    stage.endpoint.at_once = False
    first, second, third = (stage.requester() for _ in range(3))
    first.deliver(GET)
    first.lose(LOST)
    second.deliver(GET)
    third.deliver(GET)
    assert stage.endpoint.total == 2
    stage.endpoint.refuse(ConnectError())
    assert answer_of(second.take())[0] == 502
    assert third.take() == b""
    stage.endpoint.accept()
    stage.target.deliver(OK)
    assert third.take() == OK
