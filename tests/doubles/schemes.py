"""Attestation types for tests of the operator's side, which look at what a scheme says it can do and build nothing."""

from typing import NoReturn

from cvmproxy.schemes.scheme import Scheme, SchemeSettings
from doubles.measured_types import DCAP_REGISTERS, VTPM_REGISTERS


def _never_built(settings: SchemeSettings) -> NoReturn:
    raise AssertionError(f"nothing is built here: {settings}")


SIMULATED = Scheme(
    name="simulated",
    oid="1.3.9900.1.1",
    header_label="simulated",
    registers=DCAP_REGISTERS,
    present=_never_built,
    verify=_never_built,
    development_only=True,
)
DCAP = Scheme(
    name="dcap-tdx",
    aliases=frozenset({"qemu-tdx"}),
    oid="1.3.9900.5.99",
    header_label="qemu-tdx",
    registers=DCAP_REGISTERS,
    present_remote=_never_built,
    remote_name="dummy",
    legacy_map=True,
)
DCAP_VERIFIED = Scheme(
    name="dcap-tdx",
    aliases=frozenset({"qemu-tdx"}),
    oid="1.3.9900.5.99",
    header_label="qemu-tdx",
    registers=DCAP_REGISTERS,
    present=_never_built,
    verify=_never_built,
    present_remote=_never_built,
    remote_name="dummy",
    legacy_map=True,
)
AZURE = Scheme(
    name="azure-tdx",
    oid="1.3.9900.4.3",
    header_label="azure-tdx",
    registers=VTPM_REGISTERS,
    legacy_map=True,
    measure_part="azure",
)
AZURE_VERIFIED = Scheme(
    name="azure-tdx",
    oid="1.3.9900.4.3",
    header_label="azure-tdx",
    registers=VTPM_REGISTERS,
    present=_never_built,
    verify=_never_built,
    legacy_map=True,
    measure_part="azure",
)

THIS_VERSION = (DCAP, AZURE, SIMULATED)
"""As now: only the simulated platform is there in full."""

EVERYTHING = (DCAP_VERIFIED, AZURE_VERIFIED, SIMULATED)
"""As later: every type in both roles."""
