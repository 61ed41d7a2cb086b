"""Turns put together from their events."""

from __future__ import annotations

import pytest

from cartesia_stt_sync.events import (
    Language,
    TurnEagerEnd,
    TurnEnd,
    TurnEvent,
    TurnResume,
    TurnStart,
    TurnUpdate,
)
from cartesia_stt_sync.turns import Turn, Turns

EN = (Language("en", 0.9),)


def told(turns: Turns, *events: TurnEvent) -> list[tuple[str, str]]:
    """What handlers are told of some events: their type, and the turn's text."""
    return [(kind, str(turn)) for event in events for kind, turn in turns.take(event)]


def test_a_turn() -> None:
    """An update replaces the text before it; the end's text stands."""
    turns = Turns()
    assert told(
        turns,
        TurnStart(),
        TurnUpdate(transcript=" How"),
        TurnUpdate(transcript=" How are"),
        TurnEagerEnd(transcript=" How are"),
        TurnResume(),
        TurnUpdate(transcript=" How are you"),
        TurnEnd(transcript=" How are you?"),
    ) == [
        ("update", ""),
        ("update", " How"),
        ("update", " How are"),
        ("eager_end", " How are"),
        ("resume", " How are"),
        ("update", " How are you"),
        ("turn", " How are you?"),
    ]
    assert turns.current is None
    assert [str(turn) for turn in turns.ended] == [" How are you?"]
    assert turns.partial == ""


def test_joined_verbatim() -> None:
    """The text is the turns' texts with nothing put between and nothing taken."""
    turns = Turns()
    told(turns, TurnEnd(transcript=" One. "), TurnEnd(transcript="Two"))
    assert turns.text == " One. Two"
    told(turns, TurnEnd(transcript=" three"))
    assert turns.text == " One. Two three"
    assert turns.whole().text == turns.text
    assert [turn.number for turn in turns.ended] == [1, 2, 3]


def test_perhaps_over() -> None:
    """A turn is perhaps over from its eager end until it resumes."""
    turns = Turns()
    seen = []
    for event in (
        TurnStart(),
        TurnEagerEnd(transcript="a"),
        TurnResume(),
        TurnEagerEnd(transcript="a b"),
    ):
        turns.take(event)
        assert turns.current is not None
        seen.append((turns.current.perhaps_over, turns.current.ended))
    assert seen == [(False, False), (True, False), (False, False), (True, False)]
    turns.take(TurnEnd(transcript="a b"))
    assert (turns.ended[0].perhaps_over, turns.ended[0].ended) == (False, True)


def test_fields_stay() -> None:
    """What one event of a turn says of it holds for the whole turn."""
    turns = Turns()
    turns.take(TurnStart(turn_id="t-1", request_id="r"))
    turns.take(TurnUpdate(transcript="a", languages=EN))
    turns.take(TurnEnd(transcript="a"))
    assert turns.ended == [
        Turn(
            number=1,
            text="a",
            ended=True,
            languages=EN,
            turn_id="t-1",
            request_id="r",
        )
    ]
    whole = turns.whole()
    assert (whole.language, whole.request_id, whole.words) == ("en", "r", None)


def test_without_a_start() -> None:
    """An update that no start came before is a turn all the same."""
    turns = Turns()
    assert told(turns, TurnUpdate(transcript="a")) == [("update", "a")]
    assert turns.partial == "a"


def test_a_start_ends_what_the_service_forgot_to() -> None:
    """Text that was emitted stands, even if its turn is never ended."""
    turns = Turns()
    told(turns, TurnStart(), TurnUpdate(transcript="a"))
    assert told(turns, TurnStart()) == [("turn", "a"), ("update", "")]
    assert turns.ended[0].ended
    assert turns.current == Turn(number=2)


def test_an_empty_turn_is_none() -> None:
    """A turn that brought no text is not made up."""
    turns = Turns()
    assert told(turns, TurnStart(), TurnStart()) == [("update", ""), ("update", "")]
    assert turns.finish() == []
    assert turns.ended == []


def test_finish() -> None:
    """What goes on at a clean end is over with the text it has."""
    turns = Turns()
    told(turns, TurnStart(), TurnEagerEnd(transcript="a"))
    [(kind, turn)] = turns.finish()
    assert (kind, turn) == ("turn", Turn(number=1, text="a", ended=True))
    assert turns.text == "a"
    assert turns.finish() == []


def test_drop() -> None:
    """A turn that a lost connection cut off comes again, so it is not kept."""
    turns = Turns()
    told(turns, TurnStart(), TurnUpdate(transcript="a"))
    turns.drop()
    assert (turns.partial, turns.finish(), turns.text) == ("", [], "")


@pytest.mark.parametrize("event", [TurnStart(), TurnUpdate(transcript="c")])
def test_cut_off(event: TurnStart | TurnUpdate) -> None:
    """A turn whose beginning cannot be sent again stands; what comes is another."""
    turns = Turns()
    told(turns, TurnStart(), TurnUpdate(transcript="a b"))
    assert [turns.cut_off(), turns.cut_off()] == ["a b", ""]
    assert turns.partial == "a b"
    assert [kind for kind, _ in turns.take(event)] == ["turn", "update"]
    told(turns, TurnUpdate(transcript="c d"), TurnEnd(transcript="c d"))
    assert [(turn.number, turn.text) for turn in turns.ended] == [
        (1, "a b"),
        (2, "c d"),
    ]


@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_no_text_is_stripped(text: str) -> None:
    """A turn.end is kept as it came."""
    turns = Turns()
    turns.take(TurnEnd(transcript=text))
    assert turns.text == text
