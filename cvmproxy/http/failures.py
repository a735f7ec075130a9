"""From what went wrong to a reason code, and from a reason code to the status that a requester sees.

A requester learns the status and the code, never the message: that is for the operator's log.
"""

from http import HTTPStatus

from twisted.internet.error import ConnectError, ConnectionClosed, DNSLookupError, TCPTimedOutError
from twisted.internet.error import TimeoutError as ConnectTimeout

from cvmproxy.errors import CvmproxyError
from cvmproxy.http.messages import ContentLength, FieldLines, Fields, ResponseHead
from cvmproxy.reasons import REASONS


def dial_failure_code(error: BaseException | None) -> str:
    """Return the reason code for a dial that failed: the error's own, or what the network's error amounts to."""
    if isinstance(error, CvmproxyError):
        return error.code
    if isinstance(error, ConnectTimeout | TCPTimedOutError):
        return "upstream-connect-timeout"
    if isinstance(error, ConnectError | DNSLookupError | ConnectionClosed | OSError):
        return "upstream-unreachable"
    return "internal-error"


def loss_code(error: BaseException | None) -> str:
    """Return the reason code for a connection that was lost before its response was complete.

    The far side's refusal may come as late as here: on TLS 1.3 a refused client has finished its own handshake.
    """
    return error.code if isinstance(error, CvmproxyError) else "upstream-closed"


def is_plain_loss(error: BaseException | None) -> bool:
    """Say whether a connection just ended, with no refusal and no broken TLS that a repetition would hide."""
    return not isinstance(error, CvmproxyError) or error.code == "connection-lost"


def status_of(code: str) -> int:
    """Return the HTTP status of a reason code; 502 for a code that has none, which only a bug can bring here."""
    return REASONS[code].http_status or REASONS["internal-error"].http_status or 502


def error_response(code: str, connection_lines: FieldLines) -> tuple[ResponseHead, bytes]:
    """Return the answer to a request that failed: a text with the status, and the stable code on a line of its own.

    :param connection_lines: what to say of the connection besides.
    """
    status = HTTPStatus(status_of(code))
    body = f"{status.value} {status.phrase}\nreason: {code}\n".encode("ascii")
    head = ResponseHead(
        status=status.value,
        reason=status.phrase.encode("ascii"),
        fields=Fields(((b"Content-Type", b"text/plain; charset=utf-8"), *connection_lines)),
        framing=ContentLength(len(body)),
    )
    return head, body
