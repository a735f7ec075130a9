"""What this side shows in a handshake: evidence made for the peer's nonce, or a certificate that stays.

:class:`EvidenceIssuer` keeps its key for the life of the process and makes a certificate for each connection.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, get_args

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from cvmproxy.attestation.binding import Binding
from cvmproxy.attestation.model import Nonce
from cvmproxy.attestation.roles import Attester
from cvmproxy.carriage.certificate import MAX_LEAF_SIZE, LeafKey, make_leaf
from cvmproxy.carriage.interfaces import Credential
from cvmproxy.errors import ConfigurationError, PlatformError

_RENEW_AFTER: Final = timedelta(hours=1)


class EvidenceIssuer:
    """Issues a certificate with fresh evidence for every connection.

    :param evidence_oid: dotted OID of the scheme's extension.
    :param now: the clock (aware, UTC).
    """

    needs_nonce = True

    def __init__(
        self,
        *,
        attester: Attester,
        evidence_oid: str,
        leaf_key: LeafKey,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        self._attester: Final = attester
        self._evidence_oid: Final = evidence_oid
        self._leaf_key: Final = leaf_key
        self._now: Final = now
        self._random: Final = random

    async def issue(self, peer_nonce: Nonce) -> Credential:
        """Return a credential whose evidence is bound to this nonce and to the certificate's key.

        :raises PlatformError: no evidence could be made, or none that a peer would take.
        """
        binding = Binding(user_data=self._leaf_key.user_data, nonce=peer_nonce)
        document = await self._attester.attest(binding)
        leaf_der = make_leaf(
            self._leaf_key,
            now=self._now(),
            random=self._random,
            evidence_oid=self._evidence_oid,
            document=document,
        )
        if len(leaf_der) > MAX_LEAF_SIZE:
            raise PlatformError(
                "evidence-unavailable",
                f"a document of {len(document)} bytes makes a leaf of {len(leaf_der)}, over {MAX_LEAF_SIZE}",
            )
        return Credential(certificate_der=leaf_der, key=self._leaf_key.key)


class StaticIssuer:
    """Shows one certificate to everybody: the operator's own."""

    needs_nonce = False

    def __init__(self, credential: Credential) -> None:
        self._credential: Final = credential

    async def issue(self, peer_nonce: Nonce) -> Credential:
        """Return the credential, whatever the nonce is."""
        return self._credential


class BareIssuer:
    """Shows a self-signed certificate without evidence, for a side that has to show one and attests nothing.

    It is made once, and again before it runs out.
    """

    needs_nonce = False

    def __init__(self, *, leaf_key: LeafKey, now: Callable[[], datetime], random: Callable[[int], bytes]) -> None:
        self._leaf_key: Final = leaf_key
        self._now: Final = now
        self._random: Final = random
        self._made_at = now()
        self._credential = self._make()

    async def issue(self, peer_nonce: Nonce) -> Credential:
        """Return the credential, whatever the nonce is."""
        # A clock that was set back makes the certificate one from the future.
        if abs(self._now() - self._made_at) >= _RENEW_AFTER:
            self._made_at = self._now()
            self._credential = self._make()
        return self._credential

    def _make(self) -> Credential:
        leaf_der = make_leaf(self._leaf_key, now=self._made_at, random=self._random)
        return Credential(certificate_der=leaf_der, key=self._leaf_key.key)


def read_operator_credential(certificate_path: Path, key_path: Path) -> Credential:
    """Read the operator's certificate with its chain, and its key, from PEM files. Blocks: call it at start-up.

    :raises ConfigurationError: a file cannot be read, or they do not belong together.
    """
    certificate_pem, key_pem = _read(certificate_path), _read(key_path)
    try:
        leaf, *chain = x509.load_pem_x509_certificates(certificate_pem)
    except ValueError as error:
        raise ConfigurationError("bad-option", f"{certificate_path} has no usable PEM certificate: {error}") from error
    try:
        key = load_pem_private_key(key_pem, password=None)
    except (ValueError, TypeError) as error:
        raise ConfigurationError(
            "bad-option", f"{key_path} has no usable PEM private key without a password: {error}"
        ) from error
    if not isinstance(key, get_args(CertificateIssuerPrivateKeyTypes)):
        raise ConfigurationError("bad-option", f"{key_path} has a key of a kind that cannot sign")
    if key.public_key() != leaf.public_key():
        raise ConfigurationError(
            "bad-option", f"the key in {key_path} is not that of the certificate in {certificate_path}"
        )
    return Credential(
        certificate_der=leaf.public_bytes(Encoding.DER),
        chain_der=tuple(certificate.public_bytes(Encoding.DER) for certificate in chain),
        key=key,
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError("bad-option", f"{path} cannot be read: {error.strerror}") from error
