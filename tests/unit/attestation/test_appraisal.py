"""The appraisal refuses what no policy or entry accepts, and its result is proof that it was done."""

import copy
import pickle
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from attrs import evolve, frozen
from attrs.exceptions import FrozenInstanceError

from cvmproxy.attestation.model import Claims, ReferenceEntry, ReferenceValues, RegisterReference
from cvmproxy.attestation.policy import AppraisalPolicy, AttestationResult, NoAttestation, appraise
from cvmproxy.errors import AppraisalError

NOW = datetime(2030, 1, 1, tzinfo=UTC)
ONE, TWO = b"\x01" * 48, b"\x02" * 48


@frozen
class Platform:
    def facts(self) -> Mapping[str, str]:
        return {}


@frozen
class Accepting:
    def appraise(self, claims: Claims) -> None:
        """Every platform is acceptable."""


@frozen
class Refusing:
    def appraise(self, claims: Claims) -> None:
        raise AppraisalError("tcb-status", "refused")


CLAIMS = Claims(attestation_type="simulated", measurements={0: ONE, 1: TWO}, platform=Platform(), not_after=NOW)


def entry(name: str, kind: str = "simulated", warn_only: bool = False, **registers: bytes) -> ReferenceEntry:
    references = {
        int(index[1:]): RegisterReference(expected_any=frozenset({value}), warn_only=warn_only)
        for index, value in registers.items()
    }
    return ReferenceEntry(measurement_id=name, attestation_type=kind, registers=references)


def policy(*entries: ReferenceEntry, section: Accepting | Refusing | None = None) -> AppraisalPolicy:
    return AppraisalPolicy(
        references=ReferenceValues(entries=entries, digest="d" * 64), platform={"simulated": section or Accepting()}
    )


def result() -> AttestationResult:
    return appraise(CLAIMS, policy(entry("a", r0=ONE)), NOW)


def test_a_result_tells_what_was_appraised() -> None:
    found = appraise(CLAIMS, policy(entry("other", r0=TWO), entry("mine", r0=ONE, r1=TWO)), NOW)
    assert (found.measurement_id, found.reference_digest, found.appraised_at) == ("mine", "d" * 64, NOW)
    assert (found.attestation_type, dict(found.measurements), found.warnings) == ("simulated", {0: ONE, 1: TWO}, ())


def test_an_entry_without_registers_accepts_any_measurements() -> None:
    assert appraise(CLAIMS, policy(entry("any")), NOW).measurement_id == "any"


@pytest.mark.parametrize(
    "entries",
    [
        (),
        (entry("a", r0=TWO),),
        (entry("a", r0=ONE, r1=ONE),),
        (entry("a", r7=ONE),),
        (entry("a", "dcap-tdx", r0=ONE),),
        (entry("any", "dcap-tdx"),),
    ],
    ids=["none", "another-value", "one-of-two", "absent-register", "another-type", "any-of-another-type"],
)
def test_measurements_that_no_entry_accepts_are_refused(entries: tuple[ReferenceEntry, ...]) -> None:
    with pytest.raises(AppraisalError) as caught:
        appraise(CLAIMS, policy(*entries), NOW)
    assert caught.value.code == "measurements-mismatch"
    assert caught.value.measured == {0: ONE, 1: TWO}
    assert caught.value.attestation_type == "simulated"


def test_a_type_without_a_policy_section_is_refused_whatever_its_measurements() -> None:
    nothing = evolve(policy(entry("any")), platform={"dcap-tdx": Accepting()})
    with pytest.raises(AppraisalError, match="no-policy"):
        appraise(CLAIMS, nothing, NOW)


def test_the_section_comes_before_the_measurements() -> None:
    with pytest.raises(AppraisalError, match="tcb-status"):
        appraise(CLAIMS, policy(entry("any"), section=Refusing()), NOW)


def test_a_register_that_only_warns_is_told_and_not_refused() -> None:
    found = appraise(CLAIMS, policy(entry("a", warn_only=True, r0=TWO, r1=TWO)), NOW)
    assert found.warnings == (0,)


def test_an_entry_that_matches_in_full_is_preferred_over_one_that_warns() -> None:
    found = appraise(CLAIMS, policy(entry("warns", warn_only=True, r0=TWO), entry("matches", r0=ONE)), NOW)
    assert (found.measurement_id, found.warnings) == ("matches", ())


def test_a_result_is_not_made_by_hand() -> None:
    with pytest.raises(TypeError):
        AttestationResult()
    with pytest.raises(TypeError):
        AttestationResult(  # type: ignore[call-arg]
            claims=CLAIMS, measurement_id="a", reference_digest="", warnings=(), appraised_at=NOW
        )


def test_a_result_is_not_evolved_copied_or_pickled() -> None:
    for make in (
        lambda: evolve(result(), claims=CLAIMS),
        lambda: copy.copy(result()),
        lambda: copy.deepcopy(result()),
        lambda: pickle.dumps(result()),
    ):
        with pytest.raises(TypeError):
            make()


def test_a_result_is_not_changed_or_subclassed() -> None:
    with pytest.raises(FrozenInstanceError):
        result().measurement_id = "b"  # type: ignore[misc]
    with pytest.raises(TypeError):
        type("Forged", (AttestationResult,), {})


def test_measurements_of_a_result_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        result().measurements[0] = TWO  # type: ignore[index]


def test_no_attestation_is_said_and_is_no_result() -> None:
    assert not isinstance(NoAttestation(because="ordinary PKI"), AttestationResult)
    with pytest.raises(TypeError):
        NoAttestation()  # type: ignore[call-arg]
