"""Endorsements of simulated evidence: the public files of the simulated platform's directory.

Answers come from memory. When the collateral is about to run out, the directory is asked again in a thread: where the
platform's keys are, that renews it; elsewhere it reads what was copied there meanwhile.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, Final, TypeAlias

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.threads import deferToThreadPool

from cvmproxy.attestation.model import EndorsementRequest, Endorsements
from cvmproxy.errors import CollateralError, ConfigurationError, PlatformError
from cvmproxy.platform.simulated_collateral import SimulatedCollateral
from cvmproxy.platform.simulated_platform import SimulatedPlatform
from cvmproxy.platform.simulated_store import SimulatedStore

#: How often the directory is asked while its collateral is about to run out.
_ASK_AGAIN: Final = timedelta(minutes=1)

RunInThread: TypeAlias = Callable[[Callable[[], SimulatedCollateral]], Awaitable[SimulatedCollateral]]
"""Calls a function that blocks in a thread, and gives its result on the reactor."""


def threads_of(reactor: Any) -> RunInThread:
    """Return what runs a function in the reactor's own thread pool: this is a file to read every few days."""

    def run_in_thread(read: Callable[[], SimulatedCollateral]) -> Deferred[SimulatedCollateral]:
        return deferToThreadPool(reactor, reactor.getThreadPool(), read)

    return run_in_thread


class SimulatedDirectory:
    """The collateral in a simulated platform's directory (an ``EndorsementSource``). Reads it once when it is made.

    :raises ConfigurationError: the directory cannot be used.
    """

    def __init__(self, store: SimulatedStore, *, run_in_thread: RunInThread) -> None:
        self._store: Final = store
        self._run_in_thread: Final = run_in_thread
        self._collateral = store.collateral()
        self._endorsements = self._collateral.endorsements()
        self._asked_at = store.now()
        self._why_not = ""
        self._asking: Final = DeferredLock()

    async def endorse(self, requests: Sequence[EndorsementRequest]) -> Endorsements:
        """Return an answer for every request.

        :raises CollateralError: the collateral has run out, or is of another platform than the evidence.
        """
        await self.current()
        missing = [request for request in requests if request not in self._endorsements]
        if missing:
            names = ", ".join(f"{request.kind} {request.key}".rstrip() for request in missing)
            raise CollateralError(
                "collateral-unavailable", f"the simulated platform in {self._store.directory} has no {names}"
            )
        return {request: self._endorsements[request] for request in requests}

    async def current(self) -> SimulatedCollateral:
        """Return the whole set, renewed or read again where it is time.

        :raises CollateralError: it has run out.
        """
        if self._is_time_to_ask():
            async with self._asking:
                # Whoever held the lock before may have asked.
                if self._is_time_to_ask():
                    await self._ask()
        if self._collateral.next_update <= self._store.now():
            ended = f"{self._collateral.next_update:%Y-%m-%dT%H:%M:%SZ}"
            why_not = self._why_not or "no newer one was put there"
            raise CollateralError(
                "collateral-expired", f"the collateral in {self._store.directory} ran out at {ended}: {why_not}"
            )
        return self._collateral

    def _is_time_to_ask(self) -> bool:
        # A clock that was set back must not silence the questions.
        since = abs(self._store.now() - self._asked_at)
        return self._store.runs_out_soon(self._collateral) and since >= _ASK_AGAIN

    async def _ask(self) -> None:
        try:
            self._collateral = await self._run_in_thread(self._store.collateral)
        except ConfigurationError as error:
            # What is in memory is good until it runs out.
            self._why_not = error.message
        else:
            self._endorsements, self._why_not = self._collateral.endorsements(), ""
        # Not where the question was cancelled: the next in line asks at once.
        self._asked_at = self._store.now()


class SimulatedQuoteSource:
    """Quotes of the simulated platform (a ``QuoteSource``), signed inline: one costs about 0.1 ms.

    It keeps the collateral on disk fresh as well, because hosts that verify may have no keys to renew it with.
    """

    def __init__(self, platform: SimulatedPlatform, directory: SimulatedDirectory) -> None:
        self._platform: Final = platform
        self._directory: Final = directory

    async def quote(self, extra_data: bytes) -> bytes:
        """Return a quote for 32 bytes of extra data.

        :raises PlatformError: the platform's collateral has run out and cannot be renewed.
        """
        try:
            await self._directory.current()
        except CollateralError as error:
            raise PlatformError("evidence-unavailable", error.message) from error
        return self._platform.quote(extra_data + bytes(32))
