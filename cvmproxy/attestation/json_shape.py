"""Typed reading of parsed JSON: every value has a place, and one error says which place holds what it should not."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from attrs import frozen

from cvmproxy.attestation.signed_json import JsonError

_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_HEX: Final = re.compile(r"[0-9A-Fa-f]*")


@frozen
class Shape:
    """A value and its place, e.g. ``tcbInfo.tcbLevels[3].tcbDate``. Every method raises :class:`JsonError`."""

    value: object
    place: str

    def member(self, key: str) -> "Shape":
        """Return a member that has to be there."""
        found = self.optional(key)
        if found is None:
            raise JsonError(f"{self.place} has no {key!r}")
        return found

    def optional(self, key: str) -> "Shape | None":
        """Return a member, or ``None`` where there is none."""
        if not isinstance(self.value, dict):
            raise JsonError(f"{self.place} is not an object")
        return Shape(self.value[key], f"{self.place}.{key}") if key in self.value else None

    def elements(self, at_least: int = 0) -> "list[Shape]":
        """Return the elements of an array of no fewer than ``at_least``."""
        if not isinstance(self.value, list) or len(self.value) < at_least:
            raise JsonError(f"{self.place} is not an array of {at_least} or more elements")
        return [Shape(element, f"{self.place}[{index}]") for index, element in enumerate(self.value)]

    def text(self) -> str:
        """Return a string."""
        if not isinstance(self.value, str):
            raise JsonError(f"{self.place} is not a string")
        return self.value

    def number(self, maximum: int) -> int:
        """Return an integer from 0 to ``maximum``."""
        if type(self.value) is not int or not 0 <= self.value <= maximum:
            raise JsonError(f"{self.place} is not an integer from 0 to {maximum}")
        return self.value

    def octets(self, size: int) -> bytes:
        """Return ``size`` bytes, written in hex of either case."""
        text = self.text()
        if len(text) != 2 * size or not _HEX.fullmatch(text):
            raise JsonError(f"{self.place} is not {size} bytes in hex")
        return bytes.fromhex(text)

    def time(self) -> datetime:
        """Return a time, written as ``2025-06-19T10:32:27Z`` and in no other way (aware, UTC)."""
        text = self.text()
        if _TIME.fullmatch(text):
            try:
                return datetime.fromisoformat(text[:-1]).replace(tzinfo=UTC)
            except ValueError:
                pass
        raise JsonError(f"{self.place} is not a time of the form 2025-06-19T10:32:27Z")

    def svns(self, size: int) -> tuple[int, ...]:
        """Return the ``svn`` members of an array of exactly ``size`` components, 0–255 each."""
        components: Any = self.value
        if isinstance(components, list) and len(components) == size:
            found: list[Any] = [
                component.get("svn") if isinstance(component, dict) else None for component in components
            ]
            if all(type(svn) is int and 0 <= svn <= 0xFF for svn in found):
                return tuple(found)
        raise JsonError(f"{self.place} is not an array of {size} components with an svn from 0 to 255")

    def texts(self) -> tuple[str, ...]:
        """Return the elements of an array of strings."""
        return tuple(element.text() for element in self.elements())

    def one_of(self, names: Sequence[str]) -> str:
        """Return a string that is one of ``names``."""
        text = self.text()
        if text not in names:
            raise JsonError(f"{self.place} is {text!r}, none of {', '.join(names)}")
        return text
