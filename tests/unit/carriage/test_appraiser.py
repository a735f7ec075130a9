"""From a leaf to an attestation result, on real simulated evidence: what is accepted, and each way to be refused."""

from datetime import timedelta
from os import urandom

import pytest
from attrs import evolve
from cryptography import x509
from doubles.attested import SettableClock, any_measurements, now_result, settings, simulated_bench
from doubles.simulated import NOW

from cvmproxy.attestation.model import Nonce, ReferenceEntry, ReferenceValues, RegisterReference
from cvmproxy.attestation.policy import AttestationResult
from cvmproxy.carriage.appraiser import LeafAppraiser
from cvmproxy.carriage.certificate import make_leaf, make_leaf_key
from cvmproxy.errors import CvmproxyError
from cvmproxy.platform.simulated_quote import TdMeasurements
from cvmproxy.schemes.dcap_tdx import DCAP_TDX
from cvmproxy.schemes.simulated import SIMULATED

NONCE = Nonce(bytes(range(32)))


@pytest.fixture
def bench(tmp_path):
    return simulated_bench(tmp_path / "simulated")


def refused(bench, leaf_der: bytes, nonce: Nonce = NONCE) -> CvmproxyError:
    with pytest.raises(CvmproxyError) as caught:
        bench.appraise(leaf_der, nonce)
    return caught.value


def document_of(leaf_der: bytes) -> bytes:
    (extension,) = x509.load_der_x509_certificate(leaf_der).extensions
    return extension.value.value


def carrying(document: bytes, *, oid: str = SIMULATED.oid, key=None) -> bytes:
    return make_leaf(key or make_leaf_key(), now=NOW, random=urandom, evidence_oid=oid, document=document)


def test_evidence_for_this_nonce_and_key_is_accepted(bench):
    result = bench.appraise(bench.issue(NONCE), NONCE)
    assert isinstance(result, AttestationResult)
    assert result.attestation_type == "simulated"
    expected = TdMeasurements()
    assert result.measurements == {
        0: expected.mrtd,
        1: expected.rtmr0,
        2: expected.rtmr1,
        3: expected.rtmr2,
        4: expected.rtmr3,
    }
    assert result.measurement_id == "any"


@pytest.mark.parametrize("nonce", [b"", b"x", bytes(32), bytes(200)])
def test_nonces_of_any_length_bind(bench, nonce):
    leaf = bench.issue(nonce)
    assert bench.appraise(leaf, nonce)
    assert refused(bench, leaf, Nonce(nonce + b"x")).code == "nonce-mismatch"


def test_evidence_for_another_nonce_is_refused(bench):
    assert refused(bench, bench.issue(NONCE), Nonce(bytes(32))).code == "nonce-mismatch"


def test_evidence_of_another_key_is_refused(bench):
    assert refused(bench, carrying(document_of(bench.issue(NONCE)))).code == "key-mismatch"


def test_a_quote_for_another_key_is_refused_though_user_data_names_the_leafs(bench):
    import base64
    import json

    members = json.loads(document_of(bench.issue(NONCE)))
    key = make_leaf_key()
    members["UserData"] = base64.b64encode(key.user_data).decode()
    document = json.dumps(members, separators=(",", ":")).encode()
    assert refused(bench, carrying(document, key=key)).code == "nonce-mismatch"


def test_a_leaf_without_evidence_is_refused(bench):
    leaf = make_leaf(make_leaf_key(), now=NOW, random=urandom)
    assert refused(bench, leaf).code == "no-evidence"


def test_simulated_evidence_under_the_oid_of_dcap_tdx_is_refused(bench):
    leaf = bench.issue(NONCE)
    assert refused(bench, carrying(document_of(leaf), oid=DCAP_TDX.oid)).code == "no-evidence"


def test_evidence_of_another_platform_is_refused(bench, tmp_path):
    other = simulated_bench(tmp_path / "other")
    assert refused(bench, other.issue(NONCE)).code == "pck-chain-invalid"


def test_other_measurements_are_refused_with_what_was_measured(bench):
    wrong = ReferenceEntry(
        measurement_id="wrong",
        attestation_type=SIMULATED.name,
        registers={0: RegisterReference(expected_any=frozenset({bytes(48)}))},
    )
    policy = evolve(any_measurements(bench.parts), references=ReferenceValues(entries=(wrong,), digest="d"))
    appraiser = LeafAppraiser(accepted=[(SIMULATED, bench.parts)], policy=lambda: policy, now=bench.clock)
    error = refused(evolve(bench, appraiser=appraiser), bench.issue(NONCE))
    assert error.code == "measurements-mismatch"
    assert error.measured[0] == TdMeasurements().mrtd


def test_a_connection_keeps_the_policy_that_it_began_with(bench):
    policies = [any_measurements(bench.parts)]
    appraiser = LeafAppraiser(accepted=[(SIMULATED, bench.parts)], policy=lambda: policies[-1], now=bench.clock)
    presented = appraiser.read(bench.issue(NONCE), NONCE)
    policies.append(evolve(policies[0], references=ReferenceValues(entries=(), digest="reloaded")))
    endorsements = now_result(appraiser.endorse(presented))
    assert appraiser.appraise(presented, endorsements).reference_digest == ""
    assert refused(evolve(bench, appraiser=appraiser), bench.issue(NONCE)).code == "measurements-mismatch"


def test_a_platform_outside_the_policy_section_is_refused(bench):
    policy = evolve(any_measurements(bench.parts), platform={})
    appraiser = LeafAppraiser(accepted=[(SIMULATED, bench.parts)], policy=lambda: policy, now=bench.clock)
    assert refused(evolve(bench, appraiser=appraiser), bench.issue(NONCE)).code == "no-policy"


def test_evidence_goes_on_being_accepted_for_as_long_as_the_process_lives(bench):
    for days in range(0, 100, 7):
        bench.clock.now = NOW + timedelta(days=days)
        assert bench.appraise(bench.issue(NONCE), NONCE)


def test_a_host_with_public_files_only_accepts_until_they_run_out_and_again_when_they_are_replaced(tmp_path):
    attesting = simulated_bench(tmp_path / "attesting")
    public = tmp_path / "public"
    public.mkdir()

    def copy() -> None:
        for name in ("root.pem", "collateral.json"):
            (public / name).write_bytes((tmp_path / "attesting" / name).read_bytes())

    copy()
    clock = SettableClock()
    parts = SIMULATED.verify(settings(public, clock))
    policy = any_measurements(parts)
    appraiser = LeafAppraiser(accepted=[(SIMULATED, parts)], policy=lambda: policy, now=clock)
    verifying = evolve(attesting, appraiser=appraiser)
    for days, accepted in ((0, True), (29, True), (31, False)):
        clock.now = attesting.clock.now = NOW + timedelta(days=days)
        leaf = attesting.issue(NONCE)
        if accepted:
            assert verifying.appraise(leaf, NONCE)
    error = refused(verifying, leaf)
    assert error.code == "collateral-expired"
    assert str(public) in error.message
    copy()
    clock.now += timedelta(minutes=1)
    assert verifying.appraise(leaf, NONCE)


def test_evidence_of_another_appraiser_is_a_bug(bench):
    with pytest.raises(TypeError):
        bench.appraiser.appraise(object(), {})
