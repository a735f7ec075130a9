"""What a server or a client demands of its connections, as frozen values (wire protocol, "Modes")."""

from ipaddress import ip_address
from pathlib import Path
from typing import Final, TypeAlias

from attrs import field, frozen

from cvmproxy.attestation.policy import NoAttestation
from cvmproxy.carriage.interfaces import CredentialSource, PeerAppraiser
from cvmproxy.errors import ConfigurationError

HANDSHAKE_TIMEOUT_SECONDS: Final = 30.0


def _ascii_host(host: str) -> str:
    if not host or not host.isascii():
        raise ConfigurationError("bad-option", f"give the host name in its ASCII form (xn--…): {host!r}")
    return host.rstrip(".")


@frozen(kw_only=True)
class WebPKI:
    """The server is believed under ordinary PKI, and for its host name only.

    :ivar host: host name (ASCII, or its xn-- form) or IP address, as the operator gave it.
    :ivar ca_file: PEM file of trusted authorities; ``None`` for the system's.
    """

    host: str = field(converter=_ascii_host)
    ca_file: Path | None = None

    @property
    def is_address(self) -> bool:
        """Whether the host is an IP address, which is never sent as SNI and is matched with IP SANs."""
        try:
            ip_address(self.host)
        except ValueError:
            return False
        return True


@frozen(kw_only=True)
class ServerSettings:
    """What a server shows, and what it demands of clients.

    :ivar credential: makes the server's certificate.
    :ivar peer: appraises clients, or says that none is.
    :ivar handshake_timeout_seconds: deadline for the whole handshake, waiting in queues included.
    """

    credential: CredentialSource
    peer: PeerAppraiser | NoAttestation
    handshake_timeout_seconds: float = HANDSHAKE_TIMEOUT_SECONDS


@frozen(kw_only=True)
class ClientSettings:
    """What a client demands of the server, and what it shows if it is asked.

    :ivar peer: appraises the server, or verifies it under ordinary PKI, or says that it is not looked at.
    :ivar credential: makes the certificate that answers a CertificateRequest.
    :ivar handshake_timeout_seconds: deadline for the whole handshake, waiting in queues included.
    """

    peer: PeerAppraiser | WebPKI | NoAttestation
    credential: CredentialSource
    handshake_timeout_seconds: float = HANDSHAKE_TIMEOUT_SECONDS


Settings: TypeAlias = ServerSettings | ClientSettings
