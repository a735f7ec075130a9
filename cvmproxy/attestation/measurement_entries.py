"""One entry of a measurements file, in each of its three shapes, down to the registers' values.

Follows the design page "Measurements files". :mod:`cvmproxy.attestation.measurements` reads the file around it and
decides which entries count.
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Final

from attrs import define, field

from cvmproxy.attestation.model import ReferenceEntry, RegisterReference
from cvmproxy.attestation.operator_json import Node, shown
from cvmproxy.attestation.registers import MeasuredType

_HEX: Final = re.compile(r"(?:[0-9a-fA-F]{2})+")
_MAXIMUM_ID_CHARACTERS: Final = 256
_MEASURE_KINDS: Final = ("azure", "portable")


@define(kw_only=True)
class EntryReader:
    """Reads the entries of one file.

    :ivar known: every attestation type that a file may speak of.
    :ivar named: the type that the operator named: that of entries which do not say theirs.
    :ivar warnings: collects what does not do what its author may think.
    """

    known: Sequence[MeasuredType]
    named: MeasuredType | None
    warnings: list[str] = field(factory=list)

    @staticmethod
    def is_measure_object(node: Node) -> bool:
        """Say whether a value has the shape of an ``attest measure`` object."""
        return isinstance(node.value, dict) and isinstance(getattr(node.value.get("kind"), "value", None), str)

    def list_element(self, node: Node, default_id: str) -> ReferenceEntry:
        """Read an element of a list: a v2 entry, or an object of ``attest measure``."""
        if self.is_measure_object(node):
            return self.measure_object(node, default_id)
        members = node.members("an entry: an object")
        _refuse_others(members, ("measurement_id", "attestation_type", "measurements"))
        named = members.get("attestation_type")
        kind = self._type_of_unnamed(node) if named is None else self._type_called(named)
        named_id = members.get("measurement_id")
        measurements = members.get("measurements")
        return ReferenceEntry(
            measurement_id=default_id if named_id is None else _identifier(named_id),
            attestation_type=kind.name,
            registers={} if measurements is None else self._registers(measurements, kind),
        )

    def map_entry(self, name: str, node: Node) -> ReferenceEntry:
        """Read an entry of the v1 map, whose type follows from the length of its values."""
        members = node.members("an entry: an object of registers")
        kind = self._type_by_length(node, members) if members else self._type_of_unnamed(node)
        return ReferenceEntry(
            measurement_id=_identifier(node, name),
            attestation_type=kind.name,
            registers=self._registers(node, kind),
        )

    def measure_object(self, node: Node, measurement_id: str) -> ReferenceEntry:
        """Read an object of ``attest measure``: the one part whose registers we appraise, and no other."""
        members = {name: member for name, member in node.members("an object").items() if member.value is not None}
        kind = members.pop("kind")
        if kind.value not in _MEASURE_KINDS:
            raise kind.refused(f"one of the kinds {', '.join(_MEASURE_KINDS)}")
        by_part = {known.measure_part: known for known in self.known if known.measure_part}
        for name, member in members.items():
            if name not in by_part:
                raise member.refused(
                    f"no part but {', '.join(by_part)}",
                    f"{shown(name)}, which cannot be appraised from registers: remove it, or write register values",
                )
        if len(members) != 1:
            raise node.refused(f"one part with registers: {', '.join(by_part)}", "none" if not members else "several")
        ((name, part),) = members.items()
        if not part.members("an object of registers"):
            raise part.refused("at least one register")
        return ReferenceEntry(
            measurement_id=measurement_id,
            attestation_type=by_part[name].name,
            registers=self._registers(part, by_part[name]),
        )

    def _type_called(self, node: Node) -> MeasuredType:
        names = ", ".join(kind.name for kind in self.known)
        name = node.text(f"an attestation type ({names})")
        kind = next((kind for kind in self.known if kind.is_called(name)), None)
        if kind is None:
            raise node.refused(f"an attestation type ({names})")
        return kind

    def _type_of_unnamed(self, node: Node) -> MeasuredType:
        if self.named is None:
            raise node.refused("an attestation type in the entry, or one named by option or variable", "neither")
        return self.named

    def _type_by_length(self, node: Node, members: Mapping[str, Node]) -> MeasuredType:
        by_size = {kind.registers.size: kind for kind in self.known if kind.legacy_map}
        sizes = " or ".join(f"{size} ({kind.name})" for size, kind in by_size.items())
        found = {len(value) for member in members.values() for value in _accepted(member)[0]}
        if len(found) != 1:
            raise node.refused("values of one length", f"values of {' and '.join(map(str, sorted(found)))} bytes")
        kind = by_size.get(found.pop())
        if kind is None:
            raise node.refused(f"values of {sizes} bytes", "another length")
        return kind

    def _registers(self, node: Node, kind: MeasuredType) -> dict[int, RegisterReference]:
        registers: dict[int, RegisterReference] = {}
        spellings: dict[int, str] = {}
        for spelling, member in node.members("an object of registers").items():
            index = kind.registers.index_of(spelling)
            if index is None:
                first, last = min(kind.registers.names.values()), max(kind.registers.names.values())
                names = f"{kind.registers.name_of(first)} to {kind.registers.name_of(last)}"
                raise member.refused(
                    f'a register of {kind.name} ("{first}" to "{last}", or {names})', f"register {shown(spelling)}"
                )
            if index in registers:
                raise member.refused(f"register {index} once in the entry", f"{shown(spellings[index])} as well")
            spellings[index] = spelling
            registers[index] = self._reference(member, kind)
        return registers

    def _reference(self, node: Node, kind: MeasuredType) -> RegisterReference:
        values, warn_only = _accepted(node)
        for value in values:
            if len(value) != kind.registers.size:
                raise node.refused(f"{kind.registers.size} bytes in hex for {kind.name}", f"{len(value)} bytes")
        if warn_only and not kind.registers.warn_only_allowed:
            self.warnings.append(
                f"{node.file}: at {node.pointer}: warnOnly has no effect on registers of {kind.name}: "
                "the value is enforced all the same"
            )
        return RegisterReference(
            expected_any=frozenset(values), warn_only=warn_only and kind.registers.warn_only_allowed
        )


def _accepted(node: Node) -> tuple[list[bytes], bool]:
    """Return the values that a register may hold, and whether ``warnOnly`` is set."""
    if isinstance(node.value, str):
        return [_bytes_of(node)], False
    members = node.members('hex, {"expected": hex} or {"expected_any": [hex, …]}')
    _refuse_others(members, ("expected", "expected_any", "warnOnly"))
    warn_only = members.get("warnOnly")
    if warn_only is not None and not isinstance(warn_only.value, bool):
        raise warn_only.refused("true or false")
    expected, expected_any = members.get("expected"), members.get("expected_any")
    if (expected is None) == (expected_any is None):
        raise node.refused('one of "expected" and "expected_any"', "neither" if expected is None else "both")
    if expected is not None:
        values = [_bytes_of(expected)]
    else:
        assert expected_any is not None
        values = [_bytes_of(element) for element in expected_any.elements("a list of hex values")]
        if not values:
            raise expected_any.refused("at least one value")
    return values, warn_only is not None and warn_only.value is True


def _bytes_of(node: Node) -> bytes:
    text = node.text("a value in hex: a string")
    if _HEX.fullmatch(text):
        return bytes.fromhex(text)
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if len(decoded) in (32, 48):
        raise node.refused("a value in hex", f"base64: in hex it is {decoded.hex()}")
    raise node.refused("a value in hex")


def _identifier(node: Node, name: str | None = None) -> str:
    text = node.text("an id: a string") if name is None else name
    if len(text) > _MAXIMUM_ID_CHARACTERS or not text.isprintable():
        raise node.refused(f"an id of at most {_MAXIMUM_ID_CHARACTERS} printable characters", shown(text))
    return text


def _refuse_others(members: Mapping[str, Node], expected: Sequence[str]) -> None:
    for name, member in members.items():
        if name not in expected:
            raise member.refused(f"no member but {', '.join(expected)}", shown(name))
