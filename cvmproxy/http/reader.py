"""Received bytes into messages, sans-IO: one reader per connection and direction.

Bytes go in by ``receive``, events come out by ``next_event`` as they are asked for, so that whoever forwards them sets
the pace. A reader stops after each message and keeps what follows until ``next_message``. An error is
final: it is raised again by each later ``next_event``. How bytes are cut into pieces never changes the outcome, save
where one :class:`~cvmproxy.http.messages.BodyData` ends and the next begins.
"""

from enum import Enum
from typing import Final, Generic, TypeVar

from cvmproxy.errors import CvmproxyError
from cvmproxy.http.blame import REQUESTER, TARGET, Blame
from cvmproxy.http.bodies import BodyDecoder, decoder_for
from cvmproxy.http.fields import FORBIDDEN_ANYWHERE
from cvmproxy.http.input_buffer import InputBuffer
from cvmproxy.http.limits import HttpLimits
from cvmproxy.http.messages import (
    BodyData,
    EndOfMessage,
    InterimHead,
    RequestHead,
    ResponseHead,
)
from cvmproxy.http.request_head import demand_request_line, parse_request_head
from cvmproxy.http.response_head import demand_status_line, parse_response_head

HeadT = TypeVar("HeadT", RequestHead, InterimHead | ResponseHead)

_HEAD_END: Final = b"\r\n\r\n"
_EMPTY_LINE: Final = b"\r\n"


class _Phase(Enum):
    HEAD = "head"
    BODY = "body"
    DONE = "done"


class _MessageReader(Generic[HeadT]):
    """What readers of requests and of responses have in common."""

    def __init__(self, limits: HttpLimits, blame: Blame, phase: _Phase) -> None:
        self._limits = limits
        self._blame = blame
        self._phase = phase
        self._received = InputBuffer()
        self._body: BodyDecoder | None = None
        self._examined = 0
        self._first_line_is_good = False
        self._failure: CvmproxyError | None = None
        self._ended = False

    @property
    def buffered(self) -> int:
        """How many received bytes no event has taken yet: what a reader of a paused message holds."""
        return len(self._received)

    def receive(self, data: bytes) -> None:
        """Take bytes from the network. Pause the transport while events are not asked for: there is no bound here."""
        self._received.append(data)

    def receive_eof(self) -> None:
        """Learn that the peer has ended its stream, cleanly: an aborted connection is not the end of a message."""
        self._ended = True

    def trailing_data(self) -> bytes:
        """Take the bytes after a complete message: those of the protocol that was upgraded to."""
        if self._phase is not _Phase.DONE:
            raise RuntimeError("trailing_data() inside a message")
        return self._received.take_all()

    def next_event(self) -> HeadT | BodyData | EndOfMessage | None:
        """Return the next event, or ``None``: more bytes are needed, or the message is complete.

        :raises CvmproxyError: the direction's own; again at each later call.
        """
        if self._failure is not None:
            raise self._failure
        try:
            return self._advance()
        except CvmproxyError as error:
            self._failure = error
            raise

    def _advance(self) -> HeadT | BodyData | EndOfMessage | None:
        event: HeadT | BodyData | EndOfMessage | None
        if self._phase is _Phase.BODY and self._body is not None:
            event = self._body.next_event(self._received, self._ended)
            if isinstance(event, EndOfMessage):
                self._phase = _Phase.DONE
                self._body = None
            elif event is None and self._ended:
                raise self._blame.incomplete("the connection ended inside a body")
            return event
        if self._phase is _Phase.DONE:
            return None
        block = self._received.take_block(_HEAD_END, self._limits.head_bytes)
        if block is None:
            self._examine_beginning()
            return None
        self._examined = 0
        self._first_line_is_good = False
        event = self._parse_head(block)
        if not isinstance(event, InterimHead):
            self._body = decoder_for(event.framing, self._limits, self._blame)
            self._phase = _Phase.BODY
        return event

    def _examine_beginning(self) -> None:
        """Refuse at once what cannot become a head any more. In the same order as a complete head is examined."""
        held = self._received.held
        start = max(0, self._examined - 1)
        self._examined = len(held)
        # The first two bytes may be the empty line that is tolerated before a request.
        if not self._first_line_is_good and held.find(_EMPTY_LINE, max(start, len(_EMPTY_LINE))) >= 0:
            self._demand_first_line(held)
            self._first_line_is_good = True
        if FORBIDDEN_ANYWHERE.search(held, start):
            raise self._blame.malformed("a control character, bare CR or bare LF in the head")
        if len(held) >= self._limits.head_bytes:
            raise self._blame.too_large(f"a head of more than {self._limits.head_bytes} bytes")
        if self._ended:
            self._end_before_head(held)

    def _parse_head(self, block: bytes) -> HeadT:
        raise NotImplementedError

    def _demand_first_line(self, beginning: bytearray) -> None:
        raise NotImplementedError

    def _end_before_head(self, beginning: bytearray) -> None:
        raise NotImplementedError


class RequestReader(_MessageReader[RequestHead]):
    """Reads the requests of one connection, in order; the first is awaited from the start.

    :raises RequestError: from ``next_event``: ``request-malformed``, ``request-head-too-large``, ``request-version``,
        or ``request-aborted`` where the stream ends inside a message. After the end between messages, ``next_event``
        returns ``None`` and nothing is ``buffered``.
    """

    def __init__(self, limits: HttpLimits) -> None:
        super().__init__(limits, REQUESTER, _Phase.HEAD)

    def next_message(self) -> None:
        """Go on to the next request, which may have been received already."""
        if self._phase is not _Phase.DONE:
            raise RuntimeError("next_message() inside a message")
        self._phase = _Phase.HEAD

    def _parse_head(self, block: bytes) -> RequestHead:
        return parse_request_head(block, self._limits)

    def _demand_first_line(self, beginning: bytearray) -> None:
        demand_request_line(beginning)

    def _end_before_head(self, beginning: bytearray) -> None:
        if beginning == _EMPTY_LINE:
            self._received.take_all()
        elif beginning:
            raise self._blame.incomplete("the connection ended inside a head")


class ResponseReader(_MessageReader[InterimHead | ResponseHead]):
    """Reads the responses of one connection; call ``next_message`` as each request is sent.

    :raises BackendError: from ``next_event``: ``upstream-malformed``, or ``upstream-closed`` where the stream ends
        before the message does.
    """

    def __init__(self, limits: HttpLimits) -> None:
        super().__init__(limits, TARGET, _Phase.DONE)
        self._method = b""
        self._offered_upgrade: bytes | None = None
        self._interim_left = 0

    def next_message(self, method: bytes, offered_upgrade: bytes | None = None) -> None:
        """Await the response to a request that is being sent now.

        :param offered_upgrade: the ``upgrade`` of that request's head as it is sent.
        :raises BackendError: ``upstream-malformed``: bytes have come that no request asked for.
        """
        if self._phase is not _Phase.DONE:
            raise RuntimeError("next_message() inside a message")
        if len(self._received):
            self._failure = self._blame.malformed("bytes that no request asked for")
            raise self._failure
        self._phase = _Phase.HEAD
        self._method = method
        self._offered_upgrade = offered_upgrade
        self._interim_left = self._limits.interim_responses

    def _parse_head(self, block: bytes) -> InterimHead | ResponseHead:
        head = parse_response_head(block, self._limits, method=self._method, offered_upgrade=self._offered_upgrade)
        if isinstance(head, InterimHead):
            if not self._interim_left:
                raise self._blame.malformed(f"more than {self._limits.interim_responses} interim responses")
            self._interim_left -= 1
        return head

    def _demand_first_line(self, beginning: bytearray) -> None:
        demand_status_line(beginning)

    def _end_before_head(self, beginning: bytearray) -> None:
        raise self._blame.incomplete("the connection ended before a complete response head")
