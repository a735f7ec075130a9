"""JSON that an operator wrote, read so that it can mean one thing only, and every complaint names its place.

RFC 8259 text in UTF-8; beyond it: no member twice in an object, no NaN or Infinity, bounded size and depth. A
:class:`Node` knows its JSON pointer (RFC 6901), so that whoever reads it can say where something else was expected.
What a peer or Intel sent is read by :mod:`cvmproxy.attestation.signed_json`, which keeps bytes in place of places.
"""

import json
from collections.abc import Mapping
from typing import Final, NoReturn

from attrs import field, frozen

from cvmproxy.errors import ConfigurationError

MAXIMUM_BYTES: Final = 1024 * 1024
"""The largest file that is read."""

MAXIMUM_DEPTH: Final = 16
"""The deepest nesting that is read; our formats need five."""

_SHOWN_CHARACTERS: Final = 60


@frozen(kw_only=True)
class Node:
    """One JSON value with its place.

    :ivar file: what the operator calls the file (path or URL).
    :ivar code: the reason code of every complaint.
    :ivar pointer: JSON pointer to the value, empty for the whole file.
    :ivar value: ``dict`` of nodes, ``list`` of nodes, ``str``, ``int``, ``float``, ``bool`` or ``None``.
    """

    file: str
    code: str
    pointer: str
    value: object = field(repr=False)

    def refused(self, expected: str, found: str = "") -> ConfigurationError:
        """Return the error that says what was expected here, and what was found (by default the value's looks)."""
        where = f"at {self.pointer}" if self.pointer else "the whole file"
        return ConfigurationError(self.code, f"{self.file}: {where}: expected {expected}, found {found or self.looks}")

    def members(self, expected: str) -> Mapping[str, "Node"]:
        """Return the members of an object.

        :raises ConfigurationError: it is no object.
        """
        if not isinstance(self.value, dict):
            raise self.refused(expected)
        return self.value

    def elements(self, expected: str) -> list["Node"]:
        """Return the elements of an array.

        :raises ConfigurationError: it is no array.
        """
        if not isinstance(self.value, list):
            raise self.refused(expected)
        return self.value

    def text(self, expected: str) -> str:
        """Return a string.

        :raises ConfigurationError: it is no string.
        """
        if not isinstance(self.value, str):
            raise self.refused(expected)
        return self.value

    @property
    def looks(self) -> str:
        """The value as an error shows it: short, in printable ASCII."""
        match self.value:
            case dict():
                return f"an object of {len(self.value)} members" if self.value else "an empty object"
            case list():
                return f"an array of {len(self.value)} elements" if self.value else "an empty array"
            case _:
                return shown(self.value)


def shown(value: object) -> str:
    """Return a JSON scalar as an error shows it: in printable ASCII, cut where it is long."""
    text = json.dumps(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"


class _Object(list[tuple[str, object]]):
    """The members of an object as they stood in the text, duplicates included."""


def read_json(data: bytes, *, file: str, code: str) -> Node:
    """Read a whole file.

    :raises ConfigurationError: with ``code``; it is too large or too deep, no JSON, or ambiguous.
    """

    def refuse(what: str) -> NoReturn:
        raise ConfigurationError(code, f"{file}: {what}")

    def refuse_constant(name: str) -> NoReturn:
        raise ValueError(f"{name} is no JSON")

    if len(data) > MAXIMUM_BYTES:
        refuse(f"expected at most {MAXIMUM_BYTES} bytes, found more")
    try:
        tree = json.loads(data.decode("utf-8"), object_pairs_hook=_Object, parse_constant=refuse_constant)
    except UnicodeDecodeError as error:
        refuse(f"expected UTF-8, found another byte at offset {error.start}")
    except json.JSONDecodeError as error:
        refuse(f"expected JSON, found none: line {error.lineno}, column {error.colno}: {error.msg}")
    except ValueError as error:
        refuse(f"expected JSON, found none: {error}")
    except RecursionError:
        refuse(f"expected at most {MAXIMUM_DEPTH} levels of nesting, found more")
    return _located(_File(file=file, code=code), "", tree, MAXIMUM_DEPTH)


@frozen(kw_only=True)
class _File:
    file: str
    code: str

    def node(self, pointer: str, value: object) -> Node:
        return Node(file=self.file, code=self.code, pointer=pointer, value=value)


def _located(file: _File, pointer: str, raw: object, levels: int) -> Node:
    """Return a value as nodes, from its pointer on."""
    if levels == 0:
        raise file.node(pointer, None).refused(f"at most {MAXIMUM_DEPTH} levels of nesting", "more")
    if isinstance(raw, _Object):
        members: dict[str, Node] = {}
        for name, value in raw:
            at = f"{pointer}/{_step(name)}"
            if name in members:
                raise file.node(at, None).refused("this member once in its object", "it twice")
            members[name] = _located(file, at, value, levels - 1)
        return file.node(pointer, members)
    if isinstance(raw, list):
        return file.node(pointer, [_located(file, f"{pointer}/{i}", v, levels - 1) for i, v in enumerate(raw)])
    return file.node(pointer, raw)


def _step(name: str) -> str:
    """Return the step of a pointer to a member, printable and short: a file must not forge lines of the log."""
    step = json.dumps(name)[1:-1].replace("~", "~0").replace("/", "~1")
    return step if len(step) <= _SHOWN_CHARACTERS else step[:_SHOWN_CHARACTERS] + "…"
