import pytest
from doubles.http_stage import GET, LABEL, OK, Stage, answer_of, attested

from cvmproxy.http.placement import OnRequests, OnResponses

SPELLINGS = [b"X-Flashbots-Measurement", b"x_flashbots_measurement", b"X-FLASHBOTS-ATTESTATION-TYPE"]
CHUNKED_POST = b"POST /a HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKED_OK = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
LAST_CHUNK = b"0\r\nX-Flashbots-Measurement: {}\r\n\r\n"
FORGED_REQUEST = (403, b"403 Forbidden\nreason: request-forged-header\n")
FORGED_RESPONSE = (502, b"502 Bad Gateway\nreason: upstream-forged-header\n")


@pytest.fixture(params=[OnRequests, OnResponses])
def stage(request):
    """Both proxies, with nobody attested."""
    return Stage(placement=request.param(lambda result: LABEL))


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_request_with_a_reserved_header_is_403_and_goes_no_further(stage, name):
    requester = stage.requester()
    requester.deliver(b"GET /a HTTP/1.1\r\nHost: here\r\n" + name + b": {}\r\n\r\n")
    assert answer_of(requester.take()) == FORGED_REQUEST
    assert stage.endpoint.total == 0


def test_a_request_that_lists_a_reserved_header_in_connection_is_403(stage):
    requester = stage.requester()
    requester.deliver(b"GET /a HTTP/1.1\r\nHost: here\r\nConnection: X-Flashbots-Measurement\r\n\r\n")
    assert answer_of(requester.take()) == FORGED_REQUEST
    assert stage.endpoint.total == 0


def test_reserved_trailers_of_a_request_withhold_its_end_and_are_403(stage):
    requester = stage.requester()
    requester.deliver(CHUNKED_POST + b"3\r\nabc\r\n")
    requester.deliver(LAST_CHUNK)
    assert answer_of(requester.take()) == FORGED_REQUEST
    assert stage.target.aborted
    assert stage.target.take().endswith(b"3\r\nabc\r\n")


def test_reserved_trailers_that_come_with_their_request_reach_no_target(stage):
    requester = stage.requester()
    requester.deliver(CHUNKED_POST + b"3\r\nabc\r\n" + LAST_CHUNK)
    assert answer_of(requester.take()) == FORGED_REQUEST
    assert stage.endpoint.total == 0


def test_reserved_trailers_of_a_request_reset_a_requester_whose_response_has_begun(stage):
    requester = stage.requester()
    requester.deliver(CHUNKED_POST + b"3\r\nabc\r\n")
    stage.target.deliver(CHUNKED_OK + b"2\r\nok\r\n")
    begun = requester.take()
    requester.deliver(LAST_CHUNK)
    assert requester.aborted
    assert requester.take() == b""
    assert begun == CHUNKED_OK + b"2\r\nok\r\n"
    assert stage.target.aborted
    assert stage.target.take().endswith(b"3\r\nabc\r\n")


@pytest.mark.parametrize("name", SPELLINGS)
@pytest.mark.parametrize("status", [b"200 OK", b"103 Early Hints", b"404 Not Found"])
def test_a_response_with_a_reserved_header_is_502(stage, name, status):
    requester = stage.requester()
    requester.deliver(GET)
    stage.target.deliver(b"HTTP/1.1 " + status + b"\r\n" + name + b": {}\r\nContent-Length: 0\r\n\r\n")
    assert answer_of(requester.take()) == FORGED_RESPONSE
    assert stage.target.aborted


def test_reserved_trailers_of_a_response_withhold_its_end_and_reset_the_requester(stage):
    requester = stage.requester()
    requester.deliver(GET)
    stage.target.deliver(CHUNKED_OK + b"2\r\nok\r\n")
    stage.target.deliver(LAST_CHUNK)
    assert requester.take() == CHUNKED_OK + b"2\r\nok\r\n"
    assert requester.aborted
    assert stage.target.aborted
    assert stage.events[0].code == "upstream-forged-header"


def test_reserved_trailers_that_come_with_their_response_are_502(stage):
    requester = stage.requester()
    requester.deliver(GET)
    stage.target.deliver(CHUNKED_OK + b"2\r\nok\r\n" + LAST_CHUNK)
    assert answer_of(requester.take()) == FORGED_RESPONSE
    assert stage.target.aborted


def test_a_switch_of_protocols_with_a_reserved_header_is_502(stage):
    requester = stage.requester()
    requester.deliver(b"GET / HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    stage.target.deliver(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"X-Flashbots-Measurement: {}\r\n\r\n"
    )
    assert answer_of(requester.take()) == FORGED_RESPONSE
    assert stage.target.aborted


def test_the_server_proxy_puts_the_requesters_measurements_on_each_of_its_requests():
    stage = Stage(placement=OnRequests(lambda result: LABEL))
    first = stage.requester(attested(r0=b"\x01", r10=b"\x02", r2=b"\x03"))
    second = stage.requester(attested(r0=b"\x04"))
    measurements = []
    for requester in (first, second, first):
        requester.deliver(GET)
        sent = stage.target.take()
        measurements.append(sent.partition(b"X-Flashbots-Measurement: ")[2].partition(b"\r\n")[0])
        assert b"X-Flashbots-Attestation-Type: test-type\r\n" in sent
        stage.target.deliver(OK)
        assert requester.take() == OK
    assert measurements == [b'{"0":"01","10":"02","2":"03"}', b'{"0":"04"}', b'{"0":"01","10":"02","2":"03"}']


def test_the_client_proxy_puts_the_targets_measurements_on_each_response():
    stage = Stage(placement=OnResponses(lambda result: LABEL))
    stage.endpoint.identity = attested(r0=b"\x01")
    requester = stage.requester()
    for _ in range(2):
        requester.deliver(GET)
        assert b"lashbots" not in stage.target.take()
        stage.target.deliver(OK)
        answer = requester.take()
        assert b'X-Flashbots-Measurement: {"0":"01"}\r\n' in answer
        assert b"X-Flashbots-Attestation-Type: test-type\r\n" in answer


def test_a_requester_without_identity_is_not_served():
    stage = Stage()
    object.__setattr__(stage.proxy.settings, "unattested", None)
    requester = stage.requester()
    assert requester.aborted
    requester.deliver(GET)
    assert stage.endpoint.total == 0
