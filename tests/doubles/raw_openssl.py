"""Plain OpenSSL ends that know nothing of attestation, to join with an engine of ours in memory."""

from collections.abc import Callable

from OpenSSL import SSL

from cvmproxy.tls.handshake import Handshake, Outcome


def raw_context(accept: Callable[..., bool] = lambda *_: True) -> SSL.Context:
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_verify(SSL.VERIFY_NONE, accept)
    return context


def raw_client(version: int, context: SSL.Context | None = None) -> SSL.Connection:
    client = SSL.Connection(context or raw_context(), None)
    client.set_connect_state()
    if version == SSL.TLS1_2_VERSION:
        client.set_options(SSL.OP_NO_TLSv1_3)
    return client


def take(connection: SSL.Connection) -> bytes:
    try:
        return connection.bio_read(1 << 18)
    except SSL.WantReadError:
        return b""


def step(raw: SSL.Connection) -> SSL.Error | None:
    """Drive the raw end's handshake; return its error, if it has one."""
    try:
        raw.do_handshake()
    except SSL.WantReadError:
        return None
    except SSL.Error as error:
        return error
    return None


def pump(raw: SSL.Connection, engine: Handshake) -> tuple[Outcome | None, SSL.Error | None]:
    """Join a raw end and an engine; return the engine's outcome and the raw end's error."""
    outcome, error = engine.advance(), None
    for _ in range(8):
        error = error or step(raw)
        data = take(raw)
        if outcome is None and data:
            engine.feed(data)
            outcome = engine.advance()
        answer = engine.outgoing()
        if answer:
            raw.bio_write(answer)
    return outcome, error


def read(raw: SSL.Connection) -> bytes:
    """Read what there is, which lets the raw end take session tickets too."""
    try:
        return raw.recv(1 << 16)
    except SSL.WantReadError:
        return b""
