"""The verifier of dcap-tdx documents, under any root: Intel's, a private one, or the simulated platform's."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from attrs import frozen

from cvmproxy.attestation.binding import Binding
from cvmproxy.attestation.certificate_chain import PCK_CHAIN, TrustRoot, verify_issuance
from cvmproxy.attestation.dcap import PCK_CHAIN_NAMES, DcapCollateral, DcapQuote, authenticate, read_quote
from cvmproxy.attestation.dcap_document import decode_document
from cvmproxy.attestation.model import Claims, Endorsement, EndorsementRequest, Endorsements, Evidence
from cvmproxy.errors import AuthenticationError, CollateralError

TCB_INFO: Final = "tdx-tcb-info"
QE_IDENTITY: Final = "tdx-qe-identity"
PCK_CRL: Final = "pck-crl"
ROOT_CRL: Final = "root-ca-crl"


@frozen(kw_only=True)
class DcapEvidence:
    """A decoded document: the quote, and the user data that its sender claims."""

    quote: DcapQuote
    user_data: bytes


class DcapVerifier:
    """Authenticates dcap-tdx documents (a ``Verifier``).

    Endorsements: ``("tdx-tcb-info", FMSPC in lower-case hex)`` and ``("tdx-qe-identity", "")`` with the body of the PCS
    answer and its issuer chain in PEM; ``("pck-crl", "platform" or "processor")`` and ``("root-ca-crl", "")`` in DER.
    """

    def __init__(self, *, attestation_type: str, root_der: bytes) -> None:
        """Trust one root.

        :param attestation_type: the type of the claims: the scheme's command-line name.
        :param root_der: the root's certificate.
        :raises ConfigurationError: ``bad-option``: the certificate cannot be the root of PCK chains.
        """
        self._attestation_type: Final = attestation_type
        self._root: Final = TrustRoot.from_der(root_der)

    def decode(self, document: bytes) -> Evidence:
        """Parse a document, the quote in it, and the certificates in that.

        :raises EvidenceError: ``evidence-malformed`` or ``evidence-unsupported``.
        """
        parts = decode_document(document)
        return Evidence(
            attestation_type=self._attestation_type,
            document=document,
            decoded=DcapEvidence(quote=read_quote(parts.raw_quote), user_data=parts.user_data),
        )

    def required_endorsements(self, evidence: Evidence) -> tuple[EndorsementRequest, ...]:
        """Say which collateral the quote's platform needs.

        The names in it are the peer's until the root has signed them: a stranger must not choose what is fetched, nor
        fill a cache with names of his own.

        :raises AuthenticationError: ``pck-chain-invalid``: the trusted root did not issue the quote's PCK certificate.
        """
        quote = _decoded(evidence).quote
        verify_issuance(quote.pck_chain, PCK_CHAIN_NAMES, self._root, PCK_CHAIN)
        return tuple(_requests(quote).values())

    def authenticate(self, evidence: Evidence, endorsements: Endorsements, binding: Binding, now: datetime) -> Claims:
        """Verify binding, signatures, identities and windows.

        :raises AuthenticationError: the evidence is not authentic, or not for this binding.
        :raises CollateralError: the collateral is absent, malformed, expired, not yet valid or not authentic.
        """
        decoded = _decoded(evidence)
        if decoded.user_data != binding.user_data:
            raise AuthenticationError("key-mismatch", "UserData is not the hash of the certificate's key")
        collateral = _collateral(_requests(decoded.quote), endorsements)
        platform = authenticate(decoded.quote, collateral, self._root, report_data=binding.report_data, now=now)
        return Claims(
            attestation_type=self._attestation_type,
            measurements=platform.measurements,
            platform=platform,
            not_after=platform.not_after,
        )


def _decoded(evidence: Evidence) -> DcapEvidence:
    if not isinstance(evidence.decoded, DcapEvidence):
        raise TypeError("the evidence was decoded by another verifier")
    return evidence.decoded


def _requests(quote: DcapQuote) -> dict[str, EndorsementRequest]:
    return {
        TCB_INFO: EndorsementRequest(TCB_INFO, quote.pck.fmspc.hex()),
        QE_IDENTITY: EndorsementRequest(QE_IDENTITY),
        PCK_CRL: EndorsementRequest(PCK_CRL, quote.pck_ca),
        ROOT_CRL: EndorsementRequest(ROOT_CRL),
    }


def _collateral(requests: Mapping[str, EndorsementRequest], endorsements: Endorsements) -> DcapCollateral:
    def found(kind: str) -> Endorsement:
        request = requests[kind]
        if request not in endorsements:
            raise CollateralError("collateral-unavailable", f"no {request.kind} {request.key} was given")
        return endorsements[request]

    return DcapCollateral(
        tcb_info=found(TCB_INFO),
        qe_identity=found(QE_IDENTITY),
        pck_crl=found(PCK_CRL).body,
        root_crl=found(ROOT_CRL).body,
    )
