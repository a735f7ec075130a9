"""Both endpoints over real sockets: what opens, what is refused, and what each side and the log learn of it."""

import pytest
import pytest_twisted
from cryptography.hazmat.primitives.asymmetric import rsa
from doubles.attested_ends import Remembering, listening
from doubles.nonce_carriage import UNATTESTED, NonceAppraiser, NonceIssuer, PlainIssuer, self_signed
from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.internet.error import ConnectError
from twisted.internet.task import deferLater

from cvmproxy.attestation.policy import AttestationResult, NoAttestation
from cvmproxy.carriage.interfaces import Credential
from cvmproxy.errors import AuthenticationError, ConfigurationError, TransportError
from cvmproxy.events import HandshakeRefused, HandshakeSucceeded
from cvmproxy.tls.interfaces import IAttestedTransport
from cvmproxy.tls.runtime import Bounds
from cvmproxy.tls.settings import ClientSettings, ServerSettings

UNATTESTED_CLIENT = ClientSettings(peer=UNATTESTED, credential=PlainIssuer())


def forged() -> NonceIssuer:
    return NonceIssuer(forge=lambda nonce: b"something else")


@pytest_twisted.ensureDeferred
async def test_both_ends_know_whom_they_speak_to() -> None:
    async with listening(ServerSettings(credential=NonceIssuer(), peer=NonceAppraiser())) as ends:
        client = await ends.connect(ClientSettings(peer=NonceAppraiser(), credential=NonceIssuer()))
        server = await ends.server_factory.first.wait()
        client.transport.write(b"ping")
        await server.bytes(4)
        for end in (client, server):
            assert IAttestedTransport.providedBy(end.transport)
            assert type(end.transport.identity) is AttestationResult
            assert end.transport.peer_certificate() is not None
            assert end.transport.negotiated_protocol is None
        exported = [end.transport.export_keying_material(b"EXPERIMENTAL", 32, None) for end in (client, server)]
        assert exported[0] == exported[1]
        client.transport.setTcpNoDelay(True)
        assert client.transport.getTcpNoDelay()
        assert client.transport.getPeer().port == ends.number
        for events in (ends.server_events, ends.client_events):
            (event,) = events
            assert isinstance(event, HandshakeSucceeded)
            assert (event.attestation_type, event.measurement_id, event.tls_version) == ("made-up", "any", "TLSv1.3")
        client.transport.loseConnection()
        await server.lost.wait()
        await client.lost.wait()


@pytest_twisted.ensureDeferred
async def test_a_connection_without_attestation_says_so() -> None:
    async with listening(ServerSettings(credential=PlainIssuer(), peer=UNATTESTED)) as ends:
        client = await ends.connect(UNATTESTED_CLIENT)
        assert type(client.transport.identity) is NoAttestation
        client.transport.abortConnection()


@pytest_twisted.ensureDeferred
async def test_a_client_that_refuses_fails_to_connect_and_the_server_builds_nothing() -> None:
    async with listening(ServerSettings(credential=forged(), peer=UNATTESTED)) as ends:
        with pytest.raises(AuthenticationError) as caught:
            await ends.connect(ClientSettings(peer=NonceAppraiser(), credential=PlainIssuer()))
        assert caught.value.code == "nonce-mismatch"
        await ends.server_events.reach(1)
        assert ends.server_factory.built == []
        assert [event.code for event in ends.server_events] == ["refused-by-peer"]
        assert [event.code for event in ends.client_events] == ["nonce-mismatch"]


@pytest_twisted.ensureDeferred
async def test_a_refused_tls_1_3_client_learns_of_it_when_it_reads() -> None:
    async with listening(ServerSettings(credential=PlainIssuer(), peer=NonceAppraiser())) as ends:
        client = await ends.connect(ClientSettings(peer=UNATTESTED, credential=forged()))
        client.transport.write(b"never delivered")
        reason = await client.lost.wait()
        assert isinstance(reason, TransportError)
        assert reason.code == "refused-by-peer"
        assert ends.server_factory.built == []
        (event,) = ends.server_events
        assert isinstance(event, HandshakeRefused)
        assert event.code == "nonce-mismatch"
        opened, refused = ends.client_events
        assert isinstance(opened, HandshakeSucceeded)
        assert isinstance(refused, HandshakeRefused)
        assert (refused.code, refused.connection_id) == ("refused-by-peer", opened.connection_id)


@pytest_twisted.ensureDeferred
async def test_a_client_endpoint_adds_nothing_to_a_connection_that_cannot_be_made() -> None:
    async with listening(ServerSettings(credential=PlainIssuer(), peer=UNATTESTED)) as ends:
        await ends.port.stopListening()
        with pytest.raises(ConnectError) as caught:
            await ends.connect(UNATTESTED_CLIENT)
        assert type(caught.value).__module__ == "twisted.internet.error"
        assert ends.client_events == []


@pytest_twisted.ensureDeferred
async def test_a_server_that_speaks_no_tls_is_a_tls_error() -> None:
    async with listening(ServerSettings(credential=PlainIssuer(), peer=UNATTESTED)) as ends:
        plain = await ends.connect_plain()
        plain.transport.write(b"GET / HTTP/1.1\r\n\r\n")
        await ends.server_events.reach(1)
        assert [event.code for event in ends.server_events] == ["tls-error"]
        await plain.lost.wait()


@pytest_twisted.ensureDeferred
async def test_a_certificate_that_tls_does_not_take_is_told_at_once() -> None:
    weak = PlainIssuer()
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    weak.credential = Credential(certificate_der=self_signed(key, None), key=key)
    async with listening(ServerSettings(credential=weak, peer=UNATTESTED)) as ends:
        with pytest.raises(TransportError):
            await ends.connect(UNATTESTED_CLIENT)
        assert [event.code for event in ends.server_events] == ["bad-option"]
        assert "key too small" in ends.server_events[0].message
    async with listening(ServerSettings(credential=PlainIssuer(), peer=UNATTESTED)) as ends:
        with pytest.raises(ConfigurationError):
            await ends.connect(ClientSettings(peer=UNATTESTED, credential=weak))


@pytest_twisted.ensureDeferred
async def test_over_the_bound_a_handshake_is_refused_at_once() -> None:
    settings = ServerSettings(credential=NonceIssuer(), peer=UNATTESTED)
    async with listening(settings, bounds=Bounds(handshakes=1)) as ends:
        first = await ends.connect_plain()
        second = await ends.connect_plain()
        await ends.server_events.reach(1)
        assert [event.code for event in ends.server_events] == ["handshake-overload"]
        await second.lost.wait()
        assert not first.lost.fired
        first.transport.abortConnection()
        await ends.server_events.reach(2)
        assert ends.runtime.handshakes_in_flight == 0


@pytest_twisted.ensureDeferred
async def test_a_fault_of_the_application_ends_its_connection() -> None:
    class Faulty(Remembering):
        def connectionMade(self) -> None:
            super().connectionMade()
            self.transport.abortConnection()

    async with listening(ServerSettings(credential=NonceIssuer(), peer=UNATTESTED), Faulty) as ends:
        client = await ends.connect(UNATTESTED_CLIENT)
        await client.lost.wait()
        server = await ends.server_factory.first.wait()
        await server.lost.wait()


@pytest_twisted.ensureDeferred
async def test_every_connection_has_nonces_of_its_own() -> None:
    issuers = NonceIssuer(), NonceIssuer()
    async with listening(ServerSettings(credential=issuers[0], peer=NonceAppraiser())) as ends:
        for _ in range(3):
            client = await ends.connect(ClientSettings(peer=NonceAppraiser(), credential=issuers[1]))
            client.transport.abortConnection()
        nonces = issuers[0].nonces + issuers[1].nonces
        assert len(set(nonces)) == 6
        assert {len(nonce) for nonce in nonces} == {32}


@pytest_twisted.ensureDeferred
async def test_connections_that_are_reset_in_the_middle_of_everything_leave_nothing_behind() -> None:
    settings = ServerSettings(credential=NonceIssuer(), peer=NonceAppraiser())
    async with listening(settings) as ends:
        for _ in range(3):
            clients = [ends.connect(ClientSettings(peer=NonceAppraiser(), credential=NonceIssuer())) for _ in range(20)]
            for client in await gatherResults(clients):
                client.transport.abortConnection()
        await ends.server_events.reach(60)
        assert len(ends.server_events) == 60
        while ends.runtime.handshakes_in_flight:
            await deferLater(reactor, 0.001)
