"""A platform that takes its time: the reactor stays free, others pass, nothing waits longer than its deadline."""

import pytest
import pytest_twisted
from doubles.attested_ends import HalfCloseable, Signal, listening
from doubles.nonce_carriage import UNATTESTED, NonceAppraiser, NonceIssuer, PlainIssuer
from doubles.producers import Pushing
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, DeferredList, gatherResults
from twisted.internet.error import ConnectionLost
from twisted.internet.task import deferLater

from cvmproxy.errors import TransportError
from cvmproxy.tls.runtime import Bounds
from cvmproxy.tls.settings import ClientSettings, ServerSettings

VERIFYING = ClientSettings(peer=NonceAppraiser(), credential=PlainIssuer())


class Platform:
    """Makes evidence only when it is told to."""

    def __init__(self) -> None:
        self.asked = 0
        self.cancelled = Signal()
        self.first = Signal()
        self._answers: list[Deferred[None]] = []

    async def wait(self) -> None:
        self.asked += 1
        answer: Deferred[None] = Deferred()
        self._answers.append(answer)
        self.first.fire()
        try:
            await answer
        except CancelledError:
            self.cancelled.fire()
            raise

    def deliver(self) -> None:
        answers, self._answers = self._answers, []
        for answer in answers:
            answer.callback(None)


@pytest_twisted.ensureDeferred
async def test_traffic_and_handshakes_without_evidence_pass_while_evidence_is_made() -> None:
    platform = Platform()
    slow = ServerSettings(credential=NonceIssuer(wait=platform.wait), peer=UNATTESTED)
    async with listening(slow, bounds=Bounds(evidence_workers=1, appraisal_workers=1)) as ends:
        waiting = [ends.connect(VERIFYING), ends.connect(VERIFYING)]
        await platform.first.wait()
        plain = ServerSettings(credential=PlainIssuer(), peer=NonceAppraiser(), handshake_timeout_seconds=3.0)
        async with listening(plain, shared=ends.runtime) as others:
            client = await others.connect(ClientSettings(peer=UNATTESTED, credential=NonceIssuer()))
            client.transport.write(b"passes")
            server = await others.server_factory.first.wait()
            await server.bytes(6)
            client.transport.abortConnection()
        assert platform.asked == 1
        while not all(connected.called for connected in waiting):
            platform.deliver()
            await deferLater(reactor, 0.01)
        for client in await gatherResults(waiting):
            client.transport.abortConnection()


@pytest_twisted.ensureDeferred
async def test_requests_for_evidence_in_flight_are_bounded() -> None:
    in_flight, most = [], []

    async def wait() -> None:
        in_flight.append(1)
        most.append(len(in_flight))
        await deferLater(reactor, 0.02)
        in_flight.pop()

    settings = ServerSettings(credential=NonceIssuer(wait=wait), peer=UNATTESTED)
    async with listening(settings, bounds=Bounds(evidence_workers=3)) as ends:
        clients = await gatherResults([ends.connect(VERIFYING) for _ in range(12)])
        assert max(most) == 3
        for client in clients:
            client.transport.abortConnection()


@pytest_twisted.ensureDeferred
async def test_a_lost_connection_releases_its_worker_and_cancels_the_request() -> None:
    platform = Platform()
    settings = ServerSettings(credential=NonceIssuer(wait=platform.wait), peer=UNATTESTED)
    async with listening(settings, bounds=Bounds(evidence_workers=1)) as ends:
        connecting = ends.connect(VERIFYING)
        await platform.first.wait()
        connecting.cancel()
        with pytest.raises(TransportError):
            await connecting
        await platform.cancelled.wait()
        await ends.server_events.reach(1)
        assert [event.code for event in ends.server_events] == ["connection-lost"]
        again = ends.connect(VERIFYING)
        while platform.asked < 2:
            await deferLater(reactor, 0.001)
        platform.deliver()
        (await again).transport.abortConnection()


@pytest_twisted.ensureDeferred
async def test_evidence_that_is_late_is_refused_with_an_alert() -> None:
    platform = Platform()
    settings = ServerSettings(
        credential=NonceIssuer(wait=platform.wait), peer=UNATTESTED, handshake_timeout_seconds=0.2
    )
    async with listening(settings, bounds=Bounds(evidence_workers=1)) as ends:
        results = await DeferredList([ends.connect(VERIFYING), ends.connect(VERIFYING)], consumeErrors=True)
        await ends.server_events.reach(2)
        assert sorted(event.code for event in ends.server_events) == ["evidence-overload", "evidence-timeout"]
        assert "refused-by-peer" in {failure.value.code for _, failure in results}
        assert ends.runtime.handshakes_in_flight == 0


@pytest_twisted.ensureDeferred
async def test_a_silent_peer_is_given_up_at_the_deadline() -> None:
    settings = ServerSettings(credential=NonceIssuer(), peer=UNATTESTED, handshake_timeout_seconds=0.1)
    async with listening(settings) as ends:
        silent = await ends.connect_plain()
        await silent.lost.wait()
        assert [event.code for event in ends.server_events] == ["handshake-timeout"]


@pytest_twisted.ensureDeferred
async def test_what_a_client_sends_ahead_is_bounded_and_delivered_after_its_appraisal_only() -> None:
    collateral, total = Platform(), 64 << 20
    settings = ServerSettings(credential=PlainIssuer(), peer=NonceAppraiser(wait=collateral.wait))
    async with listening(settings) as ends:
        client = await ends.connect(ClientSettings(peer=UNATTESTED, credential=NonceIssuer()))
        ahead = Pushing(client.transport, total)
        client.transport.registerProducer(ahead, True)
        ahead.push()
        await collateral.first.wait()
        before = -1
        while before < ahead.sent < total:
            before = ahead.sent
            await deferLater(reactor, 0.3)
        assert ends.server_factory.built == []
        assert ahead.sent < total
        collateral.deliver()
        server = await ends.server_factory.first.wait()
        await server.bytes(total)
        client.transport.abortConnection()


@pytest_twisted.ensureDeferred
async def test_a_client_that_has_said_all_before_it_is_appraised_gets_its_answer() -> None:
    collateral = Platform()
    settings = ServerSettings(credential=PlainIssuer(), peer=NonceAppraiser(wait=collateral.wait))
    async with listening(settings, HalfCloseable) as ends:
        client = await ends.connect(ClientSettings(peer=UNATTESTED, credential=NonceIssuer()), HalfCloseable)
        client.transport.write(b"question")
        client.transport.loseWriteConnection()
        client.transport.transport.loseWriteConnection()
        await collateral.first.wait()
        await deferLater(reactor, 0.1)
        collateral.deliver()
        server = await ends.server_factory.first.wait()
        await server.read_ended.wait()
        assert bytes(server.received) == b"question"
        server.transport.write(b"answer")
        server.transport.loseConnection()
        await client.lost.wait()
        assert bytes(client.received) == b"answer"


@pytest_twisted.ensureDeferred
async def test_a_client_that_hangs_up_while_it_is_appraised_is_truncated() -> None:
    collateral = Platform()
    settings = ServerSettings(credential=PlainIssuer(), peer=NonceAppraiser(wait=collateral.wait))
    async with listening(settings, HalfCloseable) as ends:
        client = await ends.connect(ClientSettings(peer=UNATTESTED, credential=NonceIssuer()), HalfCloseable)
        client.transport.write(b"half a quest")
        client.transport.transport.loseWriteConnection()
        await collateral.first.wait()
        await deferLater(reactor, 0.1)
        collateral.deliver()
        server = await ends.server_factory.first.wait()
        assert isinstance(await server.lost.wait(), ConnectionLost)
        assert not server.read_ended.fired
        client.transport.abortConnection()
