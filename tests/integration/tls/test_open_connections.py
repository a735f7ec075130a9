"""An open connection: halves, truncation, back-pressure, and nothing lost on the way."""

import os

import pytest
import pytest_twisted
from doubles.attested_ends import HalfCloseable, Remembering, listening
from doubles.nonce_carriage import UNATTESTED, NonceAppraiser, NonceIssuer, PlainIssuer
from doubles.producers import Pulled, Pushing
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import deferLater

from cvmproxy.attestation.policy import PeerIdentity
from cvmproxy.tls.settings import ClientSettings, ServerSettings

SERVER = ServerSettings(credential=NonceIssuer(), peer=UNATTESTED)
CLIENT = ClientSettings(peer=NonceAppraiser(), credential=PlainIssuer())


@pytest.mark.parametrize("first", ["client", "server"])
@pytest_twisted.ensureDeferred
async def test_one_direction_may_end_and_the_other_goes_on(first: str) -> None:
    async with listening(SERVER, HalfCloseable) as ends:
        client = await ends.connect(CLIENT, HalfCloseable)
        server = await ends.server_factory.first.wait()
        one, other = (client, server) if first == "client" else (server, client)
        one.transport.write(b"last words")
        one.transport.loseWriteConnection()
        one.transport.write(b"never sent")
        await other.read_ended.wait()
        assert bytes(other.received) == b"last words"
        other.transport.write(b"still here")
        await one.bytes(10)
        other.transport.loseConnection()
        assert isinstance(await one.lost.wait(), ConnectionDone)
        assert isinstance(await other.lost.wait(), ConnectionDone)


@pytest_twisted.ensureDeferred
async def test_an_end_without_close_notify_is_no_clean_end() -> None:
    async with listening(SERVER, HalfCloseable) as ends:
        client = await ends.connect(CLIENT)
        server = await ends.server_factory.first.wait()
        client.transport.transport.loseConnection()
        assert isinstance(await server.lost.wait(), ConnectionLost)
        assert not server.read_ended.fired


@pytest_twisted.ensureDeferred
async def test_a_reset_is_no_clean_end() -> None:
    async with listening(SERVER) as ends:
        client = await ends.connect(CLIENT)
        server = await ends.server_factory.first.wait()
        client.transport.abortConnection()
        assert isinstance(await server.lost.wait(), ConnectionLost)


@pytest_twisted.ensureDeferred
async def test_a_large_write_arrives_whole_before_the_end() -> None:
    data = os.urandom(5 << 20)
    async with listening(SERVER) as ends:
        client = await ends.connect(CLIENT)
        server = await ends.server_factory.first.wait()
        client.transport.write(data)
        client.transport.loseConnection()
        assert isinstance(await server.lost.wait(), ConnectionDone)
        assert bytes(server.received) == data


@pytest_twisted.ensureDeferred
async def test_a_reader_that_pauses_holds_the_writer_back() -> None:
    total = 64 << 20
    async with listening(SERVER) as ends:
        client = await ends.connect(CLIENT)
        server = await ends.server_factory.first.wait()
        server.transport.pauseProducing()
        producer = Pushing(client.transport, total)
        client.transport.registerProducer(producer, True)
        producer.push()
        await producer.paused_first
        await deferLater(reactor, 0.05)
        held = producer.sent
        assert held < total
        assert len(server.received) == 0
        client.transport.loseConnection()  # takes effect when the producer has produced all
        server.transport.resumeProducing()
        assert isinstance(await server.lost.wait(), ConnectionDone)
        assert len(server.received) == total


@pytest_twisted.ensureDeferred
async def test_a_pull_producer_is_asked_until_it_is_done() -> None:
    async with listening(SERVER) as ends:
        client = await ends.connect(CLIENT)
        server = await ends.server_factory.first.wait()
        client.transport.registerProducer(Pulled(client.transport, 40), False)
        await server.bytes(40 << 15)
        assert len(server.received) == 40 << 15
        client.transport.loseConnection()
        await server.lost.wait()


@pytest_twisted.ensureDeferred
async def test_nothing_is_read_while_the_backend_is_dialled() -> None:
    dialled: list[PeerIdentity] = []
    answer: Deferred[object] = Deferred()

    class Forwarding(Remembering):
        def connectionMade(self) -> None:
            super().connectionMade()
            self.transport.dial_backend(lambda identity: dialled.append(identity) or answer)

    async with listening(SERVER, Forwarding) as ends:
        client = await ends.connect(CLIENT)
        server = await ends.server_factory.first.wait()
        client.transport.write(b"early")
        await deferLater(reactor, 0.05)
        assert dialled == [server.transport.identity]
        assert bytes(server.received) == b""
        answer.callback(None)
        await server.bytes(5)
        client.transport.abortConnection()


@pytest_twisted.ensureDeferred
async def test_a_backend_that_cannot_be_dialled_closes_the_connection() -> None:
    answer: Deferred[object] = Deferred()

    class Forwarding(Remembering):
        def connectionMade(self) -> None:
            super().connectionMade()
            self.transport.dial_backend(lambda _: answer)

    async with listening(SERVER, Forwarding) as ends:
        client = await ends.connect(CLIENT)
        await ends.server_factory.first.wait()
        answer.errback(OSError("nobody there"))
        assert isinstance(await client.lost.wait(), ConnectionDone)
