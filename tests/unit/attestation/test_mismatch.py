from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from attrs import frozen
from doubles.measured_types import KNOWN

from cvmproxy.attestation.measurements import format_entry, read_measurements
from cvmproxy.attestation.mismatch import describe_mismatch, differing_registers
from cvmproxy.attestation.model import Claims, ReferenceEntry, ReferenceValues, RegisterReference
from cvmproxy.attestation.policy import AppraisalPolicy, appraise
from cvmproxy.errors import AppraisalError

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ONE, TWO, THREE = bytes([1]) * 48, bytes([2]) * 48, bytes([3]) * 48


@frozen
class Platform:
    def facts(self) -> Mapping[str, str]:
        return {}


@frozen
class Anything:
    def appraise(self, claims: Claims) -> None:
        """Every platform is acceptable."""


def claims(measurements: Mapping[int, bytes]) -> Claims:
    return Claims(attestation_type="dcap-tdx", measurements=measurements, platform=Platform(), not_after=NOW)


def entry(name: str, registers: Mapping[int, bytes | set[bytes]], warn_only: bool = False) -> ReferenceEntry:
    references = {
        index: RegisterReference(
            expected_any=frozenset({value} if isinstance(value, bytes) else value), warn_only=warn_only
        )
        for index, value in registers.items()
    }
    return ReferenceEntry(measurement_id=name, attestation_type="dcap-tdx", registers=references)


def test_registers_that_the_claims_lack_differ() -> None:
    assert differing_registers(entry("e", {0: ONE, 1: TWO}), claims({0: ONE})) == ((1,), ())


def test_registers_that_only_warn_are_told_apart() -> None:
    assert differing_registers(entry("e", {0: ONE}, warn_only=True), claims({0: TWO})) == ((), (0,))


def test_registers_that_the_entry_does_not_name_are_free() -> None:
    assert differing_registers(entry("e", {0: ONE}), claims({0: ONE, 1: TWO})) == ((), ())


def test_the_nearest_entry_and_what_differs_are_told() -> None:
    far, near = entry("far", {0: TWO, 1: TWO}), entry("near", {0: {ONE, THREE}, 1: THREE, 2: ONE})
    lines = describe_mismatch([far, near], claims({0: ONE, 1: TWO, 2: ONE}))
    assert lines == (
        "nearest of 2 entries of type dcap-tdx: 'far'; 1 of its 2 registers differ",
        f"register 0: expected {TWO.hex()}, measured {ONE.hex()}",
    )


def test_alternatives_are_listed_and_bounded() -> None:
    many = {bytes([index]) * 48 for index in range(10, 20)}
    lines = describe_mismatch([entry("e", {0: many, 1: {ONE, TWO}})], claims({}))
    assert lines[1].endswith("or 6 others, measured nothing")
    assert lines[2] == f"register 1: expected {ONE.hex()} or {TWO.hex()}, measured nothing"


def test_a_refusal_carries_everything_that_the_log_prints() -> None:
    references = ReferenceValues(entries=(entry("image", {0: ONE}),), digest="")
    measured = claims({0: TWO, 1: THREE})
    with pytest.raises(AppraisalError) as caught:
        appraise(measured, AppraisalPolicy(references=references, platform={"dcap-tdx": Anything()}), NOW)
    assert caught.value.code == "measurements-mismatch"
    head, differing = caught.value.detail
    assert head.startswith("nearest of 1 entries of type dcap-tdx: 'image'")
    assert differing == f"register 0: expected {ONE.hex()}, measured {TWO.hex()}"
    pasted = format_entry(caught.value.attestation_type, caught.value.measured)
    again = read_measurements(f"[{pasted}]".encode(), file="paste", known=KNOWN, named=None).references
    assert differing_registers(again.entries[0], measured) == ((), ())
