"""Drives one handshake on the reactor: steps in the right thread, questions answered on the reactor, one deadline.

Steps of one handshake never overlap. A step that waits for an answer is released the moment the answer can no longer
matter: the connection is lost, the deadline is over, the proxy stops. The answer's coroutine is cancelled with it.
"""

from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from threading import Lock
from typing import Any, Final, Protocol, TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from cvmproxy.attestation.model import Nonce
from cvmproxy.carriage.interfaces import Credential, PeerAppraiser
from cvmproxy.errors import CollateralError, CvmproxyError, PlatformError, TransportError
from cvmproxy.tls.handshake import Completed, Handshake, Outcome, Refused
from cvmproxy.tls.lanes import Job, Lane
from cvmproxy.tls.questions import CredentialRequested, EndorsementsRequested, Question
from cvmproxy.tls.runtime import HandshakeRuntime
from cvmproxy.tls.settings import Settings

T = TypeVar("T")

MAX_WAITING_BYTES: Final = 1 << 16
"""What a peer may send ahead while a step runs; then nothing more is read from it."""


class HandshakeOwner(Protocol):
    """Whose handshake it is: the transport."""

    def send(self, data: bytes) -> None:
        """Send bytes to the peer."""

    def pause(self) -> None:
        """Read nothing more for now."""

    def resume(self) -> None:
        """Read again."""

    def handshake_ended(self, outcome: Outcome) -> None:
        """The handshake is over; called once."""


class HandshakeDriver:
    """One handshake, from its first byte to its outcome. Lives on the reactor thread, save for what says otherwise.

    :param begin: makes the handshake, given its credential where that does not depend on the peer's nonce.
    """

    def __init__(
        self,
        runtime: HandshakeRuntime,
        settings: Settings,
        owner: HandshakeOwner,
        begin: Callable[["HandshakeDriver", Credential | None], Handshake],
    ) -> None:
        self._runtime = runtime
        self._settings = settings
        self._owner = owner
        self._begin = begin
        self._handshake: Handshake | None = None
        self._received = bytearray()
        self._paused = False
        self._stepping = False
        self._queued: tuple[Lane, Job[Outcome | None]] | None = None
        self._withdrawn = False
        self._deadline: IDelayedCall | None = None
        self._hung_up: CvmproxyError | None = None
        self._ended = False
        self._answering: Deferred[object] | None = None
        self._question: Question[object] | None = None
        # Shared with the thread of a step, under the lock.
        self._lock = Lock()
        self._abandoned: CvmproxyError | None = None
        self._answer: Future[object] | None = None

    @property
    def handshake(self) -> Handshake:
        """The handshake; there is one as soon as a step was taken."""
        assert self._handshake is not None
        return self._handshake

    def start(self) -> None:
        """Begin, within the bound on handshakes in flight."""
        try:
            self._runtime.admit(self)
        except CvmproxyError as error:
            self._end(Refused(error=error))
            return
        self._deadline = self._runtime.reactor.callLater(self._settings.handshake_timeout_seconds, self._timed_out)
        if self._settings.credential.needs_nonce:
            self._credential_ready(None)
            return
        issuing = Deferred.fromCoroutine(self._settings.credential.issue(Nonce(b"")))
        self._answering = cast("Deferred[object]", issuing)
        issuing.addCallbacks(self._credential_ready, self._credential_failed)

    def bytes_received(self, data: bytes) -> None:
        """Take bytes from the peer."""
        if self._ended:
            return
        self._received += data
        self._step()
        waits = self._stepping or self._handshake is None
        if waits and len(self._received) > MAX_WAITING_BYTES and not self._paused:
            self._paused = True
            self._owner.pause()

    def left_over(self) -> bytes:
        """Return the bytes that came after the handshake's last step began: they belong to the open connection."""
        data, self._received = bytes(self._received), bytearray()
        return data

    def abandon(self, error: CvmproxyError) -> None:
        """End the handshake now, whatever it is doing, without an alert."""
        self._release(error)
        self._end(Refused(error=error))

    def hung_up(self, error: CvmproxyError) -> None:
        """The peer sends no more, but may listen. An appraisal that is under way may have all that it needs."""
        if self._queued is not None and self._queued[0] is self._runtime.appraisal_lane:
            self._hung_up = error
        else:
            self.lost(error)

    def lost(self, error: CvmproxyError) -> None:
        """The connection is gone. What has come may still tell why, an alert for instance: a last step."""
        if self._ended:
            return
        queued = self._queued
        self._release(error)
        if queued is not None and self._withdrawn:
            self._stepped(queued[1].work())
        elif not self._stepping:
            self._end(Refused(error=error))

    # -- the beginning

    def _credential_ready(self, credential: Credential | None) -> None:
        self._answering = None
        if self._ended:
            return
        try:
            self._handshake = self._begin(self, credential)
        except Exception:  # noqa: BLE001 # whatever it is, it ends this connection alone, and at once
            self._credential_failed(Failure())
            return
        self._step(first=self._handshake.speaks_first)

    def _credential_failed(self, failure: Failure) -> None:
        self._answering = None
        self._end(Refused(error=self._abandoned or _as_error(failure)))

    # -- steps

    def _step(self, *, first: bool = False) -> None:
        if self._stepping or self._ended or self._handshake is None or not (first or self._received):
            return
        data, self._received = bytes(self._received), bytearray()
        self._stepping = True
        lane = self._lane(self._handshake)
        if lane is None:
            self._stepped(self._work(data))
            return
        job = Job(lambda: self._work(data), self._stepped)
        self._queued = (lane, job)
        lane.submit(job)

    def _lane(self, handshake: Handshake) -> Lane | None:
        if self._abandoned is not None or not handshake.may_ask:
            return None
        return self._runtime.evidence_lane if handshake.may_ask_for_credential else self._runtime.appraisal_lane

    def _work(self, data: bytes) -> Outcome | None:
        """One step. In a worker thread, or on the reactor thread if it cannot ask."""
        handshake = self.handshake
        handshake.feed(data)
        return handshake.advance()

    def _stepped(self, result: Outcome | Failure | None) -> None:
        self._stepping = False
        self._queued = None
        if self._ended:
            self.handshake.release()
            return
        if isinstance(result, Failure):
            result = Refused(error=_as_error(result))
        self._owner.send(self.handshake.outgoing())
        last = self._abandoned or self._hung_up
        if result is not None:
            self._end(result)
        elif last is not None and not self._received:
            self._end(Refused(error=last))
        else:
            self._resume()
            self._step()

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            self._owner.resume()

    def _end(self, outcome: Outcome) -> None:
        if self._ended:
            return
        self._ended = True
        self._runtime.discharge(self)
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        if isinstance(outcome, Completed):
            self._resume()
        elif self._handshake is not None and (self._withdrawn or not self._stepping):
            self._handshake.release()
        self._owner.handshake_ended(outcome)

    # -- questions

    def ask(self, question: Question[T]) -> T:
        """Wait for the answer. In a worker thread only."""
        with self._lock:
            if self._abandoned is not None:
                raise self._abandoned
            answer: Future[object] = Future()
            self._answer = answer
        self._runtime.reactor.callFromThread(self._find_answer, question, answer)
        return cast("T", answer.result())

    def _find_answer(self, question: Question[object], answer: Future[object]) -> None:
        if answer.done():
            return
        self._question = question
        coroutine: Coroutine[Any, Any, object]
        if isinstance(question, CredentialRequested):
            coroutine = self._settings.credential.issue(question.peer_nonce)
        else:
            appraiser = cast(PeerAppraiser, self._settings.peer)
            coroutine = appraiser.endorse(cast(EndorsementsRequested, question).presented)
        answering = self._answering = Deferred.fromCoroutine(coroutine)
        answering.addCallbacks(self._answered, self._unanswered, callbackArgs=(answer,), errbackArgs=(answer,))

    def _answered(self, value: object, answer: Future[object]) -> None:
        self._question = self._answering = None
        if not answer.done():
            answer.set_result(value)

    def _unanswered(self, failure: Failure, answer: Future[object]) -> None:
        self._question = self._answering = None
        if not answer.done():
            answer.set_exception(_as_error(failure))

    # -- the end

    def _timed_out(self) -> None:
        error = self._what_was_late()
        self._release(error)
        if self._withdrawn or not self._stepping:
            self._end(Refused(error=error))
        # Otherwise the step returns at once, with an alert for the peer.

    def _what_was_late(self) -> CvmproxyError:
        after = f"within {self._settings.handshake_timeout_seconds:g} s"
        if isinstance(self._question, CredentialRequested):
            return PlatformError("evidence-timeout", f"the platform made no evidence {after} of the handshake's start")
        if isinstance(self._question, EndorsementsRequested):
            return CollateralError("collateral-unavailable", f"no collateral was had {after} of the handshake's start")
        if self._queued is not None and self._queued[0] is self._runtime.evidence_lane and self._stepping:
            return PlatformError("evidence-overload", f"the request for evidence was not served {after}")
        return TransportError("handshake-timeout", f"the peer did not finish the handshake {after}")

    def _release(self, error: CvmproxyError) -> None:
        if self._queued is not None:
            self._withdrawn = self._queued[0].withdraw(self._queued[1])
        with self._lock:
            self._abandoned = error
            answer = self._answer
        if answer is not None and not answer.done():
            answer.set_exception(error)
        if self._answering is not None:
            self._answering.cancel()


def _as_error(failure: Failure) -> CvmproxyError:
    error = failure.value
    if isinstance(error, CvmproxyError):
        return error
    wrapped = CvmproxyError("internal-error", f"{type(error).__name__}: {error}")
    wrapped.__cause__ = error
    return wrapped
