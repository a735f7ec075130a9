"""On the simulated platform, what is accepted here an independent verifier accepts too, with the same status."""

import dcap_qvl
import pytest
from doubles.tdx_changes import Change, both, level, module_level, qe_report, report, scenario
from doubles.tdx_scenarios import Case, Scenario

from cvmproxy.attestation.tdx_claims import TdxClaims
from cvmproxy.attestation.tdx_report import ServiceTdBinding

TD_1_5 = ServiceTdBinding(tee_tcb_svn2=bytes(16), mr_service_td=bytes(48))


def independent(case: Case) -> tuple[str, list[str]]:
    collateral = dcap_qvl.QuoteCollateralV3.from_json(case.collateral.to_json().decode())
    report = dcap_qvl.verify_with_root_ca(case.quote, collateral, case.root_der, int(case.now.timestamp()))
    return report.status, sorted(report.advisory_ids)


def svn(module: int, version: int, microcode: int) -> bytes:
    return bytes((module, version, microcode)) + bytes(13)


def running(module: int, version: int, microcode: int) -> Change:
    """A TD 1.5 body whose TD runs on this TCB now."""
    bound = ServiceTdBinding(tee_tcb_svn2=svn(module, version, microcode), mr_service_td=bytes(48))
    return both(scenario(version=5), report(td_1_5=bound))


ADVISORIES = both(
    level("tcb_info", 0, advisoryIDs=["INTEL-SA-2", "INTEL-SA-1"]),
    level("qe_identity", 0, advisoryIDs=["INTEL-SA-3"]),
    module_level(0, advisoryIDs=["INTEL-SA-1", "INTEL-SA-4"]),
)

STATUSES = [
    ("as it is", lambda scenario: None, "UpToDate"),
    ("version 5", both(scenario(version=5), report(td_1_5=TD_1_5)), "UpToDate"),
    ("old quoting enclave", qe_report(isv_svn=3), "OutOfDate"),
    ("old module", report(tee_tcb_svn=svn(4, 1, 2)), "OutOfDate"),
    ("old microcode", report(tee_tcb_svn=svn(5, 1, 1)), "OutOfDate"),
    ("hardening", level("tcb_info", 0, tcbStatus="SWHardeningNeeded"), "SWHardeningNeeded"),
    (
        "hardening and old module",
        both(level("tcb_info", 0, tcbStatus="SWHardeningNeeded"), report(tee_tcb_svn=svn(4, 1, 2))),
        "OutOfDate",
    ),
    (
        "configuration and old module",
        both(level("tcb_info", 0, tcbStatus="ConfigurationNeeded"), report(tee_tcb_svn=svn(4, 1, 2))),
        "OutOfDateConfigurationNeeded",
    ),
    (
        "configuration, hardening and old enclave",
        both(level("tcb_info", 0, tcbStatus="ConfigurationAndSWHardeningNeeded"), qe_report(isv_svn=3)),
        "OutOfDateConfigurationNeeded",
    ),
    (
        "advisories of all three",
        ADVISORIES,
        "UpToDate",
    ),
    ("relaunch", both(report(tee_tcb_svn=svn(4, 1, 2)), running(5, 1, 2)), "TDRelaunchAdvised"),
    (
        "relaunch, and configuration",
        both(
            level("tcb_info", 0, tcbStatus="ConfigurationNeeded"),
            report(tee_tcb_svn=svn(4, 1, 2)),
            running(5, 1, 2),
        ),
        "TDRelaunchAdvisedConfigurationNeeded",
    ),
    (
        "relaunch, running a module without version",
        both(report(tee_tcb_svn=svn(4, 1, 2)), running(5, 0, 2)),
        "TDRelaunchAdvised",
    ),
    ("still an old module", both(report(tee_tcb_svn=svn(4, 1, 2)), running(4, 1, 2)), "OutOfDate"),
    ("still old microcode", both(report(tee_tcb_svn=svn(4, 1, 2)), running(5, 1, 1)), "OutOfDate"),
    (
        "relaunch would not mend the enclave",
        both(report(tee_tcb_svn=svn(4, 1, 2)), running(5, 1, 2), qe_report(isv_svn=3)),
        "OutOfDate",
    ),
]


@pytest.mark.parametrize(
    ("change", "status"), [pytest.param(*row[1:], id=row[0].replace(" ", "_")) for row in STATUSES]
)
def test_the_status_is_that_of_an_independent_verifier(change: Change, status: str) -> None:
    made = Scenario()
    change(made)
    case = made.finish()
    platform = case.authenticate().platform
    assert isinstance(platform, TdxClaims)
    assert platform.tcb_status.value == status
    assert independent(case) == (status, list(platform.advisory_ids))


def test_advisories_of_platform_module_and_enclave_are_gathered() -> None:
    made = Scenario()
    ADVISORIES(made)
    platform = made.finish().authenticate().platform
    assert isinstance(platform, TdxClaims)
    assert platform.advisory_ids == ("INTEL-SA-1", "INTEL-SA-2", "INTEL-SA-3", "INTEL-SA-4")


def test_a_running_module_that_nobody_knows_does_not_advise_a_relaunch() -> None:
    # The independent verifier refuses this one; our specification lets the status stay.
    made = Scenario()
    both(report(tee_tcb_svn=svn(4, 1, 2)), running(5, 7, 2))(made)
    platform = made.finish().authenticate().platform
    assert isinstance(platform, TdxClaims)
    assert platform.tcb_status.value == "OutOfDate"
