"""The reserved headers: in every spelling that a target could read as one, and made exactly as the contract says."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from cvmproxy.attestation.model import Claims, ReferenceEntry, ReferenceValues
from cvmproxy.attestation.policy import AppraisalPolicy, AttestationResult, NoAttestation, appraise
from cvmproxy.errors import BackendError, RequestError
from cvmproxy.http.messages import Fields
from cvmproxy.http.reserved import find_reserved, measurement_headers, refuse_forged_request, refuse_forged_response

SPELLINGS = [
    b"X-Flashbots-Measurement",
    b"x-flashbots-measurement",
    b"X-FLASHBOTS-MEASUREMENT",
    b"X_Flashbots_Measurement",
    b"X-Flashbots_Measurement",
    b"x_flashbots-measurement",
    b"X.Flashbots.Measurement",
    b"X~Flashbots!Measurement",
    b"X-Flashbots-Attestation-Type",
    b"x-flashbots-attestation-type",
    b"X_FLASHBOTS_ATTESTATION_TYPE",
    b"X-Flashbots-Attestation_Type",
    b"X|Flashbots'Attestation`Type",
]

INNOCENT = [
    b"X-Flashbots-Signature",
    b"X-Flashbots-Measurements",
    b"XX-Flashbots-Measurement",
    b"X--Flashbots-Measurement",
    b"XFlashbotsMeasurement",
    b"X-Flashbots",
    b"Measurement",
]


@pytest.mark.parametrize("name", SPELLINGS)
@pytest.mark.parametrize("value", [b"{}", b""])
def test_every_spelling_is_refused(name: bytes, value: bytes) -> None:
    for lines in (((name, value),), ((b"Host", b"x"), (b"A", b"b"), (name, value), (b"C", b"d"))):
        fields = Fields(lines)
        assert find_reserved(fields) == name.lower()
        with pytest.raises(RequestError) as of_request:
            refuse_forged_request(fields)
        assert of_request.value.code == "request-forged-header"
        with pytest.raises(BackendError) as of_response:
            refuse_forged_response(fields)
        assert of_response.value.code == "upstream-forged-header"


@pytest.mark.parametrize("name", SPELLINGS)
@pytest.mark.parametrize("lister", [b"Connection", b"connection", b"Trailer"])
def test_every_spelling_is_refused_where_it_is_listed(name: bytes, lister: bytes) -> None:
    for value in (name, b"close, " + name, b"a ,\t" + name + b" , b"):
        assert find_reserved(Fields(((lister, value),))) == name.lower()
        assert find_reserved(Fields(((lister, b"keep-alive"), (lister, value)))) == name.lower()


@pytest.mark.parametrize("name", INNOCENT)
def test_other_names_pass(name: bytes) -> None:
    fields = Fields(((name, b"X-Flashbots-Measurement"), (b"Connection", name), (b"A", b"X-Flashbots-Measurement")))
    assert find_reserved(fields) is None
    refuse_forged_request(fields)
    refuse_forged_response(fields)


class _NoFacts:
    def facts(self) -> Mapping[str, str]:
        return {}


class _AcceptEverything:
    def appraise(self, claims: Claims) -> None:
        return None


def result_of(measurements: dict[int, bytes]) -> AttestationResult:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    claims = Claims(attestation_type="dcap-tdx", measurements=measurements, platform=_NoFacts(), not_after=now)
    entry = ReferenceEntry(measurement_id="any", attestation_type="dcap-tdx", registers={})
    policy = AppraisalPolicy(
        references=ReferenceValues(entries=(entry,), digest=""), platform={"dcap-tdx": _AcceptEverything()}
    )
    return appraise(claims, policy, now)


def test_measurement_headers_are_as_go_prints_them() -> None:
    measurements = {index: bytes([0xA0 + index]) * 2 for index in (2, 10, 0, 1)}
    assert measurement_headers(result_of(measurements), "qemu-tdx") == (
        (b"X-Flashbots-Measurement", b'{"0":"a0a0","1":"a1a1","10":"aaaa","2":"a2a2"}'),
        (b"X-Flashbots-Attestation-Type", b"qemu-tdx"),
    )


def test_measurement_header_is_json() -> None:
    measurements = {index: bytes([index]) * 48 for index in range(24)}
    value = measurement_headers(result_of(measurements), "simulated")[0][1]
    assert json.loads(value) == {str(index): measured.hex() for index, measured in measurements.items()}


def test_no_headers_without_an_attestation_result() -> None:
    assert measurement_headers(NoAttestation(because="a test"), "simulated") == ()
