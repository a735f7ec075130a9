import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from doubles.engine_pairs import client_engine, server_engine
from doubles.nonce_carriage import UNATTESTED, NonceAppraiser, NonceIssuer, PlainIssuer, self_signed
from doubles.raw_openssl import pump, raw_client, raw_context
from OpenSSL import SSL

from cvmproxy.tls.contexts import refusing_context
from cvmproxy.tls.handshake import Refused
from cvmproxy.tls.settings import ClientSettings, ServerSettings


def test_nothing_older_than_tls_1_2_is_spoken() -> None:
    context = raw_context()
    context.set_cipher_list(b"ALL:@SECLEVEL=0")
    context.set_min_proto_version(SSL.TLS1_VERSION)
    context.set_max_proto_version(SSL.TLS1_1_VERSION)
    client = raw_client(SSL.TLS1_3_VERSION, context)
    outcome, error = pump(client, server_engine(ServerSettings(credential=NonceIssuer(), peer=UNATTESTED)))
    assert isinstance(outcome, Refused)
    assert outcome.error.code == "tls-error"
    assert "protocol" in outcome.error.message
    assert "alert protocol version" in str(error)


@pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION], ids=["TLS 1.2", "TLS 1.3"])
def test_a_server_that_appraises_demands_a_certificate(version: int) -> None:
    settings = ServerSettings(credential=PlainIssuer(), peer=NonceAppraiser())
    outcome, _ = pump(raw_client(version), server_engine(settings))
    assert isinstance(outcome, Refused)
    assert outcome.error.code == "no-evidence"


def test_a_key_exchange_that_does_not_outlive_its_key_is_demanded_in_tls_1_2_too() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    context = raw_context()
    context.set_cipher_list(b"kRSA")
    context.use_certificate(x509.load_der_x509_certificate(self_signed(key, None)))
    context.use_privatekey(key)
    server = SSL.Connection(context, None)
    server.set_accept_state()
    settings = ClientSettings(peer=UNATTESTED, credential=PlainIssuer())
    outcome, _ = pump(server, client_engine(settings, version=SSL.TLS1_2_VERSION))
    assert isinstance(outcome, Refused)
    assert outcome.error.code == "refused-by-peer"


@pytest.mark.parametrize("kind", ["client", "server"])
def test_nothing_but_certificates_and_authenticated_encryption_is_spoken(kind: str) -> None:
    if kind == "client":
        connection = client_engine(ClientSettings(peer=NonceAppraiser(), credential=NonceIssuer())).connection
    else:
        connection = server_engine(ServerSettings(credential=NonceIssuer(), peer=NonceAppraiser())).connection
    ciphers = connection.get_cipher_list()
    assert ciphers
    for name in ciphers:
        assert name.startswith(("TLS_", "ECDHE-ECDSA-", "ECDHE-RSA-"))
        assert "GCM" in name or "POLY1305" in name


def test_an_idle_connection_holds_no_buffers() -> None:
    # Every context of ours begins as this one; only one that no connection has used says its mode.
    assert refusing_context().set_mode(0) & SSL.MODE_RELEASE_BUFFERS
