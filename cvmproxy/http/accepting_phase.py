"""The phases of an accepting HTTP/1.1 connection.

IDLE → HEAD → BODY → RESPONSE → IDLE is the life of one request after another; a 101 leads from RESPONSE to TUNNEL, and
an answer that ends the connection from anywhere to LINGERING or CLOSED.
"""

from enum import Enum
from typing import TYPE_CHECKING, Final

from cvmproxy.http.deadlines import NEVER

if TYPE_CHECKING:
    from cvmproxy.http.proxy import AcceptingTimeouts


class Phase(Enum):
    """What an accepting connection is doing."""

    IDLE = "no byte of the next request has come"
    HEAD = "a request's head is coming"
    BODY = "a request's body is coming"
    RESPONSE = "the request is complete, its response is not"
    TUNNEL = "both sides speak another protocol"
    LINGERING = "all is answered; what still comes is thrown away until the requester has seen it"
    CLOSED = "the connection is closed, or is being closed"


READING: Final = frozenset({Phase.IDLE, Phase.HEAD, Phase.BODY})
"""The phases in which bytes are a request's."""


def seconds_allowed(phase: Phase, timeouts: "AcceptingTimeouts", *, behind: bool, credit: bool) -> float | None:
    """Return how long the requester may take for what it has to do next; ``None`` keeps the deadline that there is.

    :param behind: it does not take what is sent to it.
    :param credit: it may send more of its request.
    """
    if behind:
        return timeouts.stall
    if phase is Phase.HEAD:
        return timeouts.head
    if phase is Phase.IDLE:
        return timeouts.idle
    if phase is Phase.BODY and credit:
        return timeouts.stall
    return NEVER if phase in (Phase.BODY, Phase.RESPONSE, Phase.TUNNEL) else None
