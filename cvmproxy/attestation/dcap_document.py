"""The dcap-tdx document: ``{"RawQuote": <base64>, "UserData": <base64>}`` (wire protocol, "dcap-tdx document")."""

import base64
import binascii
from typing import Final

from attrs import field, frozen

from cvmproxy.attestation.signed_json import JsonError, parse_json
from cvmproxy.errors import EvidenceError

MAX_DOCUMENT_SIZE: Final = 96 * 1024
"""Bytes of a document: the certificate that carries it may not be larger than that either."""


@frozen(kw_only=True)
class DcapDocument:
    """A quote and the user data that it is said to be bound to.

    :ivar raw_quote: the quote's bytes, not parsed.
    :ivar user_data: SHA-256 of the certificate's key, as its sender says.
    """

    raw_quote: bytes = field(repr=False)
    user_data: bytes

    def encode(self) -> bytes:
        """Return the document as the Go program writes it."""
        raw_quote, user_data = (base64.b64encode(value) for value in (self.raw_quote, self.user_data))
        return b'{"RawQuote":"%s","UserData":"%s"}' % (raw_quote, user_data)


def decode_document(document: bytes) -> DcapDocument:
    """Read a document: these two members and no other, in standard base64 with padding.

    :raises EvidenceError: ``evidence-malformed``.
    """
    if len(document) > MAX_DOCUMENT_SIZE:
        raise _malformed(f"it has {len(document)} bytes, more than {MAX_DOCUMENT_SIZE}")
    try:
        members = parse_json(document)
    except JsonError as error:
        raise _malformed(str(error)) from None
    if not isinstance(members, dict) or set(members) != {"RawQuote", "UserData"}:
        raise _malformed("it is not an object of RawQuote and UserData")
    return DcapDocument(raw_quote=_octets(members, "RawQuote"), user_data=_octets(members, "UserData"))


def _octets(members: dict[str, object], name: str) -> bytes:
    text = members[name]
    try:
        if not isinstance(text, str):
            raise ValueError
        decoded = base64.b64decode(text.encode("ascii"), validate=True)
        # Python ignores bits that padding leaves over; two texts for one value would remain.
        if base64.b64encode(decoded) != text.encode("ascii"):
            raise ValueError
    except (ValueError, binascii.Error):
        raise _malformed(f"{name} is not standard base64 with padding") from None
    return decoded


def _malformed(message: str) -> EvidenceError:
    return EvidenceError("evidence-malformed", f"the dcap-tdx document: {message}")
