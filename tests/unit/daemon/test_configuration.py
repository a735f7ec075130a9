from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID
from doubles.schemes import AZURE_VERIFIED, DCAP, DCAP_VERIFIED, EVERYTHING, SIMULATED, THIS_VERSION

from cvmproxy.attestation.measurements import any_measurements
from cvmproxy.daemon.addresses import Origin, SystemdSocket, TcpAddress, UnixAddress
from cvmproxy.daemon.config import (
    ClientConfig,
    ExpectsEvidence,
    ExpectsNothing,
    ExpectsOrdinaryPki,
    PresentsEvidence,
    PresentsNoEvidence,
    PresentsStaticCertificate,
    ServerConfig,
)
from cvmproxy.daemon.configuration import client_config, expected_measurements, server_config
from cvmproxy.daemon.measurements_source import MeasurementsFile, MeasurementsUrl
from cvmproxy.daemon.options import ClientOptions, ServerOptions
from cvmproxy.errors import ConfigurationError
from cvmproxy.schemes.scheme import Scheme

HOME = Path("/home/nobody")
URL = "https://example.org/m.json"


def server(*arguments: str, schemes: tuple[Scheme, ...] = EVERYTHING, **environment: str) -> ServerConfig:
    options = ServerOptions(environment)
    options.read(arguments)
    return server_config(options, schemes, home=HOME)


def client(*arguments: str, schemes: tuple[Scheme, ...] = EVERYTHING, **environment: str) -> ClientConfig:
    options = ClientOptions(environment)
    options.read(arguments)
    return client_config(options, schemes, home=HOME)


def refused(
    side: object, *arguments: str, schemes: tuple[Scheme, ...] = EVERYTHING, **environment: str
) -> ConfigurationError:
    assert side in (server, client)
    with pytest.raises(ConfigurationError) as caught:
        (server if side is server else client)(*arguments, schemes=schemes, **environment)
    assert caught.value.message.isprintable()
    return caught.value


def evidence(named: Scheme | None, measurements: MeasurementsFile | MeasurementsUrl | None, side: str) -> object:
    return ExpectsEvidence(named=named, measurements=measurements, asked_by=f"--{side}-attestation-type")


# --- what a server presents


def test_a_server_presents_evidence_of_the_default_type() -> None:
    assert server().presents == PresentsEvidence(scheme=AZURE_VERIFIED)


def test_a_server_without_evidence_presents_a_self_signed_certificate() -> None:
    assert server("--server-attestation-type", "none").presents == PresentsNoEvidence()


def test_an_alias_presents_the_type_itself() -> None:
    assert server("--server-attestation-type", "qemu-tdx").presents == PresentsEvidence(scheme=DCAP_VERIFIED)


def test_a_remote_provider_presents_its_type() -> None:
    config = server(
        "--server-attestation-type", "dummy", "--dev-dummy-dcap", "http://10.0.0.1:1/", schemes=THIS_VERSION
    )
    assert config.presents == PresentsEvidence(scheme=DCAP, remote_provider="http://10.0.0.1:1")


def test_a_bare_server_in_this_version_says_what_to_write() -> None:
    error = refused(server, schemes=THIS_VERSION)
    assert error.code == "not-available"
    assert error.message == (
        "--server-attestation-type azure-tdx (the default): this version cannot present it: "
        "write --server-attestation-type with one of simulated, none"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (
            ("--server-attestation-type", "sgx"),
            "bad-option",
            "is no attestation type: write one of dcap-tdx, azure-tdx",
        ),
        (("--server-attestation-type", "dcap-tdx"), "not-available", "this version cannot present it"),
        (("--server-attestation-type", "auto"), "not-available", "this version detects no platform: name the type"),
        (("--server-attestation-type", "dummy"), "bad-option", "add --dev-dummy-dcap URL"),
        (
            ("--server-attestation-type", "simulated", "--dev-dummy-dcap", "http://a:1"),
            "bad-option",
            "--dev-dummy-dcap http://a:1: is used with type dummy: add --server-attestation-type dummy",
        ),
        (
            ("--server-attestation-type", "dummy", "--dev-dummy-dcap", "a:1"),
            "bad-option",
            "--dev-dummy-dcap a:1: write",
        ),
        (
            ("--server-attestation-type", "dummy", "--dev-dummy-dcap", "http://a:1/?x=y"),
            "bad-option",
            "write the URL without a query",
        ),
        (("--mode", "tcp"), "not-available", "--mode tcp: not in this version"),
        (("--mode", "udp"), "bad-option", "--mode udp: write --mode http"),
        (("--log-dcap-quote",), "not-available", "--log-dcap-quote: not in this version"),
        (("--override-azurev6-tcbinfo",), "not-available", "--override-azurev6-tcbinfo: not in this version"),
    ],
)
def test_what_a_server_refuses_to_present(arguments: tuple[str, ...], code: str, expected: str) -> None:
    error = refused(server, *arguments, schemes=THIS_VERSION)
    assert expected in error.message
    assert error.code == code


def test_later_switches_may_be_off() -> None:
    arguments = ("--log-dcap-quote=false", "--server-attestation-type", "none")
    assert server(*arguments, OVERRIDE_AZUREV6_TCBINFO="0").presents == PresentsNoEvidence()


# --- certificate files


def write_pair(
    folder: Path, passphrase: bytes | None = None, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None
) -> tuple[Path, Path]:
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server.test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .sign(key, SHA256())
    )
    folder.mkdir(exist_ok=True)
    encryption = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)
    certificate_path, key_path = folder / "cert.pem", folder / "key.pem"
    certificate_path.write_bytes(certificate.public_bytes(Encoding.PEM))
    key_path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    return certificate_path, key_path


def static(certificate: Path, key: Path, kind: str | None = "none") -> tuple[str, ...]:
    pair = ("--tls-certificate-path", str(certificate), "--tls-private-key-path", str(key))
    return pair if kind is None else (*pair, "--server-attestation-type", kind)


def test_a_static_certificate(tmp_path: Path) -> None:
    certificate, key = write_pair(tmp_path)
    presents = server(*static(certificate, key)).presents
    assert isinstance(presents, PresentsStaticCertificate)
    assert presents.certificate_path == certificate
    assert x509.load_der_x509_certificate(presents.credential.certificate_der) == x509.load_pem_x509_certificate(
        certificate.read_bytes()
    )


@pytest.mark.parametrize("kind", [None, "simulated", "azure-tdx", "auto"])
def test_a_static_certificate_needs_type_none(kind: str | None, tmp_path: Path) -> None:
    error = refused(server, *static(*write_pair(tmp_path), kind))
    assert "--tls-certificate-path" in error.message
    assert "a certificate is presented without evidence only: add --server-attestation-type none" in error.message


@pytest.mark.parametrize("name", ["tls-certificate-path", "tls-private-key-path"])
def test_certificate_and_key_come_together(name: str, tmp_path: Path) -> None:
    error = refused(server, f"--{name}", str(write_pair(tmp_path)[0]), "--server-attestation-type", "none")
    assert f"--{name}" in error.message
    assert "certificate and key come together" in error.message


def test_an_encrypted_key_is_refused(tmp_path: Path) -> None:
    error = refused(server, *static(*write_pair(tmp_path, b"secret")))
    assert "--tls-private-key-path" in error.message
    assert "without a passphrase" in error.message


def test_a_key_that_tls_finds_too_weak_is_refused(tmp_path: Path) -> None:
    weak = rsa.generate_private_key(65537, 1024)
    error = refused(server, *static(*write_pair(tmp_path, key=weak)))
    assert "--tls-certificate-path" in error.message
    assert "TLS does not take the certificate or its key: ee key too small" in error.message


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    certificate, other_key = write_pair(tmp_path / "a")[0], write_pair(tmp_path / "b")[1]
    assert "is not the key of the first certificate" in refused(server, *static(certificate, other_key)).message


def test_files_that_are_missing_or_no_pem_are_refused(tmp_path: Path) -> None:
    certificate, key = write_pair(tmp_path)
    nonsense, missing = tmp_path / "nonsense.pem", tmp_path / "missing.pem"
    nonsense.write_text("nonsense")
    assert "--tls-certificate-path" in (error := refused(server, *static(missing, key)).message)
    assert "cannot be read: No such file" in error
    assert "expected certificates in PEM" in refused(server, *static(nonsense, key)).message
    assert "expected a private key in PEM" in refused(server, *static(certificate, nonsense)).message
    assert "cannot be read: Is a directory" in refused(server, *static(certificate, tmp_path)).message


def test_variables_are_named_where_the_files_came_from_them(tmp_path: Path) -> None:
    _, key = write_pair(tmp_path)
    error = refused(
        server, TLS_CERTIFICATE_PATH=str(key), TLS_PRIVATE_KEY_PATH=str(key), SERVER_ATTESTATION_TYPE="none"
    )
    assert error.message.startswith(f"TLS_CERTIFICATE_PATH {key}: ")


# --- what a server expects


FILE = MeasurementsFile(Path("/etc/m.json"))


@pytest.mark.parametrize(
    ("arguments", "expects"),
    [
        ((), ExpectsNothing(because="the client attestation type is none")),
        (("--client-attestation-type", "none"), ExpectsNothing(because="the client attestation type is none")),
        (("--client-attestation-type", "dcap-tdx"), evidence(DCAP_VERIFIED, None, "client")),
        (("--client-measurements", "/etc/m.json"), evidence(None, FILE, "client")),
        (("--client-measurements", URL), evidence(None, MeasurementsUrl(URL), "client")),
        (
            ("--client-attestation-type", "dcap-tdx", "--client-measurements", "/etc/m.json"),
            evidence(DCAP_VERIFIED, FILE, "client"),
        ),
        (("--client-attestation-type", "auto", "--client-measurements", "/etc/m.json"), evidence(None, FILE, "client")),
        (("--client-attestation-type", "simulated"), evidence(SIMULATED, None, "client")),
    ],
)
def test_what_a_server_expects(arguments: tuple[str, ...], expects: object) -> None:
    assert server(*arguments).expects == expects


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ("--client-attestation-type", "none", "--client-measurements", "m.json"),
            "--client-measurements m.json: nothing is appraised with --client-attestation-type none",
        ),
        (("--client-attestation-type", "auto"), "takes the types from a measurements file: add --client-measurements"),
        (("--client-attestation-type", "dummy"), "can only be presented: what it presents is verified as dcap-tdx"),
        (("--client-attestation-type", "sgx"), "is no attestation type"),
        (("--client-measurements", "http://example.org/m.json"), "https (http is for loopback only)"),
        (("--client-measurements", "ftp://example.org/m.json"), "a path, or an https URL"),
        (("--client-measurements", "https://user:secret@example.org/"), "leave user and password out"),
    ],
)
def test_what_a_server_refuses_to_expect(arguments: tuple[str, ...], expected: str) -> None:
    assert expected in refused(server, *arguments).message


def test_a_type_that_cannot_be_verified_is_refused() -> None:
    error = refused(
        server, "--server-attestation-type", "none", "--client-attestation-type", "dcap-tdx", schemes=THIS_VERSION
    )
    assert error.code == "not-available"
    assert "write --client-attestation-type with one of simulated, none" in error.message


# --- what a client expects


PKI = ExpectsOrdinaryPki(ca_file=None)


@pytest.mark.parametrize(
    ("arguments", "expects"),
    [
        ((), evidence(AZURE_VERIFIED, None, "server")),
        (("--server-attestation-type", "simulated"), evidence(SIMULATED, None, "server")),
        (("--server-measurements", "/etc/m.json"), evidence(None, FILE, "server")),
        (
            ("--server-attestation-type", "azure-tdx", "--server-measurements", "/etc/m.json"),
            evidence(AZURE_VERIFIED, FILE, "server"),
        ),
        (("--server-attestation-type", "auto", "--server-measurements", "/etc/m.json"), evidence(None, FILE, "server")),
        (("--verify-tls",), PKI),
        (("--verify-tls", "--server-attestation-type", "none"), PKI),
        (
            ("--server-attestation-type", "none"),
            ExpectsNothing(because="the server attestation type is none, without --verify-tls"),
        ),
    ],
)
def test_what_a_client_expects(arguments: tuple[str, ...], expects: object) -> None:
    assert client(*arguments).expects == expects


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--verify-tls", "--server-attestation-type", "azure-tdx"), "--verify-tls: ordinary PKI takes the place"),
        (("--verify-tls", "--server-attestation-type", "auto"), "--verify-tls: ordinary PKI takes the place"),
        (("--verify-tls", "--server-measurements", "m.json"), "--verify-tls: no evidence is appraised"),
        (
            ("--server-attestation-type", "none", "--server-measurements", "m.json"),
            "nothing is appraised with --server-attestation-type none",
        ),
        (
            ("--verify-tls", "--server-attestation-type", "none", "--server-measurements", "m.json"),
            "--verify-tls: no evidence is appraised",
        ),
        (("--tls-ca-certificate", "ca.pem"), "is used with --verify-tls only"),
        (("--server-attestation-type", "none", "--tls-ca-certificate", "ca.pem"), "is used with --verify-tls only"),
        (("--verify-tls", "--tls-ca-certificate", "/missing/ca.pem"), "/missing/ca.pem: cannot be read"),
        (("--server-attestation-type", "auto"), "add --server-measurements"),
        (("--server-attestation-type", "dummy"), "can only be presented"),
        (("--target-addr", "http://a:1"), "--target-addr http://a:1: a client has no plaintext upstream"),
        (("--target-addr", "HTTP://a:1"), "a client has no plaintext upstream"),
    ],
)
def test_what_a_client_refuses(arguments: tuple[str, ...], expected: str) -> None:
    assert expected in refused(client, *arguments).message


def test_a_variable_names_a_type_too() -> None:
    error = refused(client, "--verify-tls", SERVER_ATTESTATION_TYPE="azure-tdx")
    assert "leave one of it and SERVER_ATTESTATION_TYPE away" in error.message
    error = refused(client, VERIFY_TLS="true", SERVER_MEASUREMENTS="m.json")
    assert error.message.startswith("VERIFY_TLS: no evidence is appraised")


def test_ordinary_pki_with_an_own_root(tmp_path: Path) -> None:
    certificate, _ = write_pair(tmp_path)
    config = client("--verify-tls", "--tls-ca-certificate", str(certificate))
    assert config.expects == ExpectsOrdinaryPki(ca_file=certificate)


def test_a_client_presents_nothing_unless_told() -> None:
    assert client().presents == PresentsNoEvidence()
    assert client("--client-attestation-type", "simulated").presents == PresentsEvidence(scheme=SIMULATED)


def test_a_client_takes_quotes_from_a_remote_provider() -> None:
    config = client("--client-attestation-type", "dummy", "--dev-dummy-dcap", "https://a/q", schemes=EVERYTHING)
    assert config.presents == PresentsEvidence(scheme=DCAP_VERIFIED, remote_provider="https://a/q")


# --- warnings


def test_an_unverified_server_is_warned_of() -> None:
    (line,) = client("--server-attestation-type", "none").warnings
    assert line.startswith("THE SERVER IS NOT VERIFIED")


@pytest.mark.parametrize(
    ("config", "count"),
    [
        (lambda: server("--server-attestation-type", "simulated"), 1),
        (lambda: server("--client-attestation-type", "simulated"), 1),
        (lambda: server("--server-attestation-type", "simulated", "--client-attestation-type", "simulated"), 2),
        (lambda: client("--server-attestation-type", "simulated"), 1),
        (lambda: client("--client-attestation-type", "simulated"), 1),
        (lambda: client(), 0),
        (lambda: server(), 0),
        (lambda: client("--verify-tls"), 0),
    ],
)
def test_development_types_are_warned_of(config: object, count: int) -> None:
    assert callable(config)
    lines = config().warnings
    assert len([line for line in lines if line.startswith("INSECURE: ")]) == len(lines) == count


# --- addresses, limits, the rest


def test_the_rest_of_a_server() -> None:
    config = server(
        "--listen-addr", "systemd:web", "--listen-addr-healthcheck", ":9", "--target-addr", "unix:/run/a.sock",
        "--handshake-timeout", "5s", "--header-count", "7",
    )  # fmt: skip
    assert config.listen == SystemdSocket(name="web")
    assert config.health == TcpAddress(host="", port=9)
    assert config.target == UnixAddress(path=Path("/run/a.sock"))
    assert (config.limits.handshake_seconds, config.limits.drain_seconds) == (5.0, 30.0)
    assert (config.limits.http.header_count, config.limits.http.head_bytes) == (7, 65536)


def test_defaults_of_addresses() -> None:
    for config in (server(), client()):
        assert config.listen == TcpAddress(host="127.0.0.1", port=8080)
        assert config.health is None
        assert config.target == Origin(secure=True, authority="localhost:80", host="localhost", port=80)


@pytest.mark.parametrize("name", ["listen-addr", "listen-addr-healthcheck"])
def test_bad_addresses_name_their_option(name: str) -> None:
    assert refused(server, f"--{name}", "8080").message.startswith(f"--{name} 8080: write host:port, or :8080")


def test_the_simulated_platform_is_the_users_own_unless_given() -> None:
    assert server().simulated_platform.is_relative_to(HOME)
    assert server(CVMPROXY_SIMULATED_PLATFORM="/srv/sim").simulated_platform == Path("/srv/sim")


def test_a_user_without_a_home_needs_a_place_for_simulated_evidence_only() -> None:
    def config(*arguments: str) -> ServerConfig:
        options = ServerOptions({})
        options.read(arguments)
        return server_config(options, THIS_VERSION, home=None)

    assert config("--server-attestation-type=none").simulated_platform is None
    for side in ("server", "client"):
        given = ("--server-attestation-type=none", f"--{side}-attestation-type=simulated")
        with pytest.raises(ConfigurationError, match=r"this user has no home .* add --simulated-platform DIR$"):
            config(*given)
        assert config(*given, "--simulated-platform=/srv/sim").simulated_platform == Path("/srv/sim")


def test_a_target_is_verified_with_an_own_root(tmp_path: Path) -> None:
    certificate, _ = write_pair(tmp_path)
    assert server("--target-ca", str(certificate)).target_ca_file == certificate
    for target in ("http://a:1", "unix:/run/a.sock"):
        error = refused(server, "--target-ca", str(certificate), "--target-addr", target)
        assert "only an https:// target is verified" in error.message
    assert "cannot be read" in refused(server, "--target-ca", "/missing/ca.pem").message


# --- reference values


A48 = "aa" * 48


def test_without_a_file_any_measurements_of_the_named_type_are_expected() -> None:
    expects = ExpectsEvidence(named=SIMULATED, measurements=None, asked_by="--server-attestation-type")
    assert expected_measurements(expects, None, THIS_VERSION) == any_measurements("simulated")


def test_a_file_says_the_types_where_none_was_named() -> None:
    expects = ExpectsEvidence(named=None, measurements=FILE, asked_by="--server-attestation-type")
    data = b'{"a": {"0": "%s"}, "b": {"0": "%s"}}' % (A48.encode(), A48[:64].encode())
    assert expected_measurements(expects, data, EVERYTHING).types == ("dcap-tdx", "azure-tdx")


def test_a_file_with_types_that_cannot_be_verified_is_refused() -> None:
    expects = ExpectsEvidence(named=None, measurements=FILE, asked_by="--server-attestation-type")
    with pytest.raises(ConfigurationError) as caught:
        expected_measurements(expects, b'{"a": {"0": "%s"}}' % A48.encode(), THIS_VERSION)
    assert caught.value.code == "not-available"
    assert caught.value.message == (
        "/etc/m.json: has entries of type dcap-tdx, which this version cannot verify: remove them, or name a type with "
        "--server-attestation-type"
    )


@pytest.mark.parametrize("data", [None, b"[]"])
def test_a_file_is_read_exactly_where_one_is_expected(data: bytes | None) -> None:
    expects = ExpectsEvidence(named=SIMULATED, measurements=None if data else FILE, asked_by="--x")
    with pytest.raises(ValueError, match="exactly where one is expected"):
        expected_measurements(expects, data, THIS_VERSION)


def test_evidence_without_type_or_file_cannot_be_expected() -> None:
    with pytest.raises(ValueError, match="neither a type nor a measurements file"):
        ExpectsEvidence(named=None, measurements=None, asked_by="--x")


def test_one_of_certificate_and_key_that_is_empty_is_missing() -> None:
    error = refused(
        server, "--server-attestation-type=none", TLS_CERTIFICATE_PATH="/etc/cert.pem", TLS_PRIVATE_KEY_PATH=""
    )
    assert "add --tls-private-key-path FILE" in error.message
