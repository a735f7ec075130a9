"""Transports as HTTP sees them: what it calls, and who is at the other end.

The HTTP engine opens a connection for an :class:`AttestationResult` or for an explicit :class:`NoAttestation`, and
never for want of either.
"""

from contextlib import suppress
from typing import Protocol

from twisted.internet.interfaces import IAddress

from cvmproxy.attestation.policy import AttestationResult, NoAttestation, PeerIdentity
from cvmproxy.errors import CvmproxyError
from cvmproxy.tls.interfaces import IAttestedTransport


class StreamTransport(Protocol):
    """What both sides call of their transport: plain TCP, a Unix socket, or the attested TLS transport."""

    def write(self, data: bytes, /) -> None:
        """Send, or buffer, bytes."""

    def pauseProducing(self) -> None:
        """Read no more."""

    def resumeProducing(self) -> None:
        """Read again."""

    def registerProducer(self, producer: object, streaming: bool, /) -> None:
        """Tell ``producer`` when the send buffer is full, and when it is empty again."""

    def unregisterProducer(self) -> None:
        """Tell it no more; without this, a close waits for the producer."""

    def loseWriteConnection(self) -> None:
        """End our direction once all is sent."""

    def loseConnection(self) -> None:
        """Close once all is sent."""

    def abortConnection(self) -> None:
        """Close now, without a clean end."""

    def getPeer(self) -> IAddress:
        """Return the other end's address."""


def send_at_once(transport: StreamTransport) -> None:
    """Switch Nagle's algorithm off: what is written belongs on the wire. Unix sockets know none."""
    set_no_delay = getattr(transport, "setTcpNoDelay", None)
    if set_no_delay is not None:
        # Twisted's Unix transports have the method too, and the kernel refuses.
        with suppress(OSError):
            set_no_delay(True)


def end_writing(transport: StreamTransport) -> None:
    """End our direction once all is sent; a transport with a producer would wait for more."""
    transport.unregisterProducer()
    transport.loseWriteConnection()


def identity_of(transport: StreamTransport, unattested: NoAttestation | None) -> PeerIdentity:
    """Return what the appraisal said of the peer, or ``unattested`` where the transport appraises nobody.

    :param unattested: the operator's explicit statement; ``None`` where only attested transports will do.
    :raises CvmproxyError: neither is there. That is a bug, and the connection must not be used.
    """
    if IAttestedTransport.providedBy(transport):
        identity = transport.identity
        if isinstance(identity, AttestationResult | NoAttestation):
            return identity
    elif unattested is not None:
        return unattested
    raise CvmproxyError("internal-error", "a transport without an attestation result, where one is demanded")


def name_of(address: IAddress) -> tuple[bytes | None, str]:
    """Return an address for X-Forwarded-For, ``None`` where there is none (a Unix socket), and the whole for logs."""
    host = getattr(address, "host", None)
    if not host:
        return None, "unix"
    if "." in host:
        # A listener for both families sees an IPv4 requester in IPv6 clothes.
        host = host.removeprefix("::ffff:")
    port = getattr(address, "port", 0)
    return host.encode("ascii"), f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
