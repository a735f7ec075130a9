"""Attestation types: one file each, and the registry, one line each (wire protocol, table of variants)."""

from typing import Final

from cvmproxy.schemes.azure_tdx import AZURE_TDX
from cvmproxy.schemes.dcap_tdx import DCAP_TDX
from cvmproxy.schemes.scheme import Scheme
from cvmproxy.schemes.simulated import SIMULATED

SCHEMES: Final[tuple[Scheme, ...]] = (
    AZURE_TDX,
    DCAP_TDX,
    SIMULATED,
)


def scheme_called(name: str) -> Scheme | None:
    """Return the scheme of that name or alias, or ``None``."""
    return next((scheme for scheme in SCHEMES if name == scheme.name or name in scheme.aliases), None)


def scheme_with_oid(oid: str) -> Scheme | None:
    """Return the scheme of that dotted OID, or ``None``."""
    return next((scheme for scheme in SCHEMES if scheme.oid == oid), None)


def scheme_from_remote(remote_name: str) -> Scheme | None:
    """Return the scheme that the option word ``remote_name`` presents from a remote quote provider, or ``None``."""
    return next((scheme for scheme in SCHEMES if scheme.remote_name and scheme.remote_name == remote_name), None)
