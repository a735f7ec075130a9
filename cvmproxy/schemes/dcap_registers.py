"""The registers of Intel TDX evidence as quotes have them: MRTD and RTMR0–3, 48 bytes each (measurements)."""

from typing import Final

from cvmproxy.attestation.registers import RegisterSet

DCAP_REGISTERS: Final = RegisterSet(
    size=48, names={"mrtd": 0, "rtmr0": 1, "rtmr1": 2, "rtmr2": 3, "rtmr3": 4}, warn_only_allowed=False
)
