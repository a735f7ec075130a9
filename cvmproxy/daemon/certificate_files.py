"""The operator's certificate and key files, read once before anything listens, so that a bad one is said in words.

Follows the design page "Commands, options, environment": unreadable files are refused at start.
"""

from pathlib import Path
from typing import Final, get_args

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from cvmproxy.carriage.interfaces import Credential
from cvmproxy.errors import ConfigurationError
from cvmproxy.tls.contexts import require_usable

_MAXIMUM_BYTES: Final = 1024 * 1024


def require_certificates(path: Path, option: str) -> list[x509.Certificate]:
    """Return the certificates of a PEM file, at least one.

    :param option: the option's or variable's spelling.
    :raises ConfigurationError: ``bad-option``.
    """
    try:
        return x509.load_pem_x509_certificates(_contents(path, option))
    except ValueError as error:
        raise _refused(option, path, "expected certificates in PEM") from error


def read_credential(certificate: Path, key: Path, certificate_option: str, key_option: str) -> Credential:
    """Read a certificate chain and its private key, compare them, and try whether TLS takes them.

    :raises ConfigurationError: ``bad-option``; one cannot be read, they do not belong together, or are too weak.
    """
    leaf, *chain = require_certificates(certificate, certificate_option)
    try:
        certified = leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _refused(certificate_option, certificate, "its key is of a kind that is not supported") from error
    private = _private_key(key, key_option)
    if private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != certified:
        raise _refused(key_option, key, f"is not the key of the first certificate in {certificate}")
    credential = Credential(
        certificate_der=leaf.public_bytes(Encoding.DER),
        chain_der=tuple(further.public_bytes(Encoding.DER) for further in chain),
        key=private,
    )
    try:
        require_usable(credential)
    except ConfigurationError as error:
        raise _refused(certificate_option, certificate, error.message) from error
    return credential


def _private_key(path: Path, option: str) -> CertificateIssuerPrivateKeyTypes:
    try:
        key = load_pem_private_key(_contents(path, option), password=None)
    except TypeError as error:
        raise _refused(option, path, "the key is encrypted: store it without a passphrase") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _refused(option, path, "expected a private key in PEM") from error
    if not isinstance(key, get_args(CertificateIssuerPrivateKeyTypes)):
        raise _refused(option, path, "the key is of a kind that cannot sign")
    signing: CertificateIssuerPrivateKeyTypes = key
    return signing


def _contents(path: Path, option: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAXIMUM_BYTES)
    except OSError as error:
        raise _refused(option, path, f"cannot be read: {error.strerror}") from error


def _refused(option: str, path: Path, why: str) -> ConfigurationError:
    return ConfigurationError("bad-option", f"{option} {path}: {why}")
