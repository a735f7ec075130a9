"""A carriage for tests of the TLS engine: the attestation document is the nonce itself. Real certificates, no TDX."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta

from attrs import field, frozen
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from cvmproxy.attestation.model import Claims, Endorsements, Nonce, ReferenceEntry, ReferenceValues
from cvmproxy.attestation.policy import AppraisalPolicy, AttestationResult, NoAttestation, appraise
from cvmproxy.carriage.interfaces import Credential
from cvmproxy.errors import AuthenticationError, EvidenceError

OID = x509.ObjectIdentifier("1.3.9900.1.1")
PADDING_OID = x509.ObjectIdentifier("1.3.9900.0.1")
UNATTESTED = NoAttestation(because="a test without evidence")


async def _at_once() -> None:
    return None


@frozen
class MadeUpPlatform:
    def facts(self) -> Mapping[str, str]:
        return {"made": "up"}


class AnyPlatform:
    def appraise(self, claims: Claims) -> None:
        """Every platform is good enough for a test of TLS."""


def self_signed(
    key: ec.EllipticCurvePrivateKey,
    document: bytes | None,
    *,
    padding: int = 0,
    names: x509.SubjectAlternativeName | None = None,
) -> bytes:
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Constellation")])
    builder = (
        x509.CertificateBuilder(subject_name=name, issuer_name=name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=2))
        .not_valid_after(now + timedelta(hours=2))
    )
    if document is not None:
        builder = builder.add_extension(x509.UnrecognizedExtension(OID, document), critical=False)
    if padding:
        builder = builder.add_extension(x509.UnrecognizedExtension(PADDING_OID, bytes(padding)), critical=False)
    if names is not None:
        builder = builder.add_extension(names, critical=False)
    return builder.sign(key, SHA256()).public_bytes(Encoding.DER)


class NonceIssuer:
    """Attests with the peer's nonce; ``wait`` stands for a platform that takes its time."""

    needs_nonce = True

    def __init__(
        self,
        *,
        wait: Callable[[], Awaitable[object]] = _at_once,
        forge: Callable[[Nonce], bytes | None] = lambda nonce: nonce,
        padding: int = 0,
    ) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.nonces: list[Nonce] = []
        self.issued = 0
        self._wait = wait
        self._forge = forge
        self._padding = padding

    async def issue(self, peer_nonce: Nonce) -> Credential:
        self.nonces.append(peer_nonce)
        await self._wait()
        self.issued += 1
        certificate = self_signed(self.key, self._forge(peer_nonce), padding=self._padding)
        return Credential(certificate_der=certificate, key=self.key)


class PlainIssuer:
    """Shows one certificate without evidence to everybody."""

    needs_nonce = False

    def __init__(self, names: x509.SubjectAlternativeName | None = None) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        self.credential = Credential(certificate_der=self_signed(key, None, names=names), key=key)

    async def issue(self, peer_nonce: Nonce) -> Credential:
        return self.credential


@frozen(kw_only=True)
class PresentedDocument:
    document: bytes = field(repr=False)
    nonce: Nonce


class NonceAppraiser:
    """Accepts evidence that is the nonce of this very connection."""

    def __init__(self, *, wait: Callable[[], Awaitable[object]] = _at_once) -> None:
        self.nonces: list[Nonce] = []
        self.appraisals = 0
        self._wait = wait

    def read(self, leaf_der: bytes, nonce: Nonce) -> PresentedDocument:
        self.nonces.append(nonce)
        for extension in x509.load_der_x509_certificate(leaf_der).extensions:
            if extension.oid == OID:
                return PresentedDocument(document=extension.value.value, nonce=nonce)
        raise EvidenceError("no-evidence", "the certificate has no evidence")

    async def endorse(self, presented: PresentedDocument) -> Endorsements:
        await self._wait()
        return {}

    def appraise(self, presented: PresentedDocument, endorsements: Endorsements) -> AttestationResult:
        self.appraisals += 1
        if presented.document != presented.nonce:
            raise AuthenticationError("nonce-mismatch", "the document is not this connection's nonce")
        return result_of_appraisal()


def result_of_appraisal() -> AttestationResult:
    now = datetime.now(UTC)
    claims = Claims(attestation_type="made-up", measurements={0: bytes(48)}, platform=MadeUpPlatform(), not_after=now)
    entry = ReferenceEntry(measurement_id="any", attestation_type="made-up", registers={})
    references = ReferenceValues(entries=(entry,), digest="")
    return appraise(claims, AppraisalPolicy(references=references, platform={"made-up": AnyPlatform()}), now)
