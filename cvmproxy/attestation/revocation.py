"""Revocation lists of Intel's profile: read, authenticated by their issuer, and asked (RFC 5280, section 5)."""

from datetime import datetime
from typing import Final, Self

from attrs import field, frozen
from cryptography import x509

from cvmproxy.attestation.certificate_chain import COLLATERAL_CHAIN, UNREADABLE, Certificate
from cvmproxy.attestation.validity import require_validity
from cvmproxy.errors import CollateralError, CvmproxyError

MAX_CRL_SIZE: Final = 4 * 1024 * 1024
"""Bytes of a CRL in DER. Intel's PCK CRLs have a few KiB; one entry takes about 50 bytes."""


@frozen(kw_only=True)
class RevocationList:
    """A CRL that is authentic and in force.

    :ivar next_update: when its successor is due (UTC).
    """

    parsed: x509.CertificateRevocationList = field(repr=False)
    next_update: datetime

    @classmethod
    def authenticate(cls, der: bytes, issuer: Certificate, now: datetime) -> Self:
        """Read a CRL, and verify that ``issuer`` signed it and that ``now`` is inside its window.

        A critical extension is refused: it would say that the list is partial, indirect, or a delta.

        :raises CollateralError: ``collateral-malformed``, ``-signature``, ``-expired`` or ``-not-yet-valid``.
        """
        what = f"the CRL of {issuer.name!r}"
        crl = _load(der, what)
        if crl.signature_algorithm_oid != x509.SignatureAlgorithmOID.ECDSA_WITH_SHA256:
            raise CollateralError("collateral-signature", f"{what} is not signed with ECDSA and SHA-256")
        if not crl.is_signature_valid(issuer.public_key):
            raise CollateralError("collateral-signature", f"the signature of {what} does not verify")
        name, extensions = _decoded(crl, what)
        if name != issuer.parsed.subject:
            raise CollateralError("collateral-signature", f"{what} names another issuer")
        critical = [extension.oid.dotted_string for extension in extensions if extension.critical]
        if critical:
            raise CollateralError("collateral-malformed", f"{what} has the critical extension {critical[0]}")
        next_update = crl.next_update_utc
        if next_update is None:
            raise CollateralError("collateral-malformed", f"{what} does not say when it ends")
        require_validity(what, crl.last_update_utc, next_update, now, COLLATERAL_CHAIN)
        return cls(parsed=crl, next_update=next_update)

    def require_not_revoked(self, certificate: Certificate, error: type[CvmproxyError]) -> None:
        """Demand that the list does not hold the certificate.

        :raises CvmproxyError: ``revoked``, as the given class.
        """
        if self.parsed.get_revoked_certificate_by_serial_number(certificate.parsed.serial_number) is not None:
            raise error("revoked", f"certificate {certificate.name!r} with serial {_serial(certificate)} is revoked")


def _load(der: bytes, what: str) -> x509.CertificateRevocationList:
    if len(der) > MAX_CRL_SIZE:
        raise CollateralError("collateral-malformed", f"{what} has {len(der)} bytes, more than {MAX_CRL_SIZE}")
    try:
        return x509.load_der_x509_crl(der)
    except UNREADABLE as error:
        raise CollateralError("collateral-malformed", f"{what} cannot be read: {error}") from None


def _decoded(crl: x509.CertificateRevocationList, what: str) -> tuple[x509.Name, x509.Extensions]:
    """Return the issuer's name and the extensions, which the library decodes on demand, with warnings."""
    try:
        return crl.issuer, crl.extensions
    except UNREADABLE as error:
        raise CollateralError("collateral-malformed", f"{what} cannot be read: {error}") from None


def _serial(certificate: Certificate) -> str:
    return f"{certificate.parsed.serial_number:x}"
