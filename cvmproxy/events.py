"""The one typed event stream: what happened, for the log in its forms to render.

An event is a frozen value; whoever makes one knows nothing of how it is shown. ``level`` and ``name`` are the class's.
"""

from collections.abc import Callable, Mapping
from typing import ClassVar, TypeAlias

from attrs import frozen


@frozen(kw_only=True)
class Event:
    """The root of all events; ``name`` is the stable key in JSON logs."""

    name: ClassVar[str]
    level: ClassVar[str] = "info"


@frozen(kw_only=True)
class HandshakeSucceeded(Event):
    """An attested or explicitly unattested TLS connection opened: one per connection."""

    name: ClassVar[str] = "connection"
    connection_id: int
    role: str
    peer: str
    tls_version: str
    attestation_type: str
    measurement_id: str
    seconds: float
    facts: Mapping[str, str]


@frozen(kw_only=True)
class HandshakeRefused(Event):
    """A connection ended before it opened, by us, by the peer, or by the network: one per connection.

    :ivar code: stable reason code; :ivar message: in words.
    :ivar paste: the ready-to-paste measurements entry, empty unless measurements were the reason.
    """

    name: ClassVar[str] = "refused"
    level: ClassVar[str] = "warn"
    connection_id: int
    role: str
    peer: str
    code: str
    message: str
    seconds: float
    paste: str = ""


@frozen(kw_only=True)
class RequestServed(Event):
    """One HTTP request and its outcome: one per request, rendered by the access log.

    :ivar code: reason code where the proxy answered itself, else empty.
    """

    name: ClassVar[str] = "request"
    peer: str
    method: str
    target: str
    status: int
    request_bytes: int
    response_bytes: int
    seconds: float
    code: str = ""


@frozen(kw_only=True)
class Notice(Event):
    """A thing that an operator should know and that has no type of its own yet (start, reload, drain)."""

    name: ClassVar[str] = "notice"
    message: str
    code: str = ""


@frozen(kw_only=True)
class Warned(Notice):
    """The same at warning level: insecure settings, failed reloads."""

    name: ClassVar[str] = "warning"
    level: ClassVar[str] = "warn"


@frozen(kw_only=True)
class Listening(Event):
    """A listener is open.

    :ivar purpose: ``proxy``, ``health`` … :ivar address: as it was bound, ``host:port`` or ``unix:/path``.
    """

    name: ClassVar[str] = "listening"
    purpose: str
    address: str


@frozen(kw_only=True)
class StartFailed(Notice):
    """The program cannot do its work and ends."""

    name: ClassVar[str] = "failed"
    level: ClassVar[str] = "error"


EventSink: TypeAlias = Callable[[Event], None]
