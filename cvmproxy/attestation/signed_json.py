"""JSON from a peer or from Intel, read so that it can mean one thing only, beside the exact bytes of its members.

Signatures of collateral are over the bytes of a member's value as they stand in the body: they are cut out, never
re-serialised. Repeated keys, ``NaN``, fractions and huge numbers are refused (RFC 8259, section 4); so is nesting that
the interpreter would not follow. An operator's file is read by :mod:`cvmproxy.attestation.operator_json`, which keeps
places in place of bytes.
"""

import json
import re
from typing import Any, Final, NoReturn

_WHITESPACE: Final = re.compile(r"[ \t\r\n]*")
_MAX_DIGITS: Final = 20


class JsonError(ValueError):
    """The bytes are not the JSON that was expected."""


def _unique_members(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) != len(members):
        raise JsonError("a key occurs twice in one object")
    return found


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise JsonError("a number is too large")
    return int(digits)


def _refuse_number(_text: str) -> NoReturn:
    raise JsonError("a number is not an integer")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique_members,
    parse_int=_integer,
    parse_float=_refuse_number,
    parse_constant=_refuse_number,
)


def parse_json(data: bytes) -> object:
    """Parse one JSON text in UTF-8, without a byte order mark.

    :raises JsonError: it is not one, or not one that every reader takes the same way.
    """
    text = _text(data)
    start = _skip(text, 0)
    value, end = _value(text, start)
    if _skip(text, end) != len(text):
        raise JsonError("something follows the JSON text")
    return value


def cut_members(data: bytes) -> dict[str, tuple[object, bytes]]:
    """Parse one JSON object, and return each member's value beside the exact bytes that it was written in.

    :raises JsonError: it is not one JSON object.
    """
    text = _text(data)
    members: dict[Any, tuple[object, bytes]] = {}
    position = _expect(text, _skip(text, 0), "{")
    while True:
        _expect(text, position, '"')
        key, position = _value(text, position)
        if key in members:
            raise JsonError("a key occurs twice in one object")
        start = _expect(text, _skip(text, position), ":")
        value, end = _value(text, start)
        members[key] = (value, text[start:end].encode())
        position = _skip(text, end)
        if text[position : position + 1] != ",":
            break
        position = _skip(text, position + 1)
    if _expect(text, position, "}") != len(text):
        raise JsonError("something follows the JSON object")
    return members


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise JsonError("the text is not UTF-8") from None


def _skip(text: str, position: int) -> int:
    match = _WHITESPACE.match(text, position)
    return position if match is None else match.end()


def _expect(text: str, position: int, character: str) -> int:
    """Return the position after the character and the white space that follows it."""
    if text[position : position + 1] != character:
        raise JsonError(f"{character!r} expected at character {position}")
    return _skip(text, position + 1)


def _value(text: str, start: int) -> tuple[Any, int]:
    try:
        return _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        raise JsonError(str(error)) from None
    except RecursionError:
        raise JsonError("the text is nested too deeply") from None
