"""Intel TDX on Azure, with a vTPM (wire protocol, "azure-tdx document").

This version neither presents nor verifies it; its measurements files are read.
"""

from typing import Final

from cvmproxy.attestation.registers import RegisterSet
from cvmproxy.schemes.scheme import Scheme

_PCR_COUNT: Final = 24

AZURE_TDX: Final = Scheme(
    name="azure-tdx",
    oid="1.3.9900.4.3",
    header_label="azure-tdx",
    registers=RegisterSet(size=32, names={f"pcr{index}": index for index in range(_PCR_COUNT)}, warn_only_allowed=True),
    legacy_map=True,
    measure_part="azure",
)
