"""What a client's text messages say, on each endpoint."""

from __future__ import annotations

import json

import pytest

from cartesia_stt_sync.endpoints import MANUAL, TURNS
from cartesia_stt_sync.server.messages import Command, Mistake, Reader
from cartesia_stt_sync.server.thresholds import Thresholds


def manual() -> Reader:
    """A reader of Manual's messages."""
    return Reader(MANUAL, Thresholds())


def auto() -> Reader:
    """A reader of Auto's messages."""
    return Reader(TURNS, Thresholds())


def configure(reader: Reader, **changes: object) -> Command | Thresholds | str | None:
    """Read a configuration; a mistake as its message."""
    said = reader.read(json.dumps({"type": "config"} | changes))
    return said.message if isinstance(said, Mistake) else said


def test_commands() -> None:
    """Bare words on Manual, an old one too; JSON on Auto, however it is laid out."""
    assert manual().read("finalize") is Command.FINALIZE
    assert manual().read("close") is Command.CLOSE
    assert manual().read("done") is Command.CLOSE
    for text in (TURNS.close, '{"type":"close"}', '{"now": 1, "type": "close"}'):
        assert auto().read(text) is Command.CLOSE


@pytest.mark.parametrize(
    "text",
    ["close", "finalize", "done", '"close"', '{"type": "finalize"}', '{"type": []}'],
)
def test_what_auto_does_not_take(text: str) -> None:
    """Neither the other endpoint's words nor anything to finalize."""
    said = auto().read(text)
    assert isinstance(said, Mistake)
    assert said.title == "Invalid message"
    assert said.message.startswith(
        'expected {"type": "close"} or {"type": "config", ...}, as JSON and not as '
        f"bare words, got {text!r}; nothing is finalized here"
    )


@pytest.mark.parametrize("text", ['{"type": "close"}', "config"])
def test_what_manual_does_not_take(text: str) -> None:
    """Its commands are bare words, its configuration is JSON."""
    said = manual().read(text)
    assert isinstance(said, Mistake)
    assert said.message.startswith("expected 'finalize' or 'close', as bare words")


def test_new_settings() -> None:
    """All of them are given out, each time that one changes."""
    reader = auto()
    assert configure(reader, keyterms=["Cartesia"], language_hints=[]) is None
    assert configure(reader, turn={}) is None
    assert configure(reader, turn={"start_threshold": 0.8}) is None  # as it is
    new = configure(reader, turn={"end_timeout_ms": 640})
    assert new == Thresholds(end_timeout_ms=640)
    new = configure(reader, turn={"end_threshold": 0.1}, keyterms=[])
    assert new == Thresholds(end_timeout_ms=640, end_threshold=0.1)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"turn": 0.5}, "turn: an object, got 0.5"),
        ({"turn": {"pause": 1}}, "turn.pause: one of start_threshold, "),
        ({"turn": {"end_threshold": 1}}, "turn.end_threshold: a number from 0.05"),
        ({"turn": {"end_threshold": "0.1"}}, "turn.end_threshold: .*got '0.1'"),
        ({"turn": {"end_threshold": 0.45}}, "each above the next, got 0.8, 0.4, 0.45"),
        ({"language": "en"}, "language: one of turn, keyterms, language_hints"),
        ({"keyterms": "a", "turn": {"end_threshold": 0.1}}, "keyterms: a list"),
    ],
)
def test_a_configuration_that_is_wrong(
    changes: dict[str, object], problem: str
) -> None:
    """It is a mistake, and nothing of it is taken over."""
    reader = auto()
    said = configure(reader, **changes)
    assert isinstance(said, str)
    with pytest.raises(ValueError, match=problem):
        raise ValueError(said)
    assert configure(reader, turn={"end_threshold": 0.2}) is None


def test_settings_meet_those_in_force() -> None:
    """A later configuration is checked together with those before it."""
    reader = auto()
    assert isinstance(configure(reader, turn={"eager_end_threshold": 0.6}), Thresholds)
    said = configure(reader, turn={"start_threshold": 0.6})
    assert isinstance(said, str)
    assert said.endswith("got 0.6, 0.6, 0.2")


def test_manual_has_no_turns() -> None:
    """There a setting of turns is a mistake."""
    said = configure(manual(), turn={"end_threshold": 0.1})
    assert said == "turn: one of keyterms, language_hints"
