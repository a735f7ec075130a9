import pytest
from doubles.engine_pairs import server_engine
from doubles.nonce_carriage import UNATTESTED, NonceAppraiser, NonceIssuer, PlainIssuer
from doubles.raw_openssl import pump, raw_client, raw_context
from OpenSSL import SSL

from cvmproxy.tls.handshake import Refused
from cvmproxy.tls.settings import ServerSettings


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
