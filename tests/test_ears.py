"""What is listened for in the audio on its way in."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest

from cartesia_stt_sync import (
    AudioFormat,
    ConfigError,
    EnergyEndpointer,
    Transcriber,
    WouldDeadlock,
)
from cartesia_stt_sync._ears import Ears, Levels
from cartesia_stt_sync.audio import encode
from cartesia_stt_sync.checks.behaviour import BLOCK
from cartesia_stt_sync.events import FlushDone, Transcript

from .fakes import FakeTransport, Rig
from .noises import as_s24, speech
from .speech import clips

WIRE = AudioFormat("pcm_s16le", 16000)
CLIP = speech(next(iter(clips())), 16000)


class Counting:
    """An endpointer for which an utterance is over every so many frames."""

    def __init__(self, frames: int) -> None:
        self.frames = frames
        self.heard = 0
        self.told: list[object] = []

    def start(self, sample_rate: int) -> None:
        self.told.append(sample_rate)

    def hear(self, samples: Any) -> list[int]:
        before = self.heard
        self.heard += len(samples)
        first = before // self.frames + 1
        last = self.heard // self.frames
        return [n * self.frames - before for n in range(first, last + 1)]

    def reset(self) -> None:
        self.told.append("reset")


class TestLevels:
    """Block by block, however the audio is cut."""

    @pytest.mark.parametrize("piece", [2, 154, 1600, 1602, 32000])
    def test_any_cutting(self, piece: int) -> None:
        """Each block's root mean square, ten of them at a time or more."""
        loud = [0.5, 0.0, 0.2, 0.1, 0.4, 0.3, 0.0] * 4
        block = round(16000 * BLOCK)
        samples = np.repeat(np.array(loud, np.float32), block)[: -block // 2]
        audio = encode(samples, "pcm_s16le")
        levels = Levels(WIRE)
        found = [
            levels.of(audio[at : at + piece]) for at in range(0, len(audio), piece)
        ]
        whole = [level for some in found for level in some]
        assert whole == pytest.approx(loud[: len(whole)], abs=1e-4)
        assert len(whole) in range(20, 28)
        assert {len(some) for some in found if some} <= {10, 11, 20}
        assert levels.untold == pytest.approx(27.5 - len(whole))

    def test_nothing(self) -> None:
        """What completes no sample is kept by nobody."""
        levels = Levels(WIRE)
        assert [levels.of(b"") for _ in range(9)] == [()] * 9
        assert not levels._pieces

    @pytest.mark.parametrize(
        ("sample", "level"), [(np.nan, 0.0), (np.inf, 1.8e19), (3e38, 1.8e19)]
    )
    def test_no_number(self, sample: float, level: float) -> None:
        """What is no number is no level; one beyond all measure is a large one."""
        levels = Levels(AudioFormat("pcm_f32le", 1000))
        data = np.full(500, sample, np.float32).tobytes()
        assert levels.of(data) == pytest.approx([level] * 10, rel=0.1)


class TestEnds:
    """Where utterances end."""

    def test_in_bytes(self) -> None:
        """An endpointer hears samples from -1 to 1; its ends become bytes."""
        seen: list[Any] = []

        class Spy(Counting):
            def hear(self, samples: Any) -> list[int]:
                seen.append(samples)
                return super().hear(samples)

        spy = Spy(100)
        ears = Ears(WIRE, WIRE, endpointer=spy, checks=False)
        data = encode(CLIP[:250], "pcm_s16le")
        assert ears.hear(data, data, muted=False).ends == (200, 400)
        assert ears.hear(data, data, muted=False).ends == (100, 300, 500)
        assert spy.told == [16000]
        assert seen[0].dtype == np.float32
        assert np.abs(seen[0] - CLIP[:250]).max() < 1e-4

    def test_reset(self) -> None:
        """A finalize of the caller's is told with the next audio."""
        spy = Counting(10**9)
        ears = Ears(WIRE, WIRE, endpointer=spy, checks=False)
        ears.hear(b"\0\0", b"\0\0", muted=False)
        ears.reset()
        assert spy.told == [16000]
        ears.hear(b"\0\0", b"\0\0", muted=False)
        assert spy.told == [16000, "reset"]

    def test_deaf(self) -> None:
        """With nothing to listen for nothing is done."""
        assert Ears(WIRE, WIRE, endpointer=None, checks=False).deaf
        assert not Ears(WIRE, WIRE, endpointer=None, checks=True).deaf
        assert not Ears(WIRE, WIRE, endpointer=Counting(1), checks=False).deaf


class TestTranscriber:
    """In a session."""

    def test_finalize_in_its_place(self) -> None:
        """Each end becomes a finalize right behind its audio, within one feed."""
        wire = FakeTransport()
        wire.answer_close()
        rig = Rig(wire, endpointer=Counting(1600), max_buffer=None, checks=False)
        rig.t.feed(bytes(2 * 3200) + bytes(1600))
        rig.play(0.4)
        rig.t.close()
        shown = [len(m) if isinstance(m, bytes) else m for m in wire.sent]
        assert shown == [3200, "finalize", 3200, "finalize", 1600, "close"]

    def test_answers_go_to_nobody_else(self) -> None:
        """The caller's own finalize is answered with its own utterance."""
        wire = FakeTransport()
        rig = Rig(wire, endpointer=Counting(1600), max_buffer=None, checks=False)
        rig.t.feed(bytes(3200))
        mine = rig.t.finalize()
        wire.until_sent(3)
        wire.push(Transcript(text="one", is_final=True), FlushDone())
        wire.push(Transcript(text=" two", is_final=True), FlushDone())
        assert mine.result(10) == " two"
        rig.t.abort()

    def test_one_that_raises(self) -> None:
        """Its error comes out of feed, and no audio is lost for it."""

        class Broken(Counting):
            def hear(self, samples: Any) -> list[int]:
                raise ZeroDivisionError

        wire = FakeTransport()
        wire.answer_close()
        rig = Rig(wire, endpointer=Broken(1))
        with pytest.raises(ZeroDivisionError):
            rig.t.feed(bytes(3200))
        rig.t.close()
        assert len(wire.audio) == 3200

    def test_one_that_feeds(self) -> None:
        """It would wait for itself for ever; nothing is lost for it."""
        wire = FakeTransport()
        wire.answer_close()

        class Feeding(Counting):
            def hear(self, samples: Any) -> list[int]:
                rig.t.feed(bytes(3200))
                return []

        rig = Rig(wire, endpointer=Feeding(1))
        with pytest.raises(WouldDeadlock, match="within feed"):
            rig.t.feed(bytes(3200))
        rig.t.close()
        assert len(wire.audio) == 3200

    def test_one_that_feeds_and_does_not_mind(self) -> None:
        """It is refused at each piece: its own feed has its turn until it is over."""
        caught: list[Exception] = []

        class Feeding(Counting):
            def hear(self, samples: Any) -> list[int]:
                with pytest.raises(WouldDeadlock) as refused:
                    rig.t.feed(bytes(3200))
                caught.append(refused.value)
                return []

        rig = Rig(FakeTransport(), endpointer=Feeding(1))
        rig.t.feed(bytes(32000 * 3))
        assert len(caught) == 3
        assert rig.t.stats.fed_seconds == 3.0
        rig.t.abort()

    def test_one_that_raises_in_a_long_piece(self) -> None:
        """What stands behind it in the same piece is fed as well, unheard."""

        class Broken(Counting):
            calls = 0

            def hear(self, samples: Any) -> list[int]:
                self.calls += 1
                raise ZeroDivisionError

        broken = Broken(1)
        rig = Rig(FakeTransport(), endpointer=broken)
        with pytest.raises(ZeroDivisionError):
            rig.t.feed(bytes(32000 * 5))
        stats = rig.t.stats
        assert stats.buffered_seconds + stats.sent_seconds == stats.fed_seconds == 5.0
        assert broken.calls == 1
        rig.t.abort()

    @pytest.mark.parametrize("bad", [None, [2, 1], [-1], [1601], [0.5], "x", 7])
    def test_ends_that_are_none(self, bad: Any) -> None:
        """Places outside of the audio are named; none of it is lost or doubled."""

        class Wrong(Counting):
            def hear(self, samples: Any) -> Any:
                return bad

        wire = FakeTransport()
        wire.answer_close()
        rig = Rig(wire, endpointer=Wrong(1))
        with pytest.raises(ConfigError, match=r"^endpointer: hear\(\) returns where"):
            rig.t.feed(bytes(3200))
        rig.t.close()
        assert wire.audio == bytes(3200)
        assert rig.t.stats.finalizes == 0

    def test_numpy_ends(self) -> None:
        """An endpointer may give NumPy's integers, in an array as well."""

        class Array(Counting):
            def hear(self, samples: Any) -> Any:
                return np.array(super().hear(samples), np.int64)

        ears = Ears(WIRE, WIRE, endpointer=Array(100), checks=False)
        assert ears.hear(bytes(500), bytes(500), muted=False).ends == (200, 400)

    @pytest.mark.parametrize("bad", [0.5, "energy", Counting])
    def test_no_endpointer(self, bad: Any) -> None:
        """What is none is refused, by name."""
        if bad is Counting:
            bad = type("Half", (), {"start": None, "hear": None})()
        with pytest.raises(ConfigError, match="^endpointer: an object with"):
            Transcriber(api_key="k", endpointer=bad)

    def test_the_class_itself(self) -> None:
        """Who forgets to call it is told to."""
        wrong: Any = EnergyEndpointer
        for bad in (wrong, [wrong, wrong]):
            with pytest.raises(ConfigError, match=r"endpointer=EnergyEndpointer\(\)$"):
                Transcriber(api_key="k", endpointer=bad)

    def test_findings(self, caplog: pytest.LogCaptureFixture) -> None:
        """What is heard is kept, told to handlers, and logged; each once."""
        wire = FakeTransport()
        wire.answer_close()
        rig = Rig(wire, max_buffer=None)
        told: list[Any] = []
        rig.t.on("finding", told.append)
        data = as_s24(np.resize(CLIP, 8 * 16000))
        with caplog.at_level(logging.WARNING, "cartesia_stt_sync"):
            for at in range(0, len(data), 9600):
                rig.t.feed(data[at : at + 9600])
            rig.play(12.5)
            rig.t.close()
        codes = [finding.code for finding in rig.t.findings]
        assert codes == ["wrong-encoding"]
        assert [finding.code for finding in told] == codes
        assert "sound as pcm_s24le" in told[0].message
        assert told[0].page.startswith("https://docs.cartesia.ai/")
        assert caplog.text.count("sound as pcm_s24le") == 1

    def test_switched_off(self) -> None:
        """Who does not want it is not listened to."""
        wire = FakeTransport()
        wire.answer_close()
        rig = Rig(wire, max_buffer=None, checks=False)
        rig.t.feed(as_s24(np.resize(CLIP, 4 * 16000)))
        rig.play(6.5)
        rig.t.close()
        assert rig.t.findings == ()

    def test_muted(self) -> None:
        """A muted speaker's noise is nobody's mistake."""
        wire = FakeTransport()
        wire.answer_close()
        rig = Rig(wire, max_buffer=None)
        rig.t.mute()
        rig.t.feed(as_s24(np.resize(CLIP, 4 * 16000)))
        rig.play(6.5)
        rig.t.close()
        assert rig.t.findings == ()

    @pytest.mark.parametrize(
        ("options", "codes"),
        [
            ({"model": "ink-whisper", "language": None}, ["no-language"]),
            ({"model": "ink-whisper"}, []),
            ({"language": None}, []),
        ],
    )
    def test_no_language(self, options: dict[str, Any], codes: list[str]) -> None:
        """The whisper models have to be told; ink-2 detects."""
        rig = Rig(**options)
        assert [finding.code for finding in rig.t.findings] == codes

    def test_not_drained(self) -> None:
        """An abort with speech unanswered is found; one with nothing to lose is not."""
        rig = Rig()
        rig.t.feed(bytes(16000))
        rig.t.abort()
        [found] = rig.t.findings
        assert found.code == "not-drained"
        assert "0.5 s of audio" in found.message
        idle = Rig()
        idle.t.open()
        idle.t.abort()
        assert idle.t.findings == ()


def test_ahead_of_real_time() -> None:
    """Speech and a long pause, fed at once, are no finalize that was forgotten."""
    rig = Rig(max_buffer=60)
    speech_and_pause = encode(
        np.concatenate((CLIP, np.zeros(16000 * 7, np.float32))), "pcm_s16le"
    )
    rig.t.feed(speech_and_pause)
    assert rig.t.findings == ()
    rig.t.abort()
