"""A simulated TDX platform that tests can repeat: fixed time, seeded randomness."""

from datetime import UTC, datetime
from functools import cache
from random import Random

from cvmproxy.platform.simulated_pki import Randomness
from cvmproxy.platform.simulated_platform import SimulatedPlatform, mint_platform

NOW = datetime(2030, 1, 15, 12, tzinfo=UTC)


def seeded(seed: int) -> Randomness:
    """Randomness that is the same in every run."""
    return Random(seed).randbytes


@cache
def platform(seed: int = 1) -> SimulatedPlatform:
    """The platform of that seed, minted at :data:`NOW`. Frozen, so that tests may share it."""
    return mint_platform(now=NOW, random=seeded(seed))
