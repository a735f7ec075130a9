"""Request heads: RFC 9112, sections 2.2 to 3.2, and the framing of section 6, in their strictest reading.

What two implementations could read differently is refused. Decisions where the RFCs leave room:

* One empty line before the request line is tolerated, a second is not.
* The target is in origin-form, in absolute-form of ``http`` or ``https`` with an authority that equals Host, or is
  the ``*`` of an OPTIONS request. CONNECT is refused, and so is a ``#``.
* Content-Length is one field of 1 to 18 digits, leading zeros among them; Transfer-Encoding is one field that says
  ``chunked``, in HTTP/1.1 only; both together are refused, and so is either with ``_`` for ``-``, which targets that
  make variables of fields could take for it.
* Host is one non-empty field, which only HTTP/1.0 may leave out.
* Expect says nothing but ``100-continue``, once.
"""

import re
from typing import Final

from cvmproxy.http.blame import REQUESTER
from cvmproxy.http.fields import (
    FIELD_LINES,
    TOKEN,
    demand_connection_tokens,
    describe_bad_fields,
    read_content_length,
    split_fields,
)
from cvmproxy.http.limits import HttpLimits
from cvmproxy.http.messages import CHUNKED, NO_BODY, ContentLength, Fields, Framing, RequestHead

_REQUEST_LINE: Final = rb"(?:\r\n)?+(" + TOKEN + rb"{1,32}+) ([!-\"$-~]++) HTTP/"
_HEAD: Final = re.compile(_REQUEST_LINE + rb"1\.([01])\r\n(" + FIELD_LINES + rb")\r\n")
_ANY_VERSION: Final = re.compile(_REQUEST_LINE + rb"([0-9]\.[0-9])\r\n")
_HOST: Final = rb"(?:[0-9A-Za-z\-._~]++|\[[0-9A-Fa-f:.]++\])(?::[0-9]{1,5})?"
_HOST_VALUE: Final = re.compile(_HOST)
_ABSOLUTE_FORM: Final = re.compile(rb"(?i:https?)://(" + _HOST + rb")(?:[/?].*)?")


def parse_request_head(block: bytes, limits: HttpLimits) -> RequestHead:
    """Parse one complete head, through its empty line.

    :raises RequestError: ``request-malformed``, ``request-head-too-large`` or ``request-version``.
    """
    match = _HEAD.fullmatch(block)
    if match is None:
        line_end = demand_request_line(block)
        raise REQUESTER.malformed(describe_bad_fields(block[line_end:-2]))
    method, target, minor, lines = match.groups()
    fields = split_fields(lines, limits.header_count, REQUESTER)
    version_minor = 1 if minor == b"1" else 0
    framing = _framing(version_minor, fields)
    _demand_host(version_minor, fields)
    _demand_target_form(method, target, fields)
    demand_connection_tokens(fields, REQUESTER)
    if b"expect" in fields:
        _demand_known_expectation(fields)
    return RequestHead(method=method, target=target, version_minor=version_minor, fields=fields, framing=framing)


def demand_request_line(beginning: bytes | bytearray) -> int:
    """Return where the request line ends in the beginning of a head that has all of that line.

    :raises RequestError: ``request-version`` for another version of HTTP, ``request-malformed`` for anything else.
    """
    match = _ANY_VERSION.match(beginning)
    if match is None:
        raise REQUESTER.malformed("the request line is not well-formed")
    if match[3] not in (b"1.0", b"1.1"):
        raise REQUESTER.version(f"HTTP/{match[3].decode('ascii')} is not spoken here")
    return match.end()


def _framing(version_minor: int, fields: Fields) -> Framing:
    if b"content_length" in fields or b"transfer_encoding" in fields:
        raise REQUESTER.malformed("a framing field with an underscore in its name")
    encodings = fields.values(b"transfer-encoding")
    lengths = fields.values(b"content-length")
    if not encodings:
        return ContentLength(read_content_length(lengths, REQUESTER)) if lengths else NO_BODY
    if lengths:
        raise REQUESTER.malformed("Content-Length together with Transfer-Encoding")
    if version_minor == 0:
        raise REQUESTER.malformed("Transfer-Encoding in HTTP/1.0")
    if len(encodings) != 1 or encodings[0].lower() != b"chunked":
        raise REQUESTER.malformed("a Transfer-Encoding that is not exactly chunked")
    return CHUNKED


def _demand_host(version_minor: int, fields: Fields) -> None:
    hosts = fields.values(b"host")
    if len(hosts) != 1:
        if not hosts and version_minor == 0:
            return
        raise REQUESTER.malformed(f"{len(hosts)} Host fields")
    if _HOST_VALUE.fullmatch(hosts[0]) is None:
        raise REQUESTER.malformed("Host is not a host with an optional port")


def _demand_target_form(method: bytes, target: bytes, fields: Fields) -> None:
    if method == b"CONNECT":
        raise REQUESTER.malformed("CONNECT is not spoken here")
    if target[0] == 0x2F or (target == b"*" and method == b"OPTIONS"):
        return
    absolute = _ABSOLUTE_FORM.fullmatch(target)
    if absolute is None:
        raise REQUESTER.malformed("the request target is in none of the forms that are spoken here")
    hosts = fields.values(b"host")
    if hosts and hosts[0].lower() != absolute[1].lower():
        raise REQUESTER.malformed("the request target names another host than Host")


def _demand_known_expectation(fields: Fields) -> None:
    expectations = fields.values(b"expect")
    if len(expectations) != 1 or expectations[0].lower() != b"100-continue":
        raise REQUESTER.malformed("an expectation other than 100-continue")
