"""A whole simulated attester and verifier on one machine, for tests that need real evidence."""

from datetime import datetime
from pathlib import Path

from attrs import frozen
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from cvmproxy.attestation.model import ReferenceEntry, ReferenceValues
from cvmproxy.attestation.policy import AppraisalPolicy
from cvmproxy.carriage.appraiser import LeafAppraiser
from cvmproxy.carriage.certificate import make_leaf_key
from cvmproxy.carriage.issuer import EvidenceIssuer
from cvmproxy.schemes.scheme import SchemeSettings, VerifyingParts
from cvmproxy.schemes.simulated import SIMULATED
from doubles.simulated import NOW


class SettableClock:
    """A clock that a test sets."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


class InlineThreadReactor(Clock):
    """A reactor whose threads run at once."""

    def getThreadPool(self):
        return self

    def callInThreadWithCallback(self, on_result, function, *args, **kwargs):
        results = []
        maybeDeferred(function, *args, **kwargs).addBoth(results.append)
        on_result(not isinstance(results[0], Failure), results[0])

    def callFromThread(self, function, *args, **kwargs):
        function(*args, **kwargs)


def settings(directory: Path, clock: SettableClock) -> SchemeSettings:
    return SchemeSettings(reactor=InlineThreadReactor(), now=clock, simulated_platform=directory)


def any_measurements(parts: VerifyingParts) -> AppraisalPolicy:
    entry = ReferenceEntry(measurement_id="any", attestation_type=SIMULATED.name, registers={})
    return AppraisalPolicy(
        references=ReferenceValues(entries=(entry,), digest=""), platform={SIMULATED.name: parts.policy}
    )


def now_result(coroutine):
    """The result of a coroutine that needs no reactor to finish; its exception is raised."""
    results = []
    Deferred.fromCoroutine(coroutine).addBoth(results.append)
    assert results, "it waits for something"
    if isinstance(results[0], Failure):
        results[0].raiseException()
    return results[0]


@frozen(kw_only=True)
class SimulatedBench:
    """One attesting and one verifying side, both on the platform in one directory."""

    clock: SettableClock
    issuer: EvidenceIssuer
    parts: VerifyingParts
    appraiser: LeafAppraiser

    def issue(self, nonce: bytes) -> bytes:
        return now_result(self.issuer.issue(nonce)).certificate_der

    def appraise(self, leaf_der: bytes, nonce: bytes):
        presented = self.appraiser.read(leaf_der, nonce)
        return self.appraiser.appraise(presented, now_result(self.appraiser.endorse(presented)))


def simulated_bench(directory: Path) -> SimulatedBench:
    clock = SettableClock()
    configured = settings(directory, clock)
    parts = SIMULATED.verify(configured)
    policy = any_measurements(parts)
    issuer = EvidenceIssuer(
        attester=SIMULATED.present(configured),
        evidence_oid=SIMULATED.oid,
        leaf_key=make_leaf_key(),
        now=clock,
        random=lambda size: bytes(range(size)),
    )
    appraiser = LeafAppraiser(accepted=[(SIMULATED, parts)], policy=lambda: policy, now=clock)
    return SimulatedBench(clock=clock, issuer=issuer, parts=parts, appraiser=appraiser)
