import json
from typing import Any

from doubles.measured_types import AZURE, DCAP, KNOWN, SIMULATED
from hypothesis import given, settings
from hypothesis import strategies as st

from cvmproxy.attestation.measurements import Measurements, format_entry, read_measurements
from cvmproxy.attestation.registers import MeasuredType
from cvmproxy.errors import ConfigurationError

NAMED = st.sampled_from([None, "dcap-tdx", "azure-tdx", "simulated"])

HEX = st.sampled_from([32, 48, 20]).flatmap(lambda size: st.binary(min_size=size, max_size=size)).map(bytes.hex)
VALUES = HEX | st.fixed_dictionaries(
    {}, optional={"expected": HEX, "expected_any": st.lists(HEX, max_size=3), "warnOnly": st.booleans()}
)
REGISTERS = st.dictionaries(st.sampled_from(["0", "4", "mrtd", "RTMR0", "pcr4", "23", "99"]), VALUES, max_size=3)
ENTRIES = st.fixed_dictionaries(
    {},
    optional={
        "measurement_id": st.text(max_size=5),
        "attestation_type": st.sampled_from(["dcap-tdx", "azure-tdx", "simulated", "qemu-tdx", "none"]),
        "measurements": REGISTERS,
        "kind": st.sampled_from(["azure", "portable", "dcap"]),
        "azure": REGISTERS | st.none(),
    },
)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
FILES = st.lists(ENTRIES, max_size=3) | st.dictionaries(st.text(max_size=5), REGISTERS, max_size=3) | ENTRIES | ANY_JSON


def outcome(data: bytes, named: str | None) -> Measurements | ConfigurationError:
    try:
        return read_measurements(data, file="m.json", known=KNOWN, named=named)
    except ConfigurationError as error:
        return error


def holds_its_promises(data: bytes, named: str | None) -> None:
    measurements = outcome(data, named)
    if isinstance(measurements, ConfigurationError):
        assert measurements.code == "bad-measurements-file"
        assert measurements.message.startswith("m.json: ")
        assert measurements.message.isprintable()
        return
    entries = measurements.references.entries
    assert entries
    kinds = {kind.name: kind for kind in KNOWN}
    for entry in entries:
        kind = kinds[entry.attestation_type]
        assert named in (None, kind.name)
        assert not kind.development_only or named == kind.name
        for index, reference in entry.registers.items():
            assert index in kind.registers.names.values()
            assert {len(value) for value in reference.expected_any} == {kind.registers.size}
            assert kind.registers.warn_only_allowed or not reference.warn_only
        if not entry.registers:
            assert any(entry.attestation_type in line for line in measurements.announcements)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), NAMED)
def test_any_bytes_give_reference_values_or_the_one_error(data: bytes, named: str | None) -> None:
    holds_its_promises(data, named)


@settings(max_examples=200, deadline=None)
@given(FILES, NAMED)
def test_any_tree_gives_reference_values_or_the_one_error(tree: Any, named: str | None) -> None:
    holds_its_promises(json.dumps(tree).encode(), named)


def measured(kind: MeasuredType) -> st.SearchStrategy[dict[int, bytes]]:
    values = st.binary(min_size=kind.registers.size, max_size=kind.registers.size)
    return st.dictionaries(st.sampled_from(sorted(kind.registers.names.values())), values, min_size=1)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([DCAP, AZURE, SIMULATED]).flatmap(lambda kind: st.tuples(st.just(kind), measured(kind))))
def test_an_entry_to_paste_reads_back_as_what_was_measured(case: tuple[MeasuredType, dict[int, bytes]]) -> None:
    kind, values = case
    pasted = f"[{format_entry(kind.name, values)}]".encode()
    (entry,) = read_measurements(pasted, file="m.json", known=KNOWN, named=kind.name).references.entries
    assert {index: set(reference.expected_any) for index, reference in entry.registers.items()} == {
        index: {value} for index, value in values.items()
    }
