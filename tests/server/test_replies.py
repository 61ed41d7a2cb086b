"""What is said to what is heard: deltas and turns, without a socket."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cartesia_stt_sync.endpoints import MANUAL, TURNS, Endpoint
from cartesia_stt_sync.events import (
    Connected,
    Event,
    FlushDone,
    Language,
    Transcript,
    TurnEnd,
    TurnEvent,
    TurnStart,
    TurnUpdate,
    Word,
)
from cartesia_stt_sync.server import Listener, Piece, ScriptedEngine
from cartesia_stt_sync.server.engine import Script
from cartesia_stt_sync.server.handshake import Stream
from cartesia_stt_sync.server.messages import Command
from cartesia_stt_sync.server.recogniser import SpeechListener
from cartesia_stt_sync.server.replies import Replies, replies_of
from cartesia_stt_sync.server.segments import RATE
from cartesia_stt_sync.server.thresholds import Thresholds

from .helpers import FakeRecogniser

QUICK = Thresholds(eager_end_threshold=0.6, end_threshold=0.5)
"""A turn is perhaps over after 0.37 s, and over after 0.5 s."""


def replies(
    endpoint: Endpoint = TURNS, turn: Thresholds = Thresholds(), rate: int = RATE
) -> Replies:
    """What a new stream is told."""
    stream = Stream(model="ink-2", encoding="pcm_s16le", sample_rate=rate, turn=turn)
    return replies_of(endpoint, stream, request_id="id", language="en")


def ear(recogniser: FakeRecogniser | None = None) -> SpeechListener:
    """A listener that takes ones for speech."""
    recogniser = recogniser or FakeRecogniser()
    return SpeechListener(recogniser, threading.Lock(), RATE, cost=recogniser.clock)


def sound(*spans: float) -> NDArray[np.float32]:
    """Seconds of silence and of speech in turn."""
    return np.concatenate(
        [np.full(round(s * RATE), i % 2, np.float32) for i, s in enumerate(spans)]
    )


def told(events: Iterable[Event]) -> list[str]:
    """Turn events as short strings."""
    return [
        f"{event.type.removeprefix('turn.')} {getattr(event, 'transcript', '')}".strip()
        for event in events
    ]


def story(
    reply: Replies, listener: Listener, samples: NDArray[np.float32], rate: int = RATE
) -> list[tuple[float, str]]:
    """What is told at which second, looked at each 0.05 s; ``close`` at the end."""
    heard, step = [], rate // 20
    for at in range(0, len(samples), step):
        part = samples[at : at + step]
        seconds = round((at + len(part)) / rate, 3)
        heard += [(seconds, text) for text in told(reply.hear(listener, part))]
    end = round(len(samples) / rate, 3)
    last = told(reply.obey(listener, Command.CLOSE))
    return heard + [(end, text) for text in last]


# Deltas


def test_deltas() -> None:
    """Pieces become transcripts; a ``finalize`` is answered, a ``close`` is not."""

    class Ear:
        def feed(self, samples: NDArray[np.float32]) -> list[Piece]:
            return [Piece(text=" H", is_final=False, start=1.0, end=1.1)]

        def finalize(self) -> list[Piece]:
            word = Word("Hi", 1.0, 1.25)
            return [
                Piece(text=" Hi", is_final=True, start=1.0, end=1.25, words=(word,))
            ]

        def close(self) -> None:
            pass

    reply, listener = replies(MANUAL), Ear()
    final = Transcript(
        text=" Hi",
        is_final=True,
        duration=0.25,
        language="en",
        words=(Word("Hi", 1.0, 1.25),),
        request_id="id",
    )
    assert reply.greeting() == []
    assert reply.hear(listener, np.zeros(9, np.float32)) == [
        Transcript(
            text=" H", is_final=False, duration=0.1, language="en", request_id="id"
        )
    ]
    done = FlushDone(request_id="id")
    assert reply.obey(listener, Command.FINALIZE) == [final, done]
    assert reply.obey(listener, Command.CLOSE) == [final]
    made_up = reply.provisional("x")
    assert isinstance(made_up, Transcript)
    assert (made_up.text, made_up.is_final) == ("x", False)


# Turns by their pauses


def test_a_turn() -> None:
    """It begins with the speech, its text comes with a pause, its end with a longer."""
    assert story(replies(), ear(), sound(0.5, 1.0, 1.5)) == [
        (0.75, "start"),
        (2.1, "update 1.0"),
        (2.2, "eager_end 1.0"),
        (2.7, "end 1.0"),
    ]


def test_a_pause_within_a_turn() -> None:
    """Its text grows; what is perhaps over is resumed before it does."""
    assert story(replies(), ear(), sound(0.0, 1.0, 0.6, 1.0, 0.9, 1.0, 2.0)) == [
        (0.25, "start"),
        (1.6, "update 1.0"),
        (3.2, "update 1.0 1.0"),
        (3.3, "eager_end 1.0 1.0"),
        (3.75, "resume"),
        (5.1, "update 1.0 1.0 1.0"),
        (5.2, "eager_end 1.0 1.0 1.0"),
        (5.7, "end 1.0 1.0 1.0"),
    ]


def test_the_next_turn() -> None:
    """It begins with nothing of the one before, but the blank between the two."""
    assert told(replies().hear(ear(), sound(0.0, 0.5, 1.5, 0.3, 1.5))) == [
        *("start", "update 0.5", "eager_end 0.5", "end 0.5"),
        *("start", "update  0.3", "eager_end  0.3", "end  0.3"),
    ]


@pytest.mark.parametrize(
    ("turn", "begin", "eager", "end"),
    [
        (Thresholds(start_threshold=0.5), 0.1, 1.7, 2.2),
        (Thresholds(start_threshold=0.9), 0.35, 1.7, 2.2),
        (Thresholds(eager_end_threshold=0.3), 0.25, 1.9, 2.2),
        (Thresholds(eager_end_threshold=0.6), 0.25, 1.4, 2.2),
        (Thresholds(end_threshold=0.05), 0.25, 1.7, 3.2),
        (QUICK, 0.25, 1.4, 1.5),
        (Thresholds(end_timeout_ms=800), 0.25, 1.7, 1.8),
    ],
)
def test_settings(turn: Thresholds, begin: float, eager: float, end: float) -> None:
    """Each has its say, also where a turn ends before the recogniser would say so."""
    heard = {
        text.split()[0]: seconds
        for seconds, text in story(replies(turn=turn), ear(), sound(0.0, 1.0, 3.0))
    }
    assert (heard["start"], heard["eager_end"], heard["end"]) == (begin, eager, end)


def test_the_timeout_comes_first() -> None:
    """A turn that is over is not perhaps over."""
    reply = replies(turn=Thresholds(end_timeout_ms=640))
    assert told(reply.hear(ear(), sound(0.0, 1.0, 1.0))) == [
        "start",
        "update 1.0",
        "end 1.0",
    ]


def test_new_settings_hold_from_their_place_on() -> None:
    """The turn that goes on is ended by them, the one before was not."""
    reply, listener = replies(), ear()
    first = told(reply.hear(listener, sound(0.0, 1.0, 0.5)))
    assert first == ["start"]
    assert reply.obey(listener, QUICK) == []
    silence = sound(0.05)
    assert told(reply.hear(listener, silence)) == ["update 1.0", "end 1.0"]


def test_a_word_shorter_than_its_threshold() -> None:
    """It begins its turn with its text: no text is lost."""
    assert story(replies(), ear(), sound(0.0, 0.2, 1.5)) == [
        (0.8, "start"),
        (0.8, "update 0.2"),
        (0.9, "eager_end 0.2"),
        (1.4, "end 0.2"),
    ]


def test_a_cough() -> None:
    """Speech in which there is no word is a turn without a text, and never eager."""

    class NoWords(FakeRecogniser):
        def decode(self, samples: NDArray[np.float32]) -> str:
            return ""

    listener = ear(NoWords())
    assert story(replies(), listener, sound(0.0, 0.5, 2.0)) == [
        (0.25, "start"),
        (1.7, "end"),
    ]


def test_silence_is_no_turn() -> None:
    """Nor are clicks."""
    samples = sound(2.0, 0.05, 1.0, 0.08, 2.0)
    assert story(replies(), ear(), samples) == []


def test_close_ends_the_turn() -> None:
    """With its text; one that is perhaps over, too."""
    assert story(replies(), ear(), sound(0.0, 1.0))[1:] == [
        (1.0, "update 1.0"),
        (1.0, "end 1.0"),
    ]
    assert story(replies(), ear(), sound(0.0, 1.0, 0.8))[2:] == [
        (1.7, "eager_end 1.0"),
        (1.8, "end 1.0"),
    ]


def test_what_events_hold() -> None:
    """The request's id, a turn's own, and the language."""
    reply, listener = replies(), ear()
    assert reply.greeting() == [Connected(request_id="id")]
    events = reply.hear(listener, sound(0.0, 1.0, 1.5, 1.0, 1.5))
    common: dict[str, Any] = {"request_id": "id", "languages": (Language("en", 1.0),)}
    assert events[0] == TurnStart(turn_id="id-1", **common)
    assert events[-1] == TurnEnd(transcript=" 1.0", turn_id="id-2", **common)
    made_up = reply.provisional("x")
    assert made_up == TurnUpdate(transcript="x", turn_id="id-2", **common)


def check_turns(events: Iterable[Event]) -> str:
    """See that these are whole turns, of which nothing was taken back; join them."""
    joined, text, before, ids = "", "", "end", []
    for event in events:
        assert isinstance(event, TurnEvent)
        kind = event.type.removeprefix("turn.")
        assert (kind == "start") == (before == "end")
        assert (kind == "resume") <= (before == "eager_end")
        assert (before == "eager_end") <= (kind in ("resume", "end"))
        if kind == "start":
            ids.append(event.turn_id)
            text = ""
        assert event.turn_id == ids[-1]
        said = getattr(event, "transcript", text)
        assert said.startswith(text)
        assert (said == text) or kind == "update"
        text = said
        joined += text if kind == "end" else ""
        before = kind
    assert before == "end"
    assert len(set(ids)) == len(ids)
    return joined


spans = st.lists(
    st.sampled_from([0.05, 0.1, 0.2, 0.3, 0.45, 0.5, 0.7, 1.2, 2.5]), max_size=8
)
turns = st.sampled_from(
    [
        Thresholds(),
        QUICK,
        Thresholds(start_threshold=0.9, end_threshold=0.05),
        Thresholds(start_threshold=0.5, end_timeout_ms=640),
    ]
)


@settings(max_examples=50, deadline=None)
@given(spans=spans, turn=turns, cuts=st.lists(st.integers(0, 30_000), max_size=8))
def test_cutting_changes_nothing(
    spans: Sequence[float], turn: Thresholds, cuts: Sequence[int]
) -> None:
    """The same whole turns, however the audio is cut into messages."""
    samples = sound(0.3, *spans)
    (whole, one), (parts, other) = ((replies(turn=turn), ear()) for _ in range(2))
    together = [*whole.hear(one, samples), *whole.obey(one, Command.CLOSE)]
    apart: list[Event] = []
    for part in np.split(samples, np.cumsum(cuts)):
        apart += parts.hear(other, part)
    apart += parts.obey(other, Command.CLOSE)
    check_turns(together)
    assert told(together) == told(apart)


@settings(max_examples=50, deadline=None)
@given(spans=spans)
def test_the_text_is_that_of_manual(spans: Sequence[float]) -> None:
    """Where no turn is perhaps over before the recogniser's own pause of 0.6 s."""
    samples = sound(0.3, *spans)
    joined = []
    for endpoint in (MANUAL, TURNS):
        reply, listener = replies(endpoint), ear()
        events = [*reply.hear(listener, samples), *reply.obey(listener, Command.CLOSE)]
        if endpoint is TURNS:
            joined.append(check_turns(events))
        else:
            deltas = [e for e in events if isinstance(e, Transcript)]
            joined.append("".join(e.text for e in deltas if e.is_final))
    assert joined[0] == joined[1]


# Turns of other listeners


@attrs.define
class Simple:
    """An ear that knows of no voice, only pieces; one sample is a second."""

    says: dict[int, Piece]
    last: Sequence[Piece] = ()
    heard: int = 0
    finalized: int = 0

    def feed(self, samples: NDArray[np.float32]) -> list[Piece]:
        said = []
        for _ in samples:
            self.heard += 1
            said += [self.says[self.heard]] if self.heard in self.says else []
        return said

    def finalize(self) -> Sequence[Piece]:
        self.finalized += 1
        return self.last

    def close(self) -> None:
        pass


def piece(text: str, end: float, is_final: bool = True, start: float = 0.0) -> Piece:
    """A piece of text."""
    return Piece(text=text, is_final=is_final, start=start, end=end)


def tenths(reply: Replies, listener: Listener, count: int) -> list[tuple[int, str]]:
    """What is told at which tenth of a second."""
    sample = np.zeros(1, np.float32)
    return [
        (i, text)
        for i in range(1, count + 1)
        for text in told(reply.hear(listener, sample))
    ]


def test_a_listener_that_hears_no_voice() -> None:
    """Its pieces are the speech, and the pause begins where the latest ends."""
    says = {
        5: piece("", 0.5, is_final=False),
        10: piece("Hel", 0.9, is_final=False),
        12: piece("Hello", 1.0),
        30: piece(" you", 3.0),
    }
    listener = Simple(says)
    assert tenths(replies(rate=10), listener, 50) == [
        (10, "start"),
        (12, "update Hello"),
        (17, "eager_end Hello"),
        (22, "end Hello"),
        (30, "start"),
        (30, "update  you"),
        (37, "eager_end  you"),
        (42, "end  you"),
    ]
    assert listener.finalized == 0


def test_a_listener_that_has_something_left() -> None:
    """It is finalized when a turn is perhaps over, so that this has a text, once."""
    says = {5: piece("Hel", 0.5, is_final=False)}
    listener = Simple(says, [piece("Hello", 0.6)])
    assert tenths(replies(rate=10), listener, 30)[:4] == [
        (5, "start"),
        (12, "update Hello"),
        (12, "eager_end Hello"),
        (18, "end Hello"),
    ]
    assert listener.finalized == 1
    silent = Simple(says)
    assert tenths(replies(rate=10), silent, 30) == [(5, "start"), (17, "end")]
    assert silent.finalized == 1


def test_a_listener_that_knows_turns_only_when_asked() -> None:
    """What it says then is not said twice."""
    for turn, said in (("end", "end"), ("eager_end", "eager_end")):
        says = {5: piece("Hel", 0.5, is_final=False)}
        listener = Simple(says, [attrs.evolve(piece("Hello", 0.6), turn=turn)])
        assert tenths(replies(rate=10), listener, 50) == [
            (5, "start"),
            (12, "update Hello"),
            (12, f"{said} Hello"),
        ]


# Turns of a script


def test_a_script() -> None:
    """Each text is a turn, which no pause ends."""
    listener = ScriptedEngine([(1.0, "Hello"), (1.0, ""), (5.0, " you")]).open(100)
    assert story(replies(rate=100), listener, np.zeros(1000, np.float32), 100) == [
        (0.5, "start"),
        (1.0, "update Hello"),
        (1.0, "end Hello"),
        (1.0, "start"),
        (1.0, "end"),
        (3.0, "start"),
        (5.0, "update  you"),
        (5.0, "end  you"),
    ]


def test_a_script_of_one_turn() -> None:
    """The texts add up; what is perhaps over is resumed half way to the next."""
    script: Script = [(1, "a", "update"), (5, " b", "eager_end"), (9, " c", "end")]
    listener = ScriptedEngine(script).open(100)
    assert story(replies(rate=100), listener, np.zeros(1000, np.float32), 100) == [
        (0.5, "start"),
        (1.0, "update a"),
        (5.0, "update a b"),
        (5.0, "eager_end a b"),
        (7.0, "resume"),
        (9.0, "update a b c"),
        (9.0, "end a b c"),
    ]


def test_a_script_that_is_not_played_to_its_end() -> None:
    """The turn ends with what was said by then."""
    script: Script = [(1, "a", "update"), (2, " b")]
    for seconds, last in ((0.7, "end"), (1.7, "end a")):
        listener = ScriptedEngine(script).open(100)
        audio = np.zeros(round(seconds * 100), np.float32)
        assert story(replies(rate=100), listener, audio, 100)[-1] == (seconds, last)
