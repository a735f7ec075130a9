"""A client under ordinary PKI: the chain and the name are verified inside the handshake."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from doubles.engine_pairs import Pair, client_engine, server_engine
from doubles.nonce_carriage import UNATTESTED, NonceAppraiser, NonceIssuer, PlainIssuer
from OpenSSL import SSL

from cvmproxy.attestation.policy import NoAttestation
from cvmproxy.carriage.interfaces import Credential
from cvmproxy.errors import ConfigurationError
from cvmproxy.tls.contexts import ClientContexts
from cvmproxy.tls.handshake import Completed, Refused
from cvmproxy.tls.settings import ClientSettings, ServerSettings, WebPKI

VERSIONS = pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION], ids=["TLS 1.2", "TLS 1.3"])


class Authority:
    """Root, intermediate, and an operator's certificate with its chain."""

    def __init__(self) -> None:
        self.root_key, self.intermediate_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        self.root = self.certificate("root", "root", self.root_key, self.root_key, ca=True)
        self.intermediate = self.certificate("intermediate", "root", self.intermediate_key, self.root_key, ca=True)

    @staticmethod
    def certificate(
        subject: str,
        issuer: str,
        key: ec.EllipticCurvePrivateKey,
        signer: ec.EllipticCurvePrivateKey,
        *,
        ca: bool = False,
        names: tuple[x509.GeneralName, ...] = (),
        days: int = 1,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=10))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(signer, SHA256())

    def server(self, *names: x509.GeneralName, days: int = 1, chain: bool = True) -> ServerSettings:
        issuer = PlainIssuer()
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = self.certificate("server", "intermediate", key, self.intermediate_key, names=names, days=days)
        issuer.credential = Credential(
            certificate_der=leaf.public_bytes(Encoding.DER),
            chain_der=(self.intermediate.public_bytes(Encoding.DER),) if chain else (),
            key=key,
        )
        return ServerSettings(credential=issuer, peer=UNATTESTED)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def ca_file(authority: Authority, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    path.write_bytes(authority.root.public_bytes(Encoding.PEM))
    return path


def run(server: ServerSettings, host: str, ca_file: Path | None, version: int) -> Pair:
    settings = ClientSettings(peer=WebPKI(host=host, ca_file=ca_file), credential=PlainIssuer())
    return Pair(client_engine(settings, version=version), server_engine(server)).run()


@VERSIONS
@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("service.example", x509.DNSName("service.example")),
        ("a.service.example", x509.DNSName("*.service.example")),
        ("127.0.0.1", x509.IPAddress(ip_address("127.0.0.1"))),
        ("::1", x509.IPAddress(ip_address("::1"))),
    ],
)
def test_a_server_with_a_good_chain_and_name_is_accepted(
    authority: Authority, ca_file: Path, version: int, host: str, name: x509.GeneralName
) -> None:
    outcome = run(authority.server(name), host, ca_file, version).outcomes["client"]
    assert isinstance(outcome, Completed), outcome
    assert outcome.identity == NoAttestation(because="ordinary PKI")


@VERSIONS
@pytest.mark.parametrize(
    ("host", "names", "days", "chain", "words"),
    [
        ("other.example", (x509.DNSName("service.example"),), 1, True, "not for other.example"),
        ("127.0.0.2", (x509.IPAddress(ip_address("127.0.0.1")),), 1, True, "not for 127.0.0.2"),
        ("127.0.0.1", (x509.DNSName("service.example"),), 1, True, "not for 127.0.0.1"),
        ("service.example", (), 1, True, "not for service.example"),
        ("service.example", (x509.DNSName("service.example"),), -1, True, "expired"),
        ("service.example", (x509.DNSName("service.example"),), 1, False, "not trusted"),
    ],
)
def test_a_server_with_a_bad_chain_or_name_is_refused(
    authority: Authority,
    ca_file: Path,
    version: int,
    host: str,
    names: tuple[x509.GeneralName, ...],
    days: int,
    chain: bool,
    words: str,
) -> None:
    pair = run(authority.server(*names, days=days, chain=chain), host, ca_file, version)
    outcome = pair.outcomes["client"]
    assert isinstance(outcome, Refused)
    assert outcome.error.code == "pki-refused"
    assert words in outcome.error.message
    assert pair.outcomes["server"].error.code == "refused-by-peer"


@VERSIONS
def test_a_self_signed_server_is_not_trusted_by_the_system(version: int) -> None:
    names = x509.SubjectAlternativeName([x509.DNSName("service.example")])
    server = ServerSettings(credential=PlainIssuer(names), peer=UNATTESTED)
    outcome = run(server, "service.example", None, version).outcomes["client"]
    assert isinstance(outcome, Refused)
    assert outcome.error.code == "pki-refused"


@VERSIONS
def test_a_server_that_is_refused_gets_no_evidence(authority: Authority, ca_file: Path, version: int) -> None:

    issuer = NonceIssuer()
    server = ServerSettings(credential=authority.server().credential, peer=NonceAppraiser())
    settings = ClientSettings(peer=WebPKI(host="service.example", ca_file=ca_file), credential=issuer)
    Pair(client_engine(settings, version=version), server_engine(server)).run()
    assert issuer.nonces == []


def test_a_file_without_authorities_is_refused(tmp_path: Path) -> None:
    peer = WebPKI(host="service.example", ca_file=tmp_path / "absent.pem")
    with pytest.raises(ConfigurationError):
        ClientContexts(ClientSettings(peer=peer, credential=PlainIssuer()))


@pytest.mark.parametrize("host", ["", "bücher.example"])
def test_a_host_is_given_in_ascii(host: str) -> None:
    with pytest.raises(ConfigurationError):
        WebPKI(host=host)
