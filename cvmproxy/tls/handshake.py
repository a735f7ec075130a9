"""The handshake engine: sans-IO, bytes in, bytes and an outcome out, over pyOpenSSL's public interface alone.

Evidence has to be made and appraised in the middle of a TLS handshake, and both can take seconds: the step has to be
suspended. Here it is suspended by blocking: :meth:`Handshake.advance` may be called in a worker thread, in which
OpenSSL's callbacks ask a question and wait for the answer. One step is driven whenever bytes have come, so an idle peer
holds no thread, and a step that has nothing to ask (:attr:`Handshake.may_ask`) may run anywhere. Why not otherwise:

* A greenlet would switch away across C frames of cffi and OpenSSL, whose error queue is one per thread: an error of
  another connection could be read as this one's. Threads give each step a queue of its own.
* ``SSL_CTX_set_cert_cb`` can suspend the making of evidence, but not the appraisal, and is a private symbol of the
  binding, which may vanish with any release.
* An appraisal after the handshake could refuse only when the last flight is out: the peer would take a refused
  connection for an open one, or its alert would have to be forged.

Where the callbacks are called (OpenSSL): the servername callback when the ClientHello was read, also without SNI, and
again after a HelloRetryRequest; the verify callback for each certificate of the chain, more than once. A False from it
becomes a fatal alert, before a byte of ours has gone out that the peer could take for consent.
"""

from collections.abc import Callable
from typing import ClassVar, Final, TypeAlias

from attrs import frozen
from OpenSSL import SSL
from OpenSSL.crypto import FILETYPE_ASN1, X509, dump_certificate

from cvmproxy.attestation.model import Nonce
from cvmproxy.attestation.policy import NoAttestation, PeerIdentity
from cvmproxy.carriage.certificate import MAX_LEAF_SIZE
from cvmproxy.carriage.interfaces import Credential, PeerAppraiser
from cvmproxy.carriage.nonce import nonce_from_authorities, nonce_from_server_name
from cvmproxy.errors import CvmproxyError, EvidenceError, NonceError
from cvmproxy.tls.alerts import fatal_alert, refused_by_peer, tls_error
from cvmproxy.tls.contexts import refusing_context, show
from cvmproxy.tls.flight import ServerFlightScanner
from cvmproxy.tls.questions import Ask, CredentialRequested, EndorsementsRequested
from cvmproxy.tls.settings import WebPKI
from cvmproxy.tls.web_pki import refusal_under_web_pki

#: What OpenSSL calls the state of a TLS 1.3 client that has read a CertificateRequest. Held by a canary test.
CERTIFICATE_REQUEST_READ: Final = b"SSLv3/TLS read server certificate request"


@frozen(kw_only=True)
class Completed:
    """The handshake is over and this side's appraisal is done."""

    identity: PeerIdentity


@frozen(kw_only=True)
class Refused:
    """The handshake failed; an alert may be among the outgoing bytes."""

    error: CvmproxyError


Outcome: TypeAlias = Completed | Refused


class Handshake:
    """One handshake. Calls must not overlap; successive ones may come from different threads.

    :param connection: a fresh connection of :mod:`cvmproxy.tls.contexts`; this object becomes its application data.
    :param peer: how the other side is appraised.
    :param nonce: the nonce that is sent on this connection.
    :param ask: answers questions; may block.
    """

    speaks_first: ClassVar[bool] = False

    def __init__(
        self, connection: SSL.Connection, *, peer: PeerAppraiser | WebPKI | NoAttestation, nonce: Nonce, ask: Ask
    ) -> None:
        self.connection: Final = connection
        # OpenSSL goes on calling this context's callbacks even if the connection is moved to another.
        self._context: Final = connection.get_context()
        self._peer: Final = peer
        self._nonce: Final = nonce
        self._ask: Final = ask
        self._refusal: CvmproxyError | None = None
        self._alert: int | None = None
        self._identity: PeerIdentity | None = None
        self._judged = False
        connection.set_app_data(self)

    @property
    def may_ask(self) -> bool:
        """Whether the next step may ask a question, and so block."""
        return self._may_appraise or self.may_ask_for_credential

    @property
    def _may_appraise(self) -> bool:
        return not self._judged and not isinstance(self._peer, NoAttestation | WebPKI)

    @property
    def may_ask_for_credential(self) -> bool:
        """Whether the next step may ask for this side's credential."""
        raise NotImplementedError

    def feed(self, data: bytes) -> None:
        """Take bytes from the peer; :meth:`advance` acts on them."""
        if data:
            self.connection.bio_write(data)

    def advance(self) -> Outcome | None:
        """Drive the handshake as far as the bytes go. Returns ``None`` while more are needed.

        Whatever is returned, :meth:`outgoing` has bytes for the peer afterwards.
        """
        try:
            self.connection.do_handshake()
        except SSL.WantReadError:
            return None
        except SSL.Error as error:
            return Refused(error=self._refusal or self._failure(error))
        if self._refusal is not None:
            return Refused(error=self._refusal)
        if self._identity is None:
            return Refused(error=CvmproxyError("internal-error", "the handshake ended without an appraisal"))
        return Completed(identity=self._identity)

    def outgoing(self) -> bytes:
        """Return, and forget, the bytes that have to go to the peer."""
        parts = []
        try:
            while True:
                parts.append(self.connection.bio_read(1 << 16))
        except SSL.WantReadError:
            return b"".join(parts)

    def release(self) -> None:
        """Let go of the connection, so that its memory is freed at once."""
        self.connection.set_app_data(None)

    def _failure(self, error: SSL.Error) -> CvmproxyError:
        return tls_error(error) if self._alert is None else refused_by_peer(self._alert)

    # -- callbacks, in the thread of the step

    def server_name_received(self) -> None:
        """The ClientHello was read; only a server minds."""

    def progressed(self, where: int, value: int) -> None:
        """Remember a fatal alert from the peer."""
        if where == SSL.SSL_CB_READ_ALERT:
            self._alert = fatal_alert(value) or self._alert

    def certificate_received(self, certificate: X509, error: int, depth: int, acceptable: bool) -> bool:
        """Appraise the leaf, once; under ordinary PKI believe what OpenSSL says of the chain."""
        return self._guarded(lambda: self._judge(certificate, error, depth, acceptable))

    def _judge(self, certificate: X509, error: int, depth: int, acceptable: bool) -> None:
        if isinstance(self._peer, WebPKI):
            refusal = refusal_under_web_pki(self._peer, certificate, error, depth, acceptable)
            if refusal is not None:
                raise refusal
        if depth > 0 or self._judged:
            return
        self._judged = True
        identity = self._appraise(certificate)
        self._certificate_accepted()
        self._identity = identity

    def _appraise(self, certificate: X509) -> PeerIdentity:
        if isinstance(self._peer, WebPKI):
            return NoAttestation(because="ordinary PKI")
        if isinstance(self._peer, NoAttestation):
            return self._peer
        leaf_der = dump_certificate(FILETYPE_ASN1, certificate)
        if len(leaf_der) > MAX_LEAF_SIZE:
            raise EvidenceError("leaf-too-large", f"the certificate has {len(leaf_der)} bytes, over {MAX_LEAF_SIZE}")
        presented = self._peer.read(leaf_der, self._nonce)
        return self._peer.appraise(presented, self._ask(EndorsementsRequested(presented=presented)))

    def _certificate_accepted(self) -> None:
        """The peer was appraised and accepted: a client may now give its own evidence."""

    def _guarded(self, act: Callable[[], None]) -> bool:
        """Act, unless this handshake is refused already; an error refuses it. Nothing may be raised into OpenSSL."""
        if self._refusal is None:
            try:
                act()
            except CvmproxyError as error:
                self._refusal = error
            except Exception as error:  # noqa: BLE001 # cffi would print it, and pyOpenSSL give it to another connection
                self._refusal = CvmproxyError("internal-error", f"{type(error).__name__}: {error}")
                self._refusal.__cause__ = error
        return self._refusal is None


@frozen
class _Unasked:
    """No credential was asked for yet."""


class ServerHandshake(Handshake):
    """The server's side.

    :param credential: what to show, where that does not depend on the client; ``None`` to ask for it with its nonce.
    """

    def __init__(
        self,
        connection: SSL.Connection,
        *,
        peer: PeerAppraiser | NoAttestation,
        nonce: Nonce,
        ask: Ask,
        credential: Credential | None,
    ) -> None:
        super().__init__(connection, peer=peer, nonce=nonce, ask=ask)
        self._asks = credential is None
        self._server_name: bytes | _Unasked | None = _Unasked()
        if isinstance(peer, NoAttestation):
            self._identity = peer

    @property
    def may_ask_for_credential(self) -> bool:
        """As long as no ClientHello was read, unless the credential was given."""
        return self._asks and isinstance(self._server_name, _Unasked)

    def server_name_received(self) -> None:
        """Make the credential for this client's nonce, once."""
        if self._asks and not self._guarded(self._issue):
            self.connection.set_context(refusing_context())

    def _issue(self) -> None:
        server_name = self.connection.get_servername()
        if not isinstance(self._server_name, _Unasked):
            if server_name != self._server_name:
                raise NonceError("nonce-malformed", "the client sent another nonce after the HelloRetryRequest")
            return
        self._server_name = server_name
        show(self.connection, self._ask(CredentialRequested(peer_nonce=nonce_from_server_name(server_name))))


class ClientHandshake(Handshake):
    """The client's side.

    :param asks: whether the credential has to be asked for with the server's nonce; otherwise the connection has it.
    """

    speaks_first: ClassVar[bool] = True

    def __init__(
        self,
        connection: SSL.Connection,
        *,
        peer: PeerAppraiser | WebPKI | NoAttestation,
        nonce: Nonce,
        ask: Ask,
        asks: bool,
    ) -> None:
        super().__init__(connection, peer=peer, nonce=nonce, ask=ask)
        self._asks = asks
        self._scanner = ServerFlightScanner() if asks else None
        self._requested_in_tls13 = False
        self._started = False

    @property
    def may_ask(self) -> bool:
        """As in every handshake, but a ClientHello asks nothing."""
        return self._started and super().may_ask

    @property
    def may_ask_for_credential(self) -> bool:
        """As long as the server's certificate was not read."""
        return self._asks and not self._judged

    def feed(self, data: bytes) -> None:
        """Take bytes from the server, held back as long as it has to be known whether they ask for a certificate."""
        super().feed(data if self._scanner is None else self._scanner.feed(data))

    def advance(self) -> Outcome | None:
        """As in every handshake; the first step makes the ClientHello."""
        self._started = True
        return super().advance()

    def progressed(self, where: int, value: int) -> None:
        """Note also that a TLS 1.3 server asked for a certificate."""
        super().progressed(where, value)
        if where == SSL.SSL_CB_CONNECT_LOOP and self.connection.get_state_string() == CERTIFICATE_REQUEST_READ:
            self._requested_in_tls13 = True

    def _certificate_accepted(self) -> None:
        if not self._asks:
            return
        authorities = self._requested_authorities()
        if authorities is not None:
            nonce = nonce_from_authorities(authorities)
            show(self.connection, self._ask(CredentialRequested(peer_nonce=nonce)))

    def _requested_authorities(self) -> tuple[bytes, ...] | None:
        """The authorities that the server's request for a certificate names; ``None`` where it made no request."""
        if self._requested_in_tls13:
            return tuple(name.der() for name in self.connection.get_client_ca_list())
        return None if self._scanner is None else self._scanner.authorities
