"""How a connection of one server or one client begins: its nonce, its OpenSSL connection, its handshake."""

from typing import ClassVar, Protocol

from cvmproxy.attestation.model import Nonce
from cvmproxy.attestation.policy import NoAttestation
from cvmproxy.carriage.interfaces import Credential
from cvmproxy.carriage.nonce import encode_nonce
from cvmproxy.tls.connection_table import State
from cvmproxy.tls.contexts import ClientContexts, ServerContexts
from cvmproxy.tls.driver import HandshakeDriver
from cvmproxy.tls.handshake import ClientHandshake, Handshake, ServerHandshake
from cvmproxy.tls.runtime import HandshakeRuntime
from cvmproxy.tls.settings import ClientSettings, ServerSettings, Settings, WebPKI


class Opening(Protocol):
    """Begins connections of one role."""

    role: ClassVar[str]
    initial: ClassVar[State]

    def begin(self, driver: HandshakeDriver, credential: Credential | None) -> Handshake:
        """Return a handshake with a fresh nonce that asks the driver.

        :param credential: what to show, where that does not depend on the peer's nonce; ``None`` to ask for it.
        """
        ...


class ServerOpening:
    """Begins connections that were accepted."""

    role: ClassVar[str] = "server"
    initial: ClassVar[State] = State.ACCEPTED

    def __init__(self, runtime: HandshakeRuntime, settings: ServerSettings) -> None:
        self._runtime = runtime
        self._settings = settings
        self._contexts = ServerContexts(settings)

    def begin(self, driver: HandshakeDriver, credential: Credential | None) -> Handshake:
        """Return a handshake; it has a nonce only where clients are appraised."""
        peer = self._settings.peer
        nonce = Nonce(b"") if isinstance(peer, NoAttestation) else self._runtime.fresh_nonce()
        connection = self._contexts.connection(nonce, credential)
        return ServerHandshake(connection, peer=peer, nonce=nonce, ask=driver.ask, credential=credential)


class ClientOpening:
    """Begins connections that were dialled."""

    role: ClassVar[str] = "client"
    initial: ClassVar[State] = State.DIALLED

    def __init__(self, runtime: HandshakeRuntime, settings: ClientSettings) -> None:
        self._runtime = runtime
        self._settings = settings
        self._contexts = ClientContexts(settings)

    def begin(self, driver: HandshakeDriver, credential: Credential | None) -> Handshake:
        """Return a handshake; its SNI is the nonce, or under ordinary PKI the host name."""
        peer = self._settings.peer
        if isinstance(peer, WebPKI):
            nonce = Nonce(b"")
            server_name = None if peer.is_address else peer.host.encode("ascii")
        else:
            nonce = self._runtime.fresh_nonce()
            server_name = encode_nonce(nonce)
        connection = self._contexts.connection(server_name, credential)
        return ClientHandshake(connection, peer=peer, nonce=nonce, ask=driver.ask, asks=credential is None)


def opening_for(runtime: HandshakeRuntime, settings: Settings) -> Opening:
    """Return the opening of the role that the settings are for.

    :raises ConfigurationError: the file of authorities cannot be read.
    """
    if isinstance(settings, ServerSettings):
        return ServerOpening(runtime, settings)
    return ClientOpening(runtime, settings)
