import attrs
from doubles.requirements import PROJECT_ROOT

from cvmproxy.attestation.measurements import read_measurements
from cvmproxy.platform.simulated_quote import TdMeasurements
from cvmproxy.schemes import SCHEMES

SAMPLE = PROJECT_ROOT / "measurements.json"


def test_the_sample_accepts_exactly_what_the_simulated_platform_measures() -> None:
    known = [scheme.measured_type for scheme in SCHEMES]
    measurements = read_measurements(SAMPLE.read_bytes(), file="measurements.json", known=known, named="simulated")
    (entry,) = measurements.references.entries
    expected = {index: {value} for index, value in enumerate(attrs.astuple(TdMeasurements()))}
    assert {index: reference.expected_any for index, reference in entry.registers.items()} == expected
    assert measurements.announcements == ()
    assert measurements.warnings == ()
