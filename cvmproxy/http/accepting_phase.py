"""The phases of an accepting HTTP/1.1 connection.

IDLE → HEAD → BODY → RESPONSE → IDLE is the life of one request after another; a 101 leads from RESPONSE to TUNNEL, and
an answer that ends the connection from anywhere to LINGERING or CLOSED.
"""

from enum import Enum
from typing import Final


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
