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

from cvmproxy.attestation.der_decoding import DerError, content_of, elements, only_element
from cvmproxy.attestation.der_encoding import OBJECT_IDENTIFIER, PRINTABLE_STRING, SEQUENCE, SET, UTF8_STRING
from cvmproxy.attestation.model import Nonce
from cvmproxy.errors import NonceError

NONCE_SIZE: Final = 32
"""Bytes of a nonce that we send. A peer's may have any length."""

_BASE64: Final = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")

_COMMON_NAME: Final = b"\x55\x04\x03"
"""2.5.4.3, encoded."""
_STRINGS: Final = frozenset({PRINTABLE_STRING, UTF8_STRING})


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
        common_names = _common_names(names_der[0])
    except DerError as error:
        raise NonceError("nonce-malformed", f"the authority's name cannot be read: {error}") from None
    if len(common_names) != 1:
        raise NonceError("nonce-malformed", f"the authority's name has {len(common_names)} common names instead of one")
    kind, value = common_names[0]
    if kind not in _STRINGS:
        raise NonceError("nonce-malformed", "the authority's common name is neither PrintableString nor UTF8String")
    return decode_nonce(value)


def _common_names(name_der: bytes) -> list[tuple[int, bytes]]:
    """Return tag and content of each common name of a DER name (RFC 5280, section 4.1.2.4).

    The certificate library would decode every attribute, and warn of what it finds odd in a stranger's.
    """
    found = []
    for relative in elements(only_element(name_der, SEQUENCE)):
        for attribute in elements(content_of(relative, SET)):
            members = list(elements(content_of(attribute, SEQUENCE)))
            if len(members) != 2:
                raise DerError(f"an attribute has {len(members)} members where two were expected")
            if content_of(members[0], OBJECT_IDENTIFIER) == _COMMON_NAME:
                found.append(members[1])
    return found


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
