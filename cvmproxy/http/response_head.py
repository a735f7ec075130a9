"""Response heads: RFC 9112, sections 4 and 6.3, in their strictest reading, as if the target were a stranger.

Decisions where the RFCs leave room:

* The space before an empty reason phrase may be missing.
* Content-Length and Transfer-Encoding follow the rules of requests, also where no body follows.
* 204 and interim responses may say ``Content-Length: 0``, which is wrong and harmless, and nothing more.
* 101 is accepted only to the protocol that the request offered.
"""

import re
from typing import Final

from cvmproxy.http.blame import TARGET
from cvmproxy.http.fields import (
    FIELD_LINES,
    demand_connection_tokens,
    describe_bad_fields,
    read_content_length,
    split_fields,
)
from cvmproxy.http.limits import HttpLimits
from cvmproxy.http.messages import (
    CHUNKED,
    NO_BODY,
    SWITCHING_PROTOCOLS,
    UNTIL_CLOSE,
    ContentLength,
    Fields,
    Framing,
    InterimHead,
    ResponseHead,
)

_STATUS_LINE: Final = rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: ([\t -~\x80-\xff]*+))?+\r\n"
_HEAD: Final = re.compile(_STATUS_LINE + rb"(" + FIELD_LINES + rb")\r\n")
_STATUS_LINE_ALONE: Final = re.compile(_STATUS_LINE)


def parse_response_head(
    block: bytes, limits: HttpLimits, *, method: bytes, offered_upgrade: bytes | None
) -> InterimHead | ResponseHead:
    """Parse one complete head, through its empty line.

    :param method: the method of the request that this answers.
    :param offered_upgrade: the protocol in lower case that the request offered to go over to.
    :raises BackendError: ``upstream-malformed``.
    """
    match = _HEAD.fullmatch(block)
    if match is None:
        line_end = demand_status_line(block)
        raise TARGET.malformed(describe_bad_fields(block[line_end:-2]))
    minor, digits, reason, lines = match.groups()
    fields = split_fields(lines, limits.header_count, TARGET)
    version_minor = 1 if minor == b"1" else 0
    status = int(digits)
    demand_connection_tokens(fields, TARGET)
    framing = _framing(version_minor, status, fields, method)
    if status < 200 and status != SWITCHING_PROTOCOLS:
        return InterimHead(status=status, reason=reason or b"", version_minor=version_minor, fields=fields)
    head = ResponseHead(
        status=status, reason=reason or b"", version_minor=version_minor, fields=fields, framing=framing
    )
    if status == SWITCHING_PROTOCOLS and (offered_upgrade is None or head.upgrade != offered_upgrade):
        raise TARGET.malformed("101 to a protocol that the request did not offer")
    return head


def demand_status_line(beginning: bytes | bytearray) -> int:
    """Return where the status line ends in the beginning of a head that has all of that line.

    :raises BackendError: ``upstream-malformed``.
    """
    match = _STATUS_LINE_ALONE.match(beginning)
    if match is None:
        raise TARGET.malformed("the status line is not well-formed HTTP/1.0 or HTTP/1.1")
    return match.end()


def _framing(version_minor: int, status: int, fields: Fields, method: bytes) -> Framing:
    encodings = fields.values(b"transfer-encoding")
    lengths = fields.values(b"content-length")
    size = read_content_length(lengths, TARGET) if lengths else None
    if encodings:
        _demand_chunked(version_minor, encodings, size)
    if status < 200 or status == 204:
        if encodings or size:
            raise TARGET.malformed(f"status {status} announces a body")
        return NO_BODY
    if status == 304 or method == b"HEAD":
        return NO_BODY
    if encodings:
        return CHUNKED
    return UNTIL_CLOSE if size is None else ContentLength(size)


def _demand_chunked(version_minor: int, encodings: tuple[bytes, ...], size: int | None) -> None:
    if size is not None:
        raise TARGET.malformed("Content-Length together with Transfer-Encoding")
    if version_minor == 0:
        raise TARGET.malformed("Transfer-Encoding in HTTP/1.0")
    if len(encodings) != 1 or encodings[0].lower() != b"chunked":
        raise TARGET.malformed("a Transfer-Encoding that is not exactly chunked")
