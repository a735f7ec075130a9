"""One field of the collateral wrong at a time: each mutant is refused with the code written beside it.

Where an attacker, or a careless Intel, would hold the key, the mutant is signed again: what refuses it is then the
comparison, not a signature.
"""

from datetime import timedelta

import pytest
from attrs import evolve
from doubles.simulated import NOW
from doubles.tdx_changes import (
    STRANGER_COLLATERAL,
    Change,
    collateral,
    crl,
    flipped,
    future_crl,
    level,
    module_identity,
    module_level,
    namesake_of,
    old_crl,
    partial_crl,
    qe_identity,
    scenario,
    tcb_components,
    tcb_info,
    template,
    without,
)
from doubles.tdx_scenarios import ACCEPTED, Scenario, pretty, signed_tcb_info

REVOCATION = [
    ("leaf", scenario(revoked=lambda pki: ((pki.pck.certificate.serial_number,), ())), "revoked"),
    ("CA", scenario(revoked=lambda pki: ((), (pki.platform_ca.certificate.serial_number,))), "revoked"),
    ("TCB signer", scenario(revoked=lambda pki: ((), (pki.tcb_signing.certificate.serial_number,))), "revoked"),
    (
        "PCK CRL by a namesake",
        collateral(lambda c, pki: evolve(c, pck_crl=crl(namesake_of(pki.platform_ca)))),
        "collateral-signature",
    ),
    (
        "root CRL by a namesake",
        collateral(lambda c, pki: evolve(c, root_ca_crl=crl(namesake_of(pki.root)))),
        "collateral-signature",
    ),
    ("PCK CRL by the root", collateral(lambda c, pki: evolve(c, pck_crl=crl(pki.root))), "collateral-signature"),
    ("root CRL by the CA", collateral(lambda c, pki: evolve(c, root_ca_crl=c.pck_crl)), "collateral-signature"),
    ("PCK CRL altered", collateral(lambda c, pki: evolve(c, pck_crl=flipped(c.pck_crl, -20))), "collateral-signature"),
    ("PCK CRL expired", collateral(lambda c, pki: evolve(c, pck_crl=old_crl(pki.platform_ca))), "collateral-expired"),
    ("root CRL expired", collateral(lambda c, pki: evolve(c, root_ca_crl=old_crl(pki.root))), "collateral-expired"),
    (
        "PCK CRL of tomorrow",
        collateral(lambda c, pki: evolve(c, pck_crl=future_crl(pki.platform_ca))),
        "collateral-not-yet-valid",
    ),
    (
        "root CRL of tomorrow",
        collateral(lambda c, pki: evolve(c, root_ca_crl=future_crl(pki.root))),
        "collateral-not-yet-valid",
    ),
    (
        "PCK CRL partial",
        collateral(lambda c, pki: evolve(c, pck_crl=partial_crl(pki.platform_ca))),
        "collateral-malformed",
    ),
    ("PCK CRL cut", collateral(lambda c, pki: evolve(c, pck_crl=c.pck_crl[:-1])), "collateral-malformed"),
    ("PCK CRL empty", collateral(lambda c, pki: evolve(c, pck_crl=b"")), "collateral-malformed"),
]

TCB_INFO = [
    (
        "altered",
        collateral(lambda c, pki: evolve(c, tcb_info=c.tcb_info.replace(b":17,", b":18,"))),
        "collateral-signature",
    ),
    (
        "reformatted after signing",
        collateral(lambda c, pki: evolve(c, tcb_info=pretty(c.tcb_info).encode())),
        "collateral-signature",
    ),
    (
        "signature",
        collateral(lambda c, pki: evolve(c, tcb_info_signature=flipped(c.tcb_info_signature, 0))),
        "collateral-signature",
    ),
    (
        "signed by the PCK",
        collateral(lambda c, pki: evolve(c, tcb_info_signature=pki.pck.sign_raw(c.tcb_info))),
        "collateral-signature",
    ),
    (
        "issued by the PCK chain",
        collateral(
            lambda c, pki: evolve(
                c, tcb_info_signature=pki.pck.sign_raw(c.tcb_info), tcb_info_issuer_chain=pki.pck_chain_pem
            )
        ),
        "collateral-signature",
    ),
    (
        "of another root",
        collateral(
            lambda c, pki: evolve(
                c,
                tcb_info=STRANGER_COLLATERAL.tcb_info,
                tcb_info_signature=STRANGER_COLLATERAL.tcb_info_signature,
                tcb_info_issuer_chain=STRANGER_COLLATERAL.tcb_info_issuer_chain,
            )
        ),
        "collateral-signature",
    ),
    ("no issuer chain", collateral(lambda c, pki: evolve(c, tcb_info_issuer_chain=b"")), "collateral-malformed"),
    ("signer's name", template("tcb_signing", common_name="Intel SGX PCK Certificate"), "collateral-signature"),
    ("signer is a CA", template("tcb_signing", is_ca=True), "collateral-signature"),
    ("signer expired", template("tcb_signing", not_after=NOW - timedelta(seconds=1)), "collateral-expired"),
    (
        "signer not yet valid",
        template("tcb_signing", not_before=NOW + timedelta(seconds=1)),
        "collateral-not-yet-valid",
    ),
    ("expired", tcb_info(nextUpdate="2030-01-15T11:59:59Z"), "collateral-expired"),
    ("of tomorrow", tcb_info(issueDate="2030-01-15T12:00:01Z"), "collateral-not-yet-valid"),
    ("time with an offset", tcb_info(issueDate="2030-01-14T12:00:00+00:00"), "collateral-malformed"),
    ("time without zone", tcb_info(nextUpdate="2031-01-14T12:00:00"), "collateral-malformed"),
    ("time that is none", tcb_info(nextUpdate="2031-02-30T12:00:00Z"), "collateral-malformed"),
    ("id", tcb_info(id="SGX"), "collateral-mismatch"),
    ("version", tcb_info(version=2), "collateral-mismatch"),
    ("version as text", tcb_info(version="3"), "collateral-malformed"),
    ("FMSPC", tcb_info(fmspc="905106000001"), "collateral-mismatch"),
    ("PCEID", tcb_info(pceId="0001"), "collateral-mismatch"),
    ("TCB type", tcb_info(tcbType=1), "collateral-mismatch"),
    ("no evaluation number", without("tcb_info", "tcbEvaluationDataNumber"), "collateral-malformed"),
    ("evaluation number below zero", tcb_info(tcbEvaluationDataNumber=-1), "collateral-malformed"),
    ("no levels", without("tcb_info", "tcbLevels"), "collateral-malformed"),
    ("empty levels", tcb_info(tcbLevels=[]), "collateral-malformed"),
    ("no module", without("tcb_info", "tdxModule"), "collateral-malformed"),
    ("no module identities", without("tcb_info", "tdxModuleIdentities"), "tdx-module-mismatch"),
    ("module identity of another version", module_identity(id="TDX_02"), "tdx-module-mismatch"),
    ("module identity's MRSIGNER", module_identity(mrsigner="11" * 48), "tdx-module-mismatch"),
    ("module identity's attributes", module_identity(attributes="01" + "00" * 7), "tdx-module-mismatch"),
    ("module out of date", module_level(0, tcbStatus="OutOfDate"), "tcb-status"),
    ("module revoked", module_level(0, tcbStatus="Revoked"), "tcb-status"),
    ("module status that modules do not have", module_level(0, tcbStatus="SWHardeningNeeded"), "collateral-malformed"),
    ("platform revoked", level("tcb_info", 0, tcbStatus="Revoked"), "tcb-status"),
    ("platform needs configuration", level("tcb_info", 0, tcbStatus="ConfigurationNeeded"), "tcb-status"),
    ("platform needs hardening", level("tcb_info", 0, tcbStatus="SWHardeningNeeded"), "tcb-status"),
    ("unknown status", level("tcb_info", 0, tcbStatus="Fine"), "collateral-malformed"),
    ("relaunch as a level", level("tcb_info", 0, tcbStatus="TDRelaunchAdvised"), "collateral-malformed"),
    ("component SVN too high", tcb_components(sgxtcbcomponents=[{"svn": 255}] * 16), "tcb-status"),
    ("TDX component SVN too high", tcb_components(tdxtcbcomponents=[{"svn": 0}] * 2 + [{"svn": 9}] * 14), "tcb-status"),
    (
        "no level that matches",
        tcb_info(
            tcbLevels=[
                {
                    "tcb": {
                        "sgxtcbcomponents": [{"svn": 255}] * 16,
                        "pcesvn": 0,
                        "tdxtcbcomponents": [{"svn": 0}] * 16,
                    },
                    "tcbDate": "2030-01-14T12:00:00Z",
                    "tcbStatus": "UpToDate",
                }
            ]
        ),
        "tcb-not-supported",
    ),
    ("id as a list", tcb_info(id=["TDX"]), "collateral-malformed"),
    ("id as null", tcb_info(id=None), "collateral-malformed"),
    ("levels as an object", tcb_info(tcbLevels={"0": {}}), "collateral-malformed"),
    ("levels as text", tcb_info(tcbLevels="levels"), "collateral-malformed"),
    ("level as a list", tcb_info(tcbLevels=[[]]), "collateral-malformed"),
    ("level's SVNs as a list", level("tcb_info", 0, tcb=["pcesvn"]), "collateral-malformed"),
    ("level's date as a number", level("tcb_info", 0, tcbDate=20300114), "collateral-malformed"),
    ("status as a list", level("tcb_info", 0, tcbStatus=["UpToDate"]), "collateral-malformed"),
    ("advisories as text", level("tcb_info", 0, advisoryIDs="INTEL-SA-1"), "collateral-malformed"),
    ("advisories as numbers", level("tcb_info", 0, advisoryIDs=[1]), "collateral-malformed"),
    ("FMSPC as a number", tcb_info(fmspc=905106000000), "collateral-malformed"),
    ("module as null", tcb_info(tdxModule=None), "collateral-malformed"),
    ("module identities as null", tcb_info(tdxModuleIdentities=None), "collateral-malformed"),
    ("a list", collateral(lambda c, pki: signed_tcb_info(c, pki, '["id","version"]')), "collateral-malformed"),
    ("fifteen components", tcb_components(sgxtcbcomponents=[{"svn": 0}] * 15), "collateral-malformed"),
    ("component SVN of 256", tcb_components(sgxtcbcomponents=[{"svn": 256}] * 16), "collateral-malformed"),
    ("component SVN as a truth value", tcb_components(sgxtcbcomponents=[{"svn": True}] * 16), "collateral-malformed"),
    (
        "repeated key",
        collateral(
            lambda c, pki: signed_tcb_info(c, pki, c.tcb_info.decode().replace('{"id":"TDX"', '{"id":"SGX","id":"TDX"'))
        ),
        "collateral-malformed",
    ),
    (
        "fraction",
        collateral(lambda c, pki: signed_tcb_info(c, pki, c.tcb_info.decode().replace('"version":3', '"version":3.0'))),
        "collateral-malformed",
    ),
    (
        "nested without end",
        collateral(lambda c, pki: signed_tcb_info(c, pki, "[" * 50_000 + "]" * 50_000)),
        "collateral-malformed",
    ),
    ("too large", tcb_info(padding="0" * 524_288), "collateral-malformed"),
]

QE_IDENTITY = [
    (
        "altered",
        collateral(lambda c, pki: evolve(c, qe_identity=c.qe_identity.replace(b":17,", b":18,"))),
        "collateral-signature",
    ),
    (
        "the TCB info in its place",
        collateral(lambda c, pki: evolve(c, qe_identity=c.tcb_info, qe_identity_signature=c.tcb_info_signature)),
        "collateral-mismatch",
    ),
    ("id", qe_identity(id="QE"), "collateral-mismatch"),
    ("version", qe_identity(version=1), "collateral-mismatch"),
    ("expired", qe_identity(nextUpdate="2030-01-15T11:59:59Z"), "collateral-expired"),
    ("of tomorrow", qe_identity(issueDate="2030-01-15T12:00:01Z"), "collateral-not-yet-valid"),
    ("MRSIGNER", qe_identity(mrsigner="11" * 32), "qe-identity-mismatch"),
    ("MRSIGNER, shorter", qe_identity(mrsigner="11" * 31), "collateral-malformed"),
    ("ISVPRODID", qe_identity(isvprodid=1), "qe-identity-mismatch"),
    ("MISCSELECT", qe_identity(miscselect="01000000"), "qe-identity-mismatch"),
    ("ATTRIBUTES", qe_identity(attributes="13000000000000000000000000000000"), "qe-identity-mismatch"),
    ("out of date", level("qe_identity", 0, tcbStatus="OutOfDate"), "tcb-status"),
    ("revoked", level("qe_identity", 0, tcbStatus="Revoked"), "tcb-status"),
    (
        "status that enclaves do not have",
        level("qe_identity", 0, tcbStatus="ConfigurationNeeded"),
        "collateral-malformed",
    ),
    ("empty levels", qe_identity(tcbLevels=[]), "collateral-malformed"),
]

GROUPS = {"revocation": REVOCATION, "TCB info": TCB_INFO, "QE identity": QE_IDENTITY}


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


def test_the_control_of_every_row_is_accepted() -> None:
    assert Scenario().finish().outcome() == ACCEPTED
