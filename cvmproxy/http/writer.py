"""Messages into bytes: RFC 9112. Framing fields come from ``framing`` alone; the fields of a head must not have them.

Whatever reaches a function here was read strictly or made by us, so bytes that would break the syntax are a bug of
ours: they raise ``ValueError`` and are never sent.
"""

from typing import Final

from cvmproxy.http.messages import (
    NO_BODY,
    Chunked,
    ContentLength,
    Fields,
    Framing,
    InterimHead,
    NoBody,
    RequestHead,
    ResponseHead,
)

_FRAMING_FIELDS: Final = frozenset({b"content-length", b"transfer-encoding"})
_CRLF: Final = b"\r\n"


def encode_request_head(head: RequestHead) -> bytes:
    """Return a request head, always as HTTP/1.1.

    :raises ValueError: a part of it would break the syntax, or its fields say something of the framing.
    """
    if not _FRAMING_FIELDS.isdisjoint([name.lower() for name, _ in head.fields.lines]):
        raise ValueError("the head of a request with framing fields of its own was not sent")
    return _encode_head(b"%b %b HTTP/1.1" % (head.method, head.target), head.fields, head.framing)


def encode_response_head(head: ResponseHead | InterimHead) -> bytes:
    """Return a response head, always as HTTP/1.1.

    :raises ValueError: a part of it would break the syntax, or its fields say something of the framing although a body
        follows; where none does, Content-Length is the size of what is not sent.
    """
    framing = NO_BODY if isinstance(head, InterimHead) else head.framing
    if not isinstance(framing, NoBody) and not _FRAMING_FIELDS.isdisjoint([name.lower() for name, _ in head.fields]):
        raise ValueError("the head of a response with framing fields of its own was not sent")
    return _encode_head(b"HTTP/1.1 %d %b" % (head.status, head.reason), head.fields, framing)


def encode_chunk(data: bytes) -> bytes:
    """Return one chunk with its framing; nothing for no data, which would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def encode_last_chunk(trailers: Fields) -> bytes:
    """Return the end of a chunked body.

    :raises ValueError: a trailer would break the syntax.
    """
    return _encode_lines([b"0", *[b"%b: %b" % pair for pair in trailers.lines]])


def _encode_head(start_line: bytes, fields: Fields, framing: Framing) -> bytes:
    lines = [start_line, *[b"%b: %b" % pair for pair in fields.lines]]
    if isinstance(framing, ContentLength):
        lines.append(b"Content-Length: %d" % framing.size)
    elif isinstance(framing, Chunked):
        lines.append(b"Transfer-Encoding: chunked")
    return _encode_lines(lines)


def _encode_lines(lines: list[bytes]) -> bytes:
    """Return the lines and the empty line that ends them, none of which has a line break inside."""
    lines += (b"", b"")
    block = _CRLF.join(lines)
    ends = len(lines) - 1
    if block.count(b"\n") != ends or block.count(b"\r") != ends or b"\x00" in block:
        raise ValueError("a message with a line break or NUL inside a line was not sent")
    return block
