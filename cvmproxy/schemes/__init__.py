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
