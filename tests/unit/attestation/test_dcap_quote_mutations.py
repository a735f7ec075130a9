"""One field wrong at a time: each mutant is refused with the code written beside it, and its control is accepted.

Where an attacker, or a careless Intel, would hold the key, the mutant is signed again: what refuses it is then the
comparison, not a signature.
"""

from datetime import timedelta

import pytest
from attrs import evolve
from doubles.simulated import NOW
from doubles.tdx_changes import (
    NO_CA,
    SIGNS,
    STRANGER,
    TD_1_5,
    UNKNOWN,
    Change,
    both,
    chain_in_quote,
    collateral,
    crl,
    flipped,
    identity,
    key_usage,
    leaf_with,
    own_attestation_key,
    own_pck_key,
    pem,
    qe_report,
    quote_byte,
    report,
    scenario,
    signature,
    signer_in_place_of_ca,
    tcb_info,
    template,
)
from doubles.tdx_scenarios import ACCEPTED, BINDING, Scenario, pretty, signed_tcb_info

from cvmproxy.attestation.binding import Binding
from cvmproxy.attestation.model import Nonce

OLD_CPU_SVN = bytes((1, 2, 2, 2, 3, 1, 0, 5)) + bytes(8)

QUOTE = [
    # Version 5 has a body type where version 4 has the body.
    ("version", quote_byte(0), "evidence-unsupported"),
    ("version 3", scenario(altered_quote=lambda q, p: b"\x03" + q[1:]), "evidence-unsupported"),
    ("attestation key type", quote_byte(2), "evidence-unsupported"),
    ("TEE type", quote_byte(4), "evidence-unsupported"),
    ("vendor", quote_byte(12), "evidence-unsupported"),
    ("user data of the header", quote_byte(28), "quote-signature"),
    ("MRTD", quote_byte(48 + 136), "quote-signature"),
    ("RTMR3", quote_byte(48 + 328 + 3 * 48), "quote-signature"),
    ("TDATTRIBUTES", quote_byte(48 + 120), "quote-signature"),
    ("TEE_TCB_SVN", quote_byte(48), "quote-signature"),
    ("REPORTDATA", quote_byte(48 + 520), "nonce-mismatch"),
    ("quote signature", signature(quote_signature=lambda s: flipped(s, 0)), "quote-signature"),
    ("quote signature of zeros", signature(quote_signature=lambda s: bytes(64)), "quote-signature"),
    ("attestation key", signature(attestation_key=lambda k: flipped(k, 63)), "qe-report-binding"),
    ("attestation key of the attacker", scenario(altered_quote=own_attestation_key), "qe-report-binding"),
    ("QE authentication data", signature(qe_authentication_data=lambda d: flipped(d, 0)), "qe-report-binding"),
    ("QE authentication data, longer", signature(qe_authentication_data=lambda d: d + b"0"), "qe-report-binding"),
    ("QE report", signature(qe_report=lambda r: evolve(r, raw=flipped(r.raw, 64))), "qe-report-signature"),
    ("QE report signature", signature(qe_report_signature=lambda s: flipped(s, 9)), "qe-report-signature"),
    ("PCK key of the attacker", scenario(altered_quote=own_pck_key), "qe-report-signature"),
    ("cut short", scenario(altered_quote=lambda q, p: q[:-1]), "evidence-malformed"),
    ("too long", scenario(altered_quote=lambda q, p: q + bytes(65536)), "evidence-malformed"),
]

BOUND = [
    ("nonce", scenario(binding=Binding(user_data=BINDING.user_data, nonce=Nonce(b"m" * 32))), "nonce-mismatch"),
    ("no nonce", scenario(binding=Binding(user_data=BINDING.user_data, nonce=Nonce(b""))), "nonce-mismatch"),
    ("key", scenario(binding=Binding(user_data=bytes(32), nonce=BINDING.nonce)), "key-mismatch"),
    ("user data", scenario(user_data=bytes(32)), "key-mismatch"),
    ("no user data", scenario(user_data=b""), "key-mismatch"),
    ("REPORTDATA tail", report(report_data=BINDING.extra_data + bytes(31) + b"\x01"), "nonce-mismatch"),
]

QE_REPORT = [
    ("MRSIGNER", qe_report(mrsigner=bytes(32)), "qe-identity-mismatch"),
    ("ISVPRODID", qe_report(isv_prod_id=1), "qe-identity-mismatch"),
    ("MISCSELECT", qe_report(misc_select=b"\x01\0\0\0"), "qe-identity-mismatch"),
    ("debuggable", qe_report(attributes=bytes.fromhex("1700000000000000e700000000000000")), "qe-identity-mismatch"),
    ("ISVSVN old", qe_report(isv_svn=3), "tcb-status"),
    ("ISVSVN below every level", qe_report(isv_svn=2), "tcb-not-supported"),
    ("REPORTDATA", qe_report(report_data=bytes(64)), "qe-report-binding"),
]

PCK_CHAIN = [
    ("of another root", chain_in_quote(lambda pki: STRANGER.pki.pck_chain_pem), "pck-chain-invalid"),
    (
        "with our root's name",
        chain_in_quote(lambda pki: pem(STRANGER.pki.pck, STRANGER.pki.platform_ca, pki.root)),
        "pck-chain-invalid",
    ),
    ("without root", chain_in_quote(lambda pki: pem(pki.pck, pki.platform_ca)), "pck-chain-invalid"),
    ("root twice", chain_in_quote(lambda pki: pem(pki.pck, pki.platform_ca, pki.root, pki.root)), "pck-chain-invalid"),
    ("out of order", chain_in_quote(lambda pki: pem(pki.pck, pki.root, pki.platform_ca)), "pck-chain-invalid"),
    ("leaf alone", chain_in_quote(lambda pki: pem(pki.pck)), "pck-chain-invalid"),
    ("CA as leaf", chain_in_quote(lambda pki: pem(pki.platform_ca, pki.root)), "evidence-malformed"),
    ("empty", chain_in_quote(lambda pki: b""), "evidence-malformed"),
    ("no PEM", chain_in_quote(lambda pki: b"\x30\x00"), "evidence-malformed"),
    ("too large", chain_in_quote(lambda pki: pki.pck_chain_pem + b"\n" * 16384), "evidence-malformed"),
    ("leaf's name", template("pck", common_name="Intel SGX TCB Signing"), "pck-chain-invalid"),
    ("CA's name", template("platform_ca", common_name="Intel SGX CA"), "pck-chain-invalid"),
    ("leaf is a CA", template("pck", is_ca=True), "pck-chain-invalid"),
    ("CA is none", template("platform_ca", is_ca=False, path_length=None), "pck-chain-invalid"),
    ("issued by the TCB signer", scenario(altered_pki=signer_in_place_of_ca), "pck-chain-invalid"),
    ("no key usage", leaf_with(NO_CA), "pck-chain-invalid"),
    ("no basic constraints", leaf_with(SIGNS), "pck-chain-invalid"),
    ("wrong key usage", leaf_with(NO_CA, (key_usage(key_agreement=True), True)), "pck-chain-invalid"),
    ("unknown critical extension", leaf_with(NO_CA, SIGNS, (UNKNOWN, True)), "pck-chain-invalid"),
    ("leaf expired", template("pck", not_after=NOW - timedelta(seconds=1)), "pck-expired"),
    ("CA expired", template("platform_ca", not_after=NOW - timedelta(seconds=1)), "pck-expired"),
    ("root expired", template("root", not_after=NOW - timedelta(seconds=1)), "pck-expired"),
    ("leaf not yet valid", template("pck", not_before=NOW + timedelta(seconds=1)), "pck-not-yet-valid"),
    ("CA not yet valid", template("platform_ca", not_before=NOW + timedelta(seconds=1)), "pck-not-yet-valid"),
    ("no SGX extension", template("pck", sgx_extension_der=None), "evidence-malformed"),
    ("SGX extension cut", template("pck", sgx_extension_der=b"\x30\x03\x30\x01\x06"), "evidence-malformed"),
    ("FMSPC", identity(fmspc=bytes.fromhex("905106000001")), "collateral-mismatch"),
    ("PCEID", identity(pce_id=b"\x01\x00"), "collateral-mismatch"),
    ("component SVN", identity(component_svns=tuple(OLD_CPU_SVN), cpu_svn=OLD_CPU_SVN), "tcb-status"),
    ("PCESVN", identity(pce_svn=10), "tcb-status"),
]

TD = [
    ("MRSIGNERSEAM", report(mr_signer_seam=b"\x01" * 48), "tdx-module-mismatch"),
    ("SEAMATTRIBUTES", report(seam_attributes=b"\x01" + bytes(7)), "tdx-module-mismatch"),
    ("module version unknown", report(tee_tcb_svn=bytes((5, 9, 2)) + bytes(13)), "tdx-module-mismatch"),
    (
        "module without version, signer",
        report(tee_tcb_svn=bytes((5, 0, 2)) + bytes(13), mr_signer_seam=b"1" * 48),
        "tdx-module-mismatch",
    ),
    ("module SVN old", report(tee_tcb_svn=bytes((4, 1, 2)) + bytes(13)), "tcb-status"),
    ("module SVN below every level", report(tee_tcb_svn=bytes((3, 1, 2)) + bytes(13)), "tcb-not-supported"),
    ("microcode SVN old", report(tee_tcb_svn=bytes((5, 1, 1)) + bytes(13)), "tcb-status"),
    ("debug", report(td_attributes=bytes.fromhex("0100001000000000")), "td-debug"),
    ("migratable", report(td_attributes=bytes.fromhex("0000003000000000")), "td-migratable"),
    ("no SEPT_VE_DISABLE", report(td_attributes=bytes(8)), "td-sept-ve-disable"),
    ("protection keys", report(td_attributes=bytes.fromhex("0000005000000000")), "td-attributes"),
    ("performance monitor", report(td_attributes=bytes.fromhex("0000001000000080")), "td-attributes"),
    ("unknown attribute", report(td_attributes=bytes.fromhex("0000001001000000")), "td-attributes"),
    ("XFAM without SSE", report(xfam=bytes.fromhex("0100000000000000")), "xfam"),
    ("XFAM with an unknown bit", report(xfam=bytes.fromhex("e702060000000080")), "xfam"),
    ("MRCONFIGID", report(mr_config_id=bytes(47) + b"\x01"), "mr-config-id"),
    ("MROWNER", report(mr_owner=bytes(47) + b"\x01"), "mr-owner"),
    ("MROWNERCONFIG", report(mr_owner_config=bytes(47) + b"\x01"), "mr-owner-config"),
    (
        "MRSERVICETD",
        both(scenario(version=5), report(td_1_5=evolve(TD_1_5, mr_service_td=bytes(47) + b"\x01"))),
        "service-td",
    ),
]

GROUPS = {"quote": QUOTE, "binding": BOUND, "QE report": QE_REPORT, "PCK": PCK_CHAIN, "TD": TD}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param(change, code, id=f"{group}-{name}".replace(" ", "_"))
        for group, rows in GROUPS.items()
        for name, change, code in rows
    ],
)
def test_a_mutant_is_refused_with_its_code(change: Change, code: str) -> None:
    mutant = Scenario()
    change(mutant)
    assert mutant.finish().outcome() == code


ACCEPTABLE = [
    ("nothing", lambda scenario: None),
    ("version 5, TD 1.0", scenario(version=5)),
    ("version 5, TD 1.5", both(scenario(version=5), report(td_1_5=TD_1_5))),
    ("trailing bytes", scenario(altered_quote=lambda quote, pki: quote + bytes(3065))),
    ("a zero byte after the chain", signature(pck_chain_pem=lambda pem: pem + b"\0")),
    ("TCB info signed in other white space", collateral(lambda c, pki: signed_tcb_info(c, pki, pretty(c.tcb_info)))),
    ("a member that Intel adds", tcb_info(novelty=[1, {"a": None}])),
    ("FMSPC in lower case", tcb_info(fmspc="905106000000".lower())),
    ("a module without version", report(tee_tcb_svn=bytes((5, 0, 2)) + bytes(13))),
    ("newer SVNs", both(identity(pce_svn=12), report(tee_tcb_svn=bytes((9, 1, 3)) + bytes(13)), qe_report(isv_svn=9))),
    ("another certificate revoked", scenario(revoked=lambda pki: ((4711,), (4712,)))),
    ("the last second of the TCB info", tcb_info(nextUpdate="2030-01-15T12:00:00Z")),
    ("the first second of the TCB info", tcb_info(issueDate="2030-01-15T12:00:00Z")),
    ("a leaf made by hand", leaf_with(NO_CA, SIGNS)),
    ("an unknown extension that is not critical", leaf_with(NO_CA, SIGNS, (UNKNOWN, False))),
    (
        "CRLs made by hand",
        collateral(lambda c, pki: evolve(c, pck_crl=crl(pki.platform_ca, 4711), root_ca_crl=crl(pki.root))),
    ),
    (
        "a masked attribute of the quoting enclave",
        qe_report(attributes=bytes.fromhex("1500000000000000ff00000000000000")),
    ),
]


@pytest.mark.parametrize("change", [pytest.param(change, id=name.replace(" ", "_")) for name, change in ACCEPTABLE])
def test_a_control_is_accepted(change: Change) -> None:
    control = Scenario()
    change(control)
    assert control.finish().outcome() == ACCEPTED
