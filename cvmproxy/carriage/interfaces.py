"""What the TLS engine asks of a carriage: a credential to show, and the appraisal of what the peer shows.

The engine runs handshake steps in its own worker threads. What is pure runs there; what does I/O (``async def``) is
run on the reactor while the worker waits. The engine knows nothing of evidence formats, and the carriage nothing of
sockets.
"""

from typing import Protocol

from attrs import field, frozen
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

from cvmproxy.attestation.model import Endorsements, Nonce
from cvmproxy.attestation.policy import AttestationResult


@frozen(kw_only=True)
class Credential:
    """What one side shows in one handshake.

    :ivar certificate_der: the leaf.
    :ivar chain_der: further certificates, in order; empty for evidence.
    :ivar key: the leaf's private key.
    """

    certificate_der: bytes = field(repr=False)
    chain_der: tuple[bytes, ...] = field(default=(), repr=False)
    key: EllipticCurvePrivateKey | CertificateIssuerPrivateKeyTypes = field(repr=False)


class CredentialSource(Protocol):
    """Makes the credential for one connection."""

    #: Whether the peer's nonce matters, that is, whether an SNI that is no base64 has to be refused.
    needs_nonce: bool

    async def issue(self, peer_nonce: Nonce) -> Credential:
        """Return a credential for this nonce (empty where the peer sent none). Runs on the reactor.

        :raises PlatformError: no evidence could be made.
        """
        ...


class PresentedEvidence(Protocol):
    """Evidence from a leaf, decoded, with the policy snapshot that it will be appraised under."""


class PeerAppraiser(Protocol):
    """Appraises the certificate that a peer shows, in three steps of which only the second does I/O."""

    def read(self, leaf_der: bytes, nonce: Nonce) -> PresentedEvidence:
        """Read the leaf, choose the one evidence extension, decode it. Pure; any thread.

        :raises EvidenceError: no leaf that can be appraised, no evidence, or more than one.
        """
        ...

    async def endorse(self, presented: PresentedEvidence) -> Endorsements:
        """Fetch what authentication will need. Runs on the reactor.

        :raises CollateralError: it cannot be had.
        """
        ...

    def appraise(self, presented: PresentedEvidence, endorsements: Endorsements) -> AttestationResult:
        """Authenticate and appraise. Pure but for the clock; any thread.

        :raises PeerError: refused, with the code that says why.
        :raises CollateralError: the collateral is not acceptable.
        """
        ...
