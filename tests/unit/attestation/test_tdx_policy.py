"""What the default policy demands is a field each, and a field changes one verdict alone."""

from typing import Any

import pytest
from attrs import evolve
from doubles.tdx_changes import Change, both, level, qe_identity, qe_report, report, scenario
from doubles.tdx_scenarios import Scenario

from cvmproxy.attestation.collateral import TcbStatus
from cvmproxy.attestation.model import Claims
from cvmproxy.attestation.tdx_policy import DCAP_TDX_POLICY, MIGRATABLE, SEPT_VE_DISABLE
from cvmproxy.attestation.tdx_report import ExtendedBody, ServiceTdBinding
from cvmproxy.errors import AppraisalError

BOUND = ServiceTdBinding(tee_tcb_svn2=bytes(16), mr_service_td=b"\x01" + bytes(47))
UNBOUND = ServiceTdBinding(tee_tcb_svn2=bytes(16), mr_service_td=bytes(48))
EXTENDED = ExtendedBody(
    vm_id=bytes(1),
    td_id=bytes(32),
    device_info=bytes(48),
    initial_service_td_hash=bytes(48),
    initial_service_td_attributes=bytes(8),
    initial_cpu_svn=bytes(16),
    initial_tee_tcb_svn=bytes(16),
    initial_tee_fmspc=bytes(12),
    current_service_td_hash=bytes(48),
    current_service_td_attributes=bytes(8),
)
ANY_ATTRIBUTES: dict[str, Any] = {"td_attributes": None}


def attributes(*bits: int) -> Change:
    return report(td_attributes=sum(bits).to_bytes(8, "little"))


ROWS = [
    ("tcb-status", qe_report(isv_svn=3), {"tcb_statuses": frozenset({TcbStatus.OUT_OF_DATE})}),
    (
        "tcb-status",
        level("tcb_info", 0, tcbStatus="SWHardeningNeeded"),
        {"tcb_statuses": frozenset({TcbStatus.SW_HARDENING_NEEDED})},
    ),
    ("td-debug", attributes(SEPT_VE_DISABLE, 1), {"allow_debug": True, **ANY_ATTRIBUTES}),
    ("td-migratable", attributes(SEPT_VE_DISABLE, MIGRATABLE), {"allow_migratable": True, **ANY_ATTRIBUTES}),
    ("td-sept-ve-disable", attributes(), {"require_sept_ve_disable": False, **ANY_ATTRIBUTES}),
    ("td-attributes", attributes(SEPT_VE_DISABLE, 1 << 30), ANY_ATTRIBUTES),
    ("td-attributes", attributes(SEPT_VE_DISABLE, 1 << 63), ANY_ATTRIBUTES),
    ("td-attributes", attributes(SEPT_VE_DISABLE, 1 << 31), {"td_attributes_allowed": 0xF0000000, **ANY_ATTRIBUTES}),
    ("xfam", report(xfam=b"\x01" + bytes(7)), {"xfam_required": 1}),
    ("xfam", report(xfam=b"\x03\x04" + bytes(6)), {"xfam_allowed": 0x403}),
    ("mr-config-id", report(mr_config_id=b"c" * 48), {"mr_config_id": b"c" * 48}),
    ("mr-config-id", report(mr_config_id=b"c" * 48), {"mr_config_id": None}),
    ("mr-owner", report(mr_owner=b"o" * 48), {"mr_owner": b"o" * 48}),
    ("mr-owner-config", report(mr_owner_config=b"w" * 48), {"mr_owner_config": b"w" * 48}),
    ("service-td", both(scenario(version=5), report(td_1_5=BOUND)), {"allow_service_td": True}),
]


def claims_after(change: Change) -> Claims:
    made = Scenario()
    change(made)
    return made.finish().authenticate()


@pytest.mark.parametrize(("code", "change", "relaxed"), ROWS)
def test_a_field_decides(code: str, change: Change, relaxed: dict[str, Any]) -> None:
    claims = claims_after(change)
    with pytest.raises(AppraisalError) as caught:
        DCAP_TDX_POLICY.appraise(claims)
    assert caught.value.code == code
    assert caught.value.attestation_type == "simulated"
    evolve(DCAP_TDX_POLICY, **relaxed).appraise(claims)


@pytest.mark.parametrize("bit", [1, 27, 31, 62])
def test_attributes_that_are_not_allowed_are_refused_where_none_are_demanded(bit: int) -> None:
    claims = claims_after(attributes(SEPT_VE_DISABLE, 1 << bit))
    with pytest.raises(AppraisalError, match="bits that are not allowed"):
        evolve(DCAP_TDX_POLICY, td_attributes=None).appraise(claims)


@pytest.mark.parametrize("status", ["TDRelaunchAdvised", "OutOfDate", "ConfigurationNeeded"])
def test_only_an_up_to_date_platform_is_accepted(status: str) -> None:
    assert DCAP_TDX_POLICY.tcb_statuses == {TcbStatus.UP_TO_DATE}
    assert TcbStatus(status) not in DCAP_TDX_POLICY.tcb_statuses


def test_no_policy_can_accept_a_revoked_platform() -> None:
    with pytest.raises(ValueError, match="revoked"):
        evolve(DCAP_TDX_POLICY, tcb_statuses=frozenset(TcbStatus))


@pytest.mark.parametrize("field", ["mr_config_id", "mr_owner", "mr_owner_config", "td_attributes"])
def test_a_demanded_value_has_its_size(field: str) -> None:
    with pytest.raises(ValueError, match=field):
        evolve(DCAP_TDX_POLICY, **{field: b"short"})


@pytest.mark.parametrize("field", ["initial_service_td_hash", "current_service_td_hash"])
def test_an_extended_body_tells_of_its_service_tds(field: str) -> None:
    claims = claims_after(lambda scenario: None)
    honest = evolve(claims.platform.report, td_1_5=UNBOUND, extended=EXTENDED)
    DCAP_TDX_POLICY.appraise(evolve(claims, platform=evolve(claims.platform, report=honest)))
    bound = evolve(honest, extended=evolve(EXTENDED, **{field: b"\x01" * 48}))
    with pytest.raises(AppraisalError, match="service-td"):
        DCAP_TDX_POLICY.appraise(evolve(claims, platform=evolve(claims.platform, report=bound)))


def test_claims_of_another_kind_of_platform_are_refused() -> None:
    class Other:
        def facts(self) -> dict[str, str]:
            return {}

    claims = evolve(claims_after(qe_identity()), platform=Other())
    with pytest.raises(AppraisalError, match="no-policy"):
        DCAP_TDX_POLICY.appraise(claims)
