"""What is read of a certificate that nothing vouches for yet, as bytes (RFC 5280, section 4.1).

The certificate library decodes every name and extension as soon as one is asked for, and says what it finds odd in
them as Python warnings. A stranger could so put warnings between the lines of the log, and have thousands of names
decoded that nobody wants. Names and extensions are given to it only in certificates whose signature has been verified.
"""

import re
from itertools import islice
from typing import Final

from attrs import field, frozen

from cvmproxy.attestation.der_decoding import DerError, boolean, content_of, dotted, elements, only_element
from cvmproxy.attestation.der_encoding import BIT_STRING, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE

MAX_EXTENSIONS: Final = 64
"""Of one certificate. Intel's have seven, ours one."""

_HEAD: Final = re.compile(
    rb"\x30(?:[\x00-\x7f]|\x81.|\x82..|\x83...)" * 2 + rb"\xa0\x03\x02\x01\x02\x02(?!\x01\x00)[\x01-\x15][\x00-\x7f]",
    re.DOTALL,
)
_ISSUER: Final = 3
_AFTER_KEY: Final = 7
_MAX_TBS_MEMBERS: Final = 10
_EXTENSIONS: Final = 0xA3


@frozen(kw_only=True)
class CertificateParts:
    """What we look at ourselves.

    :ivar issuer: the content of the issuer's name, encoded.
    :ivar extensions: dotted OID and value of each, in their order; an OID may be there more than once.
    """

    issuer: bytes = field(repr=False)
    extensions: tuple[tuple[str, bytes], ...] = field(repr=False)


def has_known_head(certificate_der: bytes) -> bool:
    """Say whether this begins as a version 3 certificate with a positive serial number does.

    The library takes others, with a warning.
    """
    return _HEAD.match(certificate_der) is not None


def take_apart(certificate_der: bytes) -> CertificateParts:
    """Take a certificate apart.

    :raises DerError: it has another structure, or more than :data:`MAX_EXTENSIONS`.
    """
    tbs, _, signature = _at_most(3, only_element(certificate_der, SEQUENCE), at_least=3)
    if not content_of(signature, BIT_STRING).startswith(b"\x00"):
        raise DerError("a signature does not end with a whole byte")
    members = _at_most(_MAX_TBS_MEMBERS, content_of(tbs, SEQUENCE), at_least=_AFTER_KEY)
    lists = [content for tag, content in members[_AFTER_KEY:] if tag == _EXTENSIONS]
    if len(lists) > 1:
        raise DerError("a certificate has more than one list of extensions")
    found = [_extension(each) for one in lists for each in _at_most(MAX_EXTENSIONS, only_element(one, SEQUENCE))]
    return CertificateParts(issuer=content_of(members[_ISSUER], SEQUENCE), extensions=tuple(found))


def _extension(element: tuple[int, bytes]) -> tuple[str, bytes]:
    oid, *criticality, value = _at_most(3, content_of(element, SEQUENCE), at_least=2)
    for critical in criticality:
        boolean(critical)
    return dotted(content_of(oid, OBJECT_IDENTIFIER)), content_of(value, OCTET_STRING)


def _at_most(limit: int, data: bytes, at_least: int = 0) -> list[tuple[int, bytes]]:
    found = list(islice(elements(data), limit + 1))
    if not at_least <= len(found) <= limit:
        raise DerError(f"{at_least} to {limit} elements were expected")
    return found
