"""X.509 chains of Intel's profile, verified to one pinned root (RFC 5280, section 6, restricted).

Specification: Intel "SGX PCK Certificate and Certificate Revocation List Profile". The profile fixes what a general
path validation leaves open: three certificates or two, their subject common names, ECDSA P-256 with SHA-256, basic
constraints and key usage present, and the root itself, which is compared byte for byte.

Whether a chain belongs to a PCK or to collateral decides the codes of its errors: a :class:`ChainFamily`.
"""

import base64
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Self

from attrs import field, frozen
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from cvmproxy.attestation.certificate_parts import has_known_head
from cvmproxy.attestation.validity import WindowCodes, require_validity
from cvmproxy.errors import AuthenticationError, CollateralError, ConfigurationError

ROOT_NAME: Final = "Intel SGX Root CA"
PCK_NAME: Final = "Intel SGX PCK Certificate"
PLATFORM_CA_NAME: Final = "Intel SGX PCK Platform CA"
PROCESSOR_CA_NAME: Final = "Intel SGX PCK Processor CA"
TCB_SIGNING_NAME: Final = "Intel SGX TCB Signing"

MAX_CHAIN_SIZE: Final = 16 * 1024
"""Bytes of a PEM chain. Intel's have about 4 KiB."""

UNREADABLE: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What cryptography raises on certificates and CRLs that it cannot read; it decodes much of them on first use."""

_PEM: Final = re.compile(rb"-----BEGIN CERTIFICATE-----([^-]*)-----END CERTIFICATE-----")
_SPACE: Final = re.compile(rb"[ \t\r\n]+")
_HANDLED_CRITICAL: Final = frozenset({x509.BasicConstraints.oid, x509.KeyUsage.oid})


@frozen(kw_only=True)
class ChainFamily(WindowCodes):
    """The errors of a chain: of which class, and with which codes."""

    invalid: str


PCK_CHAIN: Final = ChainFamily(
    error=AuthenticationError,
    invalid="pck-chain-invalid",
    expired="pck-expired",
    not_yet_valid="pck-not-yet-valid",
)
COLLATERAL_CHAIN: Final = ChainFamily(
    error=CollateralError,
    invalid="collateral-signature",
    expired="collateral-expired",
    not_yet_valid="collateral-not-yet-valid",
)


@frozen(kw_only=True)
class Certificate:
    """A certificate whose parts that matter here have been read.

    :ivar name: the subject's one common name.
    :ivar path_length: how many CAs may follow; ``None``: any number. Meaningful for a CA only.
    """

    parsed: x509.Certificate = field(repr=False)
    name: str
    public_key: ec.EllipticCurvePublicKey = field(repr=False)
    is_ca: bool
    path_length: int | None
    key_usage: x509.KeyUsage = field(repr=False)

    @classmethod
    def read(cls, certificate: x509.Certificate) -> Self:
        """Read what the profile demands.

        :raises ValueError: it is not there.
        """
        try:
            names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
            public_key = certificate.public_key()
            extensions = certificate.extensions
            constraints = extensions.get_extension_for_class(x509.BasicConstraints).value
            key_usage = extensions.get_extension_for_class(x509.KeyUsage).value
        except x509.ExtensionNotFound as error:
            raise ValueError(f"a certificate has no {error.oid._name} extension") from None
        except UNREADABLE as error:
            raise ValueError(f"a certificate cannot be read: {error}") from None
        if len(names) != 1 or not isinstance(names[0].value, str):
            raise ValueError("a certificate's subject has not exactly one common name")
        if not isinstance(public_key, ec.EllipticCurvePublicKey) or not isinstance(public_key.curve, ec.SECP256R1):
            raise ValueError(f"the key of {names[0].value!r} is not on P-256")
        unknown = [e.oid.dotted_string for e in extensions if e.critical and e.oid not in _HANDLED_CRITICAL]
        if unknown:
            raise ValueError(f"{names[0].value!r} has the unknown critical extension {unknown[0]}")
        return cls(
            parsed=certificate,
            name=names[0].value,
            public_key=public_key,
            is_ca=constraints.ca,
            path_length=constraints.path_length,
            key_usage=key_usage,
        )

    def require_issued(self, certificate: x509.Certificate) -> None:
        """Compare names, and verify the signature of a certificate of which nothing else has been read.

        :raises ValueError: this one did not issue it.
        """
        try:
            if certificate.signature_algorithm_oid != x509.SignatureAlgorithmOID.ECDSA_WITH_SHA256:
                raise ValueError("it is not signed with ECDSA and SHA-256")
            certificate.verify_directly_issued_by(self.parsed)
        except InvalidSignature:
            raise ValueError(f"{self.name!r} did not sign the certificate below it") from None
        except UNREADABLE as error:
            raise ValueError(f"{self.name!r} did not issue the certificate below it: {error}") from None

    def require_authority(self, authorities_below: int) -> None:
        """Demand that it may issue certificates and CRLs, with so many CAs between it and the leaf.

        :raises ValueError: it may not.
        """
        if not self.is_ca or not self.key_usage.key_cert_sign or not self.key_usage.crl_sign:
            raise ValueError(f"{self.name!r} may not issue certificates and CRLs")
        if self.path_length is not None and self.path_length < authorities_below:
            raise ValueError(f"the path below {self.name!r} is too long")

    def require_end_entity(self) -> None:
        """Demand that it may sign, and that it is no CA.

        :raises ValueError: it may not, or is one.
        """
        if self.is_ca or not self.key_usage.digital_signature or self.key_usage.key_cert_sign:
            raise ValueError(f"{self.name!r} is not a certificate for signatures alone")


@frozen(kw_only=True)
class TrustRoot:
    """The one root that everything is verified to.

    :ivar der: its certificate's bytes, with which a chain has to end.
    """

    der: bytes = field(repr=False)
    certificate: Certificate

    @classmethod
    def from_der(cls, der: bytes) -> Self:
        """Take an operator's or the package's root certificate.

        :raises ConfigurationError: it cannot be the root of such chains.
        """
        try:
            certificate = Certificate.read(x509.load_der_x509_certificate(der))
            certificate.require_authority(1)
            certificate.require_issued(certificate.parsed)
            if certificate.name != ROOT_NAME:
                raise ValueError(f"its common name is {certificate.name!r}, not {ROOT_NAME!r}")
        except UNREADABLE as error:
            raise ConfigurationError("bad-option", f"the DCAP root certificate cannot be used: {error}") from None
        return cls(der=der, certificate=certificate)


def load_chain(pem: bytes) -> tuple[x509.Certificate, ...]:
    """Read the certificates of a PEM text, in their order. Text outside of them means nothing.

    :raises ValueError: it is larger than :data:`MAX_CHAIN_SIZE`, or holds no certificate, or what is none.
    """
    if len(pem) > MAX_CHAIN_SIZE:
        raise ValueError(f"a chain of {len(pem)} bytes is larger than {MAX_CHAIN_SIZE}")
    blocks = _PEM.findall(pem)
    if not blocks:
        raise ValueError("the chain's PEM holds no certificate")
    try:
        return tuple(_load(base64.b64decode(_SPACE.sub(b"", block), validate=True)) for block in blocks)
    except UNREADABLE as error:
        raise ValueError(f"the chain's PEM cannot be read: {error}") from None


def _load(certificate_der: bytes) -> x509.Certificate:
    if not has_known_head(certificate_der):
        raise ValueError("no X.509 version 3 certificate with a positive serial number")
    return x509.load_der_x509_certificate(certificate_der)


def verify_issuance(
    chain: Sequence[x509.Certificate], names: Sequence[frozenset[str]], root: TrustRoot, family: ChainFamily
) -> tuple[Certificate, ...]:
    """Verify a chain, leaf first and pinned root last, in everything but time and revocation.

    :param names: for each certificate, the common names that it may have.
    :raises CvmproxyError: of the family's class, with its code for invalid.
    """
    try:
        if len(chain) != len(names):
            raise ValueError(f"the chain has {len(chain)} certificates, not {len(names)}")
        if chain[-1].public_bytes(Encoding.DER) != root.der:
            raise ValueError("the chain does not end with the trusted root")
        certificates = _read_downwards(chain[:-1], root.certificate)
        for certificate, allowed in zip(certificates, names, strict=True):
            if certificate.name not in allowed:
                raise ValueError(f"{certificate.name!r} stands where {sorted(allowed)} was expected")
        certificates[0].require_end_entity()
        for below, authority in enumerate(certificates[1:]):
            authority.require_authority(below)
    except ValueError as error:
        raise family.error(family.invalid, str(error)) from None
    return certificates


def _read_downwards(chain: Sequence[x509.Certificate], root: Certificate) -> tuple[Certificate, ...]:
    """Read the certificates below the root, each only once its issuer's signature has been verified."""
    certificates: tuple[Certificate, ...] = (root,)
    for certificate in reversed(chain):
        certificates[0].require_issued(certificate)
        certificates = (Certificate.read(certificate), *certificates)
    return certificates


def verify_chain(
    chain: Sequence[x509.Certificate],
    names: Sequence[frozenset[str]],
    root: TrustRoot,
    now: datetime,
    family: ChainFamily,
) -> tuple[Certificate, ...]:
    """Verify a chain, leaf first and pinned root last, in everything but revocation.

    :param names: for each certificate, the common names that it may have.
    :raises CvmproxyError: of the family's class, with one of its codes.
    """
    certificates = verify_issuance(chain, names, root, family)
    for certificate in certificates:
        require_certificate_validity(certificate, now, family)
    return certificates


def require_certificate_validity(certificate: Certificate, now: datetime, family: ChainFamily) -> None:
    """Demand that ``now`` is inside the certificate's validity.

    :raises CvmproxyError: of the family's class, with its code for expired or for not yet valid.
    """
    require_validity(
        f"certificate {certificate.name!r}",
        certificate.parsed.not_valid_before_utc,
        certificate.parsed.not_valid_after_utc,
        now,
        family,
    )
