"""A bound on evidence requests in flight: over it a queue with a deadline, beyond that a refusal.

Platforms make evidence slowly and often one at a time; a flood of handshakes must not become a flood there, and a
connection must not wait for ever. One admission is shared by everything in a process that attests.
"""

from collections import deque
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from cvmproxy.attestation.binding import Binding
from cvmproxy.attestation.roles import Attester
from cvmproxy.errors import PlatformError
from cvmproxy.platform.deadline import within


class EvidenceAdmission:
    """An attester in front of an attester, with a bound, a queue and a deadline for each request.

    :param max_in_flight: how many requests the platform sees at once.
    :param queue_limit: how many more may wait; one beyond is refused at once.
    :param deadline_seconds: for waiting and making together.
    """

    def __init__(
        self,
        attester: Attester,
        *,
        max_in_flight: int = 16,
        queue_limit: int = 1024,
        deadline_seconds: float = 20.0,
        clock: IReactorTime,
    ) -> None:
        self._attester: Final = attester
        self._free = max_in_flight
        self._queue_limit: Final = queue_limit
        self._deadline_seconds: Final = deadline_seconds
        self._clock: Final = clock
        self._waiting: Final[deque[Deferred[None]]] = deque()

    @property
    def waiting(self) -> int:
        """How many requests are queued now."""
        return len(self._waiting)

    async def attest(self, binding: Binding) -> bytes:
        """Return a fresh attestation document for this binding.

        :raises PlatformError: ``evidence-overload`` where the queue is full, ``evidence-timeout`` at the deadline, or
            whatever the platform says.
        """
        if self._free == 0 and len(self._waiting) >= self._queue_limit:
            raise PlatformError("evidence-overload", f"{self._queue_limit} requests for evidence are queued already")
        late = PlatformError("evidence-timeout", f"no evidence within {self._deadline_seconds:g} s")
        return await within(self._deadline_seconds, self._admitted(binding), clock=self._clock, late=late)

    async def _admitted(self, binding: Binding) -> bytes:
        await self._enter()
        try:
            return await self._attester.attest(binding)
        finally:
            self._leave()

    async def _enter(self) -> None:
        # A place that is free while others wait is theirs.
        if self._free and not self._waiting:
            self._free -= 1
            return
        turn: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(turn)
        await turn

    def _leave(self) -> None:
        self._free += 1
        # From the reactor, not from here: where evidence is made without waiting, each would run inside the last.
        self._clock.callLater(0, self._admit_next)

    def _admit_next(self) -> None:
        if self._free and self._waiting:
            self._free -= 1
            self._waiting.popleft().callback(None)
