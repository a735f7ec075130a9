"""The authentication of a TDX quote: quote, collateral, one pinned root and a time in, claims out.

Follows "Authentication of a TDX quote, in order" of the design page on attestation formats; the numbers in comments
are its steps. Nothing is fetched, cached or compared with a policy. Revoked and out-of-date platforms are told apart
from forged quotes: their status is a claim, and the policy refuses it.
"""

from datetime import datetime
from hashlib import sha256
from typing import Final

from attrs import field, frozen
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from cvmproxy.attestation.certificate_chain import (
    PCK_CHAIN,
    PCK_NAME,
    PLATFORM_CA_NAME,
    PROCESSOR_CA_NAME,
    ROOT_NAME,
    UNREADABLE,
    Certificate,
    TrustRoot,
    load_chain,
    verify_chain,
)
from cvmproxy.attestation.certificate_parts import take_apart
from cvmproxy.attestation.collateral import QeIdentity, TcbInfo, authenticate_qe_identity, authenticate_tcb_info
from cvmproxy.attestation.ecdsa import signature_verifies
from cvmproxy.attestation.model import Endorsement
from cvmproxy.attestation.pck import SGX_EXTENSION_OID, PckExtension, parse_sgx_extension
from cvmproxy.attestation.revocation import RevocationList
from cvmproxy.attestation.tcb import evaluate_tcb, match_module, match_qe
from cvmproxy.attestation.tdx_claims import TdxClaims
from cvmproxy.attestation.tdx_quote import Quote, QuoteSignature, parse_quote
from cvmproxy.errors import AuthenticationError, CollateralError, EvidenceError

PCK_CHAIN_NAMES: Final = (
    frozenset({PCK_NAME}),
    frozenset({PLATFORM_CA_NAME, PROCESSOR_CA_NAME}),
    frozenset({ROOT_NAME}),
)


@frozen(kw_only=True)
class DcapQuote:
    """A quote with its PCK certificates read: all that can be known of it without believing it.

    :ivar pck_chain: leaf, CA and root as the quote carries them.
    :ivar pck: what the leaf says of the platform.
    :ivar pck_ca: which CA the leaf names as its issuer, as Intel's PCS calls it: ``platform`` or ``processor``.
    """

    quote: Quote
    pck_chain: tuple[x509.Certificate, ...] = field(repr=False)
    pck: PckExtension
    pck_ca: str


@frozen(kw_only=True)
class DcapCollateral:
    """What Intel says about a platform, as its source gave it.

    :ivar tcb_info: body and issuer chain of the TDX TCB info for the platform's FMSPC; ``qe_identity`` likewise.
    :ivar pck_crl: DER of the CRL of the CA that issued the PCK; ``root_crl``: DER of the root's. Each is verified with
        that CA's own key from the PCK chain, so issuer chains that come with them are of no use.
    """

    tcb_info: Endorsement
    qe_identity: Endorsement
    pck_crl: bytes = field(repr=False)
    root_crl: bytes = field(repr=False)


def read_quote(data: bytes) -> DcapQuote:
    """Step 1: parse a quote and the certificates in it.

    :raises EvidenceError: ``evidence-malformed`` or ``evidence-unsupported``.
    """
    quote = parse_quote(data)
    try:
        chain = load_chain(quote.signature.pck_chain_pem)
        parts = take_apart(chain[0].public_bytes(Encoding.DER))
    except UNREADABLE as error:
        raise EvidenceError("evidence-malformed", f"the PCK certificate chain cannot be read: {error}") from None
    extensions = [value for oid, value in parts.extensions if oid == SGX_EXTENSION_OID]
    if len(extensions) != 1:
        raise EvidenceError("evidence-malformed", f"the PCK certificate has {len(extensions)} SGX extensions, not one")
    # The name chooses which CRL is asked for, nothing else: the chain and the CRL's signature settle who issued what.
    is_processor = PROCESSOR_CA_NAME.encode("ascii") in parts.issuer
    return DcapQuote(
        quote=quote,
        pck_chain=chain,
        pck=parse_sgx_extension(extensions[0]),
        pck_ca="processor" if is_processor else "platform",
    )


def authenticate(
    evidence: DcapQuote, collateral: DcapCollateral, root: TrustRoot, *, report_data: bytes, now: datetime
) -> TdxClaims:
    """Verify everything about a quote but what a policy decides.

    :param report_data: the 64 bytes that REPORTDATA has to be.
    :raises AuthenticationError: the quote is not authentic, not bound to ``report_data``, or of an unknown platform.
    :raises CollateralError: the collateral is malformed, expired, not yet valid, for something else, or not authentic.
    """
    quote = evidence.quote
    if quote.report.report_data != report_data:
        raise AuthenticationError("nonce-mismatch", "REPORTDATA is not what this connection's key and nonce demand")
    # 2: the PCK chain, then revocation by lists that the chain's own CAs signed.
    leaf, authority, root_certificate = chain = verify_chain(evidence.pck_chain, PCK_CHAIN_NAMES, root, now, PCK_CHAIN)
    root_crl = RevocationList.authenticate(collateral.root_crl, root_certificate, now)
    pck_crl = RevocationList.authenticate(collateral.pck_crl, authority, now)
    root_crl.require_not_revoked(authority, AuthenticationError)
    pck_crl.require_not_revoked(leaf, AuthenticationError)
    # 3, 4, 5
    verify_quote_signatures(quote, leaf)
    # 6
    info, info_end = authenticate_tcb_info(collateral.tcb_info, root, root_crl, now)
    identity, identity_end = authenticate_qe_identity(collateral.qe_identity, root, root_crl, now)
    _require_same_platform(evidence.pck, info)
    ends = (certificate.parsed.not_valid_after_utc for certificate in chain)
    return _claims(
        evidence, info, identity, min(*ends, root_crl.next_update, pck_crl.next_update, info_end, identity_end)
    )


def verify_quote_signatures(quote: Quote, pck_leaf: Certificate) -> None:
    """Steps 3 to 5: follow the signatures from the PCK key over the QE report and the attestation key to the quote.

    :raises AuthenticationError: ``qe-report-signature``, ``qe-report-binding`` or ``quote-signature``.
    """
    signature = quote.signature
    qe_report = signature.qe_report
    if not signature_verifies(pck_leaf.public_key, signature.qe_report_signature, qe_report.raw):
        raise AuthenticationError("qe-report-signature", "the PCK key did not sign the QE report")
    if qe_report.report_data != _qe_report_data(signature):
        raise AuthenticationError("qe-report-binding", "the QE report is about another attestation key")
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + signature.attestation_key)
    except ValueError:
        raise AuthenticationError("quote-signature", "the attestation key is not a point of P-256") from None
    if not signature_verifies(key, signature.quote_signature, quote.signed_part):
        raise AuthenticationError("quote-signature", "the attestation key did not sign the quote")


def _qe_report_data(signature: QuoteSignature) -> bytes:
    return sha256(signature.attestation_key + signature.qe_authentication_data).digest() + bytes(32)


def _require_same_platform(pck: PckExtension, info: TcbInfo) -> None:
    if pck.fmspc != info.fmspc:
        raise CollateralError(
            "collateral-mismatch", f"the TCB info is for FMSPC {info.fmspc.hex()}, the PCK for {pck.fmspc.hex()}"
        )
    if pck.pce_id != info.pce_id:
        raise CollateralError(
            "collateral-mismatch", f"the TCB info is for PCEID {info.pce_id.hex()}, the PCK for {pck.pce_id.hex()}"
        )


def _claims(evidence: DcapQuote, info: TcbInfo, identity: QeIdentity, not_after: datetime) -> TdxClaims:
    """Steps 7 to 11."""
    report = evidence.quote.report
    qe_level = match_qe(evidence.quote.signature.qe_report, identity)
    module_level = match_module(report, info)
    return TdxClaims(
        report=report,
        pck=evidence.pck,
        tcb=evaluate_tcb(report, evidence.pck, info, module_level, qe_level),
        evaluation_data_number=info.evaluation_data_number,
        qe_evaluation_data_number=identity.evaluation_data_number,
        not_after=not_after,
    )
