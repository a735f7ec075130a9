"""How a nonce travels in a TLS handshake: wire protocol, "Roles, nonces, binding".

The client's nonce is the SNI server name, in standard base64 with padding. The server's is the common name of the one
distinguished name in its CertificateRequest's list of certificate authorities, in base64 too. Pure.
"""

import base64
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from cvmproxy.attestation.model import Nonce
from cvmproxy.errors import NonceError

NONCE_SIZE: Final = 32
"""Bytes of a nonce that we send. A peer's may have any length."""

_BASE64: Final = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


def encode_nonce(nonce: Nonce) -> bytes:
    """Return the nonce in standard base64 with padding: 44 characters for 32 bytes."""
    return base64.b64encode(nonce)


def decode_nonce(text: bytes) -> Nonce:
    """Read standard base64 with padding, exactly as given: nothing is stripped, folded or added.

    :raises NonceError: ``nonce-malformed``.
    """
    if _BASE64.fullmatch(text) is None:
        raise NonceError("nonce-malformed", f"the peer's nonce is not standard base64 with padding: {text[:80]!r}")
    return Nonce(base64.b64decode(text))


def nonce_from_server_name(server_name: bytes | None) -> Nonce:
    """Read a client's nonce from the SNI server name; no SNI is the empty nonce.

    :raises NonceError: ``nonce-malformed``.
    """
    return Nonce(b"") if server_name is None else decode_nonce(server_name)


def nonce_from_authorities(names_der: Sequence[bytes]) -> Nonce:
    """Read a server's nonce from the certificate authorities of its CertificateRequest: DER distinguished names.

    :raises NonceError: ``nonce-malformed``: not exactly one name, not exactly one common name in it, no base64.
    """
    if len(names_der) != 1:
        raise NonceError("nonce-malformed", f"the server's request names {len(names_der)} authorities instead of one")
    try:
        common_names = x509.Name.from_bytes(names_der[0]).get_attributes_for_oid(NameOID.COMMON_NAME)
    except ValueError as error:
        raise NonceError("nonce-malformed", f"the authority's name cannot be read: {error}") from None
    if len(common_names) != 1:
        raise NonceError("nonce-malformed", f"the authority's name has {len(common_names)} common names instead of one")
    value = common_names[0].value
    return decode_nonce(value if isinstance(value, bytes) else value.encode())


def authority_for_nonce(nonce: Nonce) -> x509.Certificate:
    """Return a certificate whose subject is the authority that carries the nonce.

    Only its subject is ever sent; OpenSSL takes authorities as certificates. Its key is no secret and signs nothing.
    """
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, encode_nonce(nonce).decode())])
    return (
        x509.CertificateBuilder(subject_name=name, issuer_name=name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2040, 1, 1, tzinfo=UTC))
        .sign(key, None)
    )
