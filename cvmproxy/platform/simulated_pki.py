"""The certificates of the simulated TDX platform, minted (attestation formats, "Software TDX platform").

Root CA → platform CA → PCK leaf with the SGX extension; root CA → TCB signing certificate. Subject common names equal
Intel's, because verifiers compare them; the organisation says what this is. Everything is pure: time and randomness
are arguments and ECDSA is deterministic, so equal arguments give equal bytes. Tests make correctly signed mutants by
passing other templates (``attrs.evolve``) to the same functions.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from attrs import evolve, field, frozen
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from cvmproxy.attestation import der_encoding as der
from cvmproxy.attestation.certificate_chain import PCK_NAME, PLATFORM_CA_NAME, ROOT_NAME, TCB_SIGNING_NAME
from cvmproxy.attestation.pck import SGX_EXTENSION_OID

Randomness: TypeAlias = Callable[[int], bytes]
"""Gives that many bytes: ``os.urandom``, or something that a test can repeat."""

ORGANISATION: Final = "SIMULATED, INSECURE, NOT INTEL"

#: A throw-away root needs no more, and an operator who keeps it longer makes a new one.
CERTIFICATE_LIFETIME: Final = timedelta(days=3650)
#: Another host's clock may be behind the one that made the platform.
BACKDATING: Final = timedelta(days=1)

_ORDER_P256: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@frozen(kw_only=True)
class PlatformIdentity:
    """What the SGX extension of a PCK certificate says of its platform.

    :ivar fmspc: 6 bytes; only decimal digits by default, so that no case folding hides in a comparison.
    :ivar component_svns: the sixteen SGX TCB components.
    :ivar cpu_svn: 16 bytes.
    """

    ppid: bytes = bytes.fromhex("51a1517e51a1517e51a1517e51a1517e")
    component_svns: tuple[int, ...] = (2, 2, 2, 2, 3, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0)
    pce_svn: int = 11
    cpu_svn: bytes = bytes((2, 2, 2, 2, 3, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0))
    pce_id: bytes = bytes(2)
    fmspc: bytes = bytes.fromhex("905106000000")
    sgx_type: int = 1
    platform_instance_id: bytes = bytes.fromhex("51517e51517e51517e51517e51517e51")
    dynamic_platform: bool = True
    cached_keys: bool = True
    smt_enabled: bool = True


@frozen(kw_only=True)
class CertificateTemplate:
    """One certificate to mint.

    :ivar path_length: the path length constraint of a CA; ``None`` for none.
    :ivar sgx_extension_der: value of the SGX extension, ``None`` for none.
    """

    common_name: str
    not_before: datetime
    not_after: datetime
    organisation: str = ORGANISATION
    is_ca: bool = False
    path_length: int | None = None
    sgx_extension_der: bytes | None = None


@frozen(kw_only=True)
class Signer:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def certificate_der(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def certificate_pem(self) -> bytes:
        """The certificate, one PEM block with a line feed at its end."""
        return self.certificate.public_bytes(Encoding.PEM)

    def sign_raw(self, message: bytes) -> bytes:
        """ECDSA over SHA-256, as ``r ‖ s``, 64 bytes: the form of quotes and of signed collateral."""
        return raw_signature(self.key, message)


@frozen(kw_only=True)
class PkiTemplates:
    """The four certificates of a platform before they are minted; a test replaces what it wants to be wrong."""

    root: CertificateTemplate
    platform_ca: CertificateTemplate
    pck: CertificateTemplate
    tcb_signing: CertificateTemplate


@frozen(kw_only=True)
class SimulatedPki:
    """The four certificates of a platform with their keys."""

    root: Signer
    platform_ca: Signer
    pck: Signer
    tcb_signing: Signer

    @property
    def pck_chain_pem(self) -> bytes:
        """Leaf, CA and root, as they stand in a quote."""
        return self.pck.certificate_pem + self.platform_ca.certificate_pem + self.root.certificate_pem

    @property
    def pck_crl_issuer_chain_pem(self) -> bytes:
        """Platform CA and root."""
        return self.platform_ca.certificate_pem + self.root.certificate_pem

    @property
    def tcb_signing_chain_pem(self) -> bytes:
        """TCB signing certificate and root."""
        return self.tcb_signing.certificate_pem + self.root.certificate_pem


def mint_key(random: Randomness) -> ec.EllipticCurvePrivateKey:
    """A P-256 key from 48 random bytes (FIPS 186-5, A.2.1: the surplus makes the bias of the reduction negligible)."""
    return ec.derive_private_key(int.from_bytes(random(48), "big") % (_ORDER_P256 - 1) + 1, ec.SECP256R1())


def raw_signature(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """Deterministic ECDSA over SHA-256 as ``r ‖ s``, 64 bytes."""
    encoded = key.sign(message, _DETERMINISTIC)
    # DER of two integers below 2^256: every length is one byte.
    r_end = 4 + encoded[3]
    r = int.from_bytes(encoded[4:r_end], "big")
    s = int.from_bytes(encoded[r_end + 2 :], "big")
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


_DETERMINISTIC: Final = ec.ECDSA(SHA256(), deterministic_signing=True)


def default_templates(now: datetime, platform: PlatformIdentity) -> PkiTemplates:
    """The four certificates of an honest platform, valid from a day before ``now`` for ten years."""
    leaf = CertificateTemplate(common_name=PCK_NAME, not_before=now - BACKDATING, not_after=now + CERTIFICATE_LIFETIME)
    return PkiTemplates(
        root=evolve(leaf, common_name=ROOT_NAME, is_ca=True, path_length=1),
        platform_ca=evolve(leaf, common_name=PLATFORM_CA_NAME, is_ca=True, path_length=0),
        pck=evolve(leaf, sgx_extension_der=sgx_extension(platform)),
        tcb_signing=evolve(leaf, common_name=TCB_SIGNING_NAME),
    )


def mint_pki(templates: PkiTemplates, random: Randomness) -> SimulatedPki:
    """Mint all four certificates, each under its proper issuer, with fresh keys."""
    root = mint_certificate(templates.root, random=random)
    platform_ca = mint_certificate(templates.platform_ca, issuer=root, random=random)
    return SimulatedPki(
        root=root,
        platform_ca=platform_ca,
        pck=mint_certificate(templates.pck, issuer=platform_ca, random=random),
        tcb_signing=mint_certificate(templates.tcb_signing, issuer=root, random=random),
    )


def mint_certificate(template: CertificateTemplate, *, issuer: Signer | None = None, random: Randomness) -> Signer:
    """Mint one certificate with a fresh key; without ``issuer`` it signs itself."""
    key = mint_key(random)
    subject = _name(template)
    issuer_key = issuer.key if issuer else key
    key_identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(_serial_number(random))
        .not_valid_before(template.not_before)
        .not_valid_after(template.not_after)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .add_extension(key_identifier, critical=False)
        .add_extension(_key_usage(template.is_ca), critical=True)
        .add_extension(x509.BasicConstraints(template.is_ca, template.path_length), critical=True)
    )
    if template.sgx_extension_der is not None:
        oid = x509.ObjectIdentifier(SGX_EXTENSION_OID)
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, template.sgx_extension_der), critical=False)
    return Signer(certificate=builder.sign(issuer_key, SHA256(), ecdsa_deterministic=True), key=key)


def mint_crl(
    issuer: Signer, *, this_update: datetime, next_update: datetime, revoked_serials: tuple[int, ...] = ()
) -> bytes:
    """Mint a CRL of that issuer, DER."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(this_update)
        .next_update(next_update)
        .add_extension(x509.CRLNumber(1), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), critical=False)
    )
    for serial in revoked_serials:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(this_update)
        builder = builder.add_revoked_certificate(
            entry.add_extension(x509.CRLReason(x509.ReasonFlags.key_compromise), critical=False).build()
        )
    return builder.sign(issuer.key, SHA256(), ecdsa_deterministic=True).public_bytes(Encoding.DER)


def sgx_extension(platform: PlatformIdentity) -> bytes:
    """The value of the SGX extension with all seven parts (Intel PCK certificate profile), DER."""

    def part(number: str, value: bytes) -> bytes:
        return der.sequence(der.object_identifier(f"{SGX_EXTENSION_OID}.{number}"), value)

    components = [part(f"2.{n}", der.integer(svn)) for n, svn in enumerate(platform.component_svns, start=1)]
    return der.sequence(
        part("1", der.octet_string(platform.ppid)),
        part(
            "2",
            der.sequence(
                *components,
                part("2.17", der.integer(platform.pce_svn)),
                part("2.18", der.octet_string(platform.cpu_svn)),
            ),
        ),
        part("3", der.octet_string(platform.pce_id)),
        part("4", der.octet_string(platform.fmspc)),
        part("5", der.integer(platform.sgx_type, der.ENUMERATED)),
        part("6", der.octet_string(platform.platform_instance_id)),
        part(
            "7",
            der.sequence(
                part("7.1", der.boolean(platform.dynamic_platform)),
                part("7.2", der.boolean(platform.cached_keys)),
                part("7.3", der.boolean(platform.smt_enabled)),
            ),
        ),
    )


def _name(template: CertificateTemplate) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, template.common_name),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, template.organisation),
        ]
    )


def _key_usage(is_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_ca,
        content_commitment=not is_ca,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        encipher_only=False,
        decipher_only=False,
    )


def _serial_number(random: Randomness) -> int:
    # 20 bytes, positive and never zero (RFC 5280, 4.1.2.2).
    return int.from_bytes(random(20), "big") >> 1 | 1
