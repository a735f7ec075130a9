from collections.abc import Iterator
from itertools import product

import pytest
from doubles.nonce_carriage import UNATTESTED, result_of_appraisal

from cvmproxy.attestation.policy import NoAttestation
from cvmproxy.errors import TransportError
from cvmproxy.tls import connection_table as table
from cvmproxy.tls.connection_table import TABLE, ConnectionLife, Output, State

BEGINNINGS = (State.ACCEPTED, State.DIALLED)
KNOWN_TO_THE_APPLICATION = {
    State.IDENTIFIED,
    State.DIALLING_BACKEND,
    State.OPEN,
    State.PEER_FINISHED,
    State.LOCAL_FINISHED,
    State.CLOSING,
}
OPENING = {Output.ANNOUNCE, Output.DIAL_BACKEND, Output.START_READING, Output.ANNOUNCE_END, Output.ANNOUNCE_LOSS}
INPUTS = set(table.Input.__args__)


def reachable(without: type | None = None) -> tuple[set[State], set[Output]]:
    states, outputs, edge = set(BEGINNINGS), set(), list(BEGINNINGS)
    while edge:
        state = edge.pop()
        for kind in INPUTS - {without}:
            row = TABLE.get((state, kind))
            if row is None:
                continue
            outputs.update(row[1])
            if row[0] not in states:
                states.add(row[0])
                edge.append(row[0])
    return states, outputs


def test_every_state_and_every_output_is_reached() -> None:
    assert reachable() == (set(State), set(Output))


def test_nothing_opens_without_an_identified_peer() -> None:
    states, outputs = reachable(without=table.PeerIdentified)
    assert not states & KNOWN_TO_THE_APPLICATION
    assert not outputs & OPENING


def test_a_peer_is_identified_in_one_place_only() -> None:
    assert [state for state, kind in TABLE if kind is table.PeerIdentified] == [State.EXCHANGING]


class Resembling(NoAttestation):
    """Not the real thing, whatever isinstance says."""


@pytest.mark.parametrize("identity", [None, True, "NoAttestation", object(), Resembling(because="x")])
def test_a_peer_is_identified_by_type(identity: object) -> None:
    with pytest.raises(TypeError):
        table.PeerIdentified(identity)


@pytest.mark.parametrize("identity", [UNATTESTED, result_of_appraisal()])
def test_a_result_or_an_explicit_statement_identifies(identity: object) -> None:
    life = ConnectionLife(State.ACCEPTED)
    life.receive(table.Admitted())
    life.receive(table.HandshakeCompleted())
    assert life.identity is None
    assert life.receive(table.PeerIdentified(identity)) == (Output.ANNOUNCE,)
    assert life.identity is identity


def rows() -> Iterator[tuple[State, type]]:
    return product(State, sorted(INPUTS, key=lambda kind: kind.__name__))


@pytest.mark.parametrize(("state", "kind"), [key for key in rows() if key not in TABLE])
def test_what_is_not_in_the_table_cannot_happen(state: State, kind: type) -> None:
    life = ConnectionLife(State.ACCEPTED)
    life.state = state
    with pytest.raises(LookupError):
        life.receive(an_input(kind))
    assert life.state is state


def an_input(kind: type) -> table.Input:
    if kind is table.PeerIdentified:
        return table.PeerIdentified(UNATTESTED)
    error = TransportError("tls-error", "a test")
    return kind(error) if kind in (table.Refused, table.StreamBroken) else kind()


@pytest.mark.parametrize("state", sorted(set(State) - {State.CLOSED}, key=lambda state: state.name))
def test_a_lost_connection_is_closed_from_everywhere(state: State) -> None:
    life = ConnectionLife(State.ACCEPTED)
    life.state = state
    outputs = life.receive(table.ConnectionLost())
    assert life.state is State.CLOSED
    assert (Output.ANNOUNCE_LOSS in outputs) == (state in KNOWN_TO_THE_APPLICATION)


@pytest.mark.parametrize("state", [state for state in State if state not in BEGINNINGS])
def test_no_life_begins_in_the_middle(state: State) -> None:
    with pytest.raises(ValueError, match="begins"):
        ConnectionLife(state)


def test_the_first_error_is_kept() -> None:
    life = ConnectionLife(State.DIALLED)
    first, second = TransportError("tls-error", "first"), TransportError("tls-error", "second")
    life.receive(table.Refused(first))
    life.receive(table.Refused(second))
    assert life.error is first
