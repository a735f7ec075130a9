"""Messages into bytes: RFC 9112. Framing fields come from ``framing`` alone; the fields of a head must not have them.

Whatever reaches a function here was read strictly or made by us, so bytes that would break the syntax are a bug of
ours: they raise ``ValueError`` and are never sent.
"""

import re
from typing import Final

from cvmproxy.http.fields import FIELD_LINES, TOKEN
from cvmproxy.http.messages import (
    Chunked,
    ContentLength,
    Fields,
    Framing,
    Headers,
    InterimHead,
    NoBody,
    RequestHead,
    ResponseHead,
)

_REQUEST: Final = re.compile(TOKEN + rb"++ [!-~]++ HTTP/1\.1\r\n" + FIELD_LINES + rb"\r\n")
_RESPONSE: Final = re.compile(rb"HTTP/1\.1 [1-5][0-9]{2} [\t -~\x80-\xff]*+\r\n" + FIELD_LINES + rb"\r\n")
_TRAILERS: Final = re.compile(FIELD_LINES)


def encode_request_head(head: RequestHead) -> bytes:
    """Return a request head, always as HTTP/1.1.

    :raises ValueError: a part of it would break the syntax.
    """
    block = b"%b %b HTTP/1.1\r\n%b" % (head.method, head.target, _lines(head.fields, head.framing))
    return _demand(_REQUEST, block, head.fields.lines)


def encode_response_head(head: ResponseHead | InterimHead) -> bytes:
    """Return a response head, always as HTTP/1.1.

    :raises ValueError: a part of it would break the syntax.
    """
    framing = None if isinstance(head, InterimHead) else head.framing
    block = b"HTTP/1.1 %d %b\r\n%b" % (head.status, head.reason, _lines(head.fields, framing))
    return _demand(_RESPONSE, block, head.fields.lines)


def encode_body(framing: Framing, data: bytes) -> bytes:
    """Return a piece of a body under its framing: a chunk, or the very bytes. No data is no piece.

    :raises ValueError: the framing has no body.
    """
    if isinstance(framing, Chunked):
        return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
    if isinstance(framing, NoBody) and data:
        raise ValueError("a body was not sent: the head announced none")
    return data


def encode_end(framing: Framing, trailers: Headers) -> bytes:
    """Return what ends a message: the last chunk with its trailers, or nothing. Only chunked bodies have trailers.

    :raises ValueError: a trailer would break the syntax.
    """
    if not isinstance(framing, Chunked):
        return b""
    lines = b"".join([b"%b: %b\r\n" % pair for pair in trailers])
    return b"0\r\n%b\r\n" % _demand(_TRAILERS, lines, trailers)


def _lines(fields: Fields, framing: Framing | None) -> bytes:
    lines = [b"%b: %b\r\n" % pair for pair in fields.lines]
    if isinstance(framing, ContentLength):
        lines.append(b"Content-Length: %d\r\n" % framing.size)
    elif isinstance(framing, Chunked):
        lines.append(b"Transfer-Encoding: chunked\r\n")
    lines.append(b"\r\n")
    return b"".join(lines)


def _demand(shape: re.Pattern[bytes], block: bytes, headers: Headers) -> bytes:
    # The shape alone would let a line break inside a value pass for two fields.
    if shape.fullmatch(block) is None or any(b"\n" in value or b"\n" in name for name, value in headers):
        raise ValueError("a message that would break the syntax of HTTP/1.1 was not sent")
    return block
