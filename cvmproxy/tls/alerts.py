"""From what OpenSSL says of a failure to our own errors, in one place."""

from collections.abc import Mapping
from typing import Final

from OpenSSL import SSL

from cvmproxy.errors import EvidenceError, PeerError, TransportError

CLOSE_NOTIFY: Final = 0
_USER_CANCELED: Final = 90
_FATAL: Final = 2
_NO_CERTIFICATE: Final = "peer did not return a certificate"
_NAMES: Final[Mapping[int, str]] = {
    10: "unexpected_message",
    20: "bad_record_mac",
    22: "record_overflow",
    40: "handshake_failure",
    42: "bad_certificate",
    43: "unsupported_certificate",
    44: "certificate_revoked",
    45: "certificate_expired",
    46: "certificate_unknown",
    47: "illegal_parameter",
    48: "unknown_ca",
    49: "access_denied",
    50: "decode_error",
    51: "decrypt_error",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    109: "missing_extension",
    110: "unsupported_extension",
    112: "unrecognized_name",
    116: "certificate_required",
    120: "no_application_protocol",
}


def fatal_alert(code: int) -> int | None:
    """Return the description of the alert in an info callback's code, or ``None`` if the alert ends nothing.

    In TLS 1.3 the level says nothing: every alert but two is fatal.
    """
    level, description = code >> 8, code & 0xFF
    if description in (CLOSE_NOTIFY, _USER_CANCELED):
        return None
    return description if level == _FATAL else None


def refused_by_peer(alert: int) -> TransportError:
    """The error for a fatal alert from the other side."""
    name = _NAMES.get(alert, "of an unknown kind")
    return TransportError("refused-by-peer", f"the other side ended the connection with the alert {name} ({alert})")


def is_end_of_file(error: SSL.Error) -> bool:
    """Whether the error means that the connection ended without a close_notify."""
    return isinstance(error, SSL.SysCallError)


def openssl_reasons(error: SSL.Error) -> str:
    """What OpenSSL says was wrong, in its words."""
    queue = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return ", ".join(dict.fromkeys(str(entry[-1]) for entry in queue)) or type(error).__name__


def tls_error(error: SSL.Error) -> PeerError:
    """The error for a failure in the protocol itself."""
    if is_end_of_file(error):
        return TransportError("connection-lost", "the connection ended without a TLS close_notify")
    reasons = openssl_reasons(error)
    if reasons == _NO_CERTIFICATE:
        return EvidenceError("no-evidence", "the peer showed no certificate")
    return TransportError("tls-error", f"TLS failed: {reasons}")
