"""The appraisal of the evidence in a peer's certificate, for every type that this side accepts."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from attrs import frozen

from cvmproxy.attestation.binding import Binding
from cvmproxy.attestation.model import Endorsements, Evidence, Nonce
from cvmproxy.attestation.policy import AppraisalPolicy, AttestationResult, appraise
from cvmproxy.carriage.certificate import read_leaf
from cvmproxy.carriage.interfaces import PresentedEvidence
from cvmproxy.schemes.scheme import Scheme, VerifyingParts


@frozen(kw_only=True)
class _Presented(PresentedEvidence):
    """Evidence from one leaf, with what it must be bound to and the policy that was in force when it was read."""

    parts: VerifyingParts
    evidence: Evidence
    binding: Binding
    policy: AppraisalPolicy


class LeafAppraiser:
    """Appraises leaves with evidence of the accepted types.

    :param accepted: the types, each with its verifying parts; at least one.
    :param policy: gives the policy that is in force now; a connection keeps the one it began with.
    :param now: the clock (aware, UTC).
    """

    def __init__(
        self,
        *,
        accepted: Sequence[tuple[Scheme, VerifyingParts]],
        policy: Callable[[], AppraisalPolicy],
        now: Callable[[], datetime],
    ) -> None:
        self._parts_by_oid: Final = {scheme.oid: parts for scheme, parts in accepted}
        self._policy: Final = policy
        self._now: Final = now

    def read(self, leaf_der: bytes, nonce: Nonce) -> PresentedEvidence:
        """Read the leaf, choose the one evidence extension, decode it.

        :raises EvidenceError: no leaf that can be appraised, no evidence, or more than one.
        """
        leaf = read_leaf(leaf_der, accepted_oids=self._parts_by_oid.keys(), now=self._now())
        parts = self._parts_by_oid[leaf.oid]
        return _Presented(
            parts=parts,
            evidence=parts.verifier.decode(leaf.document),
            binding=Binding(user_data=leaf.user_data, nonce=nonce),
            policy=self._policy(),
        )

    async def endorse(self, presented: PresentedEvidence) -> Endorsements:
        """Fetch what authentication will need.

        :raises CollateralError: it cannot be had.
        """
        own = _own(presented)
        return await own.parts.endorsements.endorse(own.parts.verifier.required_endorsements(own.evidence))

    def appraise(self, presented: PresentedEvidence, endorsements: Endorsements) -> AttestationResult:
        """Authenticate and appraise.

        :raises PeerError: refused, with the code that says why.
        :raises CollateralError: the collateral is not acceptable.
        """
        own, now = _own(presented), self._now()
        claims = own.parts.verifier.authenticate(own.evidence, endorsements, own.binding, now)
        return appraise(claims, own.policy, now)


def _own(presented: PresentedEvidence) -> _Presented:
    if not isinstance(presented, _Presented):
        raise TypeError("evidence of another appraiser")
    return presented
