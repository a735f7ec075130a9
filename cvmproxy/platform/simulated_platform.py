"""A whole simulated TDX platform as one value: certificates, quoting enclave, measurements (pure)."""

from datetime import datetime

from attrs import field, frozen

from cvmproxy.platform.simulated_collateral import (
    SimulatedCollateral,
    default_qe_identity,
    default_tcb_info,
    mint_collateral,
)
from cvmproxy.platform.simulated_pki import (
    PlatformIdentity,
    Randomness,
    SimulatedPki,
    default_templates,
    mint_pki,
)
from cvmproxy.platform.simulated_quote import QuotingEnclave, TdMeasurements, provision_quoting_enclave, td_report


@frozen(kw_only=True)
class SimulatedPlatform:
    """A machine that can make quotes, and can renew the collateral that they need."""

    identity: PlatformIdentity
    pki: SimulatedPki = field(repr=False)
    enclave: QuotingEnclave = field(repr=False)
    measurements: TdMeasurements = field(factory=TdMeasurements)

    def quote(self, report_data: bytes) -> bytes:
        """A quote with these 64 bytes as report data."""
        return self.enclave.mint_quote(td_report(report_data, self.measurements))

    def collateral(self, now: datetime) -> SimulatedCollateral:
        """A complete set of collateral as of ``now``, in which this platform is up to date."""
        return mint_collateral(
            self.pki,
            tcb_info=default_tcb_info(self.identity, now),
            qe_identity=default_qe_identity(now),
            now=now,
        )


def mint_platform(
    *,
    now: datetime,
    random: Randomness,
    identity: PlatformIdentity | None = None,
    measurements: TdMeasurements | None = None,
) -> SimulatedPlatform:
    """Mint a platform with fresh keys under a fresh root."""
    identity = identity or PlatformIdentity()
    return assemble_platform(
        mint_pki(default_templates(now, identity), random),
        identity=identity,
        measurements=measurements or TdMeasurements(),
        random=random,
    )


def assemble_platform(
    pki: SimulatedPki, *, identity: PlatformIdentity, measurements: TdMeasurements, random: Randomness
) -> SimulatedPlatform:
    """A platform on certificates that exist, with a freshly provisioned quoting enclave."""
    return SimulatedPlatform(
        identity=identity,
        pki=pki,
        enclave=provision_quoting_enclave(pki, random),
        measurements=measurements,
    )
