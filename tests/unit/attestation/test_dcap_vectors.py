"""Real quotes under Intel's root give the statuses and verdicts that the vectors record."""

import json
from datetime import UTC, datetime

import dcap_qvl
import pytest
from attrs import evolve
from doubles.requirements import require_vectors
from doubles.tdx_vectors import TDX_QUOTES, collateral, intel_root, nine_fields

from cvmproxy.attestation.certificate_chain import PCK_CHAIN, Certificate, load_chain, verify_chain
from cvmproxy.attestation.collateral import TcbStatus, parse_qe_identity, parse_tcb_info
from cvmproxy.attestation.dcap import PCK_CHAIN_NAMES, authenticate, read_quote, verify_quote_signatures
from cvmproxy.attestation.ecdsa import signature_verifies
from cvmproxy.attestation.json_shape import Shape
from cvmproxy.attestation.model import Claims
from cvmproxy.attestation.signed_json import cut_members
from cvmproxy.attestation.tcb import TcbVerdict, evaluate_tcb, match_module, match_qe
from cvmproxy.attestation.tdx_policy import DCAP_TDX_POLICY
from cvmproxy.errors import AppraisalError, AuthenticationError, CvmproxyError

ACCEPTED = ("UpToDate", "accepted")

# Quote, collateral, time → TCB status (None: refused before there is one), and the code of the verdict.
EXPECTED = {
    ("qvl07__tdx_quote", "qvl07__tdx_quote_collateral.json", "2025-06-20T12:00:00Z"): ACCEPTED,
    ("qvl07__tdx_quote", "qvl07__tdx_quote_collateral.json", "2025-08-20T12:00:00Z"): (None, "collateral-expired"),
    ("qvl07__tdx_quote", "qvl07__tdx_quote_collateral.json", "2025-06-01T12:00:00Z"): (
        None,
        "collateral-not-yet-valid",
    ),
    ("qvl07__tdx_quote", "qvl07__tdx_quote_td15ex_collateral.json", "2026-10-20T00:00:00Z"): (
        "OutOfDate",
        "tcb-status",
    ),
    ("qvl07__tdx_quote_td15ex", "qvl07__tdx_quote_td15ex_collateral.json", "2026-10-20T00:00:00Z"): (
        "UpToDate",
        "mr-config-id",
    ),
    ("qvl07__tdx_quote_outdated", "qvl07__tdx_quote_outdated_collateral.json", "2026-02-25T00:00:00Z"): (
        None,
        "tcb-not-supported",
    ),
    ("qvl07__sgx_quote", "qvl07__sgx_quote_collateral.json", "2025-06-20T12:00:00Z"): (None, "evidence-unsupported"),
}


def verdict(quote_name: str, collateral_name: str, at: str) -> tuple[str | None, str]:
    folder = require_vectors()
    status = None
    try:
        quote = read_quote((folder / quote_name).read_bytes())
        claims = authenticate(
            quote,
            collateral(folder, collateral_name),
            intel_root(folder),
            report_data=quote.quote.report.report_data,
            now=datetime.fromisoformat(at),
        )
        status = claims.tcb_status.value
        DCAP_TDX_POLICY.appraise(
            Claims(
                attestation_type="dcap-tdx",
                measurements=claims.measurements,
                platform=claims,
                not_after=claims.not_after,
            )
        )
    except CvmproxyError as error:
        return status, error.code
    return status, "accepted"


@pytest.mark.parametrize("case", EXPECTED, ids=lambda case: f"{case[0]}-{case[2]}")
def test_a_recorded_case(case: tuple[str, str, str]) -> None:
    assert verdict(*case) == EXPECTED[case]


def test_every_recorded_case_is_expected_here_as_it_is_recorded() -> None:
    recorded = json.loads((require_vectors() / "cases.json").read_text())
    complete = {(c["quote"], c["collateral"], c["at"]): c for c in recorded if c["collateral"]}
    assert complete.keys() == EXPECTED.keys()
    for key, (status, code) in EXPECTED.items():
        assert complete[key]["tcb_status"] == status
        assert complete[key]["dcap_tdx_default"] == ("accepted" if code == "accepted" else "refused")


@pytest.mark.parametrize("name", TDX_QUOTES)
def test_chain_and_signatures_of_every_real_quote_verify(name: str) -> None:
    folder = require_vectors()
    quote = read_quote((folder / name).read_bytes())
    leaf, _, _ = verify_chain(
        quote.pck_chain, PCK_CHAIN_NAMES, intel_root(folder), datetime(2027, 1, 1, tzinfo=UTC), PCK_CHAIN
    )
    verify_quote_signatures(quote.quote, leaf)
    altered = evolve(quote.quote, report=evolve(quote.quote.report, mr_td=bytes(48)))
    with pytest.raises(AuthenticationError, match="quote-signature"):
        verify_quote_signatures(altered, leaf)


@pytest.mark.parametrize("name", TDX_QUOTES)
def test_the_platform_is_read_as_an_independent_parser_reads_it(name: str) -> None:
    data = (require_vectors() / name).read_bytes()
    ours, theirs = read_quote(data), dcap_qvl.parse_quote(data)
    extension = theirs.pck_extension()
    assert extension is not None
    assert (ours.pck.fmspc, ours.pck.ppid, ours.pck.cpu_svn) == (extension.fmspc, extension.ppid, extension.cpu_svn)
    assert (ours.pck.pce_svn, ours.pck.sgx_type) == (extension.pce_svn, extension.sgx_type)
    assert bytes(ours.pck.component_svns) == extension.cpu_svn
    assert ours.pck_ca == theirs.ca()


@pytest.mark.parametrize(
    ("quote_name", "collateral_name", "at"), [key for key, (status, _) in EXPECTED.items() if status is not None]
)
def test_status_and_advisories_are_those_of_an_independent_verifier(
    quote_name: str, collateral_name: str, at: str
) -> None:
    folder = require_vectors()
    data, moment = (folder / quote_name).read_bytes(), datetime.fromisoformat(at)
    nine = dcap_qvl.QuoteCollateralV3.from_json(nine_fields(folder, collateral_name))
    theirs = dcap_qvl.verify(data, nine, int(moment.timestamp()))
    quote = read_quote(data)
    ours = authenticate(
        quote,
        collateral(folder, collateral_name),
        intel_root(folder),
        report_data=quote.quote.report.report_data,
        now=moment,
    )
    assert (ours.tcb_status.value, sorted(theirs.advisory_ids)) == (theirs.status, list(ours.advisory_ids))


def test_a_debuggable_td_is_refused_as_such() -> None:
    folder = require_vectors()
    debuggable = read_quote((folder / "trustee__tdx_quote_4.dat").read_bytes()).quote.report
    quote = read_quote((folder / "qvl07__tdx_quote").read_bytes())
    claims = authenticate(
        quote,
        collateral(folder, "qvl07__tdx_quote_collateral.json"),
        intel_root(folder),
        report_data=quote.quote.report.report_data,
        now=datetime(2025, 6, 20, 12, tzinfo=UTC),
    )
    debugged = evolve(claims, report=debuggable)
    with pytest.raises(AppraisalError, match="td-debug"):
        DCAP_TDX_POLICY.appraise(
            Claims(
                attestation_type="dcap-tdx",
                measurements=debugged.measurements,
                platform=debugged,
                not_after=debugged.not_after,
            )
        )


def test_bodies_as_intel_served_them_are_signed_over_their_exact_bytes() -> None:
    folder = require_vectors()
    # The certificate of 2025 renewed the one of 2023, which the vectors lack, under the same key.
    chain = collateral(folder, "qvl07__tdx_quote_collateral.json").tcb_info.issuer_chain_pem
    key = Certificate.read(load_chain(chain)[0]).public_key
    for name, member in (("tcbInfo", "tcbInfo"), ("qeIdentity", "enclaveIdentity")):
        members = cut_members((folder / f"go-tdx-guest__sample_{name}_response").read_bytes())
        signature = bytes.fromhex(str(members["signature"][0]))
        assert signature_verifies(key, signature, members[member][1])
        assert not signature_verifies(key, signature, members[member][1] + b" ")


def status_in_2023(name: str) -> TcbVerdict:
    folder = require_vectors()
    tcb_info = cut_members((folder / "go-tdx-guest__sample_tcbInfo_response").read_bytes())["tcbInfo"][0]
    qe_identity = cut_members((folder / "go-tdx-guest__sample_qeIdentity_response").read_bytes())["enclaveIdentity"][0]
    info = parse_tcb_info(Shape(tcb_info, "tcbInfo"))
    evidence = read_quote((folder / name).read_bytes())
    report = evidence.quote.report
    qe = match_qe(evidence.quote.signature.qe_report, parse_qe_identity(Shape(qe_identity, "enclaveIdentity")))
    return evaluate_tcb(report, evidence.pck, info, match_module(report, info), qe)


def test_a_td_without_module_version_gets_the_status_of_its_time() -> None:
    verdict = status_in_2023("trustee__tdx_quote_4.dat")
    assert (verdict.status, verdict.module_date) == (TcbStatus.UP_TO_DATE, None)


def test_a_platform_below_every_level_of_its_time_is_not_supported() -> None:
    with pytest.raises(AuthenticationError, match="tcb-not-supported"):
        status_in_2023("go-tdx-guest__tdx_prod_quote_SPR_E4.dat")
