"""Field lines: the syntax of RFC 9112, section 5, in its strictest reading.

One pattern demands the whole block's shape (a token, a colon at once, no control characters, no folding, every line
ended by CR LF), which is what httptools, a lenient parser, leaves open; httptools then splits it. Two independent
readings have to agree that the block is well-formed.
"""

import re
from typing import Final

import httptools

from cvmproxy.http.blame import Blame
from cvmproxy.http.messages import NO_FIELDS, Fields

TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
FIELD_LINES: Final = rb"(?:" + TOKEN + rb"++:[\t -~\x80-\xff]*+\r\n)*+"

FORBIDDEN_ANYWHERE: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r(?!\n|\Z)")
"""What cannot become well-formed, however the block goes on: control characters, a bare CR, a bare LF."""

FIELD_LINE: Final = re.compile(TOKEN + rb"++:[\t -~\x80-\xff]*+\r\n")
_OWS: Final = b" \t"
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")
_USUAL_CONNECTION: Final = frozenset({b"keep-alive", b"close", b"Upgrade"})
_TOKEN_LIST: Final = re.compile(rb"[ \t,]*+(?:" + TOKEN + rb"++[ \t]*+(?:,[ \t,]*+|\Z))*+")


class _FieldCollector:
    """What httptools calls back."""

    __slots__ = ("fields",)

    def __init__(self) -> None:
        self.fields: list[tuple[bytes, bytes]] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value.rstrip(_OWS)))


def split_fields(block: bytes, limit: int, blame: Blame) -> Fields:
    """Split field lines that are known to match :data:`FIELD_LINES`; no empty line at the end.

    :raises CvmproxyError: the direction's own: over ``limit`` lines, or httptools refuses them.
    """
    if not block:
        return NO_FIELDS
    if block.count(b"\r\n") > limit:
        raise blame.too_large(f"more than {limit} header fields")
    collector = _FieldCollector()
    # The request line is a constant: what the real start line says never changes how the fields are split.
    parser = httptools.HttpRequestParser(collector)
    try:
        parser.feed_data(b"GET / HTTP/1.1\r\n" + block + b"\r\n")
    except httptools.HttpParserUpgrade:
        # Not a failure: it is how httptools says that bytes of another protocol may follow.
        pass
    except httptools.HttpParserError as error:
        raise blame.malformed(f"header fields: {error}") from None
    return Fields(tuple(collector.fields))


def describe_bad_fields(block: bytes) -> str:
    """Say in words what is wrong with field lines that do not match :data:`FIELD_LINES`."""
    position = 0
    number = 0
    while good := FIELD_LINE.match(block, position):
        position = good.end()
        number += 1
    line = block[position:].split(b"\r\n", 1)[0]
    name, colon, _ = line.partition(b":")
    if b"\n" in line or b"\r" in line:
        problem = "a bare CR or LF"
    elif line[:1] in (b" ", b"\t"):
        problem = "a folded or indented line"
    elif not colon:
        problem = "no colon"
    elif name != name.rstrip(_OWS):
        problem = "white space before the colon"
    elif not re.fullmatch(TOKEN + rb"+", name):
        problem = "a name that is not a token"
    else:
        problem = "a control character in the value"
    return f"header field {number + 1}: {problem}"


def read_content_length(values: tuple[bytes, ...], blame: Blame) -> int:
    """Return the one Content-Length.

    :raises CvmproxyError: the direction's own: not exactly one field of 1 to 18 digits.
    """
    if len(values) != 1:
        raise blame.malformed("more than one Content-Length")
    if _LENGTH.fullmatch(values[0]) is None:
        raise blame.malformed("a Content-Length that is not 1 to 18 digits")
    return int(values[0])


def demand_connection_tokens(fields: Fields, blame: Blame) -> None:
    """Demand that Connection, where there is one, is a list of tokens.

    :raises CvmproxyError: the direction's own.
    """
    for value in fields.values(b"connection"):
        if value not in _USUAL_CONNECTION and _TOKEN_LIST.fullmatch(value) is None:
            raise blame.malformed("Connection is not a list of tokens")
