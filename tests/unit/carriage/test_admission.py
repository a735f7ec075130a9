"""The bound on evidence requests in flight: a queue with a deadline, then a refusal; nothing is ever leaked."""

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from cvmproxy.attestation.binding import Binding
from cvmproxy.attestation.model import Nonce
from cvmproxy.carriage.admission import EvidenceAdmission
from cvmproxy.errors import PlatformError


class SlowAttester:
    """Answers when the test says."""

    def __init__(self) -> None:
        self.asked: list[tuple[bytes, Deferred[bytes]]] = []
        self.cancelled = 0

    async def attest(self, binding: Binding) -> bytes:
        def count(_: object) -> None:
            self.cancelled += 1

        answer: Deferred[bytes] = Deferred(count)
        self.asked.append((binding.nonce, answer))
        return await answer


class Bench:
    def __init__(self, attester=None, **limits) -> None:
        self.clock = Clock()
        self.attester = attester or SlowAttester()
        self.admission = EvidenceAdmission(
            self.attester, **{"max_in_flight": 2, "queue_limit": 3, "deadline_seconds": 10.0} | limits, clock=self.clock
        )

    def request(self, number: int):
        binding = Binding(user_data=bytes(32), nonce=Nonce(bytes((number,))))
        return Deferred.fromCoroutine(self.admission.attest(binding))

    def nonces(self) -> list[int]:
        return [nonce[0] for nonce, _ in self.attester.asked]


def code(request: Deferred[bytes]) -> str:
    failures = []
    request.addErrback(failures.append)
    assert failures, "not refused"
    failures[0].trap(PlatformError)
    return failures[0].value.code


def test_no_more_than_the_bound_reach_the_platform_and_the_rest_follow_in_order():
    bench = Bench()
    requests = [bench.request(number) for number in range(5)]
    assert bench.nonces() == [0, 1]
    assert bench.admission.waiting == 3
    for done in range(5):
        bench.attester.asked[done][1].callback(b"document %d" % done)
        bench.clock.advance(0)
        assert requests[done].result == b"document %d" % done
        assert len(bench.attester.asked) == min(5, done + 3)
    assert bench.nonces() == [0, 1, 2, 3, 4]
    assert not bench.clock.getDelayedCalls()


def test_a_full_queue_refuses_at_once():
    bench = Bench()
    for number in range(5):
        bench.request(number).addErrback(lambda failure: None)
    assert code(bench.request(5)) == "evidence-overload"
    assert bench.admission.waiting == 3


def test_a_queue_of_no_length_refuses_what_cannot_begin():
    bench = Bench(queue_limit=0)
    first = bench.request(0)
    bench.request(1).addErrback(lambda failure: None)
    assert code(bench.request(2)) == "evidence-overload"
    bench.attester.asked[0][1].callback(b"document")
    assert first.result == b"document"
    bench.request(3).addErrback(lambda failure: None)
    assert bench.nonces() == [0, 1, 3]


def test_the_deadline_ends_those_in_flight_and_those_that_wait():
    bench = Bench()
    requests = [bench.request(number) for number in range(4)]
    bench.clock.advance(9.9)
    assert all(not request.called for request in requests)
    bench.clock.advance(0.1)
    assert [code(request) for request in requests] == ["evidence-timeout"] * 4
    assert bench.attester.cancelled == 2
    assert bench.admission.waiting == 0
    bench.clock.advance(0)
    assert bench.nonces() == [0, 1]


def test_places_are_free_again_after_a_timeout():
    bench = Bench()
    requests = [bench.request(number) for number in range(2)]
    bench.clock.advance(10)
    assert [code(request) for request in requests] == ["evidence-timeout"] * 2
    later = [bench.request(number) for number in (7, 8)]
    assert bench.nonces() == [0, 1, 7, 8]
    for _, answer in bench.attester.asked[2:]:
        answer.callback(b"document")
    assert [request.result for request in later] == [b"document"] * 2


def test_a_connection_that_goes_away_leaves_its_place():
    bench = Bench()
    requests = [bench.request(number) for number in range(5)]
    for number in (0, 3):
        requests[number].cancel()
        requests[number].addErrback(lambda failure: failure.trap(CancelledError))
    assert bench.attester.cancelled == 1
    assert bench.admission.waiting == 2
    bench.clock.advance(0)
    assert bench.nonces() == [0, 1, 2]
    bench.attester.asked[1][1].callback(b"document")
    bench.clock.advance(0)
    assert bench.nonces() == [0, 1, 2, 4]


def test_the_platforms_own_error_is_passed_on():
    bench = Bench()
    request = bench.request(0)
    bench.attester.asked[0][1].errback(PlatformError("evidence-unavailable", "no TPM"))
    assert code(request) == "evidence-unavailable"


def test_a_newcomer_does_not_overtake_those_who_wait():
    bench = Bench()
    for number in range(3):
        bench.request(number).addErrback(lambda failure: None)
    bench.attester.asked[0][1].callback(b"document")
    bench.request(9).addErrback(lambda failure: None)
    bench.clock.advance(0)
    assert bench.nonces() == [0, 1, 2]


def test_a_long_queue_of_instant_answers_needs_no_deep_stack():
    gate: Deferred[None] = Deferred()

    class Instant:
        async def attest(self, binding: Binding) -> bytes:
            if binding.nonce == b"\x00":
                await gate
            return b"document"

    bench = Bench(Instant(), max_in_flight=1, queue_limit=2000)
    requests = [bench.request(min(number, 1)) for number in range(2000)]
    assert bench.admission.waiting == 1999
    gate.callback(None)
    bench.clock.pump([0] * 2000)
    assert all(request.result == b"document" for request in requests)


@pytest.mark.parametrize("answer", [b"document", PlatformError("evidence-unavailable", "no")])
def test_no_timer_is_left_behind(answer):
    bench = Bench()
    request = bench.request(0)
    bench.attester.asked[0][1].callback(answer) if isinstance(answer, bytes) else bench.attester.asked[0][1].errback(
        answer
    )
    request.addErrback(lambda failure: None)
    bench.clock.advance(0)
    assert bench.clock.getDelayedCalls() == []


def test_a_platform_that_makes_another_error_of_a_cancellation_is_late_all_the_same():
    class Wrapping:
        async def attest(self, binding: Binding) -> bytes:
            try:
                return await Deferred()
            except CancelledError as error:
                raise PlatformError("evidence-unavailable", "connection lost") from error

    bench = Bench(Wrapping())
    request = bench.request(0)
    bench.clock.advance(10)
    assert code(request) == "evidence-timeout"


def test_a_place_that_was_taken_meanwhile_is_not_given_away_again():
    bench = Bench(max_in_flight=1)
    bench.request(0).addErrback(lambda failure: None)
    waiting = bench.request(1)
    waiting.addErrback(lambda failure: failure.trap(CancelledError))
    bench.attester.asked[0][1].callback(b"document")
    waiting.cancel()
    # The place is free now and nobody waits: the next one takes it before the turn of the one that went away.
    for number in (2, 3):
        bench.request(number).addErrback(lambda failure: None)
    bench.clock.advance(0)
    assert bench.nonces() == [0, 2]
    assert bench.admission.waiting == 1
