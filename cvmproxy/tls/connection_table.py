"""The life of a proxied connection as one table: (state, input) → (next state, outputs).

Inputs are in the past tense: what happened. Outputs are imperative: what the transport has to do. What is not in the
table cannot happen; a late input that means nothing any more has its row. The way to every state in which the
application knows of the connection leads through :class:`PeerIdentified`, which demands by its type an
``AttestationResult`` or an explicit ``NoAttestation``; a test walks the table to prove it.
"""

from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from attrs import Attribute, field, frozen

from cvmproxy.attestation.policy import AttestationResult, NoAttestation, PeerIdentity
from cvmproxy.errors import CvmproxyError


class State(Enum):
    """Where a connection is in its life."""

    ACCEPTED = auto()
    DIALLED = auto()
    HANDSHAKING = auto()
    EXCHANGING = auto()  # the carriage's exchange after TLS; passed through at once by the aTLS carriage
    IDENTIFIED = auto()
    DIALLING_BACKEND = auto()
    OPEN = auto()
    PEER_FINISHED = auto()  # half-closed: the peer sends no more
    LOCAL_FINISHED = auto()  # half-closed: we send no more
    CLOSING = auto()
    REFUSING = auto()
    CLOSED = auto()


def _demand_identity(instance: object, attribute: "Attribute[Any]", value: object) -> None:
    if type(value) is not AttestationResult and type(value) is not NoAttestation:
        raise TypeError(f"a peer is identified by an AttestationResult or a NoAttestation, not by {value!r}")


@frozen
class Admitted:
    """There is room for one more handshake."""


@frozen
class HandshakeCompleted:
    """TLS is established."""


@frozen
class PeerIdentified:
    """The appraisal is done."""

    identity: PeerIdentity = field(validator=_demand_identity)


@frozen
class Refused:
    """The connection must not open: we refuse, or the peer does, or time is up."""

    error: CvmproxyError


@frozen
class BackendNeeded:
    """The application wants a backend connection before anything is read."""


@frozen
class ApplicationReady:
    """The application can take what the peer sends."""


@frozen
class BackendConnected:
    """The backend connection is there."""


@frozen
class PeerEnded:
    """The peer's close_notify came."""


@frozen
class LocalEnded:
    """The application has sent all that it wants to send."""


@frozen
class CloseRequested:
    """The application, or a failed dial, wants the connection closed."""


@frozen
class AbortRequested:
    """The application wants the connection gone at once."""


@frozen
class StreamBroken:
    """TLS failed after the handshake, or the connection was truncated."""

    error: CvmproxyError


@frozen
class ConnectionLost:
    """The transport below is gone; with the error, where that came before the connection was open."""

    error: CvmproxyError | None = None


Input: TypeAlias = (
    Admitted
    | HandshakeCompleted
    | PeerIdentified
    | Refused
    | BackendNeeded
    | ApplicationReady
    | BackendConnected
    | PeerEnded
    | LocalEnded
    | CloseRequested
    | AbortRequested
    | StreamBroken
    | ConnectionLost
)


class Output(Enum):
    """What the transport has to do."""

    START_HANDSHAKE = auto()
    START_EXCHANGE = auto()
    ANNOUNCE = auto()  # connectionMade
    DIAL_BACKEND = auto()
    START_READING = auto()
    ANNOUNCE_END = auto()  # readConnectionLost, or loseConnection where the application knows no halves
    SEND_CLOSE_NOTIFY = auto()
    HANG_UP = auto()  # end our side of the transport, and wait for the peer's, not for long
    CLOSE = auto()
    ABORT = auto()
    REPORT_REFUSAL = auto()
    ANNOUNCE_LOSS = auto()  # connectionLost


Row: TypeAlias = tuple[State, tuple[Output, ...]]


def _rows() -> Mapping[tuple[State, type], Row]:
    S, O = State, Output  # noqa: N806, E741 # the table has to fit on a page
    refuse = (S.REFUSING, (O.REPORT_REFUSAL, O.HANG_UP))
    refuse_now = (S.REFUSING, (O.REPORT_REFUSAL, O.ABORT))
    lose_unannounced = (S.CLOSED, (O.REPORT_REFUSAL,))
    finish = (S.CLOSING, (O.SEND_CLOSE_NOTIFY, O.HANG_UP))
    hang_up = (S.CLOSING, (O.HANG_UP,))
    abort = (S.CLOSING, (O.ABORT,))
    lose = (S.CLOSED, (O.ANNOUNCE_LOSS,))
    rows: dict[tuple[State, type], Row] = {
        (S.ACCEPTED, Admitted): (S.HANDSHAKING, (O.START_HANDSHAKE,)),
        (S.DIALLED, Admitted): (S.HANDSHAKING, (O.START_HANDSHAKE,)),
        (S.HANDSHAKING, HandshakeCompleted): (S.EXCHANGING, (O.START_EXCHANGE,)),
        (S.EXCHANGING, PeerIdentified): (S.IDENTIFIED, (O.ANNOUNCE,)),
        (S.IDENTIFIED, BackendNeeded): (S.DIALLING_BACKEND, (O.DIAL_BACKEND,)),
        (S.DIALLING_BACKEND, ApplicationReady): (S.DIALLING_BACKEND, ()),
        (S.DIALLING_BACKEND, BackendConnected): (S.OPEN, (O.START_READING,)),
        (S.IDENTIFIED, ApplicationReady): (S.OPEN, (O.START_READING,)),
        (S.IDENTIFIED, LocalEnded): (S.LOCAL_FINISHED, (O.SEND_CLOSE_NOTIFY,)),
        (S.OPEN, ApplicationReady): (S.OPEN, (O.START_READING,)),
        (S.LOCAL_FINISHED, ApplicationReady): (S.LOCAL_FINISHED, (O.START_READING,)),
        (S.DIALLING_BACKEND, LocalEnded): finish,
        (S.OPEN, PeerEnded): (S.PEER_FINISHED, (O.ANNOUNCE_END,)),
        (S.OPEN, LocalEnded): (S.LOCAL_FINISHED, (O.SEND_CLOSE_NOTIFY,)),
        (S.PEER_FINISHED, LocalEnded): finish,
        (S.LOCAL_FINISHED, PeerEnded): (S.CLOSING, (O.ANNOUNCE_END, O.HANG_UP)),
        (S.LOCAL_FINISHED, CloseRequested): hang_up,
        (S.CLOSING, PeerEnded): (S.CLOSING, (O.CLOSE,)),
        (S.CLOSING, AbortRequested): abort,
        (S.CLOSING, ConnectionLost): lose,
        (S.REFUSING, AbortRequested): (S.REFUSING, (O.ABORT,)),
        (S.REFUSING, ConnectionLost): (S.CLOSED, ()),
    }
    for state in (S.ACCEPTED, S.DIALLED, S.HANDSHAKING, S.EXCHANGING):
        rows[state, Refused] = refuse
        rows[state, AbortRequested] = refuse_now
        rows[state, ConnectionLost] = lose_unannounced
    for state in (S.IDENTIFIED, S.DIALLING_BACKEND, S.OPEN, S.PEER_FINISHED):
        rows[state, CloseRequested] = finish
    for state in (S.IDENTIFIED, S.DIALLING_BACKEND, S.OPEN, S.PEER_FINISHED, S.LOCAL_FINISHED):
        rows[state, StreamBroken] = hang_up
        rows[state, AbortRequested] = abort
        rows[state, ConnectionLost] = lose
    return rows


def _late_rows() -> Mapping[tuple[State, type], Row]:
    """What may come when it no longer means anything."""
    S = State  # noqa: N806 # as above
    too_late = (ApplicationReady, BackendConnected, LocalEnded, CloseRequested, StreamBroken)
    late: Mapping[State, tuple[type, ...]] = {
        S.LOCAL_FINISHED: (LocalEnded,),
        S.CLOSING: too_late,
        S.REFUSING: (Refused, *too_late),
        S.CLOSED: (Refused, AbortRequested, PeerEnded, *too_late),
    }
    return {(state, kind): (state, ()) for state, kinds in late.items() for kind in kinds}


TABLE: Final[Mapping[tuple[State, type], Row]] = MappingProxyType({**_rows(), **_late_rows()})


class ConnectionLife:
    """One walk through the table.

    :ivar state: where it is.
    :ivar identity: what the appraisal said, from ``IDENTIFIED`` on.
    :ivar error: why it was refused or broke, if it did.
    """

    def __init__(self, initial: State) -> None:
        if initial not in (State.ACCEPTED, State.DIALLED):
            raise ValueError(f"no connection's life begins as {initial.name}")
        self.state: State = initial
        self.identity: PeerIdentity | None = None
        self.error: CvmproxyError | None = None

    def receive(self, happened: Input) -> tuple[Output, ...]:
        """Take one step; return what has to be done, in order.

        :raises LookupError: it cannot happen in this state: a bug.
        """
        row = TABLE.get((self.state, type(happened)))
        if row is None:
            raise LookupError(f"{type(happened).__name__} cannot happen in the state {self.state.name}")
        self.state, outputs = row
        if isinstance(happened, PeerIdentified):
            self.identity = happened.identity
        elif isinstance(happened, Refused | StreamBroken | ConnectionLost) and self.error is None:
            self.error = happened.error
        return outputs
