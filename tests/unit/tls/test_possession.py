"""Evidence is worth nothing to a peer that has a copy of the certificate and not its key."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from doubles.engine_pairs import client_engine, server_engine
from doubles.nonce_carriage import UNATTESTED, NonceAppraiser, PlainIssuer, self_signed
from doubles.raw_openssl import pump, raw_client, raw_context
from OpenSSL import SSL
from OpenSSL.crypto import FILETYPE_ASN1, load_privatekey

from cvmproxy.tls.handshake import Handshake, Refused
from cvmproxy.tls.settings import ClientSettings, ServerSettings

VERSIONS = pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION], ids=["TLS 1.2", "TLS 1.3"])


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def stolen(connection: SSL.Connection, nonce: bytes) -> None:
    """Let a raw end show evidence for this nonce under a key of which it has the public half only."""
    victim, thief = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    key_der = thief.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    connection.use_certificate(x509.load_der_x509_certificate(self_signed(victim, nonce)))
    # The one way in that takes two halves that do not belong together.
    with pytest.deprecated_call():
        connection.use_privatekey(load_privatekey(FILETYPE_ASN1, key_der.replace(point(thief), point(victim))))


def demand_refusal(raw: SSL.Connection, engine: Handshake, appraiser: NonceAppraiser) -> None:
    outcome, _ = pump(raw, engine)
    assert isinstance(outcome, Refused)
    assert outcome.error.code == "tls-error"
    assert "bad signature" in outcome.error.message
    # The key is put to use after the certificate was shown: the evidence alone was good.
    assert appraiser.appraisals == 1


@VERSIONS
def test_a_client_with_a_stolen_certificate_is_refused(version: int) -> None:
    appraiser = NonceAppraiser()
    engine = server_engine(ServerSettings(credential=PlainIssuer(), peer=appraiser))
    client = raw_client(version)
    stolen(client, engine._nonce)
    demand_refusal(client, engine, appraiser)


@VERSIONS
def test_a_server_with_a_stolen_certificate_is_refused(version: int) -> None:
    appraiser = NonceAppraiser()
    engine = client_engine(ClientSettings(peer=appraiser, credential=PlainIssuer()), version=version)
    server = SSL.Connection(raw_context(), None)
    server.set_accept_state()
    stolen(server, engine._nonce)
    demand_refusal(server, engine, appraiser)


def test_a_server_that_shows_no_certificate_is_refused() -> None:
    context = raw_context()
    context.set_cipher_list(b"aNULL:@SECLEVEL=0")
    server = SSL.Connection(context, None)
    server.set_accept_state()
    settings = ClientSettings(peer=UNATTESTED, credential=PlainIssuer())
    outcome, _ = pump(server, client_engine(settings, version=SSL.TLS1_2_VERSION))
    assert isinstance(outcome, Refused)
