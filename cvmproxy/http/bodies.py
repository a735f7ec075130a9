"""Bodies without their framing: RFC 9112, sections 6.3 and 7.1, one decoder per framing.

Pieces are handed on as they were received. Chunk lines and trailers follow the grammar strictly: no white space
around sizes and extensions, at most 16 hexadecimal digits, every line ended by CR LF. Extensions are dropped; their
bytes are bounded over the whole message, so that a body cannot consist of them.
"""

import re
from typing import Final, Protocol

from cvmproxy.http.blame import Blame
from cvmproxy.http.fields import FIELD_LINE, FORBIDDEN_ANYWHERE, TOKEN, describe_bad_fields, split_fields
from cvmproxy.http.input_buffer import InputBuffer
from cvmproxy.http.limits import HttpLimits
from cvmproxy.http.messages import END_OF_MESSAGE, BodyData, ContentLength, EndOfMessage, Framing, NoBody, UntilClose

_SIZE: Final = rb"[0-9A-Fa-f]{1,16}+"
_CHUNK_LINE: Final = re.compile(
    rb"(" + _SIZE + rb")((?:;" + TOKEN + rb"++(?:=(?:" + TOKEN + rb"++|\"(?:[\t !#-\[\]-~]|\\[\t -~])*+\"))?+)*+)\r\n"
)
_CHUNK_LINE_BEGINNING: Final = re.compile(_SIZE + rb"(?:;[\t -~]*+)?+\r?+")
_CHUNK_LINE_ROOM: Final = 16 + len(b"\r\n")
_LARGEST_CHUNK: Final = 2**63 - 1
_CRLF: Final = b"\r\n"
_ANY_SIZE: Final = 2**62

# What changes framing, routing, authentication or the reading of the body has no business after it (RFC 9110, 6.5.1).
_FORBIDDEN_TRAILERS: Final = frozenset(
    {
        b"authorization", b"connection", b"content-encoding", b"content-length", b"content-range", b"content-type",
        b"cookie", b"expect", b"forwarded", b"host", b"keep-alive", b"max-forwards", b"proxy-authenticate",
        b"proxy-authorization", b"proxy-connection", b"set-cookie", b"te", b"trailer", b"transfer-encoding",
        b"upgrade", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto",
    }
)  # fmt: skip


class BodyDecoder(Protocol):
    """Takes one body out of received bytes."""

    def next_event(self, received: InputBuffer, ended: bool) -> BodyData | EndOfMessage | None:
        """Return the next piece or the end, or ``None`` if more bytes are needed.

        :param ended: no more bytes will come.
        """
        ...


def decoder_for(framing: Framing, limits: HttpLimits, blame: Blame) -> BodyDecoder:
    """Return a decoder for one body of that framing."""
    if isinstance(framing, NoBody):
        return _NO_BODY_AT_ALL
    if isinstance(framing, ContentLength):
        return _CountedBody(framing.size)
    if isinstance(framing, UntilClose):
        return _BodyUntilClose()
    return _ChunkedBody(limits, blame)


class _NoBodyAtAll:
    def next_event(self, received: InputBuffer, ended: bool) -> BodyData | EndOfMessage | None:
        return END_OF_MESSAGE


_NO_BODY_AT_ALL: Final = _NoBodyAtAll()


class _CountedBody:
    __slots__ = ("_left",)

    def __init__(self, size: int) -> None:
        self._left = size

    def next_event(self, received: InputBuffer, ended: bool) -> BodyData | EndOfMessage | None:
        if not self._left:
            return END_OF_MESSAGE
        data = received.take_slice(self._left)
        self._left -= len(data)
        return BodyData(data) if data else None


class _BodyUntilClose:
    def next_event(self, received: InputBuffer, ended: bool) -> BodyData | EndOfMessage | None:
        data = received.take_slice(_ANY_SIZE)
        if data:
            return BodyData(data)
        return END_OF_MESSAGE if ended else None


class _ChunkedBody:
    """Between chunks a line is due; inside one, ``_left`` bytes of data, then their CR LF; after the last, trailers."""

    __slots__ = ("_blame", "_data_ends", "_extension_room", "_in_trailers", "_left", "_limits", "_trailers")

    def __init__(self, limits: HttpLimits, blame: Blame) -> None:
        self._limits = limits
        self._blame = blame
        self._left = 0
        self._data_ends = False
        self._in_trailers = False
        self._trailers = bytearray()
        self._extension_room = limits.chunk_extension_bytes

    def next_event(self, received: InputBuffer, ended: bool) -> BodyData | EndOfMessage | None:
        if not self._left and not self._in_trailers:
            if self._data_ends and not self._take_data_end(received):
                return None
            if not self._take_line(received):
                return None
        if self._in_trailers:
            return self._take_trailers(received)
        data = received.take_slice(self._left)
        self._left -= len(data)
        return BodyData(data) if data else None

    def _take_data_end(self, received: InputBuffer) -> bool:
        end = received.take_block(_CRLF, len(_CRLF))
        if end is not None:
            self._data_ends = False
            return True
        if bytes(received.held) not in (b"", b"\r"):
            raise self._blame.malformed("chunk data is not followed by CR LF")
        return False

    def _take_line(self, received: InputBuffer) -> bool:
        limit = _CHUNK_LINE_ROOM + self._extension_room
        line = received.take_block(_CRLF, limit)
        if line is None:
            held = received.held
            if held and (len(held) >= limit or _CHUNK_LINE_BEGINNING.fullmatch(held) is None):
                raise self._blame.malformed("a chunk's size or extension is malformed or too long")
            return False
        match = _CHUNK_LINE.fullmatch(line)
        if match is None:
            raise self._blame.malformed("a chunk's size or extension is malformed")
        self._extension_room -= len(match[2])
        size = int(match[1], 16)
        if self._extension_room < 0 or size > _LARGEST_CHUNK:
            raise self._blame.malformed("a chunk's size is too large, or the extensions of all chunks are")
        self._left = size
        self._data_ends = size > 0
        self._in_trailers = size == 0
        return True

    def _take_trailers(self, received: InputBuffer) -> EndOfMessage | None:
        while (line := received.take_block(_CRLF, self._limits.trailer_bytes - len(self._trailers))) is not None:
            if line == _CRLF:
                return self._end()
            if FIELD_LINE.fullmatch(line) is None:
                raise self._blame.malformed("trailer section: " + describe_bad_fields(line))
            self._trailers += line
        if FORBIDDEN_ANYWHERE.search(received.held):
            raise self._blame.malformed("a control character, bare CR or bare LF in the trailer section")
        if len(self._trailers) + len(received.held) >= self._limits.trailer_bytes:
            raise self._blame.too_large(f"a trailer section of more than {self._limits.trailer_bytes} bytes")
        return None

    def _end(self) -> EndOfMessage:
        if not self._trailers:
            return END_OF_MESSAGE
        trailers = split_fields(bytes(self._trailers), self._limits.header_count, self._blame)
        for name in trailers.index:
            if name in _FORBIDDEN_TRAILERS:
                raise self._blame.malformed(f"{name.decode('ascii')} in the trailer section")
        return EndOfMessage(trailers)
