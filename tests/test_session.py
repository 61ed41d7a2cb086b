"""Every pair of a state and an event."""

from __future__ import annotations

import itertools

import pytest

from cartesia_stt_sync import _session
from cartesia_stt_sync._session import FromServer, Ours, Session, State
from cartesia_stt_sync.errors import ClosedError

# One line a state, one column an event; a dot is a pair that must not be. Written
# down a second time on purpose: a change of the table has to be made twice.
OURS = """
            connect     connected  reconnect   close       close_sent abort   fail
NEW         CONNECTING  .          .           CLOSED      .          CLOSED  FAILED
CONNECTING  .           OPEN       .           CONNECTING  .          CLOSED  FAILED
OPEN        .           .          CONNECTING  DRAINING    .          CLOSED  FAILED
DRAINING    .           .          CONNECTING  DRAINING    CLOSING    CLOSED  FAILED
CLOSING     .           .          CONNECTING  CLOSING     .          CLOSED  FAILED
CLOSED      .           .          .           CLOSED      .          CLOSED  CLOSED
FAILED      .           .          .           FAILED      .          FAILED  FAILED
"""

FROM_SERVER = """
            transcript  flush_done  done    error   closed_normally
NEW         .           .           .       .       .
CONNECTING  .           .           .       FAILED  .
OPEN        OPEN        OPEN        FAILED  FAILED  FAILED
DRAINING    DRAINING    DRAINING    FAILED  FAILED  FAILED
CLOSING     CLOSING     CLOSING     CLOSED  FAILED  CLOSED
CLOSED      .           .           .       .       .
FAILED      .           .           .       .       .
"""


def cells(table: str) -> dict[tuple[State, str], State | None]:
    """Read one of the tables above."""
    head, *lines = table.strip().splitlines()
    found: dict[tuple[State, str], State | None] = {}
    for line in lines:
        state, *following = line.split()
        for event, name in zip(head.split(), following, strict=True):
            found[State[state], event] = None if name == "." else State[name]
    return found


def in_state(state: State) -> Session:
    """A session that stands there."""
    session = Session()
    session._enter(state)
    return session


def test_tables_are_whole() -> None:
    """The tables of this test leave no pair out, and those of the module add none."""
    ours, server = cells(OURS), cells(FROM_SERVER)
    assert set(ours) == set(itertools.product(State, (e.name.lower() for e in Ours)))
    assert set(server) == set(
        itertools.product(State, (e.name.lower() for e in FromServer))
    )
    assert len(_session._OURS) == sum(s is not None for s in ours.values())
    assert len(_session._FROM_SERVER) == sum(s is not None for s in server.values())


@pytest.mark.parametrize(("pair", "following"), cells(OURS).items(), ids=str)
def test_ours(pair: tuple[State, str], following: State | None) -> None:
    """What this side does leads to the state of the table; a missing pair raises."""
    state, event = pair
    session = in_state(state)
    if following is None:
        with pytest.raises(ClosedError, match=f"the session is {state.value}"):
            session.ours(Ours[event.upper()])
        assert session.state is state
    else:
        assert session.ours(Ours[event.upper()]) is following
        assert session.state is following


@pytest.mark.parametrize(("pair", "following"), cells(FROM_SERVER).items(), ids=str)
def test_from_server(pair: tuple[State, str], following: State | None) -> None:
    """What the server does leads there too; a missing pair is told, not raised."""
    state, event = pair
    session = in_state(state)
    assert session.from_server(FromServer[event.upper()]) is (following is not None)
    assert session.state is (following or state)


@pytest.mark.parametrize("state", State)
def test_ended(state: State) -> None:
    """Only CLOSED and FAILED are ends."""
    assert in_state(state).ended is (state in (State.CLOSED, State.FAILED))


def test_an_end_is_an_end() -> None:
    """Nothing leads out of CLOSED or FAILED, nor from one to the other."""
    for state in (State.CLOSED, State.FAILED):
        for table in (cells(OURS), cells(FROM_SERVER)):
            following = {
                after for (before, _), after in table.items() if before is state
            }
            assert following <= {state, None}


def test_a_whole_life() -> None:
    """The way of a session that is lost once, closed, and answered."""
    session = Session()
    session.ours(Ours.CONNECT)
    session.ours(Ours.CONNECTED)
    assert session.from_server(FromServer.TRANSCRIPT)
    session.ours(Ours.RECONNECT)
    session.ours(Ours.CONNECTED)
    assert session.from_server(FromServer.FLUSH_DONE)
    session.ours(Ours.CLOSE)
    session.ours(Ours.CLOSE_SENT)
    assert session.from_server(FromServer.TRANSCRIPT)
    assert session.from_server(FromServer.DONE)
    assert session.state is State.CLOSED


def test_message() -> None:
    """The error says what cannot be done, where the session stands, and what can."""
    with pytest.raises(ClosedError) as caught:
        in_state(State.CLOSED).ours(Ours.CONNECT)
    assert str(caught.value) == (
        "cannot connect: the session is CLOSED; a transcriber serves one session, so "
        "make a new one"
    )
