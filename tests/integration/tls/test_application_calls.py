"""What an application may call, and when: nothing is delivered into its calls, and the end is told once."""

import os

import pytest
import pytest_twisted
from doubles.attested_ends import HalfCloseable, listening
from doubles.nonce_carriage import UNATTESTED, NonceAppraiser, NonceIssuer, PlainIssuer
from twisted.internet.defer import succeed
from twisted.internet.error import ConnectionDone

from cvmproxy.tls.settings import ClientSettings, ServerSettings

SERVER = ServerSettings(credential=NonceIssuer(), peer=UNATTESTED)
CLIENT = ClientSettings(peer=NonceAppraiser(), credential=PlainIssuer())


class Resuming(HalfCloseable):
    """Pauses and resumes for every piece, as a reader does that waits for something else in between."""

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        if data:
            self.transport.pauseProducing()
            self.transport.resumeProducing()


@pytest_twisted.ensureDeferred
async def test_reading_may_be_resumed_after_the_end() -> None:
    async with listening(SERVER, Resuming) as ends:
        client = await ends.connect(CLIENT, HalfCloseable)
        server = await ends.server_factory.first.wait()
        server.transport.pauseProducing()
        client.transport.write(b"last words")
        client.transport.loseWriteConnection()
        server.transport.resumeProducing()
        await server.read_ended.wait()
        server.transport.pauseProducing()
        server.transport.resumeProducing()
        server.transport.write(b"still here")
        await client.bytes(10)
        server.transport.loseConnection()
        assert isinstance(await client.lost.wait(), ConnectionDone)
        assert isinstance(await server.lost.wait(), ConnectionDone)


@pytest_twisted.ensureDeferred
async def test_what_comes_after_a_close_notify_is_dropped() -> None:
    async with listening(SERVER, HalfCloseable) as ends:
        client = await ends.connect(CLIENT, HalfCloseable)
        server = await ends.server_factory.first.wait()
        client.transport.write(b"last words")
        client.transport.loseWriteConnection()
        await server.read_ended.wait()
        for _ in range(8):
            client.transport.transport.write(os.urandom(1 << 16))
        client.transport.transport.write(b"\x15\x03\x03\x00\x02\x02\x28")
        server.transport.write(b"still here")
        await client.bytes(10)
        server.transport.loseConnection()
        assert isinstance(await client.lost.wait(), ConnectionDone)
        assert isinstance(await server.lost.wait(), ConnectionDone)
        assert bytes(server.received) == b"last words"


@pytest.mark.parametrize("call", ["dial_backend", "loseWriteConnection"])
@pytest_twisted.ensureDeferred
async def test_nothing_is_delivered_into_connection_made(call: str) -> None:
    log: list[bytes] = []

    class Forwarding(HalfCloseable):
        def connectionMade(self) -> None:
            if call == "dial_backend":
                self.transport.dial_backend(lambda _: succeed(None))
            else:
                self.transport.loseWriteConnection()
            log.append(b"made")
            super().connectionMade()

        def dataReceived(self, data: bytes) -> None:
            log.append(data)
            super().dataReceived(data)

    # A TLS 1.3 client that attests is done before the server is: its first words come with its last flight.
    async with listening(ServerSettings(credential=PlainIssuer(), peer=NonceAppraiser()), Forwarding) as ends:
        client = await ends.connect(ClientSettings(peer=UNATTESTED, credential=NonceIssuer()), HalfCloseable)
        client.transport.write(b"early")
        server = await ends.server_factory.first.wait()
        while b"early" not in log:
            await server.bytes(5)
        assert [entry for entry in log if entry] == [b"made", b"early"]
        client.transport.abortConnection()


@pytest.mark.parametrize("call", ["loseConnection", "abortConnection"])
@pytest.mark.parametrize("place", ["connectionMade", "dataReceived"])
@pytest_twisted.ensureDeferred
async def test_a_connection_may_be_ended_anywhere(call: str, place: str) -> None:
    class Ending(HalfCloseable):
        def connectionMade(self) -> None:
            super().connectionMade()
            if place == "connectionMade":
                self.end()

        def dataReceived(self, data: bytes) -> None:
            super().dataReceived(data)
            if data and place == "dataReceived":
                self.end()

        def end(self) -> None:
            self.transport.write(b"hello")
            getattr(self.transport, call)()
            self.transport.write(b"never sent")
            self.transport.resumeProducing()
            getattr(self.transport, call)()

    async with listening(SERVER, Ending) as ends:
        client = await ends.connect(CLIENT, HalfCloseable)
        client.transport.write(b"early")
        client.transport.loseWriteConnection()
        server = await ends.server_factory.first.wait()
        await server.lost.wait()
        await client.lost.wait()
        if call == "loseConnection":
            assert bytes(client.received) == b"hello"
