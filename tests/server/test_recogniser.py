"""When segments are decoded; and real speech, through the real recognisers."""

from __future__ import annotations

import importlib
import re
import sys
import threading
import wave
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cartesia_stt_sync.audio import decode, encode
from cartesia_stt_sync.events import Word
from cartesia_stt_sync.server import LocalServer, Piece
from cartesia_stt_sync.server import recogniser as module
from cartesia_stt_sync.server.align import Aligner, sounds, spell, spread
from cartesia_stt_sync.server.recogniser import (
    Moonshine,
    PocketSphinx,
    SpeechListener,
)
from cartesia_stt_sync.server.resample import Resampler
from cartesia_stt_sync.server.segments import RATE

from .helpers import QUERY, Client, FakeRecogniser

DATA = Path(__file__).parent.parent / "data"
CLIPS = sorted(DATA.glob("*.wav"))

# When segments are decoded


def listen(
    recogniser: FakeRecogniser, *spans: float
) -> tuple[SpeechListener, list[Piece]]:
    """Hear seconds of silence and of speech in turn, a tenth at a time."""
    listener = SpeechListener(recogniser, threading.Lock(), RATE, cost=recogniser.clock)
    pieces: list[Piece] = []
    for i, seconds in enumerate(spans):
        for _ in range(round(seconds * 10)):
            pieces += listener.feed(np.full(1600, i % 2, np.float32))
    return listener, pieces


def texts(pieces: Iterable[Piece]) -> list[str]:
    """Their texts, interims in brackets."""
    return [p.text if p.is_final else f"({p.text})" for p in pieces]


def test_interims_then_a_final() -> None:
    """An interim each half second, a final after the pause."""
    _, pieces = listen(FakeRecogniser(), 0.0, 1.2, 0.8)
    assert texts(pieces) == ["(0.5)", "(1.0)", "(1.2)", "1.2"]
    last = pieces[-1]
    assert (last.start, round(last.end, 3)) == (0.0, 1.5)
    assert last.words == (Word("1.2", 0.25, 0.5),)


def test_a_space_before_all_but_the_first() -> None:
    """The peer joins finals with nothing between; interims follow suit."""
    listener, pieces = listen(FakeRecogniser(), 0.0, 0.5, 0.7, 0.5)
    assert texts(pieces) == ["(0.5)", "(0.5)", "0.5", "( 0.3)"]
    assert texts(listener.finalize()) == [" 0.5"]


def test_words_are_in_the_streams_time() -> None:
    """Not in the segment's."""
    listener, _ = listen(FakeRecogniser(), 2.0, 1.0)
    (piece,) = listener.finalize()
    assert round(piece.start, 3) == 1.7
    assert piece.words == (Word("1.0", 1.95, 2.2),)


def test_a_slow_machine_decodes_less_often() -> None:
    """Four times its cost passes between two interims."""
    recogniser = FakeRecogniser()
    recogniser.cost = 0.25
    _, pieces = listen(recogniser, 0.0, 2.6)
    assert texts(pieces) == ["(0.5)", "(1.5)", "(2.5)"]


def test_no_text_is_no_piece() -> None:
    """Where the recogniser finds nothing to say, nothing is said."""
    listener, pieces = listen(FakeRecogniser(), 0.0, 9.6)
    assert texts(pieces)[-1] == "(8.5)"
    assert texts(listener.finalize()) == []
    listener.close()


def test_the_voice_of_the_stream() -> None:
    """Speech counts until its final, the pause from the latest of it on."""
    listener, _ = listen(FakeRecogniser(), 0.5, 1.0, 0.4)
    speech, pause = listener.voice()
    assert (speech, round(pause, 3)) == (1.0, 0.4)
    list(listener.finalize())
    speech, pause = listener.voice()
    assert (speech, round(pause, 3)) == (0.0, 0.4)


def test_finalize_with_nothing_heard() -> None:
    """There is nothing to say twice."""
    listener, _ = listen(FakeRecogniser(), 1.0, 0.5)
    assert len(list(listener.finalize())) == 1
    assert list(listener.finalize()) == []


def test_finalize_hears_what_the_resampler_held() -> None:
    """The last samples can be the ones that end a segment."""
    recogniser = FakeRecogniser()
    listener = SpeechListener(recogniser, threading.Lock(), 8000)
    samples = np.r_[np.ones(7990), np.zeros(10 + 4806)].astype(np.float32)
    # Without the few samples that wait for their neighbours, not yet silence enough.
    assert [p for p in listener.feed(samples) if p.is_final] == []
    assert len(list(listener.finalize())) == 1


# The words of a text in its audio


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("Mr.", ["mr"]),
        ("ill-disposed,", ["ill", "disposed"]),
        ("don\u2019t", ["don't"]),
        ("\u2018Tis'", ["tis"]),
        ("Café", ["cafe"]),
        ("A4", ["a", "four"]),
        ("1984", ["one", "nine", "eight", "four"]),
        ("—", []),
        ("你好", []),
    ],
)
def test_spelling(token: str, words: list[str]) -> None:
    """A written word as what is spoken."""
    assert spell(token) == words


def test_sounds_of_a_word_nobody_knows() -> None:
    """Pairs of letters before single ones; what has no sound has none."""
    assert sounds("shqua'x") == "SH K W AE K S"


def test_spread_by_letters() -> None:
    """Long words take longer, and all take all of the time."""
    assert spread(["a", "bcd"], 2.0) == (Word("a", 0.0, 0.5), Word("bcd", 0.5, 2.0))
    assert spread([], 2.0) == ()


# Real speech


def read(clip: Path) -> NDArray[np.float32]:
    """The samples of a clip, at 16 kHz."""
    with wave.open(str(clip)) as file:
        return decode(file.readframes(file.getnframes()), "pcm_s16le")


def truth(clip: Path) -> list[str]:
    """What is said in the clip, in plain words."""
    text = (DATA / "transcription.txt").read_text()
    (line,) = re.findall(rf"<s> (.*) </s> \({re.escape(clip.stem)}\)", text)
    return plain(line)


def plain(text: str) -> list[str]:
    """Its words without case and punctuation."""
    text = text.lower().replace("mr.", "mister").replace("-", " ")
    return re.sub("[^a-z' ]", "", text).split()


def errors(wanted: list[str], got: list[str]) -> int:
    """Words to put in, take out or replace (the edit distance)."""
    row = list(range(len(got) + 1))
    for i, word in enumerate(wanted, 1):
        last, row = row, [i]
        for j, other in enumerate(got, 1):
            row.append(min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (word != other)))
    return row[-1]


def hear(
    engine: Moonshine | PocketSphinx, samples: NDArray[np.float32], rate: int = RATE
) -> list[Piece]:
    """Every piece of a stream that is finalized at its end, in tenths of seconds."""
    listener = engine.open(rate)
    pieces: list[Piece] = []
    for part in np.array_split(samples, max(len(samples) * 10 // rate, 1)):
        pieces += listener.feed(part)
    pieces += listener.finalize()
    listener.close()
    return pieces


def final_text(pieces: Iterable[Piece]) -> str:
    """The finals as a client joins them."""
    return "".join(piece.text for piece in pieces if piece.is_final)


@pytest.fixture(scope="module")
def moonshine() -> Moonshine:
    """The good engine, loaded."""
    engine = Moonshine()
    engine.load()
    return engine


@pytest.fixture(scope="module")
def sphinx() -> PocketSphinx:
    """The fallback, loaded."""
    engine = PocketSphinx()
    engine.load()
    return engine


def test_five_clips_of_real_speech(
    moonshine: Moonshine, capsys: pytest.CaptureFixture[str]
) -> None:
    """At most a word of five is wrong; interims come before, words in order."""
    wrong = words = 0
    for clip in CLIPS:
        samples = read(clip)
        pieces = hear(moonshine, samples)
        wanted = truth(clip)
        wrong += errors(wanted, plain(final_text(pieces)))
        words += len(wanted)
        assert not pieces[0].is_final
        _check_words(pieces, len(samples) / RATE)
    with capsys.disabled():
        print(f"\nmoonshine: {wrong} of {words} words wrong ({wrong / words:.1%})")
    assert len(CLIPS) == 5
    assert wrong / words <= 0.2


def _check_words(pieces: Iterable[Piece], seconds: float) -> None:
    finals = [piece for piece in pieces if piece.is_final]
    for piece in finals:
        assert [word.word for word in piece.words] == piece.text.split()
    times = [t for piece in finals for w in piece.words for t in (w.start, w.end)]
    assert times == sorted(times)
    assert times[0] > 0.1  # every clip begins with a bit of silence
    assert times[-1] <= seconds + 0.02


def test_a_stream_with_pauses(moonshine: Moonshine) -> None:
    """Each sentence is a final of its own, unprompted, with its own place."""
    pause = np.zeros(RATE, np.float32)
    clips = [read(clip) for clip in (CLIPS[1], CLIPS[4])]
    pieces = hear(moonshine, np.concatenate([clips[0], pause, clips[1], pause]))
    first, second = (piece for piece in pieces if piece.is_final)
    assert not first.text.startswith(" ")
    assert second.text.startswith(" ")
    begin = len(clips[0]) / RATE + 1
    assert first.words[-1].end < begin
    assert begin <= second.words[0].start < begin + 0.5


@pytest.mark.parametrize(
    ("encoding", "rate"), [("pcm_mulaw", 8000), ("pcm_f32le", 48000)]
)
def test_other_formats(moonshine: Moonshine, encoding: str, rate: int) -> None:
    """The telephone's and the studio's rates are understood as well."""
    clip = CLIPS[4]
    samples = Resampler(RATE, rate).convert(read(clip))
    pieces = hear(moonshine, decode(encode(samples, encoding), encoding), rate)
    wanted = truth(clip)
    assert errors(wanted, plain(final_text(pieces))) <= 0.2 * len(wanted)


def test_no_speech_no_words(moonshine: Moonshine) -> None:
    """On silence, noise and clicks nothing is invented."""
    noise = np.random.default_rng(1).normal(0, 0.02, RATE * 2).astype(np.float32)
    clicks = np.zeros(RATE * 2, np.float32)
    clicks[::4000] = 0.9
    for samples in (np.zeros(RATE * 2, np.float32), noise, clicks):
        assert hear(moonshine, samples) == []


def test_a_scrap_of_speech(moonshine: Moonshine) -> None:
    """Less than the model can take does not break it."""
    samples = read(CLIPS[0])[4800:8800]
    hear(moonshine, samples)


def test_two_streams_at_once(moonshine: Moonshine) -> None:
    """The lock keeps them apart: each says what it says alone."""
    clips = [read(CLIPS[1]), read(CLIPS[4])]
    alone = [final_text(hear(moonshine, clip)) for clip in clips]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda clip: hear(moonshine, clip), clips))
    assert [final_text(pieces) for pieces in together] == alone


def test_over_the_socket(moonshine: Moonshine) -> None:
    """Real speech in, text out, through the whole server."""
    clip = CLIPS[4]
    with LocalServer(engine="recogniser", max_ahead=None) as server:
        assert server.engine_name == "moonshine"
        with Client(server, QUERY) as client:
            client.audio(encode(read(clip), "pcm_s16le"))
            client.text("finalize")
            client.text("close")
            events, code = client.rest()
    finals = [event for event in events if event.get("is_final")]
    assert errors(truth(clip), plain("".join(e["text"] for e in finals))) <= 1
    assert finals[0]["words"][0]["start"] > 0.1
    assert [event["type"] for event in events[-2:]] == ["flush_done", "done"]
    assert code == 1000


def test_the_fallback_hears_something(
    sphinx: PocketSphinx, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pocketsphinx is much worse, but no noise: most words of a sentence."""
    samples = read(CLIPS[4])
    pieces = hear(sphinx, samples)
    wanted = truth(CLIPS[4])
    wrong = errors(wanted, plain(final_text(pieces)))
    with capsys.disabled():
        print(f"\npocketsphinx: {wrong} of {len(wanted)} words wrong")
    assert wrong <= len(wanted) / 2
    _check_words(pieces, len(samples) / RATE)


@pytest.fixture(scope="module")
def aligner() -> Aligner:
    """An aligner, loaded."""
    return Aligner()


def test_alignment_of_words_nobody_knows(aligner: Aligner) -> None:
    """They get a place between their neighbours; a lone dash gets none of its own."""
    samples = read(CLIPS[1])
    text = "He was not an — illsposedly young man."
    words = aligner.align(samples, text)
    assert [word.word for word in words] == text.split()
    times = [time for word in words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert words[4].start == words[4].end == words[3].end
    assert 0.1 < words[0].start < 0.4


@pytest.mark.parametrize(
    ("samples", "text"),
    [
        (np.zeros(100, np.float32), "far more words than would fit"),
        (np.zeros(RATE, np.float32), "你好 —"),
        (np.zeros(0, np.float32), "nothing at all"),
    ],
)
def test_alignment_that_fails(
    aligner: Aligner, samples: NDArray[np.float32], text: str
) -> None:
    """Where the audio does not fit the text, words are spread over it."""
    words = aligner.align(samples, text)
    assert words == spread(text.split(), len(samples) / RATE)
    # And it goes on working.
    assert aligner.align(read(CLIPS[1]), "he was not")[0].start > 0.1


def test_alignment_with_a_word_that_cannot_be_learned(
    aligner: Aligner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What pocketsphinx refuses is one more text that does not fit."""
    monkeypatch.setattr("cartesia_stt_sync.server.align.sounds", lambda word: "?")
    samples = read(CLIPS[1])
    words = aligner.align(samples, "he wizzledockets")
    assert words == spread(["he", "wizzledockets"], len(samples) / RATE)


# What is not installed


def test_without_moonshine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing package and a library that this system cannot load are the same."""
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "moonshine_voice.moonshine_api", None)
        with pytest.raises(ImportError):
            module._MoonshineModel()

    class Importer:
        @staticmethod
        def import_module(name: str) -> Any:
            raise OSError("GLIBC_2.34 not found")

    monkeypatch.setattr(module, "importlib", Importer)
    with pytest.raises(ImportError, match="GLIBC"):
        module._MoonshineModel()
    importlib.invalidate_caches()
