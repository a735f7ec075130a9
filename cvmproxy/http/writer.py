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
    InterimHead,
    RequestHead,
    ResponseHead,
    UntilClose,
)

_REQUEST: Final = re.compile(TOKEN + rb"++ [!-~]++ HTTP/1\.1\r\n" + FIELD_LINES + rb"\r\n")
_RESPONSE: Final = re.compile(rb"HTTP/1\.1 [1-5][0-9]{2} [\t -~\x80-\xff]*+\r\n" + FIELD_LINES + rb"\r\n")
_TRAILERS: Final = re.compile(FIELD_LINES)
_START_AND_EMPTY_LINE: Final = 2


def encode_request_head(head: RequestHead) -> bytes:
    """Return a request head, always as HTTP/1.1.

    :raises ValueError: a part of it would break the syntax.
    """
    block = b"%b %b HTTP/1.1\r\n%b" % (head.method, head.target, _lines(head.fields, head.framing))
    return _demand_head(_REQUEST, block, head.fields, head.framing)


def encode_response_head(head: ResponseHead | InterimHead) -> bytes:
    """Return a response head, always as HTTP/1.1.

    :raises ValueError: a part of it would break the syntax.
    """
    framing = None if isinstance(head, InterimHead) else head.framing
    block = b"HTTP/1.1 %d %b\r\n%b" % (head.status, head.reason, _lines(head.fields, framing))
    return _demand_head(_RESPONSE, block, head.fields, framing)


def encode_chunk(data: bytes) -> bytes:
    """Return one chunk with its framing; nothing for no data, which would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def encode_last_chunk(trailers: Fields) -> bytes:
    """Return the end of a chunked body.

    :raises ValueError: a trailer would break the syntax.
    """
    lines = b"".join([b"%b: %b\r\n" % pair for pair in trailers.lines])
    return b"0\r\n%b\r\n" % _demand(_TRAILERS, lines, len(trailers))


def _lines(fields: Fields, framing: Framing | None) -> bytes:
    lines = [b"%b: %b\r\n" % pair for pair in fields.lines]
    if isinstance(framing, ContentLength):
        lines.append(b"Content-Length: %d\r\n" % framing.size)
    elif isinstance(framing, Chunked):
        lines.append(b"Transfer-Encoding: chunked\r\n")
    lines.append(b"\r\n")
    return b"".join(lines)


def _demand_head(shape: re.Pattern[bytes], block: bytes, fields: Fields, framing: Framing | None) -> bytes:
    lowered = block.lower()
    framings = lowered.count(b"\ncontent-length:") + lowered.count(b"\ntransfer-encoding:")
    if framings > 1 or (framings == 1 and isinstance(framing, UntilClose)):
        raise ValueError("a head with framing fields of its own was not sent")
    has_framing_line = isinstance(framing, ContentLength | Chunked)
    return _demand(shape, block, _START_AND_EMPTY_LINE + len(fields) + has_framing_line)


def _demand(shape: re.Pattern[bytes], block: bytes, line_count: int) -> bytes:
    # The shape alone would let a line break inside a value pass for two fields.
    if shape.fullmatch(block) is None or block.count(b"\n") != line_count:
        raise ValueError("bytes that would break the syntax of HTTP/1.1 were not sent")
    return block
