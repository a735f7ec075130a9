"""Two handshake engines joined in memory: no sockets, no threads, and any chunking of what goes between them."""

from collections.abc import Callable, Coroutine, Iterator
from os import urandom
from typing import Any

from attrs import field, frozen
from OpenSSL import SSL

from cvmproxy.attestation.model import Nonce
from cvmproxy.attestation.policy import NoAttestation
from cvmproxy.carriage.nonce import encode_nonce
from cvmproxy.tls.contexts import ClientContexts, ServerContexts
from cvmproxy.tls.handshake import ClientHandshake, Handshake, Outcome, ServerHandshake
from cvmproxy.tls.questions import CredentialRequested, Question
from cvmproxy.tls.settings import ClientSettings, ServerSettings, Settings, WebPKI

Cut = Callable[[bytes], Iterator[bytes]]


def whole(data: bytes) -> Iterator[bytes]:
    yield data


def byte_by_byte(data: bytes) -> Iterator[bytes]:
    for position in range(len(data)):
        yield data[position : position + 1]


def finished(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waits")


@frozen
class Answers:
    """Answers at once, and remembers what was asked."""

    settings: Settings
    asked: list[Question[Any]] = field(factory=list)

    def __call__(self, question: Question[Any]) -> Any:
        self.asked.append(question)
        if isinstance(question, CredentialRequested):
            return finished(self.settings.credential.issue(question.peer_nonce))
        return finished(self.settings.peer.endorse(question.presented))


def _given(settings: Settings) -> Any:
    return None if settings.credential.needs_nonce else finished(settings.credential.issue(Nonce(b"")))


def server_engine(settings: ServerSettings, answers: Answers | None = None) -> ServerHandshake:
    nonce = Nonce(b"") if isinstance(settings.peer, NoAttestation) else Nonce(urandom(32))
    credential = _given(settings)
    connection = ServerContexts(settings).connection(nonce, credential)
    ask = answers or Answers(settings)
    return ServerHandshake(connection, peer=settings.peer, nonce=nonce, ask=ask, credential=credential)


def client_engine(
    settings: ClientSettings, *, version: int | None = None, answers: Answers | None = None, sni: bytes | None = None
) -> ClientHandshake:
    nonce = Nonce(urandom(32))
    name = settings.peer.host.encode() if isinstance(settings.peer, WebPKI) else encode_nonce(nonce)
    credential = _given(settings)
    connection = ClientContexts(settings).connection(sni or name, credential)
    if version == SSL.TLS1_2_VERSION:
        connection.set_options(SSL.OP_NO_TLSv1_3)
    ask = answers or Answers(settings)
    return ClientHandshake(connection, peer=settings.peer, nonce=nonce, ask=ask, asks=credential is None)


@frozen
class Pair:
    """Both ends, and what became of them."""

    client: Handshake
    server: Handshake
    outcomes: dict[str, Outcome] = field(factory=dict)
    #: What each end sent, for those who look at the wire.
    sent: dict[str, bytearray] = field(factory=lambda: {"client": bytearray(), "server": bytearray()})

    def run(self, cut: Cut = whole) -> "Pair":
        """Carry bytes to and fro until nothing moves any more. An end that has its outcome takes nothing more."""
        self._advance("client")
        moved = True
        while moved:
            moved = False
            for source, sink in (("client", "server"), ("server", "client")):
                data = self._end(source).outgoing()
                self.sent[source] += data
                for chunk in cut(data) if data else ():
                    moved = True
                    if sink not in self.outcomes:
                        self._end(sink).feed(chunk)
                        self._advance(sink)
                    else:
                        self._end(sink).connection.bio_write(chunk)
        return self

    def _end(self, name: str) -> Handshake:
        return self.client if name == "client" else self.server

    def _advance(self, name: str) -> None:
        outcome = self._end(name).advance()
        if outcome is not None:
            self.outcomes[name] = outcome
