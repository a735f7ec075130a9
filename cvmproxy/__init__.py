"""cvmproxy: attested TLS for confidential VMs."""

from typing import Final

__version__: Final = "0.1.0"
