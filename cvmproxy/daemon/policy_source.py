"""Reference values and policy while the program runs: read at the start, read again on SIGHUP, never absent.

Follows the design page "Measurements files". What a connection is appraised with is one immutable snapshot; a new file
replaces it whole or, where anything is wrong with it, not at all. Established connections keep the result that let
them in.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.selectreactor import SelectReactor
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure

from cvmproxy.attestation.measurements import Measurements
from cvmproxy.attestation.model import Endorsements, Nonce
from cvmproxy.attestation.policy import AppraisalPolicy, AttestationResult
from cvmproxy.carriage.appraiser import LeafAppraiser
from cvmproxy.carriage.interfaces import PresentedEvidence
from cvmproxy.daemon.config import ExpectsEvidence
from cvmproxy.daemon.configuration import expected_measurements
from cvmproxy.daemon.measurements_source import (
    MeasurementsFile,
    MeasurementsLocation,
    fetch_measurements,
    read_measurements_file,
)
from cvmproxy.daemon.name_resolver import SharedNameResolver
from cvmproxy.errors import CvmproxyError
from cvmproxy.events import EventSink, Notice, Warned
from cvmproxy.schemes.scheme import Scheme, SchemeSettings, VerifyingParts


class ReloadableAppraiser:
    """A :class:`~cvmproxy.carriage.interfaces.PeerAppraiser` whose reference values can be replaced.

    A connection is appraised from beginning to end by the snapshot that was in force when its leaf was read.

    :ivar failed_reloads: how many times a new file was not accepted.
    """

    def __init__(
        self, expects: ExpectsEvidence, schemes: Sequence[Scheme], settings: SchemeSettings, measurements: Measurements
    ) -> None:
        self.failed_reloads = 0
        self._expects: Final = expects
        self._schemes: Final = {scheme.name: scheme for scheme in schemes}
        self._settings: Final = settings
        self._parts: dict[str, VerifyingParts] = {}
        self._lock: Final = DeferredLock()
        self._current = self._appraiser(measurements)

    def read(self, leaf_der: bytes, nonce: Nonce) -> PresentedEvidence:
        """As the snapshot in force does."""
        return self._current.read(leaf_der, nonce)

    async def endorse(self, presented: PresentedEvidence) -> Endorsements:
        """As the snapshot that read it does."""
        return await self._current.endorse(presented)

    def appraise(self, presented: PresentedEvidence, endorsements: Endorsements) -> AttestationResult:
        """As the snapshot that read it does."""
        return self._current.appraise(presented, endorsements)

    def reload(self, reactor: Any, events: EventSink) -> Deferred[None]:
        """Read the file again; says in the log what came of it, and never fails."""
        return self._lock.run(lambda: Deferred.fromCoroutine(self._reload(reactor, events)))

    async def _reload(self, reactor: Any, events: EventSink) -> None:
        location = self._expects.measurements
        if location is None:
            events(Notice(message="asked to reload: there is no measurements file"))
            return
        try:
            data = await fetch_measurements(location, reactor)
            measurements, appraiser = await deferToThreadPool(reactor, reactor.getThreadPool(), self._read, data)
        except CvmproxyError as error:
            self.failed_reloads += 1
            events(
                Warned(
                    message=f"measurements not reloaded, the old ones stay in force: {error.message} "
                    f"(failed reloads since the start: {self.failed_reloads})",
                    code=error.code,
                )
            )
            return
        self._current = appraiser
        for line in (*measurements.announcements, *measurements.warnings):
            events(Warned(message=line))
        events(Notice(message=f"measurements reloaded: {described(measurements, location)}"))

    def _read(self, data: bytes) -> tuple[Measurements, LeafAppraiser]:
        measurements = expected_measurements(self._expects, data, self._schemes.values())
        return measurements, self._appraiser(measurements)

    def _appraiser(self, measurements: Measurements) -> LeafAppraiser:
        for name in measurements.types:
            verify = self._schemes[name].verify
            # The reader of the file has refused what cannot be verified.
            assert verify is not None
            if name not in self._parts:
                self._parts[name] = verify(self._settings)
        accepted = {name: self._parts[name] for name in measurements.types}
        policy = AppraisalPolicy(
            references=measurements.references, platform={name: parts.policy for name, parts in accepted.items()}
        )
        return LeafAppraiser(
            accepted=[(self._schemes[name], parts) for name, parts in accepted.items()],
            policy=_always(policy),
            now=self._settings.now,
        )


def measurements_at_start(location: MeasurementsLocation | None) -> bytes | None:
    """Return the bytes of the measurements file, ``None`` where there is none.

    The program's reactor does not run yet, and what is wrong has to end the start with a status of its own: a URL is
    fetched on a reactor that lives for that long. Blocks, within the deadline of the fetch.

    :raises ConfigurationError: it cannot be had.
    """
    if location is None:
        return None
    if isinstance(location, MeasurementsFile):
        return read_measurements_file(location.path)
    reactor: Any = SelectReactor()
    reactor.installNameResolver(SharedNameResolver(reactor))
    outcome: list[bytes | Failure] = []

    def begin() -> None:
        fetching = Deferred.fromCoroutine(fetch_measurements(location, reactor))
        fetching.addBoth(outcome.append).addCallback(lambda _: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run(installSignalHandlers=False)
    result = outcome[0]
    if isinstance(result, Failure):
        result.raiseException()
    assert isinstance(result, bytes)
    return result


def described(measurements: Measurements, location: MeasurementsLocation) -> str:
    """Return what a file amounts to, for the log."""
    entries = len(measurements.references.entries)
    types = ", ".join(measurements.types)
    noun = "entry" if entries == 1 else "entries"
    return f"{entries} {noun} of {types} from {location}, sha256 {measurements.references.digest}"


def _always(policy: AppraisalPolicy) -> Callable[[], AppraisalPolicy]:
    return lambda: policy
