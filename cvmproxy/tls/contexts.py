"""OpenSSL contexts: what is true of every connection of ours, in one place.

TLS 1.2 is the minimum, and there too only what TLS 1.3 has: certificates, ephemeral keys, authenticated encryption; no
anonymous, pre-shared or RSA key exchange, which would go round the certificate or hang on its key for ever. There is no
session cache, no ticket, no renegotiation: a resumed session would skip the appraisal. OpenSSL sends stateful TLS 1.3
tickets all the same; with the cache off it can find none of them again.

A context cannot change after its first connection, so a server that appraises clients needs one for each, for its
nonce. All others share one. The callbacks find their handshake through the connection's application data.
"""

from typing import Final, Protocol, cast

from cryptography import x509
from OpenSSL import SSL
from OpenSSL.crypto import X509

from cvmproxy.attestation.model import Nonce
from cvmproxy.attestation.policy import NoAttestation
from cvmproxy.carriage.interfaces import Credential
from cvmproxy.carriage.nonce import authority_for_nonce
from cvmproxy.errors import ConfigurationError
from cvmproxy.tls.alerts import openssl_reasons
from cvmproxy.tls.settings import ClientSettings, ServerSettings, WebPKI

_TLS12_CIPHERS: Final = b"ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:!PSK:!SRP"


class Callbacks(Protocol):
    """What a connection's application data answers to OpenSSL's callbacks. None of them raises."""

    def server_name_received(self) -> None:
        """The ClientHello was read: set the certificate. Called again after a HelloRetryRequest."""

    def certificate_received(self, certificate: X509, error: int, depth: int, acceptable: bool) -> bool:
        """A certificate of the peer's chain was looked at: say whether it is acceptable."""

    def progressed(self, where: int, value: int) -> None:
        """OpenSSL moved on, or read or wrote an alert."""


def _on_server_name(connection: SSL.Connection) -> None:
    cast(Callbacks, connection.get_app_data()).server_name_received()


def _on_certificate(connection: SSL.Connection, certificate: X509, error: int, depth: int, acceptable: int) -> bool:
    callbacks = cast(Callbacks, connection.get_app_data())
    return callbacks.certificate_received(certificate, error, depth, bool(acceptable))


def _on_progress(connection: SSL.Connection, where: int, value: int) -> None:
    callbacks = cast(Callbacks | None, connection.get_app_data())
    if callbacks is not None:
        callbacks.progressed(where, value)


def _context() -> SSL.Context:
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_cipher_list(_TLS12_CIPHERS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_info_callback(_on_progress)
    return context


class ServerContexts:
    """The contexts of one server. Lives on the reactor thread."""

    def __init__(self, settings: ServerSettings) -> None:
        self._appraises = not isinstance(settings.peer, NoAttestation)
        self._shared: SSL.Context | None = None
        self._chain: Credential | None = None

    def connection(self, nonce: Nonce, credential: Credential | None) -> SSL.Connection:
        """Return a new connection in accept state.

        :param nonce: our nonce, sent where clients are appraised.
        :param credential: what to show, where that does not depend on the client.
        """
        if self._appraises:
            context = self._server_context(credential)
            context.add_client_ca(authority_for_nonce(nonce))
            context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _on_certificate)
        else:
            chain = credential if credential is not None and credential.chain_der else None
            if self._shared is None or chain != self._chain:
                self._shared, self._chain = self._server_context(chain), chain
            context = self._shared
        connection = SSL.Connection(context, None)
        connection.set_accept_state()
        if credential is not None:
            show(connection, credential)
        return connection

    @staticmethod
    def _server_context(credential: Credential | None) -> SSL.Context:
        context = _context()
        context.set_tlsext_servername_callback(_on_server_name)
        if credential is not None and credential.chain_der:
            _show_chain(context, credential)
        return context


class ClientContexts:
    """The contexts of one client. Lives on the reactor thread.

    :raises ConfigurationError: the file of authorities cannot be read.
    """

    def __init__(self, settings: ClientSettings) -> None:
        self._peer = settings.peer
        self._shared = self._client_context(None)

    def connection(self, server_name: bytes | None, credential: Credential | None) -> SSL.Connection:
        """Return a new connection in connect state.

        :param server_name: what to send as SNI, as it is.
        :param credential: what to show if asked, where that does not depend on the server's nonce.
        """
        chained = credential is not None and bool(credential.chain_der)
        connection = SSL.Connection(self._client_context(credential) if chained else self._shared, None)
        connection.set_connect_state()
        if server_name is not None:
            connection.set_tlsext_host_name(server_name)
        if credential is not None:
            show(connection, credential)
        return connection

    def _client_context(self, credential: Credential | None) -> SSL.Context:
        context = _context()
        context.set_verify(SSL.VERIFY_PEER, _on_certificate)
        if isinstance(self._peer, WebPKI):
            _trust(context, self._peer)
        if credential is not None:
            _show_chain(context, credential)
        return context


def show(connection: SSL.Connection, credential: Credential) -> None:
    """Give the connection the certificate and key that it is to show.

    :raises ConfigurationError: OpenSSL does not take them: a weak key or digest, or two that do not belong together.
    """
    try:
        connection.use_certificate(x509.load_der_x509_certificate(credential.certificate_der))
        connection.use_privatekey(credential.key)  # type: ignore[arg-type] # pyOpenSSL names fewer types than it takes
    except SSL.Error as error:
        raise _unusable(error) from error


def refusing_context() -> SSL.Context:
    """Return a context without any certificate: a connection that is moved to it ends with the alert 40.

    A servername callback of pyOpenSSL has no other way to refuse than an exception, which it prints.
    """
    return _context()


def require_usable(credential: Credential) -> None:
    """Find out before the first connection whether TLS takes an operator's certificate, its chain and its key.

    :raises ConfigurationError: ``bad-option``; OpenSSL's reason is in the message.
    """
    _show_chain(_context(), credential)


def _show_chain(context: SSL.Context, credential: Credential) -> None:
    try:
        context.use_certificate(x509.load_der_x509_certificate(credential.certificate_der))
        for further in credential.chain_der:
            context.add_extra_chain_cert(x509.load_der_x509_certificate(further))
        context.use_privatekey(credential.key)  # type: ignore[arg-type] # as above
    except SSL.Error as error:
        raise _unusable(error) from error


def _unusable(error: SSL.Error) -> ConfigurationError:
    return ConfigurationError("bad-option", f"TLS does not take the certificate or its key: {openssl_reasons(error)}")


def _trust(context: SSL.Context, peer: WebPKI) -> None:
    if peer.ca_file is None:
        context.set_default_verify_paths()
        return
    try:
        context.load_verify_locations(str(peer.ca_file))
    except SSL.Error as error:
        raise ConfigurationError("bad-option", f"no certificate authorities can be read from {peer.ca_file}") from error
