"""Stream endpoints that add attested TLS to any other: the public face of the engine."""

from attrs import field, frozen
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from zope.interface import implementer

from cvmproxy.events import EventSink
from cvmproxy.tls.protocol import AttestedTLSFactory, AttestedTLSProtocol
from cvmproxy.tls.runtime import HandshakeRuntime
from cvmproxy.tls.settings import ClientSettings, ServerSettings


@implementer(IStreamServerEndpoint)
@frozen
class AttestedServerEndpoint:
    """Listens with attested TLS."""

    endpoint: IStreamServerEndpoint
    settings: ServerSettings
    runtime: HandshakeRuntime
    events: EventSink | None = field(default=None)

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Listen; the factory's protocols are built when their peers are identified."""
        return self.endpoint.listen(AttestedTLSFactory(self.runtime, self.settings, protocolFactory, self.events))


@implementer(IStreamClientEndpoint)
@frozen
class AttestedClientEndpoint:
    """Connects with attested TLS."""

    endpoint: IStreamClientEndpoint
    settings: ClientSettings
    runtime: HandshakeRuntime
    events: EventSink | None = field(default=None)

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect; fires with the wrapped protocol when the server is appraised.

        Fails as the endpoint below fails, or with the :class:`~cvmproxy.errors.CvmproxyError` of the refusal.
        """
        return ensureDeferred(self._connect(protocolFactory))

    async def _connect(self, protocol_factory: IProtocolFactory) -> IProtocol:
        factory = AttestedTLSFactory(self.runtime, self.settings, protocol_factory, self.events)
        connection = await self.endpoint.connect(factory)
        assert isinstance(connection, AttestedTLSProtocol)
        return await connection.when_open()
