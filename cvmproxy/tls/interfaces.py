"""What the rest of the package may ask of an attested transport."""

from cryptography import x509
from zope.interface import Attribute, Interface


class IAttestedTransport(Interface):
    """Provided by the transport of a protocol wrapped by :mod:`cvmproxy.tls`; the handshake is over when it is seen."""

    identity = Attribute(
        """:class:`~cvmproxy.attestation.policy.AttestationResult` or
        :class:`~cvmproxy.attestation.policy.NoAttestation`: what the appraisal said of the peer."""
    )

    def peer_certificate() -> x509.Certificate | None:
        """Return the peer's leaf, or ``None`` where it showed none."""

    def export_keying_material(label: bytes, size: int, context: bytes | None) -> bytes:
        """Return an RFC 5705 / RFC 8446 exporter value: the seam for a post-handshake carriage."""
