"""Measurements files → reference values, and back: the ready-to-paste entry.

Follows the design page "Measurements files". The form is chosen by shape: the v2 list, the v1 map, and the objects of
``attest measure``. Whatever is not exactly one of them is refused with its place: a misspelt member that was passed
over would turn an entry into one that demands nothing.

The known attestation types come in as values, so nothing here compares a type by name.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Final

from attrs import field, frozen

from cvmproxy.attestation.measurement_entries import EntryReader
from cvmproxy.attestation.model import ReferenceEntry, ReferenceValues
from cvmproxy.attestation.operator_json import Node, read_json
from cvmproxy.attestation.registers import MeasuredType

CODE: Final = "bad-measurements-file"

_MAXIMUM_ENTRIES: Final = 10_000

_FORMS: Final = (
    "a list of entries, a map of entries by id, or an object of `attest measure`, as the page on measurements files "
    "describes them"
)


@frozen(kw_only=True)
class Measurements:
    """What came of a measurements file, or of its absence where a type was named.

    :ivar references: the entries that count.
    :ivar announcements: what has to be said loudly at every start: which types are accepted with any measurements.
    :ivar warnings: what in the file does not do what its author may think.
    """

    references: ReferenceValues
    announcements: tuple[str, ...] = field(default=())
    warnings: tuple[str, ...] = field(default=())

    @property
    def types(self) -> tuple[str, ...]:
        """The attestation types that are accepted, in the order of their first entry."""
        return tuple(dict.fromkeys(entry.attestation_type for entry in self.references.entries))


def read_measurements(data: bytes, *, file: str, known: Sequence[MeasuredType], named: str | None) -> Measurements:
    """Read a measurements file.

    :param data: the file's bytes.
    :param file: what the operator calls it (path or URL), for errors.
    :param known: every attestation type that a file may speak of.
    :param named: the attestation type that the operator named, or ``None`` where every entry counts.
    :raises ConfigurationError: ``bad-measurements-file``; the message names file, JSON pointer and what was expected.
    """
    root = read_json(data, file=file, code=CODE)
    reader = EntryReader(known=known, named=next((kind for kind in known if named and kind.is_called(named)), None))
    entries = _entries(root, reader)
    _refuse_development_entries(root, entries, known, reader.named)
    if reader.named is not None:
        entries = [entry for entry in entries if entry.attestation_type == reader.named.name]
        if not entries:
            raise root.refused(f"an entry of type {reader.named.name}, as the operator named it", "none")
    references = ReferenceValues(entries=tuple(entries), digest=sha256(data).hexdigest())
    return Measurements(
        references=references, announcements=_announcements(entries, file), warnings=tuple(reader.warnings)
    )


def any_measurements(attestation_type: str) -> Measurements:
    """Return what a side accepts that was told to verify a type and given no file: that type, any measurements."""
    entry = ReferenceEntry(measurement_id="any", attestation_type=attestation_type, registers={})
    line = (
        f"ANY MEASUREMENTS of type {attestation_type} are accepted, as no measurements file was given: "
        "the evidence is authenticated and its measurements are forwarded, but no value is demanded"
    )
    return Measurements(references=ReferenceValues(entries=(entry,), digest=""), announcements=(line,))


def format_entry(attestation_type: str, measured: Mapping[int, bytes], *, measurement_id: str = "measured") -> str:
    """Return a v2 entry that demands exactly these values, as JSON text to paste into a list."""
    entry = {
        "measurement_id": measurement_id,
        "attestation_type": attestation_type,
        "measurements": {str(index): {"expected": value.hex()} for index, value in sorted(measured.items())},
    }
    return json.dumps(entry, indent=2)


def _entries(root: Node, reader: EntryReader) -> list[ReferenceEntry]:
    if isinstance(root.value, list):
        _require_number(root, len(root.value))
        return [reader.list_element(node, f"entry {at}") for at, node in enumerate(root.value)]
    members = root.members(_FORMS)
    if EntryReader.is_measure_object(root):
        return [reader.measure_object(root, "attest measure")]
    if "measurements" in members or "measurement_id" in members:
        raise root.refused("a list of entries", "a single entry: put it in square brackets")
    _require_number(root, len(members))
    return [reader.map_entry(name, node) for name, node in members.items()]


def _require_number(root: Node, entries: int) -> None:
    if not entries:
        raise root.refused("at least one entry (an empty file would accept nothing)")
    if entries > _MAXIMUM_ENTRIES:
        raise root.refused(f"at most {_MAXIMUM_ENTRIES} entries", f"{entries}")


def _refuse_development_entries(
    root: Node, entries: Iterable[ReferenceEntry], known: Sequence[MeasuredType], named: MeasuredType | None
) -> None:
    development = {kind.name for kind in known if kind.development_only}
    for entry in entries:
        if entry.attestation_type in development and (named is None or named.name != entry.attestation_type):
            raise root.refused(
                f"no entry of type {entry.attestation_type}, which is for development and counts only where named",
                f"{entry.measurement_id!r}",
            )


def _demands_nothing(entry: ReferenceEntry) -> bool:
    return all(reference.warn_only for reference in entry.registers.values())


def _announcements(entries: Iterable[ReferenceEntry], file: str) -> tuple[str, ...]:
    lines: dict[str, str] = {}
    for entry in entries:
        if _demands_nothing(entry):
            because = "only warns (warnOnly)" if entry.registers else "names no register"
            lines.setdefault(
                entry.attestation_type,
                f"ANY MEASUREMENTS of type {entry.attestation_type} are accepted, as entry {entry.measurement_id!r} of "
                f"{file} {because}: the evidence is authenticated and its measurements are forwarded, but no value is "
                "demanded",
            )
    return tuple(lines.values())
