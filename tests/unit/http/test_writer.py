import pytest

from cvmproxy.http.messages import (
    CHUNKED,
    NO_BODY,
    UNTIL_CLOSE,
    ContentLength,
    Fields,
    Framing,
    InterimHead,
    RequestHead,
    ResponseHead,
)
from cvmproxy.http.writer import encode_chunk, encode_last_chunk, encode_request_head, encode_response_head

HOST = (b"Host", b"x")


def request(
    *lines: tuple[bytes, bytes], method: bytes = b"GET", target: bytes = b"/", framing: Framing = NO_BODY
) -> RequestHead:
    return RequestHead(method=method, target=target, fields=Fields(lines), framing=framing)


def response(*lines: tuple[bytes, bytes], reason: bytes = b"OK", framing: Framing = NO_BODY) -> ResponseHead:
    return ResponseHead(status=200, reason=reason, fields=Fields(lines), framing=framing)


@pytest.mark.parametrize(
    ("framing", "line"),
    [
        (NO_BODY, b""),
        (ContentLength(0), b"Content-Length: 0\r\n"),
        (ContentLength(12), b"Content-Length: 12\r\n"),
        (CHUNKED, b"Transfer-Encoding: chunked\r\n"),
        (UNTIL_CLOSE, b""),
    ],
)
def test_heads(framing: Framing, line: bytes) -> None:
    lines = (HOST, (b"A", b""))
    assert encode_request_head(request(*lines, framing=framing)) == (
        b"GET / HTTP/1.1\r\nHost: x\r\nA: \r\n" + line + b"\r\n"
    )
    assert encode_response_head(response(*lines, framing=framing)) == (
        b"HTTP/1.1 200 OK\r\nHost: x\r\nA: \r\n" + line + b"\r\n"
    )


def test_interim_head() -> None:
    assert encode_response_head(InterimHead(status=100)) == b"HTTP/1.1 100 \r\n\r\n"


def test_chunks() -> None:
    assert encode_chunk(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"
    assert encode_chunk(b"") == b""
    assert encode_last_chunk(Fields()) == b"0\r\n\r\n"
    assert encode_last_chunk(Fields(((b"A", b"b"), (b"C", b"")))) == b"0\r\nA: b\r\nC: \r\n\r\n"


@pytest.mark.parametrize("bad", [b"a\r\nB: c", b"a\nb", b"a\rb", b"a\x00b", b"\r\n", b"\n", b"a\r\n"])
def test_line_breaks_are_never_sent(bad: bytes) -> None:
    for head in (request((b"A", bad)), request((bad, b"b")), request(method=bad), request(target=bad)):
        with pytest.raises(ValueError, match="not sent"):
            encode_request_head(head)
    for answer in (response((b"A", bad)), response((bad, b"b")), response(reason=bad)):
        with pytest.raises(ValueError, match="not sent"):
            encode_response_head(answer)
    for line in ((b"A", bad), (bad, b"b")):
        with pytest.raises(ValueError, match="not sent"):
            encode_last_chunk(Fields((line,)))


@pytest.mark.parametrize("name", [b"Content-Length", b"content-length", b"TRANSFER-ENCODING"])
@pytest.mark.parametrize("framing", [NO_BODY, ContentLength(3), CHUNKED])
def test_requests_with_framing_fields_of_their_own_are_never_sent(name: bytes, framing: Framing) -> None:
    with pytest.raises(ValueError, match="not sent"):
        encode_request_head(request(HOST, (name, b"3"), framing=framing))


@pytest.mark.parametrize("framing", [ContentLength(3), CHUNKED, UNTIL_CLOSE])
def test_responses_with_framing_fields_of_their_own_are_sent_only_without_a_body(framing: Framing) -> None:
    line = (b"Content-Length", b"3")
    with pytest.raises(ValueError, match="not sent"):
        encode_response_head(response(line, framing=framing))
    assert encode_response_head(response(line)) == b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"
