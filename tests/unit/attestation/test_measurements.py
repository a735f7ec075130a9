import base64
import json

import pytest
from doubles.measured_types import KNOWN

from cvmproxy.attestation.measurements import Measurements, any_measurements, format_entry, read_measurements
from cvmproxy.errors import ConfigurationError

A48, B48, A32, B32 = "aa" * 48, "bb" * 48, "aa" * 32, "bb" * 32


def read(tree: object, named: str | None = None) -> Measurements:
    data = tree if isinstance(tree, bytes) else json.dumps(tree).encode()
    return read_measurements(data, file="m.json", known=KNOWN, named=named)


def refusal(tree: object, named: str | None = None) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read(tree, named)
    assert caught.value.code == "bad-measurements-file"
    assert caught.value.message.startswith("m.json: ")
    assert "\n" not in caught.value.message
    return caught.value.message


def v2(measurements: object, kind: str = "dcap-tdx", **more: object) -> dict[str, object]:
    return {"measurement_id": "image", "attestation_type": kind, "measurements": measurements, **more}


def test_v2_list() -> None:
    read_file = read([v2({"0": {"expected": A48}, "RTMR3": {"expected_any": [A48, B48.upper()]}, "rtmr0": B48})])
    (entry,) = read_file.references.entries
    assert entry.measurement_id == "image"
    assert entry.attestation_type == "dcap-tdx"
    assert {index: reference.expected_any for index, reference in entry.registers.items()} == {
        0: {bytes.fromhex(A48)},
        1: {bytes.fromhex(B48)},
        4: {bytes.fromhex(A48), bytes.fromhex(B48)},
    }
    assert read_file.announcements == ()
    assert read_file.warnings == ()


def test_digest_is_that_of_the_bytes() -> None:
    assert read(b'[{"attestation_type":"dcap-tdx"}]').references.digest != (
        read(b'[{"attestation_type": "dcap-tdx"}]').references.digest
    )


def test_an_alias_means_the_type_itself() -> None:
    assert read([v2({"0": A48}, "qemu-tdx")]).types == ("dcap-tdx",)
    assert read([v2({"0": A48}, "qemu-tdx")], "dcap-tdx").types == ("dcap-tdx",)
    assert read([v2({"0": A48})], "qemu-tdx").types == ("dcap-tdx",)


@pytest.mark.parametrize(("value", "kind"), [(A48, "dcap-tdx"), (A32, "azure-tdx")])
def test_v1_map_types_entries_by_length(value: str, kind: str) -> None:
    (entry,) = read({"old-image": {"4": {"expected": value}}}).references.entries
    assert (entry.measurement_id, entry.attestation_type, set(entry.registers)) == ("old-image", kind, {4})


def test_v1_map_may_mix_types() -> None:
    assert read({"a": {"0": A48}, "b": {"0": A32}}).types == ("dcap-tdx", "azure-tdx")


def test_v1_values_are_never_simulated() -> None:
    assert "an entry of type simulated" in refusal({"a": {"0": A48}}, "simulated")


def test_empty_v1_entry_takes_the_named_type() -> None:
    assert read({"a": {}}, "azure-tdx").types == ("azure-tdx",)
    assert "at /a: expected an attestation type" in refusal({"a": {}})


@pytest.mark.parametrize("kind", ["azure", "portable"])
def test_attest_measure_object_alone_and_in_a_list(kind: str) -> None:
    measured = {"kind": kind, "azure": {"pcr4": A32, "pcr9": B32, "pcr11": A32}}
    for tree in (measured, [measured]):
        (entry,) = read(tree).references.entries
        assert entry.attestation_type == "azure-tdx"
        assert set(entry.registers) == {4, 9, 11}


def test_attest_measure_parts_that_cannot_be_appraised_are_named() -> None:
    message = refusal({"kind": "portable", "azure": {"pcr4": A32}, "dcap": {"uki_authenticode": A48}})
    assert "at /dcap: expected no part but azure" in message
    assert read({"kind": "portable", "azure": {"pcr4": A32}, "dcap": None}).types == ("azure-tdx",)


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        ([], "the whole file: expected at least one entry"),
        ({}, "the whole file: expected at least one entry"),
        (1, "the whole file: expected a list of entries"),
        (None, "the whole file: expected a list of entries"),
        ([1], "at /0: expected an entry"),
        ({"a": 1}, "at /a: expected an entry"),
        (v2({"0": A48}), "put it in square brackets"),
        ([v2({"0": A48}, "snp-of-tomorrow")], "at /0/attestation_type: expected an attestation type (dcap-tdx"),
        ([v2({"0": A48}, "none")], "at /0/attestation_type"),
        ([{"attestation_type": 5}], "at /0/attestation_type"),
        ([{"measurements": {"0": A48}}], "at /0: expected an attestation type in the entry"),
        ([v2({"0": A48}, measurment_id="x")], "at /0/measurment_id: expected no member but measurement_id"),
        ([v2(None)], "at /0/measurements: expected an object of registers, found null"),
        ([v2([])], "at /0/measurements: expected an object of registers, found an empty array"),
        ([v2({"5": A48})], 'at /0/measurements/5: expected a register of dcap-tdx ("0" to "4", or mrtd to rtmr3)'),
        ([v2({"00": A48})], "at /0/measurements/00: expected a register"),
        ([v2({"-1": A48})], "at /0/measurements/-1: expected a register"),
        ([v2({"pcr0": A48})], "at /0/measurements/pcr0: expected a register"),
        ([v2({"24": A32}, "azure-tdx")], '("0" to "23", or pcr0 to pcr23)'),
        ([v2({"0": A48, "mrtd": A48})], 'at /0/measurements/mrtd: expected register 0 once in the entry, found "0"'),
        ([v2({"MRTD": A48, "mrtd": A48})], "at /0/measurements/mrtd: expected register 0 once"),
        ([v2({"0": A32})], "at /0/measurements/0: expected 48 bytes in hex for dcap-tdx, found 32 bytes"),
        ([v2({"0": A48}, "azure-tdx")], "at /0/measurements/0: expected 32 bytes in hex for azure-tdx"),
        ([v2({"0": {"expected_any": [A48, A32]}})], "expected 48 bytes in hex"),
        ([v2({"0": ""})], "at /0/measurements/0: expected a value in hex"),
        ([v2({"0": "0x" + A48})], "expected a value in hex"),
        ([v2({"0": A48[:-1]})], "expected a value in hex"),
        ([v2({"0": A48 + "\n"})], "expected a value in hex"),
        ([v2({"0": 7})], "at /0/measurements/0: expected hex, "),
        ([v2({"0": {}})], 'expected one of "expected" and "expected_any", found neither'),
        ([v2({"0": {"expected": A48, "expected_any": [A48]}})], "found both"),
        ([v2({"0": {"expected": None}})], "at /0/measurements/0/expected: expected a value in hex"),
        ([v2({"0": {"expected_any": []}})], "at /0/measurements/0/expected_any: expected at least one value"),
        ([v2({"0": {"expected_any": A48}})], "at /0/measurements/0/expected_any: expected a list"),
        ([v2({"0": {"expected": A48, "warnOnly": "yes"}})], "at /0/measurements/0/warnOnly: expected true or false"),
        ([v2({"0": {"expected": A48, "warnonly": True}})], "at /0/measurements/0/warnonly: expected no member but"),
        ([v2({"0": A48}, measurement_id=None)], "at /0/measurement_id: expected an id"),
        ([v2({"0": A48}, measurement_id="a\nb")], "at /0/measurement_id: expected an id of at most 256 printable"),
        ([v2({"0": A48}, measurement_id="a" * 257)], "at /0/measurement_id: expected an id of at most 256 printable"),
        ({"a\nforged line": {"0": A48}}, r"at /a\nforged line: expected an id"),
        ({"a": {"0": A48, "1": A32}}, "at /a: expected values of one length, found values of 32 and 48 bytes"),
        ({"a": {"0": "aa" * 20}}, "at /a: expected values of 48 (dcap-tdx) or 32 (azure-tdx) bytes"),
        ({"kind": "dcap", "azure": {}}, "at /kind: expected one of the kinds azure, portable"),
        ({"kind": "azure"}, "expected one part with registers: azure, found none"),
        ({"kind": "azure", "azure": {}}, "at /azure: expected at least one register"),
        ({"kind": "azure", "azure": {"pcr4": A48}}, "at /azure/pcr4: expected 32 bytes"),
        (
            b'[{"attestation_type": "dcap-tdx", "attestation_type": "azure-tdx"}]',
            "at /0/attestation_type: expected this",
        ),
        (b'{"a": {}, "a": {}}', "at /a: expected this member once in its object, found it twice"),
        (b"", "expected JSON, found none"),
        (b"[NaN]", "NaN is no JSON"),
        (b"\xff", "expected UTF-8"),
        (b"\xef\xbb\xbf[]", "expected JSON"),
        (b"[" * 100_000, "levels of nesting"),
        (b"[" * 20 + b"]" * 20, "levels of nesting"),
        (b" " * (1024 * 1024 + 1), "at most 1048576 bytes"),
        (b"[" + b"9" * 5000 + b"]", "expected"),
        (b"[" + b",".join([b'{"attestation_type":"dcap-tdx"}'] * 10_001) + b"]", "at most 10000 entries"),
    ],
)
def test_refusals_name_the_place_and_what_was_expected(tree: object, expected: str) -> None:
    assert expected in refusal(tree)


@pytest.mark.parametrize(("value", "kind"), [(A48, "dcap-tdx"), (A32, "azure-tdx")])
def test_base64_is_refused_with_the_value_in_hex(value: str, kind: str) -> None:
    encoded = base64.b64encode(bytes.fromhex(value)).decode()
    assert f"found base64: in hex it is {value}" in refusal([v2({"0": encoded}, kind)])


@pytest.mark.parametrize(
    ("tree", "named"),
    [
        ([{}], "dcap-tdx"),
        ([{"measurements": {}}], "dcap-tdx"),
        ({"a": {}}, "dcap-tdx"),
        ([v2({})], None),
        ([{"attestation_type": "dcap-tdx"}], None),
    ],
)
def test_empty_entries_accept_any_measurements_and_say_so(tree: object, named: str | None) -> None:
    measurements = read(tree, named)
    (line,) = measurements.announcements
    assert line.startswith("ANY MEASUREMENTS of type dcap-tdx are accepted")


def test_an_entry_that_only_warns_is_announced_as_open() -> None:
    measurements = read([v2({"4": {"expected": A32, "warnOnly": True}}, "azure-tdx")])
    (line,) = measurements.announcements
    assert line.startswith("ANY MEASUREMENTS of type azure-tdx are accepted")
    assert "only warns" in line


def test_warn_only_acts_on_pcrs() -> None:
    measurements = read([v2({"4": {"expected": A32, "warnOnly": True}, "9": A32}, "azure-tdx")])
    (entry,) = measurements.references.entries
    assert entry.registers[4].warn_only
    assert not entry.registers[9].warn_only
    assert measurements.warnings == ()
    assert measurements.announcements == ()


@pytest.mark.parametrize("kind", ["dcap-tdx", "simulated"])
def test_warn_only_on_a_dcap_register_is_enforced_with_a_warning(kind: str) -> None:
    measurements = read([v2({"0": {"expected": A48, "warnOnly": True}}, kind)], kind)
    (entry,) = measurements.references.entries
    assert not entry.registers[0].warn_only
    (line,) = measurements.warnings
    assert "m.json: at /0/measurements/0: warnOnly has no effect" in line
    assert measurements.announcements == ()


MIXED = [v2({"0": A48}), v2({"4": A32}, "azure-tdx")]


def test_without_a_named_type_every_entry_counts() -> None:
    assert read(MIXED).types == ("dcap-tdx", "azure-tdx")


def test_only_entries_of_the_named_type_count() -> None:
    assert read(MIXED, "azure-tdx").types == ("azure-tdx",)


def test_no_entry_of_the_named_type_is_refused() -> None:
    assert "expected an entry of type azure-tdx" in refusal([v2({"0": A48})], "azure-tdx")


@pytest.mark.parametrize("named", [None, "dcap-tdx", "azure-tdx"])
def test_simulated_entries_are_refused_unless_named(named: str | None) -> None:
    message = refusal([*MIXED, v2({"0": A48}, "simulated")], named)
    assert "expected no entry of type simulated" in message


def test_simulated_entries_count_where_named() -> None:
    assert read([*MIXED, v2({"0": A48}, "simulated")], "simulated").types == ("simulated",)


def test_an_entry_of_another_type_is_still_read_strictly() -> None:
    assert "at /1/measurements/99" in refusal([v2({"0": A48}), v2({"99": A32}, "azure-tdx")], "dcap-tdx")


def test_any_measurements_of_a_type_demands_nothing_and_says_so() -> None:
    measurements = any_measurements("dcap-tdx")
    assert measurements.types == ("dcap-tdx",)
    assert [dict(entry.registers) for entry in measurements.references.entries] == [{}]
    assert measurements.references.digest == ""
    assert "no measurements file was given" in measurements.announcements[0]


def test_the_entry_to_paste_is_read_back() -> None:
    measured = {index: bytes([index]) * 32 for index in range(24)}
    pasted = f"[{format_entry('azure-tdx', measured, measurement_id='new')}]".encode()
    (entry,) = read(pasted).references.entries
    assert entry.measurement_id == "new"
    assert {index: reference.expected_any for index, reference in entry.registers.items()} == {
        index: {value} for index, value in measured.items()
    }
