from itertools import product

import pytest

from cvmproxy.http.exchange import Exchange
from cvmproxy.http.messages import CHUNKED, NO_BODY, Fields, InterimHead, RequestHead, ResponseHead

RESPONSE = ResponseHead(status=200, fields=Fields(), framing=CHUNKED)
SWITCHING = ResponseHead(
    status=101, fields=Fields(((b"Connection", b"upgrade"), (b"Upgrade", b"websocket"))), framing=NO_BODY
)
FORGED = Fields(((b"X-Flashbots-Measurement", b"{}"),))


class Recorder:
    """Either side: records what it is told."""

    def __init__(self):
        self.told = []

    def __getattr__(self, name):
        return lambda *arguments: self.told.append((name, *arguments))

    @property
    def names(self):
        return [name for name, *_ in self.told]


class Meeting:
    def __init__(self, method=b"GET", framing=NO_BODY, upgrade=None):
        self.requester, self.upstream = Recorder(), Recorder()
        self.dispatched = []
        self.withdrawn = False
        head = RequestHead(method=method, target=b"/", fields=Fields(), framing=framing)
        self.exchange = Exchange(head, requester=self.requester, dispatcher=self, upgrade=upgrade)

    def dispatch(self, exchange, fresh):
        self.dispatched.append(fresh)

    def withdraw(self, exchange):
        self.withdrawn = True

    def attach(self):
        self.exchange.attach(self.upstream)


def test_a_body_that_came_before_the_upstream_is_handed_over_in_order():
    meeting = Meeting(b"POST", framing=CHUNKED)
    meeting.exchange.request_body(b"a")
    meeting.exchange.flush_request()
    meeting.exchange.request_body(b"b")
    assert meeting.requester.told == [("pause_request",)]
    meeting.attach()
    assert meeting.upstream.told == [("request_body", b"a"), ("request_body", b"b"), ("flush_request",)]
    assert meeting.requester.told == [("pause_request",), ("resume_request",)]


def test_no_credit_is_given_while_what_was_kept_fills_the_upstream():
    meeting = Meeting(b"POST", framing=CHUNKED)
    meeting.exchange.request_body(b"a")
    meeting.exchange.flush_request()
    meeting.upstream.request_body = lambda data: meeting.exchange.pause_request()
    meeting.attach()
    assert "resume_request" not in meeting.requester.names


def test_an_upstream_is_looked_for_once():
    meeting = Meeting(b"POST", framing=CHUNKED)
    for _ in range(3):
        meeting.exchange.flush_request()
    assert meeting.dispatched == [False]


def test_an_exchange_given_up_hands_nothing_to_anybody():
    meeting = Meeting()
    meeting.exchange.request_end()
    meeting.exchange.flush_request()
    meeting.attach()
    meeting.exchange.requester_gone()
    assert meeting.upstream.names[-1] == "abort"
    meeting.exchange.response(RESPONSE, ())
    meeting.exchange.response_body(b"late")
    meeting.exchange.response_end()
    meeting.exchange.fail("upstream-closed")
    assert meeting.requester.told == []


def test_the_upstream_is_released_before_the_requester_goes_on():
    meeting = Meeting()
    order = []
    meeting.exchange.request_end()
    meeting.exchange.flush_request()
    meeting.attach()
    meeting.upstream.release = lambda: order.append("release")
    meeting.requester.response_end = lambda trailers: order.append("end")
    meeting.exchange.response(RESPONSE, ())
    meeting.exchange.response_end()
    assert order == ["release", "end"]


def test_a_switch_that_was_not_asked_for_fails():
    meeting = Meeting()
    meeting.exchange.request_end()
    meeting.exchange.flush_request()
    meeting.attach()
    meeting.exchange.switch(SWITCHING, ())
    assert meeting.requester.told == [("fail", "upstream-malformed")]


def test_a_switch_passes_bytes_and_ends_after_both_directions_did():
    meeting = Meeting(upgrade=b"websocket")
    meeting.exchange.request_end()
    meeting.exchange.flush_request()
    meeting.attach()
    meeting.exchange.switch(SWITCHING, ())
    meeting.exchange.request_body(b"x")
    meeting.exchange.request_end()
    assert not meeting.exchange.over
    meeting.exchange.response_body(b"y")
    meeting.exchange.response_end()
    assert meeting.exchange.over
    assert meeting.upstream.names == ["request_end", "request_body", "request_end", "release"]
    assert meeting.requester.names == ["switch", "response_body", "response_end"]


@pytest.mark.parametrize(
    "step",
    [
        lambda exchange: exchange.response(ResponseHead(status=200, fields=FORGED, framing=CHUNKED), ()),
        lambda exchange: exchange.informational(InterimHead(status=103, fields=FORGED)),
        lambda exchange: exchange.response_end(FORGED),
    ],
)
def test_reserved_fields_of_a_response_fail_the_exchange_and_abort_the_upstream(step):
    meeting = Meeting()
    meeting.exchange.request_end()
    meeting.exchange.flush_request()
    meeting.attach()
    step(meeting.exchange)
    assert meeting.requester.told == [("fail", "upstream-forged-header")]
    assert meeting.upstream.names[-1] == "abort"


@pytest.mark.parametrize(
    ("method", "complete", "body"), [*product([b"GET", b"PUT", b"POST", b"PATCH"], [True, False], [True, False])]
)
def test_what_may_be_sent_again(method, complete, body):
    meeting = Meeting(method, framing=CHUNKED)
    if body:
        meeting.exchange.request_body(b"x")
    if complete:
        meeting.exchange.request_end()
    meeting.exchange.flush_request()
    meeting.attach()
    meeting.exchange.upstream_died("upstream-closed")
    again = method in (b"GET", b"PUT") and complete and not body
    assert meeting.dispatched == ([False, True] if again else [False])
    assert ("fail", "upstream-closed") in meeting.requester.told or again


def test_a_request_is_sent_again_once_only():
    meeting = Meeting()
    meeting.exchange.request_end()
    meeting.exchange.flush_request()
    for _ in range(2):
        meeting.attach()
        meeting.exchange.upstream_died("upstream-closed")
    assert meeting.dispatched == [False, True]
    assert meeting.requester.told == [("fail", "upstream-closed")]


def test_an_exchange_given_up_before_there_is_an_upstream_is_withdrawn():
    meeting = Meeting()
    meeting.exchange.request_end()
    meeting.exchange.flush_request()
    assert not meeting.withdrawn
    meeting.exchange.requester_gone()
    assert meeting.withdrawn
