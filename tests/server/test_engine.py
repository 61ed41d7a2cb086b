"""The scripted engine and the choice of an engine."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cartesia_stt_sync.errors import ConfigError
from cartesia_stt_sync.server import Engine, Listener, ScriptedEngine
from cartesia_stt_sync.server.choice import choose, loaded
from cartesia_stt_sync.server.recogniser import Moonshine, PocketSphinx

from .helpers import FakeEngine

SCRIPT = [(0.5, "Hello"), (1.0, ", world."), (1.0, " And"), (2.0, "")]


def said(listener: Listener, seconds: float, rate: int = 16000) -> list[str]:
    """What is said to so much more audio, interims in brackets."""
    pieces = listener.feed(np.zeros(round(seconds * rate), np.float32))
    return [piece.text if piece.is_final else f"({piece.text})" for piece in pieces]


def test_says_each_text_at_its_second() -> None:
    """A final goes out at its second, an interim half way before it."""
    listener = ScriptedEngine(SCRIPT).open(16000)
    assert said(listener, 0.2) == []
    assert said(listener, 0.1) == ["(Hello)"]
    assert said(listener, 0.2) == ["Hello"]
    assert said(listener, 0.5) == ["(, world.)", ", world.", " And"]


def test_counts_samples_exactly() -> None:
    """A second that is no whole number in binary is met to the sample."""
    listener = ScriptedEngine([(0.3, "a")]).open(44100)
    samples = np.zeros(1, np.float32)
    listener.feed(np.zeros(13229, np.float32))
    assert [piece.text for piece in listener.feed(samples)] == ["a"]


def test_finalize_says_nothing_early() -> None:
    """What the script has not reached, finalize does not say."""
    listener = ScriptedEngine(SCRIPT).open(16000)
    said(listener, 0.4)
    assert list(listener.finalize()) == []
    listener.close()
    assert said(listener, 0.1) == ["Hello"]


def test_every_listener_starts_at_the_beginning() -> None:
    """Streams share the script, not the place in it."""
    engine = ScriptedEngine(SCRIPT)
    engine.load()
    assert said(engine.open(16000), 0.5) == said(engine.open(8000), 0.5, 8000)


def test_words_fill_the_time_of_their_text() -> None:
    """Words are spread from the entry before to their own."""
    pieces = list(
        ScriptedEngine([(1.0, "a"), (2.0, " b c")])
        .open(100)
        .feed(np.zeros(200, np.float32))
    )
    last = pieces[-1]
    assert (last.start, last.end) == (1.0, 2.0)
    assert [(w.word, w.start, w.end) for w in last.words] == [
        ("b", 1.0, 1.5),
        ("c", 1.5, 2.0),
    ]
    assert pieces[-2].words == ()


def test_how_a_turn_stands() -> None:
    """A third element says whether the turn goes on; without one it is over."""
    script: list[Any] = [
        (1, "a", "update"),
        (2, "b", "eager_end"),
        [3, "c", "end"],  # as JSON has it
        (4, "d"),
    ]
    pieces = ScriptedEngine(script).open(100).feed(np.zeros(400, np.float32))
    finals = [(p.text, p.turn) for p in pieces if p.is_final]
    assert finals == [("a", "update"), ("b", "eager_end"), ("c", "end"), ("d", "end")]


@given(
    steps=st.lists(st.tuples(st.integers(0, 300), st.text()), max_size=5),
    cuts=st.lists(st.integers(0, 400), min_size=1, max_size=20),
)
def test_cutting_changes_nothing(
    steps: Sequence[tuple[int, str]], cuts: Sequence[int]
) -> None:
    """The same pieces in the same order, however the audio is cut."""
    seconds, script = 0.0, []
    for step, text in steps:
        seconds += step / 100
        script.append((seconds, text))
    whole, pieces = ScriptedEngine(script).open(100), ScriptedEngine(script).open(100)
    together = list(whole.feed(np.zeros(sum(cuts), np.float32)))
    apart = [p for cut in cuts for p in pieces.feed(np.zeros(cut, np.float32))]
    assert together == apart


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("Hello", "a list of"),
        (7, "a list of"),
        ([("a", 1.0)], "pairs"),
        ([(1.0,)], "pairs"),
        ([1.0], "pairs"),
        ([(True, "a")], "pairs"),
        ([(1.0, b"a")], "pairs"),
        ([(1.0, "a", "over")], "update, eager_end, end"),
        ([(1.0, "a", ["end"])], "update, eager_end, end"),
        ([(1.0, "a", "end", "")], "pairs"),
        ([(-1, "a")], "at least 0"),
        ([(float("nan"), "a")], "at least 0"),
        ([(float("inf"), "a")], "at least 0"),
        ([(2, "a"), (1, "b")], "never go back"),
    ],
)
def test_refuses_a_bad_script(script: object, problem: str) -> None:
    """The message names the argument and the rule."""
    with pytest.raises(ConfigError, match=f"^script: .*{problem}"):
        ScriptedEngine(script)  # type: ignore[arg-type]  # wrong on purpose


def test_choice_by_name() -> None:
    """A script means the scripted engine, nothing means the best recogniser."""
    assert [type(e) for e in choose([(1, "a")], "auto")] == [ScriptedEngine]
    assert [type(e) for e in choose([(1, "a")], "scripted")] == [ScriptedEngine]
    assert [type(e) for e in choose(None, "auto")] == [Moonshine, PocketSphinx]
    assert [type(e) for e in choose(None, "recogniser")] == [Moonshine]
    assert [type(e) for e in choose(None, "pocketsphinx")] == [PocketSphinx]


def test_choice_of_ones_own() -> None:
    """Any object with the engine's methods will do."""
    engine = FakeEngine()
    assert choose(None, engine) == [engine]


@pytest.mark.parametrize(
    ("script", "engine", "problem"),
    [
        (None, "whisper", "engine: one of auto, .*got 'whisper'"),
        (None, 7, "engine: one of auto, .* or an object"),
        (None, "scripted", "script: the scripted engine needs one"),
        ([(1, "a")], "recogniser", "script: for the scripted engine only"),
        ([(1, "a")], FakeEngine(), "script: for the scripted engine only"),
    ],
)
def test_choice_refuses(
    script: Sequence[tuple[float, str]] | None, engine: str | Engine, problem: str
) -> None:
    """What does not go together is refused by name."""
    with pytest.raises(ConfigError, match=problem):
        choose(script, engine)


class Missing(FakeEngine):
    """An engine whose package is not installed."""

    name = "missing"

    def load(self) -> None:
        raise ImportError("No module named 'missing'")


def test_falls_back_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """Where the best engine is missing, the next one runs, with a warning."""
    engine = FakeEngine()
    with caplog.at_level(logging.WARNING):
        assert loaded([Missing(), engine]) is engine
    assert "fell back to the fake engine; missing: No module" in caplog.text


def test_no_fallback_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    """The first engine that loads is taken in silence."""
    engine = FakeEngine()
    assert loaded([engine, Missing()]) is engine
    assert not caplog.records


def test_nothing_installed() -> None:
    """The error names the extra to install."""
    with pytest.raises(ConfigError, match=r"pip install 'cartesia-stt-sync\[local\]'"):
        loaded([Missing()])
