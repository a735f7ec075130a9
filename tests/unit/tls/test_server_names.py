"""What a client sends as SNI: a fresh nonce, or under ordinary PKI the host name, and nothing for an IP address."""

from base64 import b64encode
from os import urandom
from types import SimpleNamespace
from typing import Any, cast

import pytest
from doubles.nonce_carriage import UNATTESTED, NonceAppraiser, PlainIssuer
from doubles.raw_openssl import raw_context, step
from OpenSSL import SSL

from cvmproxy.attestation.policy import NoAttestation
from cvmproxy.tls.driver import HandshakeDriver
from cvmproxy.tls.openings import ClientOpening
from cvmproxy.tls.runtime import HandshakeRuntime
from cvmproxy.tls.settings import ClientSettings, WebPKI


class DrawnNonces:
    """Randomness that remembers what it gave out."""

    def __init__(self) -> None:
        self.drawn: list[bytes] = []

    def __call__(self, size: int) -> bytes:
        self.drawn.append(urandom(size))
        return self.drawn[-1]


def server_name_sent(peer: NonceAppraiser | WebPKI | NoAttestation, random_bytes: DrawnNonces) -> bytes | None:
    """Return the SNI of a client's hello, as another TLS reads it."""
    settings = ClientSettings(peer=peer, credential=PlainIssuer())
    # Beginning a handshake neither starts nor waits for anything: no reactor is needed, and no answers.
    opening = ClientOpening(HandshakeRuntime(cast(Any, None), random_bytes), settings)
    handshake = opening.begin(cast(HandshakeDriver, SimpleNamespace(ask=None)), settings.credential.credential)
    assert handshake.advance() is None
    seen: list[bytes | None] = []
    context = raw_context()
    context.set_tlsext_servername_callback(lambda connection: seen.append(connection.get_servername()))
    server = SSL.Connection(context, None)
    server.set_accept_state()
    server.bio_write(handshake.outgoing())
    step(server)
    return seen[0]


@pytest.mark.parametrize("peer", [NonceAppraiser(), UNATTESTED], ids=["appraised", "not looked at"])
def test_a_fresh_nonce_is_sent_whether_or_not_the_server_is_appraised(peer: NonceAppraiser | NoAttestation) -> None:
    random_bytes = DrawnNonces()
    names = [server_name_sent(peer, random_bytes) for _ in range(2)]
    assert names == [b64encode(nonce) for nonce in random_bytes.drawn]
    assert [len(nonce) for nonce in random_bytes.drawn] == [32, 32]
    assert len(set(names)) == 2


@pytest.mark.parametrize("host", ["service.example", "service.example."])
def test_under_ordinary_pki_the_host_name_is_sent(host: str) -> None:
    random_bytes = DrawnNonces()
    assert server_name_sent(WebPKI(host=host), random_bytes) == b"service.example"
    assert random_bytes.drawn == []


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1"])
def test_no_server_name_is_sent_for_an_address(host: str) -> None:
    assert server_name_sent(WebPKI(host=host), DrawnNonces()) is None
