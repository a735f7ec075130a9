"""DER, the reading half: strict, for the few types that certificates and the SGX extension need (ITU-T X.690).

Only single-byte tags and definite lengths in their shortest form are read; anything else is a :class:`DerError`.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from cvmproxy.attestation.der_encoding import BOOLEAN, ENUMERATED, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE

_MAX_LENGTH_BYTES: Final = 3
_MAX_OID_BYTES: Final = 63


class DerError(ValueError):
    """The bytes are not the DER that was expected."""


def elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and content of each element of a concatenation that fills ``data`` exactly.

    :raises DerError: it does not.
    """
    offset = 0
    while offset < len(data):
        tag = data[offset]
        if tag & 0x1F == 0x1F:
            raise DerError(f"tag {tag:#04x} has more than one byte")
        start, size = _length(data, offset + 1)
        offset = start + size
        if offset > len(data):
            raise DerError(f"an element of {size} bytes exceeds its container")
        yield tag, data[start:offset]


def only_element(data: bytes, tag: int) -> bytes:
    """Return the content of the one element in ``data``, which must have this tag.

    :raises DerError: there is none, more than one, or one of another tag.
    """
    found = list(islice(elements(data), 2))
    if len(found) != 1:
        raise DerError(f"{'more' if found else 'no'} elements where one was expected")
    return content_of(found[0], tag)


def content_of(element: tuple[int, bytes], tag: int) -> bytes:
    """Return the element's content.

    :raises DerError: its tag is another.
    """
    if element[0] != tag:
        raise DerError(f"tag {element[0]:#04x} where {tag:#04x} was expected")
    return element[1]


def pairs(sequence: bytes) -> dict[bytes, tuple[int, bytes]]:
    """Read the content of a SEQUENCE OF SEQUENCE {OID, value}: encoded OID → element.

    :raises DerError: another structure, or an OID that occurs twice.
    """
    found: dict[bytes, tuple[int, bytes]] = {}
    for pair in elements(sequence):
        members = list(elements(content_of(pair, SEQUENCE)))
        if len(members) != 2:
            raise DerError(f"{len(members)} members where an identifier and its value were expected")
        oid = content_of(members[0], OBJECT_IDENTIFIER)
        if oid in found:
            raise DerError(f"identifier {oid.hex()} occurs twice")
        found[oid] = members[1]
    return found


def unsigned(element: tuple[int, bytes], maximum: int, tag: int = INTEGER) -> int:
    """Read an INTEGER (or ENUMERATED) from 0 to ``maximum``, encoded in its shortest form.

    :raises DerError: it is not one.
    """
    content = content_of(element, tag)
    if not content or content[0] & 0x80:
        raise DerError("an integer is empty or negative")
    if len(content) > 1 and content[0] == 0 and not content[1] & 0x80:
        raise DerError("an integer is not in its shortest form")
    value = int.from_bytes(content, "big")
    if value > maximum:
        raise DerError(f"an integer exceeds {maximum}")
    return value


def enumerated(element: tuple[int, bytes], maximum: int) -> int:
    """Read an ENUMERATED from 0 to ``maximum``.

    :raises DerError: it is not one.
    """
    return unsigned(element, maximum, ENUMERATED)


def boolean(element: tuple[int, bytes]) -> bool:
    """Read a BOOLEAN.

    :raises DerError: it is not one.
    """
    content = content_of(element, BOOLEAN)
    if content not in (b"\x00", b"\xff"):
        raise DerError("a boolean is neither 00 nor ff")
    return content == b"\xff"


def octets(element: tuple[int, bytes], size: int) -> bytes:
    """Read an OCTET STRING of exactly ``size`` bytes.

    :raises DerError: it is not one.
    """
    content = content_of(element, OCTET_STRING)
    if len(content) != size:
        raise DerError(f"an octet string has {len(content)} bytes, not {size}")
    return content


def dotted(oid: bytes) -> str:
    """Return the dotted form of an encoded OID, given without tag and length.

    :raises DerError: it is not encoded in the one way there is, or has more than 63 bytes.
    """
    if not 1 <= len(oid) <= _MAX_OID_BYTES or oid[-1] & 0x80:
        raise DerError(f"an identifier of {len(oid)} bytes is too long or cut short")
    arcs, value = [], 0
    for byte in oid:
        if not value and byte == 0x80:
            raise DerError("an identifier is not in its shortest form")
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            arcs.append(value)
            value = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


def _length(data: bytes, offset: int) -> tuple[int, int]:
    """Return where the content starts, and its size."""
    if offset >= len(data):
        raise DerError("an element ends before its length")
    first = data[offset]
    if first < 0x80:
        return offset + 1, first
    count = first & 0x7F
    encoded = data[offset + 1 : offset + 1 + count]
    if not 1 <= count <= _MAX_LENGTH_BYTES or len(encoded) != count:
        raise DerError(f"a length has the form {first:#04x}")
    size = int.from_bytes(encoded, "big")
    if size < 0x80 or encoded[0] == 0:
        raise DerError("a length is not in its shortest form")
    return offset + 1 + count, size
