import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from doubles.engine_pairs import Answers, Cut, Pair, byte_by_byte, client_engine, server_engine, whole
from doubles.nonce_carriage import UNATTESTED, NonceAppraiser, NonceIssuer, PlainIssuer, PresentedDocument, self_signed
from doubles.raw_openssl import pump, raw_client
from OpenSSL import SSL

from cvmproxy.attestation.model import Nonce
from cvmproxy.attestation.policy import AttestationResult, NoAttestation
from cvmproxy.carriage.interfaces import Credential
from cvmproxy.errors import PlatformError
from cvmproxy.tls.handshake import Completed, Refused
from cvmproxy.tls.questions import CredentialRequested, EndorsementsRequested
from cvmproxy.tls.settings import ClientSettings, ServerSettings

TLS12, TLS13 = SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION
both_versions = pytest.mark.parametrize("version", [TLS12, TLS13], ids=["TLS 1.2", "TLS 1.3"])
any_cut = pytest.mark.parametrize("cut", [whole, byte_by_byte])


def code(pair: Pair, end: str) -> str:
    outcome = pair.outcomes.get(end)
    assert isinstance(outcome, Refused), outcome
    return outcome.error.code


def alert_seen_by_client(pair: Pair, version: int) -> str:
    """A TLS 1.3 client learns of the server's refusal at its first read, a TLS 1.2 client in the handshake."""
    if version == TLS12:
        return code(pair, "client")
    assert isinstance(pair.outcomes["client"], Completed)
    with pytest.raises(SSL.Error) as caught:
        pair.client.connection.recv(1)
    return str(caught.value)


@both_versions
@any_cut
@pytest.mark.parametrize("server_attests", [False, True])
@pytest.mark.parametrize("client_attests", [False, True])
def test_each_side_that_appraises_gets_a_result(
    version: int, cut: Cut, server_attests: bool, client_attests: bool
) -> None:
    server_settings = ServerSettings(
        credential=NonceIssuer() if server_attests else PlainIssuer(),
        peer=NonceAppraiser() if client_attests else UNATTESTED,
    )
    client_settings = ClientSettings(
        peer=NonceAppraiser() if server_attests else UNATTESTED,
        credential=NonceIssuer() if client_attests else PlainIssuer(),
    )
    pair = Pair(client_engine(client_settings, version=version), server_engine(server_settings)).run(cut)
    for end, appraises in (("client", server_attests), ("server", client_attests)):
        outcome = pair.outcomes[end]
        assert isinstance(outcome, Completed), outcome
        assert type(outcome.identity) is (AttestationResult if appraises else NoAttestation)
    assert pair.client.connection.get_protocol_version() == version


@both_versions
def test_a_client_attests_only_to_a_server_that_it_has_accepted(version: int) -> None:
    settings = ClientSettings(peer=NonceAppraiser(), credential=NonceIssuer())
    answers = Answers(settings)
    server = server_engine(ServerSettings(credential=NonceIssuer(), peer=NonceAppraiser()))
    Pair(client_engine(settings, version=version, answers=answers), server).run()
    assert [type(question) for question in answers.asked] == [EndorsementsRequested, CredentialRequested]

    forged = NonceIssuer(forge=lambda nonce: b"something else")
    answers = Answers(settings)
    server = server_engine(ServerSettings(credential=forged, peer=NonceAppraiser()))
    Pair(client_engine(settings, version=version, answers=answers), server).run()
    assert [type(question) for question in answers.asked] == [EndorsementsRequested]


@both_versions
@any_cut
def test_a_refused_server_gets_an_alert(version: int, cut: Cut) -> None:
    forged = NonceIssuer(forge=lambda nonce: b"something else")
    pair = Pair(
        client_engine(ClientSettings(peer=NonceAppraiser(), credential=PlainIssuer()), version=version),
        server_engine(ServerSettings(credential=forged, peer=UNATTESTED)),
    ).run(cut)
    assert code(pair, "client") == "nonce-mismatch"
    assert code(pair, "server") == "refused-by-peer"


@both_versions
@any_cut
def test_a_refused_client_gets_an_alert(version: int, cut: Cut) -> None:
    forged = NonceIssuer(forge=lambda nonce: b"something else")
    pair = Pair(
        client_engine(ClientSettings(peer=UNATTESTED, credential=forged), version=version),
        server_engine(ServerSettings(credential=PlainIssuer(), peer=NonceAppraiser())),
    ).run(cut)
    assert code(pair, "server") == "nonce-mismatch"
    expected = "refused-by-peer" if version == TLS12 else "alert unknown ca"
    assert expected in alert_seen_by_client(pair, version)


@both_versions
def test_a_client_without_evidence_is_refused(version: int) -> None:
    pair = Pair(
        client_engine(ClientSettings(peer=UNATTESTED, credential=PlainIssuer()), version=version),
        server_engine(ServerSettings(credential=PlainIssuer(), peer=NonceAppraiser())),
    ).run()
    assert code(pair, "server") == "no-evidence"


@both_versions
def test_every_connection_has_nonces_of_its_own(version: int) -> None:
    server_settings = ServerSettings(credential=NonceIssuer(), peer=NonceAppraiser())
    client_settings = ClientSettings(peer=NonceAppraiser(), credential=NonceIssuer())
    for _ in range(3):
        Pair(client_engine(client_settings, version=version), server_engine(server_settings)).run()
    assert len(set(server_settings.credential.nonces)) == 3
    assert len(set(client_settings.credential.nonces)) == 3
    assert server_settings.credential.nonces == client_settings.peer.nonces
    assert client_settings.credential.nonces == server_settings.peer.nonces
    assert {len(nonce) for nonce in server_settings.credential.nonces + client_settings.credential.nonces} == {32}


@both_versions
@pytest.mark.parametrize("name", [b"example.org", b"YWI=.", b"YW I=", b"YWI", b"YWI=="])
def test_a_server_name_that_is_no_nonce_ends_with_an_alert(version: int, name: bytes) -> None:
    issuer = NonceIssuer()
    pair = Pair(
        client_engine(ClientSettings(peer=UNATTESTED, credential=PlainIssuer()), version=version, sni=name),
        server_engine(ServerSettings(credential=issuer, peer=UNATTESTED)),
    ).run()
    assert code(pair, "server") == "nonce-malformed"
    assert code(pair, "client") == "refused-by-peer"
    assert issuer.nonces == []


@both_versions
def test_a_server_with_nothing_to_attest_takes_any_server_name(version: int) -> None:
    pair = Pair(
        client_engine(ClientSettings(peer=UNATTESTED, credential=PlainIssuer()), version=version, sni=b"example.org"),
        server_engine(ServerSettings(credential=PlainIssuer(), peer=UNATTESTED)),
    ).run()
    assert isinstance(pair.outcomes["server"], Completed)


@both_versions
def test_no_server_name_is_the_empty_nonce(version: int) -> None:
    issuer = NonceIssuer()
    client = raw_client(version)
    pump(client, server_engine(ServerSettings(credential=issuer, peer=UNATTESTED)))
    assert issuer.nonces == [b""]


@both_versions
def test_a_repeated_client_nonce_is_accepted(version: int) -> None:
    issuer = NonceIssuer()
    for _ in range(2):
        pair = Pair(
            client_engine(ClientSettings(peer=UNATTESTED, credential=PlainIssuer()), version=version, sni=b"YWJj"),
            server_engine(ServerSettings(credential=issuer, peer=UNATTESTED)),
        ).run()
        assert isinstance(pair.outcomes["server"], Completed)
    assert issuer.nonces == [b"abc", b"abc"]


@both_versions
def test_evidence_that_cannot_be_made_ends_with_an_alert(version: int) -> None:
    async def fail() -> None:
        raise PlatformError("evidence-unavailable", "no TPM here")

    pair = Pair(
        client_engine(ClientSettings(peer=NonceAppraiser(), credential=PlainIssuer()), version=version),
        server_engine(ServerSettings(credential=NonceIssuer(wait=fail), peer=UNATTESTED)),
    ).run()
    assert code(pair, "server") == "evidence-unavailable"
    assert code(pair, "client") == "refused-by-peer"


@both_versions
def test_a_fault_in_an_appraiser_refuses_and_raises_nothing_into_openssl(
    version: int, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    pair = Pair(
        client_engine(ClientSettings(peer=NonceAppraiser(wait=fail), credential=PlainIssuer()), version=version),
        server_engine(ServerSettings(credential=NonceIssuer(), peer=UNATTESTED)),
    ).run()
    assert code(pair, "client") == "internal-error"
    assert code(pair, "server") == "refused-by-peer"
    assert capsys.readouterr().err == ""


def padded_to(leaf_bytes: int) -> int:
    issuer = NonceIssuer()
    bare = len(self_signed(issuer.key, bytes(32), padding=60_000))
    return 60_000 + leaf_bytes - bare


@both_versions
@pytest.mark.parametrize("cut", [whole, byte_by_byte])
def test_a_leaf_of_up_to_96_kib_passes_in_any_fragmentation(version: int, cut: Cut) -> None:
    padding = padded_to(96 * 1024 - 16)
    pair = Pair(
        client_engine(ClientSettings(peer=NonceAppraiser(), credential=NonceIssuer(padding=padding)), version=version),
        server_engine(ServerSettings(credential=NonceIssuer(padding=padding), peer=NonceAppraiser())),
    ).run(cut)
    assert isinstance(pair.outcomes["client"], Completed)
    assert isinstance(pair.outcomes["server"], Completed)


@both_versions
def test_a_larger_leaf_is_refused_before_it_is_read(version: int) -> None:
    appraiser = NonceAppraiser()
    pair = Pair(
        client_engine(ClientSettings(peer=appraiser, credential=PlainIssuer()), version=version),
        server_engine(ServerSettings(credential=NonceIssuer(padding=padded_to(96 * 1024 + 40)), peer=UNATTESTED)),
    ).run()
    assert code(pair, "client") == "leaf-too-large"
    assert code(pair, "server") == "refused-by-peer"
    assert appraiser.nonces == []


@both_versions
def test_only_the_leaf_is_looked_at(version: int) -> None:
    authority, key = PlainIssuer().credential, NonceIssuer().key
    issuer = x509.load_der_x509_certificate(authority.certificate_der)
    # OpenSSL takes a certificate in its issuer's name for self-signed, and goes no further.
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "leaf")])
    builder = x509.CertificateBuilder(subject_name=subject, issuer_name=issuer.subject, serial_number=1)
    builder = builder.public_key(key.public_key())
    builder = builder.not_valid_before(issuer.not_valid_before_utc).not_valid_after(issuer.not_valid_after_utc)
    leaf_der = builder.sign(authority.key, SHA256()).public_bytes(Encoding.DER)

    class Reading(NonceAppraiser):
        def __init__(self) -> None:
            super().__init__()
            self.leaves: list[bytes] = []

        def read(self, leaf_der: bytes, nonce: Nonce) -> PresentedDocument:
            self.leaves.append(leaf_der)
            return PresentedDocument(document=nonce, nonce=nonce)

    server = PlainIssuer()
    server.credential = Credential(certificate_der=leaf_der, chain_der=(authority.certificate_der,), key=key)
    appraiser = Reading()
    pair = Pair(
        client_engine(ClientSettings(peer=appraiser, credential=PlainIssuer()), version=version),
        server_engine(ServerSettings(credential=server, peer=UNATTESTED)),
    ).run()
    assert isinstance(pair.outcomes["client"], Completed)
    assert len(pair.client.connection.get_peer_cert_chain()) == 2
    assert appraiser.leaves == [leaf_der]


# -- dialogues with a client or a server that is plain OpenSSL


@both_versions
@pytest.mark.parametrize("authorities", [0, 2], ids=["no authority", "two authorities"])
def test_a_client_that_attests_demands_exactly_one_authority(version: int, authorities: int) -> None:
    outcome = against_raw_server(version, ["YWJj"] * authorities)
    assert isinstance(outcome, Refused)
    assert outcome.error.code == "nonce-malformed"


@both_versions
def test_a_client_that_attests_demands_base64(version: int) -> None:
    outcome = against_raw_server(version, ["not base64"])
    assert isinstance(outcome, Refused)
    assert outcome.error.code == "nonce-malformed"


@both_versions
def test_a_client_with_nothing_to_attest_answers_any_request(version: int) -> None:
    assert isinstance(against_raw_server(version, [], PlainIssuer()), Completed)
    assert isinstance(against_raw_server(version, ["not base64"], PlainIssuer()), Completed)


@both_versions
def test_a_client_that_is_not_asked_makes_no_evidence(version: int) -> None:
    issuer = NonceIssuer()
    assert isinstance(against_raw_server(version, None, issuer), Completed)
    assert issuer.nonces == []


def against_raw_server(version: int, authorities: list[str] | None, credential: object = None) -> object:
    plain = PlainIssuer().credential
    context = SSL.Context(SSL.TLS_METHOD)
    context.use_certificate(x509.load_der_x509_certificate(plain.certificate_der))
    context.use_privatekey(plain.key)
    if authorities is not None:
        context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
    for number, common_name in enumerate(authorities or ()):
        attributes = [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, f"number {number}"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
        template = x509.load_der_x509_certificate(plain.certificate_der)
        builder = x509.CertificateBuilder(subject_name=x509.Name(attributes), issuer_name=x509.Name(attributes))
        builder = builder.public_key(plain.key.public_key()).serial_number(1)
        builder = builder.not_valid_before(template.not_valid_before_utc).not_valid_after(template.not_valid_after_utc)
        context.add_client_ca(builder.sign(plain.key, SHA256()))
    server = SSL.Connection(context, None)
    server.set_accept_state()
    settings = ClientSettings(peer=UNATTESTED, credential=credential or NonceIssuer())
    outcome, _ = pump(server, client_engine(settings, version=version))
    return outcome
