"""What this side shows in a handshake: evidence made for the peer's nonce, or a certificate that stays.

:class:`EvidenceIssuer` keeps its key for the life of the process and makes a certificate for each connection.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from cvmproxy.attestation.binding import Binding
from cvmproxy.attestation.model import Nonce
from cvmproxy.attestation.roles import Attester
from cvmproxy.carriage.certificate import MAX_LEAF_SIZE, LeafKey, make_leaf
from cvmproxy.carriage.interfaces import Credential
from cvmproxy.errors import PlatformError

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
