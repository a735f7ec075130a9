"""The values that HTTP/1.1 messages are read into and written from: RFC 9112 messages, RFC 9110 semantics.

Heads, body pieces and ends are events: a message is one head (in responses after any number of interim heads), any
number of :class:`BodyData`, and one :class:`EndOfMessage`. Framing is a value of its own: whatever the fields of a
head say of it, only ``framing`` decides what the writer sends.
"""

from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from attrs import field, frozen

FieldLines: TypeAlias = tuple[tuple[bytes, bytes], ...]
"""(name, value), in order."""


@frozen
class NoBody:
    """No body follows the head."""


@frozen
class ContentLength:
    """A body of exactly so many bytes follows; 0 is sent as ``Content-Length: 0``, unlike :class:`NoBody`."""

    size: int


@frozen
class Chunked:
    """A chunked body follows, of unknown size, perhaps with trailers."""


@frozen
class UntilClose:
    """A response's body that ends where the connection does."""


Framing: TypeAlias = NoBody | ContentLength | Chunked | UntilClose

NO_BODY: Final = NoBody()
CHUNKED: Final = Chunked()
UNTIL_CLOSE: Final = UntilClose()


@frozen
class Fields:
    """The fields of a head or of a trailer section, in order, and a case-insensitive index of them.

    Iterates over (name, value) pairs, both as they came, without the white space around the value. All names that
    methods take are in lower case.

    :ivar lines: the pairs.
    """

    lines: FieldLines = ()
    # Made when they are first asked for: heads to be sent never need them.
    _index: Mapping[bytes, tuple[bytes, ...]] | None = field(default=None, init=False, eq=False, repr=False)
    _connection_options: frozenset[bytes] | None = field(default=None, init=False, eq=False, repr=False)

    @property
    def index(self) -> Mapping[bytes, tuple[bytes, ...]]:
        """Lower-case name → values in order."""
        if self._index is None:
            object.__setattr__(self, "_index", _index_lines(self.lines))
        assert self._index is not None
        return self._index

    @property
    def connection_options(self) -> frozenset[bytes]:
        """The members of Connection, in lower case."""
        if self._connection_options is None:
            object.__setattr__(self, "_connection_options", self.members(b"connection"))
        assert self._connection_options is not None
        return self._connection_options

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(self.lines)

    def __len__(self) -> int:
        return len(self.lines)

    def __contains__(self, name: bytes) -> bool:
        return name in self.index

    def values(self, name: bytes) -> tuple[bytes, ...]:
        """Return the values of a field, one per line of that name; empty where there is none."""
        return self.index.get(name, ())

    def members(self, name: bytes) -> frozenset[bytes]:
        """Return the members of a comma-separated field over all its lines, in lower case, without empty ones."""
        values = self.index.get(name)
        if values is None:
            return frozenset()
        members = b",".join(values).lower().split(b",")
        return frozenset(filter(None, [member.strip(b" \t") for member in members]))


NO_FIELDS: Final = Fields()

SWITCHING_PROTOCOLS: Final = 101


@frozen(kw_only=True)
class RequestHead:
    """A request line and its fields. One that the reader made has been held to every rule of strict framing.

    :ivar method: as it came; methods are case-sensitive.
    :ivar target: the request target as it came: origin-form, absolute-form, or ``*`` of an OPTIONS request.
    :ivar version_minor: 0 or 1, of HTTP/1.x.
    """

    method: bytes
    target: bytes
    version_minor: int = 1
    fields: Fields
    framing: Framing

    @property
    def wants_persistence(self) -> bool:
        """Whether the connection may serve another request after this one (RFC 9112, section 9.3)."""
        return _wants_persistence(self.version_minor, self.fields)

    @property
    def expects_continue(self) -> bool:
        """Whether the requester waits for 100 (Continue) before it sends the body."""
        return b"expect" in self.fields and self.version_minor == 1 and not isinstance(self.framing, NoBody)

    @property
    def upgrade(self) -> bytes | None:
        """The protocol, in lower case, that the requester asks to go over to, where that may be passed on.

        Only ``websocket`` is. After a 101 bytes pass unseen, so any protocol with HTTP inside (``h2c``, ``TLS/1.3`` …)
        would carry requests with forged headers past the proxy: such a request is an ordinary one.
        """
        return _upgrade(self.version_minor, self.fields) if isinstance(self.framing, NoBody) else None


@frozen(kw_only=True)
class InterimHead:
    """An informational response, 100 to 199 save 101: any number of them come before the :class:`ResponseHead`."""

    status: int
    reason: bytes = b""
    version_minor: int = 1
    fields: Fields = field(default=NO_FIELDS)


@frozen(kw_only=True)
class ResponseHead:
    """A status line and its fields, of a final response or of 101 (Switching Protocols).

    :ivar status: 101, or 200 to 599.
    :ivar reason: the reason phrase, often empty.
    :ivar version_minor: 0 or 1, of HTTP/1.x.
    """

    status: int
    reason: bytes = b""
    version_minor: int = 1
    fields: Fields
    framing: Framing

    @property
    def wants_persistence(self) -> bool:
        """Whether the connection may be used for another request after this response."""
        return not isinstance(self.framing, UntilClose) and _wants_persistence(self.version_minor, self.fields)

    @property
    def upgrade(self) -> bytes | None:
        """The protocol, in lower case, that a 101 goes over to, where that may be passed on."""
        return _upgrade(self.version_minor, self.fields)


@frozen
class BodyData:
    """A piece of a body without its framing: the slice as it was received, never empty."""

    data: bytes


@frozen
class EndOfMessage:
    """The message is complete. Trailers are those of a chunked body."""

    trailers: Fields = NO_FIELDS


END_OF_MESSAGE: Final = EndOfMessage()

RequestEvent: TypeAlias = RequestHead | BodyData | EndOfMessage
ResponseEvent: TypeAlias = InterimHead | ResponseHead | BodyData | EndOfMessage


def _index_lines(lines: FieldLines) -> Mapping[bytes, tuple[bytes, ...]]:
    index = {name.lower(): (value,) for name, value in lines}
    if len(index) != len(lines):
        index = {}
        for name, value in lines:
            key = name.lower()
            index[key] = (*index.get(key, ()), value)
    return index


def _wants_persistence(version_minor: int, fields: Fields) -> bool:
    if b"connection" not in fields:
        return version_minor == 1
    options = fields.connection_options
    return b"close" not in options and (version_minor == 1 or b"keep-alive" in options)


def _upgrade(version_minor: int, fields: Fields) -> bytes | None:
    values = fields.values(b"upgrade")
    if len(values) != 1 or version_minor == 0 or values[0].lower() != b"websocket":
        return None
    return b"websocket" if b"upgrade" in fields.connection_options else None
