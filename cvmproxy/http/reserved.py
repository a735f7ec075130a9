"""The two headers that only a verifier may set, and the only way they are made: wire contract, "HTTP rules".

Reserved is every name that a target could read as one of them. CGI, FastCGI, WSGI, Rack and PHP put a field into a
variable whose name is the field's in upper case with ``_`` for ``-``, and several servers put ``_`` for every other
character that is no letter or digit (``X.Flashbots~Measurement``). All of that collapses to one name here.
"""

from collections.abc import Iterable
from typing import Final

from cvmproxy.attestation.policy import AttestationResult, PeerIdentity
from cvmproxy.errors import BackendError, RequestError
from cvmproxy.http.messages import FieldLines, Fields

MEASUREMENT: Final = b"X-Flashbots-Measurement"
ATTESTATION_TYPE: Final = b"X-Flashbots-Attestation-Type"

_COLLAPSED: Final = bytes(ord(chr(c).lower()) if chr(c).isalnum() and c < 128 else ord("-") for c in range(256))
_RESERVED: Final = frozenset({MEASUREMENT.lower(), ATTESTATION_TYPE.lower()})
_MARK: Final = b"flashbots"
"""In every spelling of a reserved name; most messages have it nowhere."""


def measurement_headers(identity: PeerIdentity, header_label: str) -> FieldLines:
    """Return the two headers made from an attestation result; none where the peer was explicitly not appraised.

    The measurement is a JSON object: decimal register indices, sorted as strings, to lower-case hex, without spaces.

    :param header_label: the scheme's ``header_label``.
    """
    if not isinstance(identity, AttestationResult):
        return ()
    registers = sorted((str(index), value.hex()) for index, value in identity.measurements.items())
    members = ",".join(f'"{index}":"{value}"' for index, value in registers)
    return (
        (MEASUREMENT, b"{%b}" % members.encode("ascii")),
        (ATTESTATION_TYPE, header_label.encode("ascii")),
    )


def refuse_forged_request(fields: Fields) -> None:
    """Refuse the head or trailers of a request that carry, or announce, a reserved field.

    :raises RequestError: ``request-forged-header``.
    """
    name = find_reserved(fields)
    if name is not None:
        raise RequestError("request-forged-header", f"the request has the reserved field {name.decode('ascii')}")


def refuse_forged_response(fields: Fields) -> None:
    """Refuse the head or trailers of a response that carry, or announce, a reserved field.

    :raises BackendError: ``upstream-forged-header``.
    """
    name = find_reserved(fields)
    if name is not None:
        raise BackendError("upstream-forged-header", f"the response has the reserved field {name.decode('ascii')}")


def find_reserved(fields: Fields) -> bytes | None:
    """Return the first name, as a field's or as a member of ``Connection`` or ``Trailer``, that is reserved."""
    index = fields.index
    if _MARK in b"\n".join(index):
        name = _first_reserved(index)
        if name is not None:
            return name
    for lister in (b"connection", b"trailer"):
        for value in index.get(lister, ()):
            if _MARK in value.lower():
                name = _first_reserved(fields.members(lister))
                if name is not None:
                    return name
    return None


def _first_reserved(names: Iterable[bytes]) -> bytes | None:
    return next((name for name in names if name.translate(_COLLAPSED) in _RESERVED), None)
