"""DER, the writing half: the few types that certificates and the SGX extension need (ITU-T X.690).

Every function returns one complete element: tag, definite length in its shortest form, content.
"""

from collections.abc import Iterable
from typing import Final

BOOLEAN: Final = 0x01
INTEGER: Final = 0x02
BIT_STRING: Final = 0x03
OCTET_STRING: Final = 0x04
OBJECT_IDENTIFIER: Final = 0x06
ENUMERATED: Final = 0x0A
UTF8_STRING: Final = 0x0C
PRINTABLE_STRING: Final = 0x13
UTC_TIME: Final = 0x17
GENERALIZED_TIME: Final = 0x18
SEQUENCE: Final = 0x30
SET: Final = 0x31


def element(tag: int, content: bytes) -> bytes:
    """One element with a single-byte tag."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    size_bytes = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(size_bytes))) + size_bytes + content


def sequence(*members: bytes) -> bytes:
    """A SEQUENCE of complete elements."""
    return element(SEQUENCE, b"".join(members))


def integer(value: int, tag: int = INTEGER) -> bytes:
    """An INTEGER (or ENUMERATED) of a value that is not negative."""
    if value < 0:
        raise ValueError("only values that are not negative are encoded here")
    # One bit more than the value needs, so that the sign bit is always clear.
    return element(tag, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def boolean(value: bool) -> bytes:
    """A BOOLEAN."""
    return element(BOOLEAN, b"\xff" if value else b"\x00")


def octet_string(value: bytes) -> bytes:
    """An OCTET STRING."""
    return element(OCTET_STRING, value)


def object_identifier(dotted: str) -> bytes:
    """An OBJECT IDENTIFIER from its dotted form, with at least two arcs."""
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    return element(OBJECT_IDENTIFIER, b"".join(map(_arc, _joined(first, second, rest))))


def _joined(first: int, second: int, rest: Iterable[int]) -> Iterable[int]:
    yield first * 40 + second
    yield from rest


def _arc(value: int) -> bytes:
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.append(0x80 | value & 0x7F)
    return bytes(reversed(digits))
