"""The composition root: configuration → the parts of a running server or client.

Everything that the package's other layers take as an argument is made or chosen here: clock, randomness, schemes,
issuers, appraisers, endpoints. Follows the design page "Architecture", "One connection, server" and "… client".
"""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from twisted.internet.interfaces import IStreamClientEndpoint, IStreamServerEndpoint

import cvmproxy
from cvmproxy.attestation.measurements import format_entry
from cvmproxy.attestation.policy import AttestationResult, NoAttestation
from cvmproxy.carriage.admission import EvidenceAdmission
from cvmproxy.carriage.certificate import make_leaf_key
from cvmproxy.carriage.interfaces import CredentialSource, PeerAppraiser
from cvmproxy.carriage.issuer import BareIssuer, EvidenceIssuer, StaticIssuer
from cvmproxy.daemon.addresses import ListenAddress, Origin, Target
from cvmproxy.daemon.config import (
    ClientExpects,
    CommonConfig,
    ExpectsEvidence,
    ExpectsNothing,
    ExpectsOrdinaryPki,
    PresentsEvidence,
    PresentsNoEvidence,
    PresentsStaticCertificate,
    ServerExpects,
    ServerPresents,
)
from cvmproxy.daemon.configuration import client_config, expected_measurements, server_config
from cvmproxy.daemon.endpoints import ListenEndpoints, dial_endpoint
from cvmproxy.daemon.event_log import EventLog
from cvmproxy.daemon.health import HealthResource, HealthSite
from cvmproxy.daemon.options import ClientOptions, CommandOptions, ServerOptions
from cvmproxy.daemon.policy_source import ReloadableAppraiser, described, measurements_at_start
from cvmproxy.daemon.proxy_service import Listener, ProxyParts
from cvmproxy.events import Event, EventSink, Notice, Warned
from cvmproxy.http.header_rules import HttpTarget
from cvmproxy.http.placement import MeasurementPlacement, OnRequests, OnResponses
from cvmproxy.http.pool import UpstreamPool, UpstreamSettings, UpstreamTimeouts
from cvmproxy.http.proxy import AcceptingTimeouts, ProxyFactory, ProxySettings
from cvmproxy.platform.simulated_store import home_directory
from cvmproxy.schemes import SCHEMES
from cvmproxy.schemes.scheme import SchemeSettings
from cvmproxy.tls.endpoints import AttestedClientEndpoint, AttestedServerEndpoint
from cvmproxy.tls.runtime import Bounds, HandshakeRuntime
from cvmproxy.tls.settings import ClientSettings, ServerSettings, WebPKI

#: An upstream connection is given up before the target's own idle timeout is likely to end it under a request.
_UPSTREAM_IDLE_SECONDS: Final = 60.0
_DIAL_MARGIN_SECONDS: Final = 5.0
_LOCAL_REQUESTERS: Final = NoAttestation(because="requesters reach the client over plain HTTP")
_OWN_TARGET: Final = NoAttestation(because="the target is the operator's own")


def compose_server(options: ServerOptions, reactor: Any, log: EventLog) -> ProxyParts:
    """Return the parts of a server.

    :raises ConfigurationError: the configuration is refused.
    """
    config = server_config(options, SCHEMES, home=home_directory(options.environment))
    parts = _Common(reactor, config, log, options)
    parts.announce("server", config.presents, config.expects, config.target)
    tls = ServerSettings(
        credential=parts.issuer(config.presents),
        peer=parts.expected_peer(config.expects, "client-measurements"),
        handshake_timeout_seconds=config.limits.handshake_seconds,
    )
    upstream = parts.target_endpoint(config.target, config.target_ca_file)
    factory = parts.proxy(config.target, upstream, OnRequests(_header_label), requesters=None, backend=_OWN_TARGET)
    accepting = parts.listening_endpoint("listen-addr", config.listen)
    endpoint = AttestedServerEndpoint(accepting, tls, parts.runtime, log.emit)
    return parts.assembled(endpoint, factory)


def compose_client(options: ClientOptions, reactor: Any, log: EventLog) -> ProxyParts:
    """Return the parts of a client.

    :raises ConfigurationError: the configuration is refused.
    """
    config = client_config(options, SCHEMES, home=home_directory(options.environment))
    parts = _Common(reactor, config, log, options)
    parts.announce("client", config.presents, config.expects, config.target)
    match config.expects:
        case ExpectsOrdinaryPki(ca_file=ca_file):
            peer: PeerAppraiser | WebPKI | NoAttestation = WebPKI(host=config.target.host, ca_file=ca_file)
        case ExpectsNothing() | ExpectsEvidence() as expects:
            peer = parts.expected_peer(expects, "server-measurements")
    tls = ClientSettings(
        peer=peer,
        credential=parts.issuer(config.presents),
        handshake_timeout_seconds=config.limits.handshake_seconds,
    )
    dial = dial_endpoint(reactor, config.target, config.limits.connect_seconds, log.emit)
    upstream = AttestedClientEndpoint(dial, tls, parts.runtime, log.emit)
    factory = parts.proxy(
        config.target, upstream, OnResponses(_header_label), requesters=_LOCAL_REQUESTERS, backend=None
    )
    endpoint = parts.listening_endpoint("listen-addr", config.listen)
    return parts.assembled(endpoint, factory)


class _Common:
    """What both sides are made of."""

    def __init__(self, reactor: Any, config: CommonConfig, log: EventLog, options: CommandOptions) -> None:
        self._reactor = reactor
        self._options = options
        self._config = config
        self._events: EventSink = log.emit
        self._random = os.urandom
        self._leaf_key = make_leaf_key()
        self._announcements: list[Event] = [Warned(message=line) for line in config.warnings]
        self._appraiser: ReloadableAppraiser | None = None
        self._listening = ListenEndpoints(reactor)
        self.runtime = HandshakeRuntime(
            reactor,
            self._random,
            bounds=Bounds(evidence_workers=config.limits.evidence_in_flight),
            format_entry=format_entry,
        )

    def announce(
        self, role: str, presents: ServerPresents, expects: ServerExpects | ClientExpects, target: Target
    ) -> None:
        """Note the line that says what this program does."""
        version, shows, demands = cvmproxy.__version__, _presented(presents), _expected(expects)
        message = f"cvmproxy {version} {role}: presents {shows}, expects {demands}, target {target}"
        self._announcements.insert(0, Notice(message=message))

    def listening_endpoint(self, option: str, address: ListenAddress) -> IStreamServerEndpoint:
        """Return the endpoint of a listening address, which the option gave."""
        with self._options.blamed(option):
            return self._listening.endpoint(address)

    def expected_peer(self, expects: ServerExpects, file_option: str) -> PeerAppraiser | NoAttestation:
        """Return what appraises the peers, or says that none is; note what the log has to say about it."""
        if isinstance(expects, ExpectsNothing):
            return NoAttestation(because=expects.because)
        with self._options.blamed(file_option):
            measurements = expected_measurements(expects, measurements_at_start(expects.measurements), SCHEMES)
        self._announcements += [Warned(message=line) for line in (*measurements.announcements, *measurements.warnings)]
        if expects.measurements is not None:
            self._announcements.append(Notice(message=f"measurements: {described(measurements, expects.measurements)}"))
        self._appraiser = ReloadableAppraiser(expects, SCHEMES, self._scheme_settings(None), measurements)
        return self._appraiser

    def issuer(self, presents: ServerPresents) -> CredentialSource:
        """Return what makes this side's certificates."""
        match presents:
            case PresentsStaticCertificate():
                return StaticIssuer(presents.credential)
            case PresentsNoEvidence():
                return BareIssuer(leaf_key=self._leaf_key, now=_now, random=self._random)
            case PresentsEvidence():
                return self._evidence_issuer(presents)

    def target_endpoint(self, target: Target, ca_file: Path | None) -> IStreamClientEndpoint:
        """Return the endpoint of a server's target; an https one is always verified, for its host name."""
        limits = self._config.limits
        dial = dial_endpoint(self._reactor, target, limits.connect_seconds, self._events)
        if not (isinstance(target, Origin) and target.secure):
            return dial
        settings = ClientSettings(
            peer=WebPKI(host=target.host, ca_file=ca_file),
            credential=self.issuer(PresentsNoEvidence()),
            handshake_timeout_seconds=limits.handshake_seconds,
        )
        return AttestedClientEndpoint(dial, settings, self.runtime, self._events)

    def proxy(
        self,
        target: Target,
        upstream: IStreamClientEndpoint,
        placement: MeasurementPlacement,
        *,
        requesters: NoAttestation | None,
        backend: NoAttestation | None,
    ) -> ProxyFactory:
        """Return the HTTP proxy; where ``None`` is said of a side, only attested connections will do there."""
        limits = self._config.limits
        pool = UpstreamPool(
            upstream,
            self._reactor,
            UpstreamSettings(
                unattested=backend,
                placement=placement,
                timeouts=UpstreamTimeouts(
                    connect=limits.connect_seconds + limits.handshake_seconds + _DIAL_MARGIN_SECONDS,
                    response=limits.upstream_seconds,
                    stall=limits.upstream_seconds,
                    idle=min(_UPSTREAM_IDLE_SECONDS, limits.idle_seconds / 2),
                ),
                limits=limits.http,
            ),
        )
        settings = ProxySettings(
            target=_http_target(target),
            unattested=requesters,
            placement=placement,
            timeouts=AcceptingTimeouts(head=limits.header_seconds, idle=limits.idle_seconds),
            limits=limits.http,
        )
        return ProxyFactory(settings, pool, self._reactor, self._events)

    def assembled(self, endpoint: IStreamServerEndpoint, traffic: ProxyFactory) -> ProxyParts:
        """Return everything, with the health listener where one is asked for."""
        config, health = self._config, None
        listeners = [Listener(purpose="proxy", address=str(config.listen), endpoint=endpoint, factory=traffic)]
        if config.health is not None:
            health = HealthResource()
            listeners.append(
                Listener(
                    purpose="health",
                    address=str(config.health),
                    endpoint=self.listening_endpoint("listen-addr-healthcheck", config.health),
                    factory=HealthSite(health),
                    lasts=True,
                )
            )
        return ProxyParts(
            listeners=listeners,
            traffic=traffic,
            announcements=self._announcements,
            begin=self.runtime.start,
            reload=self._reload,
            release=self.runtime.stop,
            health=health,
            grace_seconds=config.limits.drain_seconds,
        )

    def _reload(self) -> None:
        if self._appraiser is None:
            self._events(Notice(message="asked to reload: no peers are appraised, so that there is nothing to reload"))
        else:
            self._appraiser.reload(self._reactor, self._events)

    def _evidence_issuer(self, presents: PresentsEvidence) -> EvidenceIssuer:
        limits, scheme = self._config.limits, presents.scheme
        build = scheme.present if presents.remote_provider is None else scheme.present_remote
        # A configuration presents only what can be presented.
        assert build is not None
        attester = EvidenceAdmission(
            build(self._scheme_settings(presents.remote_provider)),
            max_in_flight=limits.evidence_in_flight,
            deadline_seconds=limits.evidence_seconds,
            clock=self._reactor,
        )
        return EvidenceIssuer(
            attester=attester, evidence_oid=scheme.oid, leaf_key=self._leaf_key, now=_now, random=self._random
        )

    def _scheme_settings(self, remote_provider: str | None) -> SchemeSettings:
        return SchemeSettings(
            reactor=self._reactor,
            now=_now,
            simulated_platform=self._config.simulated_platform,
            remote_quote_provider=remote_provider,
        )


def _presented(presents: ServerPresents) -> str:
    match presents:
        case PresentsStaticCertificate():
            return f"the certificate in {presents.certificate_path}"
        case PresentsNoEvidence():
            return "no evidence"
        case PresentsEvidence(scheme=scheme, remote_provider=None):
            return f"evidence of type {scheme.name}"
        case PresentsEvidence(scheme=scheme, remote_provider=provider):
            return f"evidence of type {scheme.name} from {provider}"


def _expected(expects: ServerExpects | ClientExpects) -> str:
    match expects:
        case ExpectsEvidence(named=None):
            return "evidence of the types in the measurements file"
        case ExpectsEvidence(named=scheme):
            assert scheme is not None
            return f"evidence of type {scheme.name}"
        case ExpectsOrdinaryPki():
            return "a certificate of ordinary PKI"
        case ExpectsNothing():
            return "nothing"


def _http_target(target: Target) -> HttpTarget:
    if isinstance(target, Origin):
        return HttpTarget(host=target.authority.encode(), path=target.path.encode(), query=target.query.encode())
    return HttpTarget(host=b"localhost")


def _header_label(result: AttestationResult) -> str:
    return next(scheme.header_label for scheme in SCHEMES if scheme.name == result.attestation_type)


def _now() -> datetime:
    return datetime.now(UTC)
