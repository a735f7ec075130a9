"""What becomes of heads and trailers on their way through: wire contract, "HTTP rules", and RFC 9110, section 7.6.

Every function that makes something to be forwarded refuses reserved headers first, so that none can be forwarded
unseen. Hop-by-hop fields end here, those that ``Connection`` lists among them; what the proxy says itself is added
after that, where no ``Connection`` of a peer can remove it.
"""

import re
from typing import Final

from attrs import field, frozen
from attrs.validators import matches_re

from cvmproxy.http.messages import (
    SWITCHING_PROTOCOLS,
    Chunked,
    FieldLines,
    Fields,
    InterimHead,
    NoBody,
    RequestHead,
    ResponseHead,
)
from cvmproxy.http.reserved import refuse_forged_request, refuse_forged_response

# Framing is said by the writer alone, and anew for each hop.
_HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"content-length",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"transfer-encoding",
        b"upgrade",
    }
)
_NOT_FROM_REQUESTER: Final = _HOP_BY_HOP | {b"host", b"x-forwarded-for"}
_PLAIN_OPTIONS: Final = frozenset({b"close", b"keep-alive"})
_SCHEME_AND_AUTHORITY: Final = re.compile(rb"\A(?i:https?)://[^/?]*+")
_NO_CONTENT: Final = 204
_NOT_MODIFIED: Final = 304


@frozen(kw_only=True)
class HttpTarget:
    """Where requests go, as far as their heads have to say it.

    :ivar host: the value of Host: the target's own host, with its port where that is not the scheme's.
    :ivar path: the path of the target's address, empty or from its slash on; requests' paths are joined to it.
    :ivar query: the query of the target's address, without its question mark.
    """

    host: bytes = field(validator=matches_re(rb"[!-~]+"))
    path: bytes = field(default=b"", validator=matches_re(rb"(?:/[!\"$->@-~]*)?"))
    query: bytes = field(default=b"", validator=matches_re(rb"[!\"$-~]*"))


def request_for_target(
    head: RequestHead, target: HttpTarget, *, requester: bytes | None, additions: FieldLines = ()
) -> RequestHead:
    """Return the head to send to the target.

    :param requester: the requester's IP address for X-Forwarded-For; ``None`` where it has none.
    :param additions: the measurement headers, made from the requester's appraised evidence.
    :raises RequestError: ``request-forged-header``.
    """
    fields = head.fields
    refuse_forged_request(fields)
    dropped = _with_listed(_NOT_FROM_REQUESTER, fields)
    index = fields.index
    if b"expect" in index and not head.expects_continue:
        dropped |= {b"expect"}
    if b"trailer" in index and not isinstance(head.framing, Chunked):
        dropped |= {b"trailer"}
    lines = [(b"Host", target.host), *_without(fields, dropped)]
    upgrade = head.upgrade
    if upgrade is not None:
        lines += _upgrade_lines(upgrade)
    lines += _forwarded_for(fields, requester)
    lines += additions
    return RequestHead(
        method=head.method,
        target=join_target(target, head.target, head.method),
        fields=Fields(tuple(lines)),
        framing=head.framing,
    )


def response_for_requester(head: ResponseHead, additions: FieldLines = ()) -> ResponseHead:
    """Return the head to send to the requester; how that connection frames and persists is said by its own side.

    Content-Length stays where it says what is not sent: in the answer to HEAD, and in 304.

    :param additions: the measurement headers, made from the upstream's appraised evidence.
    :raises BackendError: ``upstream-forged-header``.
    """
    fields = head.fields
    refuse_forged_response(fields)
    dropped = _with_listed(_HOP_BY_HOP, fields)
    if b"trailer" in fields and not isinstance(head.framing, Chunked):
        dropped |= {b"trailer"}
    lines = _without(fields, dropped)
    if isinstance(head.framing, NoBody) and head.status not in (SWITCHING_PROTOCOLS, _NO_CONTENT):
        lines += [(b"Content-Length", value) for value in fields.values(b"content-length")]
    if head.status == SWITCHING_PROTOCOLS and head.upgrade is not None:
        lines += _upgrade_lines(head.upgrade)
    lines += additions
    return ResponseHead(status=head.status, reason=head.reason, fields=Fields(tuple(lines)), framing=head.framing)


def interim_for_requester(head: InterimHead) -> InterimHead:
    """Return an interim head to send to the requester.

    :raises BackendError: ``upstream-forged-header``.
    """
    refuse_forged_response(head.fields)
    dropped = _with_listed(_HOP_BY_HOP, head.fields)
    return InterimHead(status=head.status, reason=head.reason, fields=Fields(tuple(_without(head.fields, dropped))))


def trailers_for_target(trailers: Fields) -> Fields:
    """Return the trailers to send to the target: as they came, for the reader has refused what acts on a hop.

    :raises RequestError: ``request-forged-header``.
    """
    refuse_forged_request(trailers)
    return trailers


def trailers_for_requester(trailers: Fields) -> Fields:
    """Return the trailers to send to the requester, as they came.

    :raises BackendError: ``upstream-forged-header``.
    """
    refuse_forged_response(trailers)
    return trailers


def join_target(target: HttpTarget, request_target: bytes, method: bytes = b"GET") -> bytes:
    """Join the request's path and query to the target's: one slash between paths, ``&`` between queries.

    Absolute-form becomes origin-form. Nothing else changes: no decoding, no removal of dots or of double slashes.
    """
    if not request_target.startswith(b"/"):
        request_target = _SCHEME_AND_AUTHORITY.sub(b"", request_target)
        if not request_target and method == b"OPTIONS":
            request_target = b"*"
    if request_target == b"*":
        return request_target
    path, mark, query = request_target.partition(b"?")
    if target.path:
        path = target.path.removesuffix(b"/") + (path or b"/")
    if target.query:
        query = target.query + b"&" + query if query else target.query
        mark = b"?"
    return (path or b"/") + mark + query


def _with_listed(names: frozenset[bytes], fields: Fields) -> frozenset[bytes]:
    if b"connection" not in fields.index:
        return names
    listed = fields.connection_options
    return names if listed <= _PLAIN_OPTIONS else names | listed


def _without(fields: Fields, dropped: frozenset[bytes]) -> list[tuple[bytes, bytes]]:
    return [line for line in fields.lines if line[0].lower() not in dropped]


def _upgrade_lines(protocol: bytes) -> FieldLines:
    return ((b"Connection", b"Upgrade"), (b"Upgrade", protocol))


def _forwarded_for(fields: Fields, requester: bytes | None) -> FieldLines:
    hops = fields.values(b"x-forwarded-for")
    if requester is not None:
        hops = (*hops, requester)
    return ((b"X-Forwarded-For", b", ".join(hops)),) if hops else ()
