"""Options → configuration, with every refusal that can be made before anything listens.

Follows the design pages "Commands, options, environment" and "Measurements files". Every refusal is one
``ConfigurationError`` that names the option or variable and the fix.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, TypeVar

from attrs import frozen

from cvmproxy.attestation.measurements import Measurements, any_measurements, read_measurements
from cvmproxy.daemon.addresses import ListenAddress, Origin, client_target, listen_address, origin, server_target
from cvmproxy.daemon.certificate_files import read_credential, require_certificates
from cvmproxy.daemon.config import (
    ClientConfig,
    ClientExpects,
    ExpectsEvidence,
    ExpectsNothing,
    ExpectsOrdinaryPki,
    Limits,
    PresentsEvidence,
    PresentsNoEvidence,
    PresentsStaticCertificate,
    ServerConfig,
    ServerExpects,
    ServerPresents,
)
from cvmproxy.daemon.measurements_source import MeasurementsLocation, measurements_location
from cvmproxy.daemon.options import ClientOptions, CommandOptions, ServerOptions
from cvmproxy.errors import ConfigurationError
from cvmproxy.http.limits import HttpLimits
from cvmproxy.platform.simulated_store import default_directory
from cvmproxy.schemes.scheme import Scheme

SERVER_TYPE: Final = "server-attestation-type"
CLIENT_TYPE: Final = "client-attestation-type"
NO_EVIDENCE: Final = "none"
ANY_PRESENT: Final = "auto"
_LATER_SWITCHES: Final = ("log-dcap-quote", "override-azurev6-tcbinfo")

T = TypeVar("T")


def server_config(options: ServerOptions, schemes: Iterable[Scheme], *, home: Path | None) -> ServerConfig:
    """Return what a server does.

    :param schemes: every attestation type that there is.
    :param home: the user's home directory, where there is one.
    :raises ConfigurationError: the options contradict each other, or ask for what cannot be done.
    """
    _refuse_what_comes_later(options)
    sides = _Sides(options=options, schemes=tuple(schemes))
    presents = _server_presents(sides)
    expects = _server_expects(sides)
    target = _read(options, "target-addr", server_target)
    target_ca = _file(options, "target-ca")
    if target_ca is not None:
        if not (isinstance(target, Origin) and target.secure):
            raise options.refused("target-ca", "only an https:// target is verified: leave it away")
        require_certificates(target_ca, options.spelling("target-ca"))
    return ServerConfig(
        listen=_read(options, "listen-addr", listen_address),
        health=_health(options),
        limits=_limits(options),
        simulated_platform=_simulated_platform(options, home, presents, expects),
        warnings=_development_warnings(presents, expects),
        target=target,
        target_ca_file=target_ca,
        presents=presents,
        expects=expects,
    )


def client_config(options: ClientOptions, schemes: Iterable[Scheme], *, home: Path | None) -> ClientConfig:
    """Return what a client does; as :func:`server_config`."""
    _refuse_what_comes_later(options)
    sides = _Sides(options=options, schemes=tuple(schemes))
    expects = _client_expects(sides)
    presents = sides.presents(CLIENT_TYPE)
    warnings = list(_development_warnings(presents, expects))
    if isinstance(expects, ExpectsNothing):
        warnings.append(
            f"THE SERVER IS NOT VERIFIED: {expects.because}; anyone on the way can read and change everything"
        )
    return ClientConfig(
        listen=_read(options, "listen-addr", listen_address),
        health=_health(options),
        limits=_limits(options),
        simulated_platform=_simulated_platform(options, home, presents, expects),
        warnings=tuple(warnings),
        target=_read(options, "target-addr", client_target),
        presents=presents,
        expects=expects,
    )


def expected_measurements(expects: ExpectsEvidence, data: bytes | None, schemes: Iterable[Scheme]) -> Measurements:
    """Return the reference values that a side appraises with, at start and at every reload.

    :param data: the bytes of the measurements file, ``None`` exactly where there is none.
    :raises ConfigurationError: the file cannot be used, or asks for a type that this version cannot verify.
    """
    known = tuple(schemes)
    if (data is None) != (expects.measurements is None):
        raise ValueError("a measurements file is read exactly where one is expected")
    if data is None:
        assert expects.named is not None
        return any_measurements(expects.named.name)
    measurements = read_measurements(
        data,
        file=str(expects.measurements),
        known=[scheme.measured_type for scheme in known],
        named=None if expects.named is None else expects.named.name,
    )
    for scheme in known:
        if scheme.name in measurements.types and scheme.verify is None:
            raise ConfigurationError(
                "not-available",
                f"{expects.measurements}: has entries of type {scheme.name}, which this version cannot verify: remove "
                f"them, or name a type with {expects.asked_by}",
            )
    return measurements


@frozen(kw_only=True)
class _Sides:
    """The type options of one command, read for the presenting and for the expecting side."""

    options: CommandOptions
    schemes: tuple[Scheme, ...]

    def presents(self, name: str) -> PresentsEvidence | PresentsNoEvidence:
        word, provider = self.options[name], self.options["dev-dummy-dcap"]
        remote = next((scheme for scheme in self.schemes if scheme.remote_name == word), None)
        if provider is not None and remote is None:
            words = " or ".join(self._remote_names())
            raise self.options.refused("dev-dummy-dcap", f"is used with type {words}: add --{name} {words}")
        if remote is not None:
            return self._remote(name, remote)
        if word == NO_EVIDENCE:
            return PresentsNoEvidence()
        local = [scheme.name for scheme in self.schemes if scheme.present is not None]
        if word == ANY_PRESENT:
            why = (
                f"this version detects no platform: name the type to present, one of {', '.join((*local, NO_EVIDENCE))}"
            )
            raise self.options.refused(name, why, code="not-available")
        scheme = self._called(name, word, [NO_EVIDENCE, ANY_PRESENT, *self._remote_names()])
        if scheme.present is None:
            why = f"this version cannot present it: write --{name} with one of {', '.join((*local, NO_EVIDENCE))}"
            raise self.options.refused(name, why, code="not-available")
        return PresentsEvidence(scheme=scheme)

    def expects(self, name: str, measurements: MeasurementsLocation | None, file_option: str) -> ExpectsEvidence:
        """Read a type that is not ``none``, named or by default."""
        word, asked_by = self.options[name], f"--{name}"
        if word == ANY_PRESENT:
            if measurements is None:
                raise self.options.refused(name, f"takes the types from a measurements file: add --{file_option}")
            return ExpectsEvidence(named=None, measurements=measurements, asked_by=asked_by)
        remote = next((scheme for scheme in self.schemes if scheme.remote_name == word), None)
        if remote is not None:
            raise self.options.refused(name, f"can only be presented: what it presents is verified as {remote.name}")
        scheme = self._called(name, word, [NO_EVIDENCE, ANY_PRESENT])
        if scheme.verify is None:
            able = [other.name for other in self.schemes if other.verify is not None]
            why = f"this version cannot verify it: write --{name} with one of {', '.join((*able, NO_EVIDENCE))}"
            raise self.options.refused(name, why, code="not-available")
        return ExpectsEvidence(named=scheme, measurements=measurements, asked_by=asked_by)

    def measurements(self, file_option: str) -> MeasurementsLocation | None:
        given = self.options[file_option]
        with self.options.blamed(file_option):
            return None if given is None else measurements_location(given)

    def _remote(self, name: str, scheme: Scheme) -> PresentsEvidence:
        provider = self.options["dev-dummy-dcap"]
        if provider is None:
            raise self.options.refused(name, "takes its quotes from a remote provider: add --dev-dummy-dcap URL")
        if scheme.present_remote is None:
            raise self.options.refused(name, "this version cannot present it", code="not-available")
        url = _read(self.options, "dev-dummy-dcap", origin)
        if url.query:
            raise self.options.refused("dev-dummy-dcap", "write the URL without a query")
        return PresentsEvidence(scheme=scheme, remote_provider=str(url).rstrip("/"))

    def _remote_names(self) -> list[str]:
        return [scheme.remote_name for scheme in self.schemes if scheme.remote_name]

    def _called(self, name: str, word: str, words: list[str]) -> Scheme:
        scheme = next((known for known in self.schemes if known.measured_type.is_called(word)), None)
        if scheme is None:
            types = ", ".join((*(known.name for known in self.schemes), *words))
            raise self.options.refused(name, f"is no attestation type: write one of {types}")
        return scheme


def _server_presents(sides: _Sides) -> ServerPresents:
    options = sides.options
    certificate, key = _file(options, "tls-certificate-path"), _file(options, "tls-private-key-path")
    for given, name, other in (
        (certificate, "tls-certificate-path", "tls-private-key-path"),
        (key, "tls-private-key-path", "tls-certificate-path"),
    ):
        if given is not None and options[SERVER_TYPE] != NO_EVIDENCE:
            raise options.refused(name, f"a certificate is presented without evidence only: add --{SERVER_TYPE} none")
        if given is not None and options[other] is None:
            raise options.refused(name, f"certificate and key come together: add --{other} FILE")
    presents = sides.presents(SERVER_TYPE)
    if certificate is None or key is None:
        return presents
    credential = read_credential(
        certificate, key, options.spelling("tls-certificate-path"), options.spelling("tls-private-key-path")
    )
    return PresentsStaticCertificate(credential=credential, certificate_path=certificate)


def _server_expects(sides: _Sides) -> ServerExpects:
    options = sides.options
    measurements = sides.measurements("client-measurements")
    if options[CLIENT_TYPE] != NO_EVIDENCE:
        return sides.expects(CLIENT_TYPE, measurements, "client-measurements")
    if measurements is None:
        return ExpectsNothing(because="the client attestation type is none")
    if options.is_named(CLIENT_TYPE):
        raise _measurements_without_a_type(options, "client-measurements", CLIENT_TYPE)
    return ExpectsEvidence(named=None, measurements=measurements, asked_by=f"--{CLIENT_TYPE}")


def _client_expects(sides: _Sides) -> ClientExpects:
    options = sides.options
    named, word = options.is_named(SERVER_TYPE), options[SERVER_TYPE]
    measurements = sides.measurements("server-measurements")
    ca_file = _file(options, "tls-ca-certificate")
    if options["verify-tls"]:
        if named and word != NO_EVIDENCE:
            why = f"ordinary PKI takes the place of evidence: leave one of it and {options.spelling(SERVER_TYPE)} away"
            raise options.refused("verify-tls", why)
        if measurements is not None:
            other = options.spelling("server-measurements")
            raise options.refused("verify-tls", f"no evidence is appraised: leave one of it and {other} away")
        if ca_file is not None:
            require_certificates(ca_file, options.spelling("tls-ca-certificate"))
        return ExpectsOrdinaryPki(ca_file=ca_file)
    if ca_file is not None:
        raise options.refused("tls-ca-certificate", "is used with --verify-tls only: add that, or leave it away")
    if named and word == NO_EVIDENCE:
        if measurements is not None:
            raise _measurements_without_a_type(options, "server-measurements", SERVER_TYPE)
        return ExpectsNothing(because="the server attestation type is none, without --verify-tls")
    if not named and measurements is not None:
        return ExpectsEvidence(named=None, measurements=measurements, asked_by=f"--{SERVER_TYPE}")
    return sides.expects(SERVER_TYPE, measurements, "server-measurements")


def _measurements_without_a_type(options: CommandOptions, file_option: str, type_option: str) -> ConfigurationError:
    type_spelling = options.spelling(type_option)
    return options.refused(file_option, f"nothing is appraised with {type_spelling} none: leave one of them away")


def _development_warnings(*sides: object) -> tuple[str, ...]:
    lines: list[str] = []
    for side in sides:
        match side:
            case PresentsEvidence(scheme=scheme) if scheme.development_only:
                lines.append(f"INSECURE: evidence of type {scheme.name} is presented: it proves nothing, to anyone")
            case ExpectsEvidence(named=scheme) if scheme is not None and scheme.development_only:
                lines.append(f"INSECURE: evidence of type {scheme.name} is accepted: it proves nothing about the peer")
    return tuple(lines)


def _refuse_what_comes_later(options: CommandOptions) -> None:
    mode = options["mode"]
    if mode == "tcp":
        raise options.refused("mode", "not in this version: write --mode http", code="not-available")
    if mode != "http":
        raise options.refused("mode", "write --mode http")
    for name in _LATER_SWITCHES:
        if options[name]:
            raise options.refused(name, "not in this version: leave it away", code="not-available")


def _health(options: CommandOptions) -> ListenAddress | None:
    if options["listen-addr-healthcheck"] is None:
        return None
    return _read(options, "listen-addr-healthcheck", listen_address)


def _limits(options: CommandOptions) -> Limits:
    return Limits(
        handshake_seconds=options["handshake-timeout"],
        header_seconds=options["header-timeout"],
        idle_seconds=options["idle-timeout"],
        connect_seconds=options["connect-timeout"],
        upstream_seconds=options["upstream-timeout"],
        evidence_seconds=options["evidence-timeout"],
        evidence_in_flight=options["evidence-in-flight"],
        drain_seconds=options["drain-grace"],
        http=HttpLimits(head_bytes=options["request-head-size"], header_count=options["header-count"]),
    )


def _simulated_platform(options: CommandOptions, home: Path | None, *sides: object) -> Path | None:
    directory = _file(options, "simulated-platform") or default_directory(options.environment, home)
    if directory is None and any(_development_only(side) for side in sides):
        why = "this user has no home directory to keep it in: add --simulated-platform DIR"
        raise options.refused("simulated-platform", why)
    return directory


def _development_only(side: object) -> bool:
    match side:
        case PresentsEvidence(scheme=scheme) | ExpectsEvidence(named=scheme):
            return scheme is not None and scheme.development_only
    return False


def _file(options: CommandOptions, name: str) -> Path | None:
    given = options[name]
    # A daemon may change its directory after this.
    return None if given is None else Path(given).absolute()


def _read(options: CommandOptions, name: str, reader: Callable[[str], T]) -> T:
    try:
        return reader(options[name])
    except ValueError as fix:
        raise options.refused(name, str(fix)) from None
