"""Simulated evidence, for development: dcap-tdx documents under the simulated platform's own root (cli).

Everything from parsing to policy is that of dcap-tdx. Only the root differs, the OID, and where quotes and collateral
come from, so evidence of the one is never evidence of the other.
"""

from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding

from cvmproxy.attestation.dcap_verifier import DcapVerifier
from cvmproxy.attestation.roles import Attester
from cvmproxy.attestation.tdx_policy import DCAP_TDX_POLICY
from cvmproxy.platform.quote_source import QuoteAttester
from cvmproxy.platform.simulated_directory import SimulatedDirectory, SimulatedQuoteSource, threads_of
from cvmproxy.platform.simulated_store import SimulatedStore
from cvmproxy.schemes.dcap_registers import DCAP_REGISTERS
from cvmproxy.schemes.scheme import Scheme, SchemeSettings, VerifyingParts


def _present(settings: SchemeSettings) -> Attester:
    store = _store(settings)
    platform = store.platform()
    return QuoteAttester(SimulatedQuoteSource(platform, _directory(settings, store)))


def _verify(settings: SchemeSettings) -> VerifyingParts:
    store = _store(settings)
    root_der = store.root().public_bytes(Encoding.DER)
    return VerifyingParts(
        verifier=DcapVerifier(attestation_type=SIMULATED.name, root_der=root_der),
        endorsements=_directory(settings, store),
        policy=DCAP_TDX_POLICY,
    )


def _store(settings: SchemeSettings) -> SimulatedStore:
    # A configuration that uses this type has a place for it.
    assert settings.simulated_platform is not None
    return SimulatedStore(directory=settings.simulated_platform, now=settings.now)


def _directory(settings: SchemeSettings, store: SimulatedStore) -> SimulatedDirectory:
    return SimulatedDirectory(store, run_in_thread=threads_of(settings.reactor))


SIMULATED: Final = Scheme(
    name="simulated",
    oid="1.3.9900.1.1",
    header_label="simulated",
    registers=DCAP_REGISTERS,
    present=_present,
    verify=_verify,
    development_only=True,
)
