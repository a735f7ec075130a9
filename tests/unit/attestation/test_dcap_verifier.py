"""The verifier's three steps, and what it rests on."""

from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve
from doubles.requirements import require_vectors
from doubles.simulated import NOW, platform
from doubles.tdx_scenarios import BINDING, Scenario
from doubles.tdx_vectors import intel_root

from cvmproxy.attestation.dcap_verifier import DcapVerifier
from cvmproxy.attestation.model import EndorsementRequest, Evidence
from cvmproxy.attestation.roles import Verifier
from cvmproxy.attestation.tdx_claims import TdxClaims
from cvmproxy.errors import AuthenticationError, CollateralError, ConfigurationError, EvidenceError


def verifier(root_der: bytes) -> Verifier:
    return DcapVerifier(attestation_type="simulated", root_der=root_der)


def test_it_says_what_it_needs() -> None:
    case = Scenario().finish()
    evidence = verifier(case.root_der).decode(case.document)
    assert set(verifier(case.root_der).required_endorsements(evidence)) == {
        EndorsementRequest("tdx-tcb-info", "905106000000"),
        EndorsementRequest("tdx-qe-identity", ""),
        EndorsementRequest("pck-crl", "platform"),
        EndorsementRequest("root-ca-crl", ""),
    }


def test_a_leaf_of_the_processor_ca_needs_that_cas_list() -> None:
    scenario = Scenario()
    ca = evolve(scenario.templates.platform_ca, common_name="Intel SGX PCK Processor CA")
    scenario.templates = evolve(scenario.templates, platform_ca=ca)
    case = scenario.finish()
    evidence = verifier(case.root_der).decode(case.document)
    assert EndorsementRequest("pck-crl", "processor") in verifier(case.root_der).required_endorsements(evidence)
    assert case.outcome() == "accepted"


def test_a_refusal_for_time_names_the_skew() -> None:
    case = evolve(Scenario().finish(), now=NOW - timedelta(days=1, seconds=90))
    with pytest.raises(AuthenticationError, match=r"pck-not-yet-valid: .* 0:01:30 from now: compare the clocks"):
        case.authenticate()
    late = evolve(case, now=NOW + timedelta(days=30, hours=2))
    with pytest.raises(
        CollateralError, match=r"collateral-expired: .* until 2030-02-14T12:00:00Z, which is 2:00:00 ago"
    ):
        late.authenticate()


def test_claims_say_what_the_quote_says() -> None:
    case = Scenario().finish()
    claims = case.authenticate()
    report = Scenario().report
    assert claims.attestation_type == "simulated"
    assert dict(claims.measurements) == dict(enumerate((report.mr_td, *report.rtmrs)))
    assert isinstance(claims.platform, TdxClaims)
    assert claims.platform.report == report
    assert claims.platform.facts() == {
        "tcb_status": "UpToDate",
        "advisory_ids": "",
        "tcb_date": "2030-01-14",
        "tcb_evaluation_data_number": "17",
        "fmspc": "905106000000",
        "ppid": "51a1517e" * 4,
        "mr_seam": report.mr_seam.hex(),
        "td_attributes": "0000001000000000",
    }


@pytest.mark.parametrize("part", ["tcb_info", "qe_identity"])
def test_claims_end_with_the_first_thing_that_they_rest_on(part: str) -> None:
    scenario = Scenario()
    assert scenario.finish().authenticate().not_after == NOW + timedelta(days=30)
    getattr(scenario, part)["nextUpdate"] = "2030-01-16T00:00:00Z"
    assert scenario.finish().authenticate().not_after == datetime(2030, 1, 16, tzinfo=UTC)


@pytest.mark.parametrize("missing", ["tdx-tcb-info", "tdx-qe-identity", "pck-crl", "root-ca-crl"])
def test_absent_collateral_is_refused_and_never_skipped(missing: str) -> None:
    case = Scenario().finish()
    endorsements = {
        request: found for request, found in case.collateral.endorsements().items() if request.kind != missing
    }
    evidence = verifier(case.root_der).decode(case.document)
    with pytest.raises(CollateralError, match="collateral-unavailable"):
        verifier(case.root_der).authenticate(evidence, endorsements, BINDING, NOW)


def test_collateral_of_another_platform_is_not_taken_for_ours() -> None:
    case = Scenario().finish()
    endorsements = {
        EndorsementRequest(request.kind, "00906ed50000" if request.kind == "tdx-tcb-info" else request.key): found
        for request, found in case.collateral.endorsements().items()
    }
    evidence = verifier(case.root_der).decode(case.document)
    with pytest.raises(CollateralError, match="collateral-unavailable"):
        verifier(case.root_der).authenticate(evidence, endorsements, BINDING, NOW)


def test_simulated_evidence_fails_under_intels_root() -> None:
    case = Scenario().finish()
    intel = verifier(intel_root(require_vectors()).der)
    with pytest.raises(AuthenticationError, match="pck-chain-invalid"):
        intel.authenticate(intel.decode(case.document), case.collateral.endorsements(), BINDING, NOW)


def test_a_platform_fails_under_the_root_of_another_with_equal_names() -> None:
    case = Scenario().finish()
    other = verifier(platform(2).pki.root.certificate_der)
    with pytest.raises(AuthenticationError, match="pck-chain-invalid"):
        other.authenticate(other.decode(case.document), case.collateral.endorsements(), BINDING, NOW)


@pytest.mark.parametrize("signer", ["platform_ca", "pck", "tcb_signing"])
def test_only_a_root_can_be_the_root(signer: str) -> None:
    with pytest.raises(ConfigurationError, match="bad-option"):
        verifier(getattr(platform().pki, signer).certificate_der)


@pytest.mark.parametrize("der", [b"", b"\x30\x00", b"-----BEGIN CERTIFICATE-----"])
def test_a_root_that_cannot_be_read_is_refused(der: bytes) -> None:
    with pytest.raises(ConfigurationError, match="bad-option"):
        verifier(der)


def test_a_document_that_is_none_is_refused() -> None:
    with pytest.raises(EvidenceError, match="evidence-malformed"):
        verifier(platform().pki.root.certificate_der).decode(b"{}")


def test_evidence_of_another_verifier_is_a_bug_and_not_a_refusal() -> None:
    foreign = Evidence(attestation_type="simulated", document=b"", decoded=b"")
    with pytest.raises(TypeError):
        verifier(platform().pki.root.certificate_der).required_endorsements(foreign)


def test_a_stranger_does_not_choose_what_is_fetched() -> None:
    case = Scenario().finish()
    other = verifier(platform(2).pki.root.certificate_der)
    with pytest.raises(AuthenticationError, match="pck-chain-invalid"):
        other.required_endorsements(other.decode(case.document))
