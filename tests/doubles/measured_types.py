"""Attestation types as the reader of measurements files sees them, made for tests."""

from cvmproxy.attestation.registers import MeasuredType, RegisterSet

DCAP_REGISTERS = RegisterSet(
    size=48, names={"mrtd": 0, "rtmr0": 1, "rtmr1": 2, "rtmr2": 3, "rtmr3": 4}, warn_only_allowed=False
)
VTPM_REGISTERS = RegisterSet(size=32, names={f"pcr{index}": index for index in range(24)}, warn_only_allowed=True)

DCAP = MeasuredType(name="dcap-tdx", aliases=frozenset({"qemu-tdx"}), registers=DCAP_REGISTERS, legacy_map=True)
AZURE = MeasuredType(name="azure-tdx", registers=VTPM_REGISTERS, legacy_map=True, measure_part="azure")
SIMULATED = MeasuredType(name="simulated", registers=DCAP_REGISTERS, development_only=True)

KNOWN = (DCAP, AZURE, SIMULATED)
