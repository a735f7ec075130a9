"""How evidence is bound to a key and a nonce (wire protocol, "Roles, nonces, binding")."""

from hashlib import sha256

from attrs import frozen

from cvmproxy.attestation.model import Nonce


@frozen(kw_only=True)
class Binding:
    """What evidence must be bound to: the key of the certificate that carries it, and the verifier's nonce.

    :ivar user_data: SHA-256 of the DER SubjectPublicKeyInfo of the leaf's own key, 32 bytes.
    :ivar nonce: the nonce that the verifying side sent on this very connection.
    """

    user_data: bytes
    nonce: Nonce

    @property
    def extra_data(self) -> bytes:
        """SHA-256(user data ‖ nonce), 32 bytes."""
        return sha256(self.user_data + self.nonce).digest()

    @property
    def report_data(self) -> bytes:
        """The 64 bytes of a REPORTDATA field: extra data followed by 32 zero bytes."""
        return self.extra_data + bytes(32)


def user_data_for_key(spki_der: bytes) -> bytes:
    """SHA-256 of a DER SubjectPublicKeyInfo: the user data of every certificate with that key, 32 bytes."""
    return sha256(spki_der).digest()
