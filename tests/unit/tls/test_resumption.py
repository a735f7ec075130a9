"""A resumed session would skip the appraisal: whatever a client replays, it gets a new session."""

import pytest
from cryptography import x509
from doubles.engine_pairs import Answers
from doubles.nonce_carriage import UNATTESTED, NonceAppraiser, NonceIssuer, PlainIssuer, self_signed
from doubles.raw_openssl import pump, raw_client, raw_context, read, step, take
from OpenSSL import SSL

from cvmproxy.attestation.model import Nonce
from cvmproxy.tls.contexts import ServerContexts
from cvmproxy.tls.handshake import Completed, ServerHandshake
from cvmproxy.tls.settings import ServerSettings
from cvmproxy.tls.stream import TLSStream

VERSIONS = pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION], ids=["TLS 1.2", "TLS 1.3"])


def engine_of(contexts: ServerContexts, settings: ServerSettings) -> ServerHandshake:
    nonce = Nonce(b"n" * 32)
    credential = None if settings.credential.needs_nonce else settings.credential.credential
    connection = contexts.connection(nonce, credential)
    return ServerHandshake(connection, peer=settings.peer, nonce=nonce, ask=Answers(settings), credential=credential)


@VERSIONS
@pytest.mark.parametrize("issuer", [NonceIssuer(), PlainIssuer()], ids=["aTLS", "regular TLS"])
def test_a_replayed_session_gives_a_new_one(version: int, issuer: object) -> None:
    certificates_seen = []
    context = raw_context(lambda *_: certificates_seen.append(1) or True)
    context.set_session_cache_mode(SSL.SESS_CACHE_CLIENT)
    settings = ServerSettings(credential=issuer, peer=UNATTESTED)
    contexts = ServerContexts(settings)

    def connect(session: SSL.Session | None) -> SSL.Session:
        client = raw_client(version, context)
        if session is not None:
            client.set_session(session)
        engine = engine_of(contexts, settings)
        outcome, error = pump(client, engine)
        assert error is None
        assert isinstance(outcome, Completed)
        stream = TLSStream(engine.connection)
        for piece in stream.write(b"tickets come before this"):
            client.bio_write(piece)
        assert read(client) == b"tickets come before this"
        taken = client.get_session()
        assert taken is not None
        # OpenSSL forgets a session whose connection was not shut down.
        client.shutdown()
        stream.finish()
        return taken

    session = connect(None)
    before = len(certificates_seen)
    assert before > 0
    connect(session)
    assert len(certificates_seen) == 2 * before


@VERSIONS
def test_a_client_that_replays_its_session_is_appraised_again(version: int) -> None:
    appraiser = NonceAppraiser()
    settings = ServerSettings(credential=PlainIssuer(), peer=appraiser)
    contexts = ServerContexts(settings)
    session, context = None, raw_context()
    for number in (1, 2):
        client = raw_client(version, context)
        if session is not None:
            client.set_session(session)
        show_evidence(client)
        engine = engine_of(contexts, settings)
        outcome, _ = pump(client, engine)
        assert isinstance(outcome, Completed)
        assert appraiser.appraisals == number
        stream = TLSStream(engine.connection)
        for piece in stream.write(b"x"):
            client.bio_write(piece)
        read(client)
        session = client.get_session()
        client.shutdown()
        stream.finish()


def show_evidence(client: SSL.Connection) -> None:
    issuer = NonceIssuer()
    client.use_certificate(x509.load_der_x509_certificate(self_signed(issuer.key, b"n" * 32)))
    client.use_privatekey(issuer.key)


def test_renegotiation_is_refused() -> None:
    settings = ServerSettings(credential=NonceIssuer(), peer=UNATTESTED)
    client = raw_client(SSL.TLS1_2_VERSION)
    engine = engine_of(ServerContexts(settings), settings)
    pump(client, engine)
    stream = TLSStream(engine.connection)
    client.renegotiate()
    assert step(client) is None
    stream.feed(take(client))
    assert stream.read() == ()
    client.bio_write(stream.answer())
    with pytest.raises(SSL.Error, match="no renegotiation"):
        client.do_handshake()
    assert len(settings.credential.nonces) == 1
