"""What the rest of the package may ask of an attested transport."""

from collections.abc import Callable

from cryptography import x509
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from cvmproxy.attestation.policy import PeerIdentity


class IAttestedTransport(Interface):
    """Provided by the transport of a protocol wrapped by :mod:`cvmproxy.tls`; the handshake is over when it is seen."""

    identity = Attribute(
        """:class:`~cvmproxy.attestation.policy.AttestationResult` or
        :class:`~cvmproxy.attestation.policy.NoAttestation`: what the appraisal said of the peer."""
    )

    negotiated_protocol = Attribute("""What ALPN chose, as bytes, or ``None``; nothing is offered today.""")

    def peer_certificate() -> x509.Certificate | None:
        """Return the peer's leaf, or ``None`` where it showed none."""

    def export_keying_material(label: bytes, size: int, context: bytes | None) -> bytes:
        """Return an RFC 5705 / RFC 8446 exporter value: the seam for a post-handshake carriage."""

    def dial_backend(dial: Callable[[PeerIdentity], Deferred[object]]) -> None:
        """Dial what is behind this connection before anything is read from it; to be called in ``connectionMade``.

        Reading starts when the Deferred fires; if it fails, the connection is closed. The failure is for ``dial`` to
        report.
        """
