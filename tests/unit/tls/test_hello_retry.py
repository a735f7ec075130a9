"""After a HelloRetryRequest the ClientHello comes twice: the evidence is made once, and the name may not change."""

from base64 import b64encode

from cryptography.hazmat.primitives.asymmetric import ec
from doubles.engine_pairs import Answers
from doubles.nonce_carriage import UNATTESTED, NonceIssuer
from doubles.raw_openssl import pump, raw_client, step, take
from OpenSSL import SSL

from cvmproxy.attestation.model import Nonce
from cvmproxy.carriage.interfaces import Credential
from cvmproxy.tls.contexts import ServerContexts
from cvmproxy.tls.handshake import Completed, Refused, ServerHandshake
from cvmproxy.tls.settings import ServerSettings

FIRST, SECOND = b64encode(b"first" * 6), b64encode(b"second" * 5)


class OnlyP256(ServerContexts):
    """OpenSSL's clients send no key share for it at first."""

    @staticmethod
    def _server_context(credential: Credential | None) -> SSL.Context:
        context = ServerContexts._server_context(credential)
        context.set_tmp_ecdh(ec.SECP256R1())
        return context


def server(issuer: NonceIssuer) -> ServerHandshake:
    settings = ServerSettings(credential=issuer, peer=UNATTESTED)
    connection = OnlyP256(settings).connection(Nonce(b""), None)
    return ServerHandshake(connection, peer=UNATTESTED, nonce=Nonce(b""), ask=Answers(settings), credential=None)


def after_retry(name: bytes, engine: ServerHandshake) -> SSL.Connection:
    """A client that has the server's HelloRetryRequest."""
    client = raw_client(SSL.TLS1_3_VERSION)
    client.set_tlsext_host_name(name)
    assert step(client) is None
    engine.feed(take(client))
    assert engine.advance() is None
    client.bio_write(engine.outgoing())
    return client


def test_the_evidence_is_made_once() -> None:
    issuer = NonceIssuer()
    engine = server(issuer)
    outcome, error = pump(after_retry(FIRST, engine), engine)
    assert error is None
    assert isinstance(outcome, Completed)
    assert issuer.nonces == [b"first" * 6]


def test_another_nonce_after_the_retry_is_refused_with_an_alert() -> None:
    issuer = NonceIssuer()
    engine = server(issuer)
    client = after_retry(FIRST, engine)
    client.set_tlsext_host_name(SECOND)
    outcome, error = pump(client, engine)
    assert isinstance(outcome, Refused)
    assert outcome.error.code == "nonce-malformed"
    assert "alert handshake failure" in str(error)
    assert issuer.nonces == [b"first" * 6]
