import pytest
from doubles.http_streams import request_head

from cvmproxy.errors import BackendError, RequestError
from cvmproxy.http.header_rules import (
    HttpTarget,
    interim_for_requester,
    join_target,
    request_for_target,
    response_for_requester,
    trailers_for_requester,
    trailers_for_target,
)
from cvmproxy.http.messages import (
    CHUNKED,
    NO_BODY,
    ContentLength,
    Fields,
    Framing,
    InterimHead,
    RequestHead,
    ResponseHead,
)

TARGET = HttpTarget(host=b"target:8080")
OURS = ((b"X-Flashbots-Measurement", b"{}"), (b"X-Flashbots-Attestation-Type", b"simulated"))
HOST = (b"Host", b"outside")
FORGED = (b"x_flashbots_measurement", b"{}")


def forwarded(*lines: tuple[bytes, bytes], requester: bytes | None = None) -> tuple[tuple[bytes, bytes], ...]:
    return request_for_target(request_head(HOST, *lines), TARGET, requester=requester).fields.lines


def answered(
    *lines: tuple[bytes, bytes], status: int = 200, framing: Framing = NO_BODY
) -> tuple[tuple[bytes, bytes], ...]:
    head = ResponseHead(status=status, fields=Fields(lines), framing=framing)
    return response_for_requester(head).fields.lines


def test_host_is_the_targets() -> None:
    assert forwarded((b"A", b"b"), (b"Cookie", b"c")) == ((b"Host", b"target:8080"), (b"A", b"b"), (b"Cookie", b"c"))


def test_additions_come_last_and_whatever_connection_says() -> None:
    head = request_head(HOST, (b"Connection", b"Host, X-Forwarded-For, A"), (b"A", b"b"))
    lines = request_for_target(head, TARGET, requester=b"10.0.0.1", additions=OURS).fields.lines
    assert lines == ((b"Host", b"target:8080"), (b"X-Forwarded-For", b"10.0.0.1"), *OURS)


@pytest.mark.parametrize(
    "name",
    [
        b"Connection",
        b"Keep-Alive",
        b"Proxy-Connection",
        b"Proxy-Authenticate",
        b"Proxy-Authorization",
        b"TE",
        b"Transfer-Encoding",
        b"Content-Length",
        b"Upgrade",
        b"proxy-authorization",
        b"kEEP-aLIVE",
    ],
)
def test_hop_by_hop_fields_end_here(name: bytes) -> None:
    assert forwarded((name, b"x")) == ((b"Host", b"target:8080"),)
    assert answered((name, b"3"), status=200, framing=CHUNKED) == ()
    interim = interim_for_requester(InterimHead(status=103, fields=Fields(((name, b"3"), (b"Link", b"l")))))
    assert interim.fields.lines == ((b"Link", b"l"),)


@pytest.mark.parametrize("value", [b"a, X-Secret", b"close,x-secret", b"X-SECRET"])
def test_fields_that_connection_lists_end_here(value: bytes) -> None:
    listed = ((b"Connection", value), (b"X-Secret", b"s"), (b"B", b"c"))
    assert forwarded(*listed) == ((b"Host", b"target:8080"), (b"B", b"c"))
    assert answered(*listed) == ((b"B", b"c"),)
    interim = interim_for_requester(InterimHead(status=103, fields=Fields(listed)))
    assert interim.fields.lines == ((b"B", b"c"),)


def test_forwarded_for_is_extended() -> None:
    one, two = (b"X-Forwarded-For", b"1.1.1.1"), (b"x-forwarded-for", b"2.2.2.2, 3.3.3.3")
    assert forwarded(requester=b"9.9.9.9")[1:] == ((b"X-Forwarded-For", b"9.9.9.9"),)
    assert forwarded(one, two, requester=b"::1")[1:] == ((b"X-Forwarded-For", b"1.1.1.1, 2.2.2.2, 3.3.3.3, ::1"),)
    assert forwarded(one)[1:] == (one,)
    assert forwarded()[1:] == ()


def test_trailer_field_passes_with_a_chunked_body_only() -> None:
    line = (b"Trailer", b"Checksum")
    assert forwarded(line) == ((b"Host", b"target:8080"),)
    assert answered(line, framing=ContentLength(1)) == ()
    assert answered(line, framing=CHUNKED) == (line,)
    head = RequestHead(method=b"PUT", target=b"/", fields=Fields((HOST, line)), framing=CHUNKED)
    assert line in request_for_target(head, TARGET, requester=None).fields.lines


def test_expectation_passes_where_it_counts() -> None:
    fields = Fields((HOST, (b"Expect", b"100-continue")))
    for minor, framing, passes in ((1, ContentLength(3), True), (0, ContentLength(3), False), (1, NO_BODY, False)):
        head = RequestHead(method=b"PUT", target=b"/", version_minor=minor, fields=fields, framing=framing)
        sent = request_for_target(head, TARGET, requester=None)
        assert (b"expect" in sent.fields) is passes
        assert sent.version_minor == 1
        assert sent.framing == framing


def test_websocket_upgrade_passes_and_nothing_else_in_connection() -> None:
    ask = ((b"Connection", b"keep-alive, Upgrade, A"), (b"Upgrade", b"WebSocket"), (b"A", b"b"))
    assert forwarded(*ask)[1:] == ((b"Connection", b"Upgrade"), (b"Upgrade", b"websocket"))
    assert answered(*ask, status=101) == ((b"Connection", b"Upgrade"), (b"Upgrade", b"websocket"))
    assert answered(*ask, status=200) == ()


def test_upgrade_to_a_protocol_with_http_inside_does_not_pass() -> None:
    lines = ((b"Connection", b"Upgrade, HTTP2-Settings"), (b"Upgrade", b"h2c"), (b"HTTP2-Settings", b"AAMAAABk"))
    assert forwarded(*lines)[1:] == ()


@pytest.mark.parametrize(("status", "kept"), [(200, True), (304, True), (404, True), (204, False), (101, False)])
def test_content_length_of_what_is_not_sent(status: int, kept: bool) -> None:
    line = (b"Content-Length", b"3")
    assert answered(line, status=status) == ((line,) if kept else ())


def test_nothing_with_a_reserved_field_is_forwarded() -> None:
    with pytest.raises(RequestError) as of_request:
        forwarded(FORGED)
    with pytest.raises(RequestError) as of_trailers:
        trailers_for_target(Fields((FORGED,)))
    assert of_request.value.code == of_trailers.value.code == "request-forged-header"
    with pytest.raises(BackendError) as of_response:
        answered(FORGED)
    with pytest.raises(BackendError) as of_interim:
        interim_for_requester(InterimHead(status=103, fields=Fields((FORGED,))))
    with pytest.raises(BackendError) as of_response_trailers:
        trailers_for_requester(Fields((FORGED,)))
    codes = {of_response.value.code, of_interim.value.code, of_response_trailers.value.code}
    assert codes == {"upstream-forged-header"}


def test_other_trailers_pass() -> None:
    trailers = Fields(((b"Checksum", b"1"),))
    assert trailers_for_target(trailers) == trailers
    assert trailers_for_requester(trailers) == trailers


@pytest.mark.parametrize(
    ("path", "query", "request_target", "joined"),
    [
        (b"", b"", b"/", b"/"),
        (b"", b"", b"/a?b", b"/a?b"),
        (b"", b"", b"/a?", b"/a?"),
        (b"", b"", b"//a//b/../c", b"//a//b/../c"),
        (b"/", b"", b"/a", b"/a"),
        (b"/base", b"", b"/", b"/base/"),
        (b"/base", b"", b"/a", b"/base/a"),
        (b"/base/", b"", b"/a", b"/base/a"),
        (b"/base/", b"", b"//a", b"/base//a"),
        (b"", b"t=1", b"/a", b"/a?t=1"),
        (b"", b"t=1", b"/a?", b"/a?t=1"),
        (b"/base", b"t=1", b"/a?b=2?c", b"/base/a?t=1&b=2?c"),
        (b"", b"", b"http://x", b"/"),
        (b"", b"", b"HTTP://x:80/a?b=http://y/", b"/a?b=http://y/"),
        (b"", b"", b"http://x?b", b"/?b"),
        (b"/base", b"", b"http://x?b", b"/base/?b"),
        (b"/base", b"t", b"*", b"*"),
    ],
)
def test_join_target(path: bytes, query: bytes, request_target: bytes, joined: bytes) -> None:
    assert join_target(HttpTarget(host=b"x", path=path, query=query), request_target) == joined


def test_join_of_options_for_the_whole_server() -> None:
    assert join_target(TARGET, b"http://x", b"OPTIONS") == b"*"


@pytest.mark.parametrize(
    "bad",
    [{"host": b""}, {"host": b"a b"}, {"path": b"a"}, {"path": b"/a b"}, {"path": b"/a?b"}, {"query": b"a#b"}],
)
def test_targets_that_would_break_a_head_cannot_be_made(bad: dict[str, bytes]) -> None:
    with pytest.raises(ValueError, match="must match"):
        HttpTarget(**{"host": b"x", **bad})
