"""The table of reason codes: every stable code that a log line or the body of an error can carry.

A code is a promise: it is never reused for another meaning. ``docs/reason-codes.rst`` shows this same table, and a
test keeps the two equal. This module imports nothing of the package.
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final

from attrs import frozen


class Actor(Enum):
    """Who has to act when a code is seen."""

    OPERATOR = "operator"
    PLATFORM = "platform"
    COLLATERAL = "collateral"
    PEER = "peer"
    BACKEND = "backend"
    REQUESTER = "requester"


@frozen
class Reason:
    """One row: the code, what it means in one sentence, who acts, and the HTTP status that a requester sees.

    ``http_status`` is ``None`` where no HTTP requester can exist (start-up errors, raw TCP).
    """

    code: str
    meaning: str
    actor: Actor
    http_status: int | None = None


_ROWS: Final = (
    # -- operator: configuration
    Reason("bad-option", "an option or environment variable is missing, unknown or contradictory", Actor.OPERATOR),
    Reason("bad-simulated-platform", "the directory of the simulated platform cannot be used as it is", Actor.OPERATOR),
    Reason("cannot-listen", "an address to listen on cannot be bound", Actor.OPERATOR),
    Reason("bad-measurements-file", "a measurements file cannot be used as it is", Actor.OPERATOR),
    Reason(
        "not-available",
        "the named attestation type cannot be used in that role by this version",
        Actor.OPERATOR,
    ),
    # -- platform: making evidence
    Reason("evidence-unavailable", "the platform could not make evidence", Actor.PLATFORM, 502),
    Reason("evidence-timeout", "the platform did not make evidence within its deadline", Actor.PLATFORM, 504),
    Reason("evidence-overload", "too many requests for evidence are in flight or queued", Actor.PLATFORM, 503),
    # -- collateral: Intel or the network
    Reason("collateral-unavailable", "collateral could not be had from any source", Actor.COLLATERAL, 502),
    Reason(
        "collateral-malformed",
        "collateral is not in the form that its specification gives",
        Actor.COLLATERAL,
        502,
    ),
    Reason("collateral-expired", "collateral is past its nextUpdate", Actor.COLLATERAL, 502),
    Reason(
        "collateral-not-yet-valid",
        "collateral is dated in the future: compare the clocks",
        Actor.COLLATERAL,
        502,
    ),
    Reason(
        "collateral-signature",
        "a signature or issuer chain of collateral does not verify",
        Actor.COLLATERAL,
        502,
    ),
    Reason("collateral-mismatch", "collateral is for another platform, enclave or version", Actor.COLLATERAL, 502),
    # -- peer: TLS and carriage
    Reason("tls-error", "the TLS handshake or connection failed in the protocol itself", Actor.PEER, 502),
    Reason("handshake-timeout", "the peer did not finish the handshake within its deadline", Actor.PEER, 504),
    Reason("handshake-overload", "too many handshakes are in flight", Actor.PEER, 503),
    Reason("refused-by-peer", "the other side refused us with a TLS alert", Actor.PEER, 502),
    Reason("connection-lost", "the connection ended before the handshake was done", Actor.PEER, 502),
    Reason("nonce-malformed", "the peer's nonce is not what the aTLS protocol demands", Actor.PEER, 502),
    Reason("no-evidence", "the peer's certificate carries no acceptable evidence", Actor.PEER, 502),
    Reason(
        "ambiguous-evidence",
        "the certificate carries more than one acceptable evidence extension",
        Actor.PEER,
        502,
    ),
    Reason("leaf-too-large", "the peer's certificate is larger than 96 KiB", Actor.PEER, 502),
    Reason(
        "leaf-malformed",
        "the peer's certificate cannot be read or is not signed by its own key",
        Actor.PEER,
        502,
    ),
    Reason("leaf-expired", "the peer's certificate is past its validity: compare the clocks", Actor.PEER, 502),
    Reason("leaf-not-yet-valid", "the peer's certificate is not valid yet: compare the clocks", Actor.PEER, 502),
    Reason(
        "pki-refused",
        "the peer's certificate or host name does not verify under ordinary PKI",
        Actor.PEER,
        502,
    ),
    # -- peer: authentication of evidence
    Reason("evidence-malformed", "the attestation document or quote cannot be parsed", Actor.PEER, 502),
    Reason(
        "evidence-unsupported",
        "the quote is of a version, key type, TEE type or vendor not supported",
        Actor.PEER,
        502,
    ),
    Reason("nonce-mismatch", "the evidence was not made for this connection's nonce and key", Actor.PEER, 502),
    Reason("key-mismatch", "the evidence's user data is not the hash of the certificate's key", Actor.PEER, 502),
    Reason("pck-chain-invalid", "the PCK certificate chain does not verify to the trusted root", Actor.PEER, 502),
    Reason("pck-expired", "a certificate of the PCK chain is outside its validity", Actor.PEER, 502),
    Reason(
        "pck-not-yet-valid",
        "a certificate of the PCK chain is not valid yet: compare the clocks",
        Actor.PEER,
        502,
    ),
    Reason("revoked", "a certificate of the PCK chain or of a collateral signer is revoked", Actor.PEER, 502),
    Reason("qe-report-signature", "the QE report is not signed by the PCK key", Actor.PEER, 502),
    Reason("qe-report-binding", "the QE report does not bind the attestation key", Actor.PEER, 502),
    Reason("quote-signature", "the quote is not signed by its attestation key", Actor.PEER, 502),
    Reason(
        "qe-identity-mismatch",
        "the quoting enclave is not the one that its identity describes",
        Actor.PEER,
        502,
    ),
    Reason("tdx-module-mismatch", "the TDX module is not the one that its identity describes", Actor.PEER, 502),
    Reason("tcb-not-supported", "no TCB level matches the platform", Actor.PEER, 502),
    # -- peer: appraisal
    Reason("tcb-status", "the platform's TCB status is not accepted by the policy", Actor.PEER, 502),
    Reason("td-attributes", "the TD's attributes are not accepted by the policy", Actor.PEER, 502),
    Reason("td-debug", "the TD can be debugged", Actor.PEER, 502),
    Reason("td-sept-ve-disable", "the TD does not have SEPT_VE_DISABLE", Actor.PEER, 502),
    Reason("td-migratable", "the TD can be migrated", Actor.PEER, 502),
    Reason("xfam", "the TD's XFAM is not accepted by the policy", Actor.PEER, 502),
    Reason("mr-config-id", "MRCONFIGID is not accepted by the policy", Actor.PEER, 502),
    Reason("mr-owner", "MROWNER is not accepted by the policy", Actor.PEER, 502),
    Reason("mr-owner-config", "MROWNERCONFIG is not accepted by the policy", Actor.PEER, 502),
    Reason("service-td", "a service TD is bound (MRSERVICETD is not zero)", Actor.PEER, 502),
    Reason("no-policy", "the policy has no section for this type of evidence", Actor.OPERATOR, 502),
    Reason("measurements-mismatch", "no entry of the measurements file matches the evidence", Actor.PEER, 502),
    # -- backend and upstream
    Reason("upstream-unreachable", "the target refused the connection or cannot be reached", Actor.BACKEND, 502),
    Reason("upstream-connect-timeout", "the target did not accept the connection in time", Actor.BACKEND, 504),
    Reason("upstream-timeout", "the target did not answer in time", Actor.BACKEND, 504),
    Reason("upstream-closed", "the target closed the connection before a complete response", Actor.BACKEND, 502),
    Reason("upstream-malformed", "the target's response is not well-formed HTTP/1.1", Actor.BACKEND, 502),
    Reason(
        "upstream-forged-header",
        "the target's response carries a reserved X-Flashbots header",
        Actor.BACKEND,
        502,
    ),
    Reason("draining", "the proxy is shutting down", Actor.OPERATOR, 503),
    # -- requester: HTTP on the accepting side
    Reason("request-malformed", "the request is not strictly well-formed HTTP/1.1", Actor.REQUESTER, 400),
    Reason(
        "request-head-too-large",
        "the request's head is over the limit of size or count",
        Actor.REQUESTER,
        431,
    ),
    Reason("request-version", "the request is of an HTTP version that is not spoken here", Actor.REQUESTER, 505),
    Reason("request-timeout", "the request's head or body did not arrive in time", Actor.REQUESTER, 408),
    Reason("request-forged-header", "the request carries a reserved X-Flashbots header", Actor.REQUESTER, 403),
    Reason("request-aborted", "the requester went away before the response was complete", Actor.REQUESTER),
    # -- anything that is a bug of ours
    Reason("internal-error", "an error that cvmproxy did not foresee: please report it", Actor.OPERATOR, 502),
)

REASONS: Final[Mapping[str, Reason]] = MappingProxyType({row.code: row for row in _ROWS})
