import socket
import threading
from collections.abc import Callable

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.logger import capturedLogs

from cvmproxy.daemon.name_resolver import Addresses, SharedNameResolver, look_up

FOUR = IPv4Address("TCP", "192.0.2.1", 80)
SIX = IPv6Address("TCP", "2001:db8::1", 80)


class WaitingReactor:
    """Keeps what threads hand over until it is asked for."""

    def __init__(self) -> None:
        self._calls: list[Callable[[], None]] = []
        self._came = threading.Semaphore(0)

    def callFromThread(self, function: Callable[..., None], *arguments: object) -> None:
        self._calls.append(lambda: function(*arguments))
        self._came.release()

    def run_one(self) -> None:
        assert self._came.acquire(timeout=30)
        self._calls.pop(0)()


class Receiver:
    def __init__(self) -> None:
        self.told: list[object] = []

    def resolutionBegan(self, resolution: object) -> None:
        self.told.append("began")

    def addressResolved(self, address: object) -> None:
        self.told.append(address)

    def resolutionComplete(self) -> None:
        self.told.append("complete")


class SlowLookups:
    """Answers once it is released."""

    def __init__(self, answer: Addresses | Exception) -> None:
        self.release = threading.Event()
        self.asked: list[tuple[str, int]] = []
        self._answer = answer

    def __call__(self, host: str, port: int) -> Addresses:
        self.asked.append((host, port))
        assert self.release.wait(30)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def test_all_who_ask_meanwhile_share_one_lookup() -> None:
    reactor, lookups = WaitingReactor(), SlowLookups([SIX, FOUR])
    resolver = SharedNameResolver(reactor, lookups)
    receivers = [Receiver() for _ in range(20)]
    for receiver in receivers:
        resolver.resolveHostName(receiver, "host.example", 80)
        assert receiver.told == ["began"], "nothing is told before the call has returned"
    lookups.release.set()
    reactor.run_one()
    assert all(receiver.told == ["began", SIX, FOUR, "complete"] for receiver in receivers)
    assert lookups.asked == [("host.example", 80)]


def test_the_next_one_asks_anew() -> None:
    reactor, lookups = WaitingReactor(), SlowLookups([FOUR])
    lookups.release.set()
    resolver = SharedNameResolver(reactor, lookups)
    for _ in range(2):
        resolver.resolveHostName(Receiver(), "host.example", 80)
        reactor.run_one()
    assert len(lookups.asked) == 2


def test_who_gave_up_and_other_families_are_not_told() -> None:
    reactor, lookups = WaitingReactor(), SlowLookups([SIX, FOUR])
    resolver = SharedNameResolver(reactor, lookups)
    gone, only_four = Receiver(), Receiver()
    resolver.resolveHostName(gone, "host.example", 80).cancel()
    resolver.resolveHostName(only_four, "host.example", 80, [IPv4Address])
    lookups.release.set()
    reactor.run_one()
    assert gone.told == ["began"]
    assert only_four.told == ["began", FOUR, "complete"]


def test_a_lookup_that_fails_in_no_known_way_still_ends() -> None:
    reactor, lookups, receiver = WaitingReactor(), SlowLookups(RuntimeError("unforeseen")), Receiver()
    lookups.release.set()
    with capturedLogs() as logged:
        SharedNameResolver(reactor, lookups).resolveHostName(receiver, "host.example", 80)
        reactor.run_one()
    assert receiver.told == ["began", "complete"]
    assert [str(event["log_failure"].value) for event in logged] == ["unforeseen"]


def test_the_systems_answers() -> None:
    assert IPv4Address("TCP", "127.0.0.1", 80) in look_up("127.0.0.1", 80)
    if socket.has_ipv6:
        assert [(address.host, address.port) for address in look_up("::1", 80)] == [("::1", 80)]
    assert look_up("nothing.invalid", 80) == []
    assert look_up("a" * 64, 80) == []
