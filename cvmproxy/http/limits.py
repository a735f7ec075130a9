"""What a peer may make the HTTP codec hold or count: one frozen value per listener or pool."""

from attrs import field, frozen
from attrs.validators import ge


@frozen(kw_only=True)
class HttpLimits:
    """Bounds on everything of a message that is held until it is complete. Bodies are not: they stream.

    :ivar head_bytes: bytes of a head, start line, fields and the empty line together.
    :ivar header_count: fields in a head or in a trailer section.
    :ivar chunk_extension_bytes: bytes of chunk extensions in one message, all chunks together.
    :ivar trailer_bytes: bytes of a trailer section with its empty line.
    :ivar interim_responses: 1xx responses before one final response.
    """

    head_bytes: int = field(default=64 * 1024, validator=ge(64))
    header_count: int = field(default=100, validator=ge(1))
    chunk_extension_bytes: int = field(default=4096, validator=ge(0))
    trailer_bytes: int = field(default=8 * 1024, validator=ge(2))
    interim_responses: int = field(default=16, validator=ge(0))
