"""The certificate that carries evidence, made and read (wire protocol, "The certificate that carries the evidence").

Making one is a DER template and one ECDSA signature, about 60 µs, because a server makes one for each connection.
Reading looks at the leaf alone: signed by its own key, inside its validity, exactly one acceptable evidence extension.
Pure: time and randomness are arguments. These rules are for evidence, never for an operator's own certificate.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from attrs import field, frozen
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cvmproxy.attestation import der_encoding as der
from cvmproxy.attestation.binding import user_data_for_key
from cvmproxy.attestation.certificate_parts import has_known_head, take_apart
from cvmproxy.errors import EvidenceError

MAX_LEAF_SIZE: Final = 96 * 1024
"""Bytes of DER; a larger leaf is refused before it is parsed, here and by the handshake engine."""

VALIDITY: Final = timedelta(hours=2)
"""Before and after the moment of making."""

ALLOWED_SKEW: Final = timedelta(minutes=5)
"""How far two clocks may be apart beyond a leaf's validity."""

_RSA_BITS: Final = range(2048, 8192 + 1)
_CURVES: Final = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)

_ECDSA_WITH_SHA256: Final = der.sequence(der.object_identifier("1.2.840.10045.4.3.2"))
_NAME: Final = der.sequence(
    der.element(
        der.SET, der.sequence(der.object_identifier("2.5.4.3"), der.element(der.PRINTABLE_STRING, b"Constellation"))
    )
)
_VERSION_3: Final = der.element(0xA0, der.integer(2))
_EXTENSIONS: Final = 0xA3


@frozen(kw_only=True)
class LeafKey:
    """A P-256 key for leaves, with what every leaf needs of it.

    :ivar spki_der: DER SubjectPublicKeyInfo.
    :ivar user_data: SHA-256 of it, 32 bytes.
    """

    key: ec.EllipticCurvePrivateKey = field(repr=False)
    spki_der: bytes
    user_data: bytes


def make_leaf_key() -> LeafKey:
    """Make a fresh key."""
    key = ec.generate_private_key(ec.SECP256R1())
    spki_der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return LeafKey(key=key, spki_der=spki_der, user_data=user_data_for_key(spki_der))


def make_leaf(
    leaf_key: LeafKey,
    *,
    now: datetime,
    random: Callable[[int], bytes],
    evidence_oid: str = "",
    document: bytes = b"",
) -> bytes:
    """Make a self-signed leaf, DER.

    :param evidence_oid: dotted OID of the extension that carries ``document``; empty for a leaf without evidence.
    """
    members = [
        _VERSION_3,
        _serial_number(random),
        _ECDSA_WITH_SHA256,
        _NAME,
        der.sequence(_time(now - VALIDITY), _time(now + VALIDITY)),
        _NAME,
        leaf_key.spki_der,
    ]
    if evidence_oid:
        extension = der.sequence(der.object_identifier(evidence_oid), der.octet_string(document))
        members.append(der.element(_EXTENSIONS, der.sequence(extension)))
    tbs = der.sequence(*members)
    signature = leaf_key.key.sign(tbs, ec.ECDSA(SHA256()))
    return der.sequence(tbs, _ECDSA_WITH_SHA256, der.element(der.BIT_STRING, b"\x00" + signature))


def _serial_number(random: Callable[[int], bytes]) -> bytes:
    value = random(16)
    # The first byte from 0x40 to 0x7f: positive, and in its shortest form whatever the randomness is.
    return der.element(der.INTEGER, bytes((value[0] & 0x3F | 0x40,)) + value[1:])


def _time(moment: datetime) -> bytes:
    # RFC 5280, 4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050.
    moment = moment.astimezone(UTC)
    if moment.year < 2050:
        return der.element(der.UTC_TIME, moment.strftime("%y%m%d%H%M%SZ").encode("ascii"))
    return der.element(der.GENERALIZED_TIME, moment.strftime("%Y%m%d%H%M%SZ").encode("ascii"))


@frozen(kw_only=True)
class EvidenceLeaf:
    """What a leaf that can be appraised carries.

    :ivar oid: dotted OID of the one acceptable evidence extension; ``document``: its value.
    :ivar user_data: SHA-256 of the SubjectPublicKeyInfo of the leaf's own key, 32 bytes.
    """

    oid: str
    document: bytes = field(repr=False)
    user_data: bytes


def read_leaf(leaf_der: bytes, *, accepted_oids: Collection[str], now: datetime) -> EvidenceLeaf:
    """Read the leaf that a peer showed.

    :param accepted_oids: dotted OIDs of the evidence that this side accepts.
    :raises EvidenceError: ``leaf-too-large``, ``leaf-malformed``, ``leaf-not-yet-valid``, ``leaf-expired``,
        ``no-evidence`` or ``ambiguous-evidence``.
    """
    if len(leaf_der) > MAX_LEAF_SIZE:
        raise EvidenceError("leaf-too-large", f"the leaf has {len(leaf_der)} bytes, over {MAX_LEAF_SIZE}")
    if not has_known_head(leaf_der):
        raise EvidenceError(
            "leaf-malformed", "the leaf is no X.509 version 3 certificate with a positive serial number"
        )
    try:
        leaf = x509.load_der_x509_certificate(leaf_der)
        user_data = user_data_for_key(_own_key(leaf))
        not_before, not_after = leaf.not_valid_before_utc, leaf.not_valid_after_utc
        extensions = take_apart(leaf_der).extensions
    except EvidenceError:
        raise
    # The library names no closed set of errors for certificates, and these bytes are a stranger's.
    except Exception as error:
        raise EvidenceError("leaf-malformed", f"the leaf cannot be parsed: {error}") from error
    _demand_validity(not_before, not_after, now)
    oid, document = _only_evidence(extensions, accepted_oids)
    return EvidenceLeaf(oid=oid, document=document, user_data=user_data)


def _only_evidence(extensions: Sequence[tuple[str, bytes]], accepted_oids: Collection[str]) -> tuple[str, bytes]:
    found = [(oid, value) for oid, value in extensions if oid in accepted_oids]
    if not found:
        raise EvidenceError("no-evidence", f"the leaf has no extension of {_listed(accepted_oids)}")
    if len(found) > 1:
        raise EvidenceError(
            "ambiguous-evidence", f"the leaf has {len(found)} evidence extensions of {_listed(accepted_oids)}"
        )
    oids = [oid for oid, _ in extensions]
    repeated = next((oid for oid in oids if oids.count(oid) > 1), None)
    if repeated is not None:
        raise EvidenceError("leaf-malformed", f"the leaf has the extension {repeated} more than once")
    return found[0]


def _own_key(leaf: x509.Certificate) -> bytes:
    """Return the DER of the key in the leaf, which must be the one that signed it."""
    key = leaf.public_key()
    if not (
        (isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES))
        or (isinstance(key, rsa.RSAPublicKey) and key.key_size in _RSA_BITS)
    ):
        raise EvidenceError(
            "leaf-malformed", "the leaf's key is neither ECDSA (P-256, P-384, P-521) nor RSA of 2048–8192"
        )
    try:
        leaf.verify_directly_issued_by(leaf)
    except InvalidSignature as error:
        raise EvidenceError("leaf-malformed", "the leaf is not signed by its own key") from error
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _demand_validity(not_before: datetime, not_after: datetime, now: datetime) -> None:
    early, late = not_before - now, now - not_after
    allowed = int(ALLOWED_SKEW.total_seconds())
    if early > ALLOWED_SKEW:
        raise EvidenceError(
            "leaf-not-yet-valid",
            f"the leaf is valid from {not_before:%Y-%m-%dT%H:%M:%SZ}, {int(early.total_seconds())} s ahead of this "
            f"clock ({allowed} s are allowed): compare the clocks",
        )
    if late > ALLOWED_SKEW:
        raise EvidenceError(
            "leaf-expired",
            f"the leaf was valid to {not_after:%Y-%m-%dT%H:%M:%SZ}, {int(late.total_seconds())} s behind this "
            f"clock ({allowed} s are allowed): compare the clocks",
        )


def _listed(oids: Collection[str]) -> str:
    return " or ".join(sorted(oids))
