"""The minted platform against an independent verifier (dcap-qvl) and against the format's own sizes."""

import json
from datetime import timedelta

import dcap_qvl
import pytest
from attrs import evolve
from cryptography import x509
from cryptography.x509.oid import NameOID
from doubles.simulated import NOW, platform, seeded

from cvmproxy.attestation.tdx_report import ServiceTdBinding
from cvmproxy.platform.simulated_collateral import (
    SimulatedCollateral,
    default_qe_identity,
    default_tcb_info,
    mint_collateral,
)
from cvmproxy.platform.simulated_pki import (
    ORGANISATION,
    CertificateTemplate,
    default_templates,
    mint_certificate,
    mint_pki,
)
from cvmproxy.platform.simulated_platform import SimulatedPlatform, mint_platform
from cvmproxy.platform.simulated_quote import QeReport, TdMeasurements, provision_quoting_enclave, td_report

REPORT_DATA = bytes(range(64))
BODY = td_report(REPORT_DATA, TdMeasurements())


def verify(
    quote: bytes,
    machine: SimulatedPlatform,
    collateral: SimulatedCollateral | None = None,
    at=NOW,
    root: bytes | None = None,
):
    encoded = (collateral or machine.collateral(NOW)).to_json().decode()
    return dcap_qvl.verify_with_root_ca(
        quote,
        dcap_qvl.QuoteCollateralV3.from_json(encoded),
        machine.pki.root.certificate_der if root is None else root,
        int(at.timestamp()),
    )


def test_an_independent_verifier_finds_the_platform_up_to_date():
    machine = platform()
    report = verify(machine.quote(REPORT_DATA), machine)
    assert report.status == "UpToDate"
    assert json.loads(report.to_json())["report"]["TD10"]["report_data"] == REPORT_DATA.hex()


@pytest.mark.parametrize("td_1_5", [None, ServiceTdBinding(tee_tcb_svn2=BODY.tee_tcb_svn, mr_service_td=bytes(48))])
def test_an_independent_verifier_accepts_version_5(td_1_5):
    machine = platform()
    assert verify(machine.enclave.mint_quote(evolve(BODY, td_1_5=td_1_5), version=5), machine).status == "UpToDate"


def test_quotes_fail_under_intels_root():
    machine = platform()
    collateral = dcap_qvl.QuoteCollateralV3.from_json(machine.collateral(NOW).to_json().decode())
    with pytest.raises(ValueError):
        dcap_qvl.verify(machine.quote(REPORT_DATA), collateral, int(NOW.timestamp()))


def test_quotes_fail_under_another_platforms_root():
    machine = platform()
    with pytest.raises(ValueError):
        verify(machine.quote(REPORT_DATA), machine, root=platform(2).pki.root.certificate_der)


def test_collateral_runs_out_after_thirty_days():
    machine = platform()
    quote = machine.quote(REPORT_DATA)
    verify(quote, machine, at=NOW + timedelta(days=29))
    with pytest.raises(ValueError, match=r"(?i)expired"):
        verify(quote, machine, at=NOW + timedelta(days=31))


def test_equal_arguments_give_equal_bytes():
    one, other = (mint_platform(now=NOW, random=seeded(7)) for _ in range(2))
    assert one.quote(REPORT_DATA) == other.quote(REPORT_DATA)
    assert one.collateral(NOW) == other.collateral(NOW)
    assert one.quote(REPORT_DATA) != mint_platform(now=NOW, random=seeded(8)).quote(REPORT_DATA)


def test_certificates_say_what_they_are_not():
    pki = platform().pki
    for signer in (pki.root, pki.platform_ca, pki.pck, pki.tcb_signing):
        names = signer.certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        assert [name.value for name in names] == [ORGANISATION]


def test_the_sgx_extension_has_every_part():
    machine = platform()
    parsed = dcap_qvl.parse_pck_extension_from_pem(machine.pki.pck_chain_pem)
    identity = machine.identity
    assert bytes(parsed.fmspc) == identity.fmspc
    assert bytes(parsed.pce_id) == identity.pce_id
    assert parsed.pce_svn == identity.pce_svn
    assert bytes(parsed.cpu_svn) == identity.cpu_svn
    assert bytes(parsed.ppid) == identity.ppid


def test_collateral_survives_its_json_form():
    collateral = platform().collateral(NOW)
    assert SimulatedCollateral.from_json(collateral.to_json()) == collateral


@pytest.mark.parametrize("broken", [b"", b"[]", b"{}", b'{"root_ca_crl": 1}', b"\xff"])
def test_other_json_is_no_collateral(broken):
    with pytest.raises(ValueError):
        SimulatedCollateral.from_json(broken)


def test_a_revoked_leaf_is_in_the_crl():
    machine = platform()
    serial = machine.pki.pck.certificate.serial_number
    collateral = mint_collateral(
        machine.pki,
        tcb_info=default_tcb_info(machine.identity, NOW),
        qe_identity=default_qe_identity(NOW),
        now=NOW,
        revoked_by_platform_ca=(serial,),
    )
    with pytest.raises(ValueError, match=r"(?i)revoked"):
        verify(machine.quote(REPORT_DATA), machine, collateral)


def test_a_wrong_template_gives_a_correctly_signed_mutant():
    templates = default_templates(NOW, platform().identity)
    expired = evolve(templates, pck=evolve(templates.pck, not_after=NOW - timedelta(hours=1)))
    machine = evolve(platform(), pki=mint_pki(expired, seeded(3)))
    machine = evolve(machine, enclave=provision_quoting_enclave(machine.pki, seeded(4)))
    with pytest.raises(ValueError):
        verify(machine.quote(REPORT_DATA), machine)


def test_an_enclave_report_that_binds_another_key_is_refused():
    machine = platform()
    enclave = provision_quoting_enclave(machine.pki, seeded(5), report=QeReport(report_data=bytes(64)))
    with pytest.raises(ValueError):
        verify(enclave.mint_quote(BODY), machine)


def test_certificates_are_signed_by_their_issuers():
    pki = platform().pki
    pki.root.certificate.verify_directly_issued_by(pki.root.certificate)
    pki.platform_ca.certificate.verify_directly_issued_by(pki.root.certificate)
    pki.pck.certificate.verify_directly_issued_by(pki.platform_ca.certificate)
    pki.tcb_signing.certificate.verify_directly_issued_by(pki.root.certificate)


def test_serial_numbers_are_positive_whatever_the_randomness():
    template = CertificateTemplate(common_name="x", not_before=NOW, not_after=NOW)
    for byte in (b"\x00", b"\xff"):
        minted = mint_certificate(template, random=lambda size, byte=byte: byte * size)
        assert 0 < minted.certificate.serial_number < 1 << 159


def test_crls_carry_numbers_and_windows():
    crl = x509.load_der_x509_crl(platform().collateral(NOW).root_ca_crl)
    assert crl.next_update_utc == NOW + timedelta(days=365)
    assert crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 1
