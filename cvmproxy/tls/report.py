"""What the event stream says of a connection: one event, when it opens or when it is refused.

A TLS 1.3 client that the server refuses has both: it opens first, and learns of the refusal at its first read.
"""

from attrs import frozen
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress

from cvmproxy.attestation.policy import AttestationResult, PeerIdentity
from cvmproxy.errors import AppraisalError, CvmproxyError
from cvmproxy.events import HandshakeRefused, HandshakeSucceeded
from cvmproxy.tls.runtime import FormatEntry


@frozen(kw_only=True)
class Subject:
    """What every event about one connection says."""

    connection_id: int
    role: str
    peer: str


def printed_peer(address: IAddress) -> str:
    """Return ``host:port``, with brackets round an IPv6 address; any other address as it prints itself."""
    if isinstance(address, IPv6Address) and address.host.startswith("::ffff:") and "." in address.host:
        # A listener for both families sees an IPv4 peer in IPv6 clothes.
        return f"{address.host.removeprefix('::ffff:')}:{address.port}"
    if isinstance(address, IPv6Address):
        return f"[{address.host}]:{address.port}"
    return f"{address.host}:{address.port}" if isinstance(address, IPv4Address) else str(address)


def succeeded(subject: Subject, identity: PeerIdentity, tls_version: str, seconds: float) -> HandshakeSucceeded:
    """The event of a connection that opened."""
    if isinstance(identity, AttestationResult):
        attestation_type, measurement_id = identity.attestation_type, identity.measurement_id
        facts = dict(identity.claims.platform.facts())
        if identity.warnings:
            facts["warn_only_mismatches"] = ",".join(map(str, identity.warnings))
    else:
        attestation_type, measurement_id, facts = "none", "", {"because": identity.because}
    return HandshakeSucceeded(
        connection_id=subject.connection_id,
        role=subject.role,
        peer=subject.peer,
        tls_version=tls_version,
        attestation_type=attestation_type,
        measurement_id=measurement_id,
        seconds=seconds,
        facts=facts,
    )


def refused(
    subject: Subject, error: CvmproxyError, seconds: float, format_entry: FormatEntry | None
) -> HandshakeRefused:
    """The event of a connection that was refused; with the entry to paste where measurements were the reason."""
    message, paste = error.message, ""
    if isinstance(error, AppraisalError):
        message = "\n".join((error.message, *error.detail))
        if error.measured and format_entry is not None:
            paste = format_entry(error.attestation_type, error.measured)
    return HandshakeRefused(
        connection_id=subject.connection_id,
        role=subject.role,
        peer=subject.peer,
        code=error.code,
        message=message,
        seconds=seconds,
        paste=paste,
    )
