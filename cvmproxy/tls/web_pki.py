"""A server under ordinary PKI: what OpenSSL says of the chain, and the name (RFC 9525) by service_identity."""

from collections.abc import Mapping
from typing import Final

from cryptography import x509
from OpenSSL.crypto import X509
from service_identity import CertificateError, VerificationError
from service_identity.cryptography import verify_certificate_hostname, verify_certificate_ip_address

from cvmproxy.errors import EvidenceError
from cvmproxy.tls.settings import WebPKI

_WORDS: Final[Mapping[int, str]] = {
    9: "it is not valid yet: compare the clocks",
    10: "it has expired: compare the clocks",
    18: "it is self-signed",
    19: "its chain ends in a self-signed certificate that is not trusted",
    20: "its issuer is not trusted",
    21: "its issuer is not trusted",
}


def refusal_under_web_pki(
    peer: WebPKI, certificate: X509, error: int, depth: int, acceptable: bool
) -> EvidenceError | None:
    """Judge one certificate of the chain; the leaf (depth 0) also by its name.

    :param error: OpenSSL's verification error (``X509_V_ERR_…``).
    """
    if not acceptable:
        words = _WORDS.get(error, f"OpenSSL's verification error is {error}")
        return EvidenceError("pki-refused", f"the certificate at depth {depth} of the server's chain: {words}")
    return None if depth > 0 else _refusal_of_name(peer, certificate.to_cryptography())


def _refusal_of_name(peer: WebPKI, leaf: x509.Certificate) -> EvidenceError | None:
    try:
        if peer.is_address:
            verify_certificate_ip_address(leaf, peer.host)
        else:
            verify_certificate_hostname(leaf, peer.host)
    except (VerificationError, CertificateError, ValueError) as error:
        return EvidenceError("pki-refused", f"the server's certificate is not for {peer.host}: {error}")
    return None
