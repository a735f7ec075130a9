"""The collateral in memory: asked for again when it is time, by one at a time, and good until it runs out."""

from datetime import timedelta

import pytest
from doubles.attested import SettableClock, now_result
from doubles.simulated import NOW, seeded
from twisted.internet.defer import CancelledError, Deferred

from cvmproxy.attestation.model import EndorsementRequest
from cvmproxy.errors import CollateralError, ConfigurationError, PlatformError
from cvmproxy.platform.simulated_directory import SimulatedDirectory, SimulatedQuoteSource
from cvmproxy.platform.simulated_store import SimulatedStore


class Threads:
    """Runs what is to run in a thread when the test says."""

    def __init__(self) -> None:
        self.pending: list[tuple[Deferred, object]] = []

    def __call__(self, function):
        done: Deferred = Deferred()
        self.pending.append((done, function))
        return done

    def finish(self) -> None:
        done, function = self.pending.pop(0)
        done.callback(function())

    def fail(self, error: Exception) -> None:
        self.pending.pop(0)[0].errback(error)


class Bench:
    def __init__(self, path) -> None:
        self.clock = SettableClock()
        self.store = SimulatedStore(directory=path, now=self.clock, random=seeded(1))
        self.platform = self.store.platform()
        self.threads = Threads()
        self.directory = SimulatedDirectory(self.store, run_in_thread=self.threads)

    def ask(self):
        outcome = []
        asked = Deferred.fromCoroutine(self.directory.current())
        asked.addBoth(outcome.append)
        return asked, outcome


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path / "simulated")


def test_fresh_collateral_is_answered_from_memory(bench):
    bench.clock.now += timedelta(days=9)
    assert now_result(bench.directory.current()) == bench.platform.collateral(NOW)
    assert bench.threads.pending == []


def test_all_who_ask_at_once_wait_for_one_renewal(bench):
    bench.clock.now += timedelta(days=31)
    asked = [bench.ask() for _ in range(5)]
    assert len(bench.threads.pending) == 1
    assert all(outcome == [] for _, outcome in asked)
    bench.threads.finish()
    assert bench.threads.pending == []
    assert {outcome[0].next_update for _, outcome in asked} == {NOW + timedelta(days=61)}


def test_one_that_goes_away_does_not_take_the_others_renewal_with_it(bench):
    bench.clock.now += timedelta(days=11)
    first = Deferred.fromCoroutine(bench.directory.current())
    _, second = bench.ask()
    first.addErrback(lambda failure: failure.trap(CancelledError))
    first.cancel()
    bench.threads.pending.pop(0)
    bench.threads.finish()
    assert [outcome.next_update for outcome in second] == [NOW + timedelta(days=41)]


def test_a_failed_renewal_leaves_what_is_in_memory_and_is_tried_again_a_minute_later(bench):
    bench.clock.now += timedelta(days=11)
    _, outcome = bench.ask()
    bench.threads.fail(ConfigurationError("bad-simulated-platform", "disk full"))
    assert outcome[0].next_update == NOW + timedelta(days=30)
    bench.clock.now += timedelta(seconds=59)
    assert now_result(bench.directory.current())
    bench.clock.now += timedelta(seconds=1)
    _, outcome = bench.ask()
    bench.threads.finish()
    assert outcome[0].next_update == bench.clock.now + timedelta(days=30)


def test_collateral_that_ran_out_is_refused_with_the_reason(bench):
    bench.clock.now += timedelta(days=31)
    _, outcome = bench.ask()
    bench.threads.fail(ConfigurationError("bad-simulated-platform", "disk full"))
    outcome[0].trap(CollateralError)
    assert outcome[0].value.code == "collateral-expired"
    assert "disk full" in outcome[0].value.message


def test_a_platform_that_cannot_renew_makes_no_quotes(bench):
    source = SimulatedQuoteSource(bench.platform, bench.directory)
    assert now_result(source.quote(bytes(32)))
    bench.clock.now += timedelta(days=31)
    outcome = []
    Deferred.fromCoroutine(source.quote(bytes(32))).addBoth(outcome.append)
    bench.threads.fail(ConfigurationError("bad-simulated-platform", "disk full"))
    outcome[0].trap(PlatformError)
    assert outcome[0].value.code == "evidence-unavailable"


def test_every_request_is_answered(bench):
    fmspc = bench.platform.identity.fmspc.hex()
    requests = [
        EndorsementRequest("tdx-tcb-info", fmspc),
        EndorsementRequest("tdx-qe-identity"),
        EndorsementRequest("pck-crl", "platform"),
        EndorsementRequest("root-ca-crl"),
    ]
    assert list(now_result(bench.directory.endorse(requests))) == requests


@pytest.mark.parametrize(("kind", "key"), [("tdx-tcb-info", "00806f050000"), ("pck-crl", "processor"), ("x", "")])
def test_collateral_of_another_platform_is_not_here(bench, kind, key):
    with pytest.raises(CollateralError, match=kind) as caught:
        now_result(bench.directory.endorse([EndorsementRequest(kind, key)]))
    assert caught.value.code == "collateral-unavailable"
