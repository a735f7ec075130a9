"""What a server or a client does, as frozen values that the composition root builds the program from.

Follows the design pages "The aTLS wire contract" (modes) and "Commands, options, environment". What a side presents and
what it expects are explicit values: there is no combination of flags whose meaning has to be worked out again, and no
value that says "nothing was said". :mod:`cvmproxy.daemon.configuration` makes them from options.
"""

from pathlib import Path
from typing import TypeAlias

from attrs import Attribute, field, frozen

from cvmproxy.carriage.interfaces import Credential
from cvmproxy.daemon.addresses import ListenAddress, Origin, Target
from cvmproxy.daemon.measurements_source import MeasurementsLocation
from cvmproxy.http.limits import HttpLimits
from cvmproxy.schemes.scheme import Scheme


@frozen(kw_only=True)
class PresentsStaticCertificate:
    """Ordinary TLS: the operator's own certificate chain and key, which belong together and which TLS takes.

    :ivar certificate_path: where they were read from, for the log.
    """

    credential: Credential
    certificate_path: Path


@frozen(kw_only=True)
class PresentsNoEvidence:
    """A self-signed certificate without evidence."""


@frozen(kw_only=True)
class PresentsEvidence:
    """Evidence, made for every connection.

    :ivar remote_provider: base URL of the remote quote provider, or ``None`` where this machine makes the evidence.
    """

    scheme: Scheme
    remote_provider: str | None = None


@frozen(kw_only=True)
class ExpectsNothing:
    """The peer is not appraised. ``because`` says why, for the log."""

    because: str


@frozen(kw_only=True)
class ExpectsOrdinaryPki:
    """A certificate under ordinary PKI, for the target's host name.

    :ivar ca_file: certificates to trust (PEM); ``None`` is the system's.
    """

    ca_file: Path | None


@frozen(kw_only=True)
class ExpectsEvidence:
    """Evidence of the named type, or of the types in the measurements file.

    :ivar named: the type that the operator named; ``None`` only where ``measurements`` says them.
    :ivar measurements: where the file is; ``None`` accepts any measurements of the named type.
    :ivar asked_by: how the operator may name another type, for messages: the option's spelling.
    """

    named: Scheme | None
    measurements: MeasurementsLocation | None = field()
    asked_by: str

    @measurements.validator
    def _types_are_said(self, attribute: "Attribute[object]", measurements: MeasurementsLocation | None) -> None:
        if self.named is None and measurements is None:
            raise ValueError("evidence is expected, and neither a type nor a measurements file says of which type")


ServerPresents: TypeAlias = PresentsStaticCertificate | PresentsNoEvidence | PresentsEvidence
ClientPresents: TypeAlias = PresentsNoEvidence | PresentsEvidence
ServerExpects: TypeAlias = ExpectsNothing | ExpectsEvidence
ClientExpects: TypeAlias = ExpectsNothing | ExpectsOrdinaryPki | ExpectsEvidence


@frozen(kw_only=True)
class Limits:
    """Deadlines in seconds, and bounds.

    :ivar handshake_seconds: a whole TLS handshake, evidence and appraisal included.
    :ivar header_seconds: the head of a request.
    :ivar idle_seconds: an idle connection.
    :ivar connect_seconds: the target's acceptance of a connection.
    :ivar upstream_seconds: silence of the target while an answer is due.
    :ivar evidence_seconds: evidence to be made, waiting included.
    :ivar evidence_in_flight: requests for evidence at once.
    :ivar drain_seconds: grace for requests in flight at shutdown; may be zero.
    :ivar http: bounds on HTTP messages.
    """

    handshake_seconds: float
    header_seconds: float
    idle_seconds: float
    connect_seconds: float
    upstream_seconds: float
    evidence_seconds: float
    evidence_in_flight: int
    drain_seconds: float
    http: HttpLimits


@frozen(kw_only=True)
class CommonConfig:
    """What both sides have.

    :ivar health: where to answer health checks, or ``None``.
    :ivar simulated_platform: the simulated platform's directory, whether or not it is used; ``None`` where a
        user has no place for one, and nothing uses it.
    :ivar warnings: what has to be said at every start.
    """

    listen: ListenAddress
    health: ListenAddress | None
    limits: Limits
    simulated_platform: Path | None
    warnings: tuple[str, ...]


@frozen(kw_only=True)
class ServerConfig(CommonConfig):
    """What a server does.

    :ivar target_ca_file: what an https target is verified with (PEM); ``None`` is the system's roots.
    """

    target: Target
    target_ca_file: Path | None
    presents: ServerPresents
    expects: ServerExpects


@frozen(kw_only=True)
class ClientConfig(CommonConfig):
    """What a client does. Its target is always https, under what it expects."""

    target: Origin
    presents: ClientPresents
    expects: ClientExpects
