from datetime import UTC, datetime

from doubles.nonce_carriage import AnyPlatform, MadeUpPlatform

from cvmproxy.attestation.model import Claims, ReferenceEntry, ReferenceValues, RegisterReference
from cvmproxy.attestation.policy import AppraisalPolicy, NoAttestation, appraise
from cvmproxy.tls.report import Subject, succeeded

SUBJECT = Subject(connection_id=7, role="server", peer="127.0.0.1:9")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_registers_that_only_warn_are_told_when_they_differ() -> None:
    other = RegisterReference(expected_any=frozenset({b"\1" * 32}), warn_only=True)
    same = RegisterReference(expected_any=frozenset({bytes(32)}))
    entry = ReferenceEntry(measurement_id="image", attestation_type="made-up", registers={4: same, 7: other, 11: other})
    policy = AppraisalPolicy(
        references=ReferenceValues(entries=(entry,), digest="ab"), platform={"made-up": AnyPlatform()}
    )
    measured = {index: bytes(32) for index in (4, 7, 11)}
    claims = Claims(attestation_type="made-up", measurements=measured, platform=MadeUpPlatform(), not_after=NOW)
    event = succeeded(SUBJECT, appraise(claims, policy, NOW), "TLSv1.3", 0.1)
    assert event.measurement_id == "image"
    assert event.facts["warn_only_mismatches"] == "7,11"


def test_a_peer_that_is_not_appraised_is_told_with_the_reason() -> None:
    event = succeeded(SUBJECT, NoAttestation(because="ordinary PKI"), "TLSv1.2", 0.1)
    assert (event.attestation_type, event.measurement_id, event.facts) == ("none", "", {"because": "ordinary PKI"})
