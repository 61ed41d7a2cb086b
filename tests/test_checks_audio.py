"""What is wrong with the audio itself, and that nothing is wrong with what is right."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cartesia_stt_sync import AudioFormat
from cartesia_stt_sync.audio import ENCODINGS, encode
from cartesia_stt_sync.checks import Listener
from cartesia_stt_sync.checks.level import Level

from .measure_findings import (
    detections,
    false_positives,
    listen,
    short_detections,
    short_false_positives,
)
from .noises import MISTAKES, speech
from .speech import clips

RATE = 16000
S16 = AudioFormat("pcm_s16le", RATE)
CLIP = next(iter(clips()))
CUT = "clipping"


def _noise(level: float) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(0, level, RATE).astype(np.float32)


def codes(audio: AudioFormat, data: bytes) -> list[str]:
    """What is found, by name, in order."""
    return [finding.code for _, finding in listen(audio, data)]


def test_correct_audio() -> None:
    """On correct audio, whatever it is, no check speaks up: at one rate of the four.

    All four are in ``python -m tests.measure_findings``.
    """
    count, found = false_positives((8000,))
    assert count > 200
    assert not found


def test_a_second_of_correct_audio() -> None:
    """Nor at the end of a second of it, which is all there is."""
    count, found = short_false_positives((16000,))
    assert count > 400
    assert not found


def test_no_numbers_at_all() -> None:
    """Infinities, as other bytes may be in floats, are judged without a warning."""
    infinite = np.full(RATE, np.inf, np.float32)
    assert codes(AudioFormat("pcm_f32le", RATE), infinite.tobytes()) == []
    assert Listener(AudioFormat("pcm_f32le", RATE)).hear_array(infinite) == []


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(mistake: str) -> None:
    """Each mistake is noticed in at least four of five clips."""
    count, noticed, times = detections(mistake, (16000,))
    assert noticed >= 0.8 * count
    assert max(times) <= 15.0


@pytest.mark.parametrize("quiet", [0.0005, 0.00005])
@pytest.mark.parametrize(
    ("fed", "declared"),
    [
        ("pcm_f32le", "pcm_s16le"),
        ("pcm_s16le", "pcm_mulaw"),
        ("pcm_mulaw", "pcm_s16le"),
        ("pcm_s16le", "pcm_f32le"),
    ],
)
def test_mistakes_behind_a_quiet_room(fed: str, declared: str, quiet: float) -> None:
    """Its noise is as smooth in one reading as in another, and no witness for any."""
    room = np.resize(_noise(quiet), 3 * RATE)
    talk = [np.append(speech(name, RATE), room[:RATE]) for name in clips()]
    data = encode(np.concatenate([room, *talk]), fed)
    assert codes(AudioFormat(declared, RATE), data)[:1] == ["wrong-encoding"]
    assert codes(AudioFormat(fed, RATE), data) == []


def test_dead_channel() -> None:
    """One channel of two that has nothing in it, while the other has sound."""
    clip = np.resize(speech(CLIP, RATE), 20 * RATE)
    frames = np.stack([clip, 0 * clip], 1)
    found = listen(
        AudioFormat("pcm_s16le", RATE, 2), encode(frames.ravel(), "pcm_s16le")
    )
    assert [finding.code for _, finding in found] == ["dead-channel"]
    assert "Channel 2 of 2" in found[0][1].message
    assert found[0][0] >= 10


def test_a_pause_of_one_channel() -> None:
    """A party that has spoken before may be silent for as long as it likes."""
    clip = np.resize(speech(CLIP, RATE), 30 * RATE)
    other = clip.copy()
    other[2 * RATE :] = 0
    frames = np.stack([clip, other], 1)
    stereo = AudioFormat("pcm_s16le", RATE, 2)
    assert codes(stereo, encode(frames.ravel(), "pcm_s16le")) == []


def test_quiet() -> None:
    """Half a minute of next to nothing."""
    noise = np.random.default_rng(0).normal(0, 0.0002, 31 * RATE).astype(np.float32)
    assert codes(S16, encode(noise, "pcm_s16le")) == ["quiet"]
    assert codes(S16, encode(noise[: 29 * RATE], "pcm_s16le")) == []


def test_zeros_after_speech() -> None:
    """Who has spoken may mute the microphone for an hour."""
    data = encode(speech(CLIP, RATE), "pcm_s16le") + bytes(32000 * 60)
    assert codes(S16, data) == []


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_all_silent(encoding: str) -> None:
    """Digital silence is told in each encoding, after ten seconds and once."""
    audio = AudioFormat(encoding, 8000)
    found = listen(audio, audio.silence * 8000 * 25)
    assert [(round(at), finding.code) for at, finding in found] == [(10, "silent")]


class TestArrays:
    """Audio that is fed as arrays."""

    def test_scaled_as_integers(self) -> None:
        """Floats up to 32,767 are cut off, and the advice says what to divide by."""
        listener = Listener(S16)
        clip = speech(CLIP, RATE)[RATE : 2 * RATE] * np.float32(32768)
        [found] = listener.hear_array(clip)
        assert found.code == "float-scale"
        assert "32768" in found.advice
        assert listener.hear_array(clip) == []

    def test_scaled_as_integers_with_pauses(self) -> None:
        """That all of it is at full scale then is no clipping, at no time."""
        clip = speech(CLIP, RATE)[RATE : 2 * RATE] * np.float32(32768)
        listener, pause = Listener(S16), _noise(0.0005) * np.float32(32768)
        found = [*listener.hear_array(clip)]
        for _ in range(10):
            found += [*listener.hear_array(pause), *listener.hear_array(clip)]
        assert [finding.code for finding in found] == ["float-scale"]

    @pytest.mark.parametrize("scale", [32768, 300])
    @pytest.mark.parametrize("encoding", ["pcm_f32le", "pcm_f16le"])
    def test_scaled_as_integers_in_bytes(self, encoding: str, scale: int) -> None:
        """Their bits are smooth as integers, too; they are not what was declared so."""
        clip = speech(CLIP, RATE) * np.float32(scale)
        kind = "<f4" if encoding == "pcm_f32le" else "<f2"
        found = listen(AudioFormat(encoding, RATE), clip.astype(kind).tobytes())
        assert [finding.code for _, finding in found] == ["float-scale"]

    @pytest.mark.parametrize("garbage", [1e10, 100.0])
    def test_one_sample_of_garbage(self, garbage: float) -> None:
        """It hides nothing of what comes behind it."""
        clip = np.clip(speech(CLIP, RATE) * np.float32(8), -1, 1)
        bad = clip[:RATE].copy()
        bad[100] = garbage
        listener = Listener(AudioFormat("pcm_f32le", RATE))
        found = listener.hear(bad.tobytes()) + listener.hear(np.tile(clip, 2).tobytes())
        assert [one.code for one in found] == ["clipping"]

    @pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "int32"])
    def test_correct(self, dtype: str) -> None:
        """Arrays of every kind are heard as what they are."""
        clip = speech(CLIP, RATE)
        scale = np.iinfo(dtype).max if dtype.startswith("int") else 1
        array = (clip.astype(np.float64) * scale).astype(dtype)
        listener = Listener(S16)
        found = [
            listener.hear_array(array[at : at + 1600])
            for at in range(0, len(array), 1600)
        ]
        assert not any(found)

    @pytest.mark.parametrize("piece", [320, 1600, 16000])
    def test_later(self, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """Behind five seconds of sound one piece in ten is looked at, and is enough."""
        judged: list[float] = []

        def judge(
            self: Level, samples: object, seconds: float, **known: bool
        ) -> object:
            judged.append(seconds)
            return before(self, samples, seconds, **known)  # type: ignore[arg-type]  # passed on

        before = Level.judge
        monkeypatch.setattr(Level, "judge", judge)
        tone = 0.3 * np.sin(np.arange(60 * RATE, dtype=np.float32) / 9)
        listener = Listener(S16)

        def heard(array: NDArray[np.floating]) -> list[str]:
            cuts = range(0, len(array), piece)
            found = [listener.hear_array(array[at : at + piece]) for at in cuts]
            return [finding.code for some in found for finding in some]

        assert heard(tone) == []
        assert heard(np.clip(5 * tone, -1, 1)) == [CUT]
        length = piece / RATE
        closely = judged.count(length)
        assert judged[:closely] == [length] * closely
        assert set(judged[closely:]) == {10 * length}
        assert closely * length == pytest.approx(5, abs=length)
        assert sum(judged) == pytest.approx(120, abs=10 * length)

    def test_nothing(self) -> None:
        """An empty array is no audio, and no mistake."""
        assert Listener(S16).hear_array(np.empty(0, np.float32)) == []

    def test_either(self) -> None:
        """A caller's audio is bytes, a view of them, or an array."""
        for audio in (bytes(320), bytearray(320), memoryview(bytes(320)), np.zeros(9)):
            assert Listener(S16).listen(audio) == []


def test_after_a_while() -> None:
    """Later one block in ten is looked at, and what goes wrong then is still found."""
    good = np.resize(speech(CLIP, RATE), 60 * RATE)
    bad = np.clip(good * 20, -1, 1)
    found = listen(S16, encode(np.concatenate([good, *[bad] * 4]), "pcm_s16le"))
    assert [finding.code for _, finding in found] == ["clipping"]


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(list(ENCODINGS)),
    st.integers(1, 3),
    st.lists(st.binary(max_size=3000), max_size=12),
)
def test_any_bytes(encoding: str, channels: int, pieces: list[bytes]) -> None:
    """Nothing that is fed makes a check fail, or warn."""
    listener = Listener(AudioFormat(encoding, 2000, channels))
    seen = [finding.code for piece in pieces for finding in listener.hear(piece * 9)]
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000])
@pytest.mark.parametrize("encoding", sorted(ENCODINGS))
def test_five_chunks_are_judged(encoding: str, rate: int) -> None:
    """What is fed a tenth of a second at a time is not kept until the sixth."""
    audio = AudioFormat(encoding, rate)
    listener, chunk = Listener(audio), rate // 10 * audio.frame_bytes
    for _ in range(5):
        listener.listen(bytes(chunk))
    assert sum(map(len, listener._pieces)) < chunk


def test_any_cutting() -> None:
    """However the bytes are cut, the same is found in them."""
    data = encode(np.resize(speech(CLIP, RATE), 8 * RATE) * 20, "pcm_s16le")
    whole = [finding.code for finding in Listener(S16).hear(data)]
    for size in (1, 7, 999, 32000):
        listener = Listener(S16)
        cut = [
            finding.code
            for at in range(0, len(data), size)
            for finding in listener.hear(data[at : at + size])
        ]
        assert cut == whole == ["clipping"]


class TestEnd:
    """A recording that is whole, and may be short."""

    def test_a_second(self) -> None:
        """A second that is read wrongly is told at its end."""
        for mistake in (
            "high byte first",
            "24 bits as 16",
            "mu-law as 16 bits",
            "A-law as mu-law",
        ):
            count, noticed = short_detections(mistake, (16000,))
            assert noticed >= 0.8 * count

    @pytest.mark.parametrize(
        ("data", "code"),
        [
            (bytes(3200), "silent"),
            (encode(_noise(0.0001), "pcm_s16le"), "quiet"),
            (encode(np.clip(speech(CLIP, RATE)[:24000] * 30, -1, 1), "pcm_s16le"), CUT),
        ],
    )
    def test_levels(self, data: bytes, code: str) -> None:
        """So is what there is no more time to wait for."""
        listener = Listener(S16)
        assert listener.hear(data) == []
        assert [finding.code for finding in listener.end()] == [code]
        assert listener.end() == []

    def test_nothing(self) -> None:
        """Of no audio, and of no number, nothing is said."""
        assert Listener(S16).end() == []
        nan = np.full(400, np.nan, "<f4").tobytes()
        listener = Listener(AudioFormat("pcm_f32le", RATE))
        assert listener.hear(nan) + listener.end() == []


def test_half_a_sample_at_the_end() -> None:
    """A recording that ends within a frame says so at its end, however it was cut."""
    listener = Listener(AudioFormat("pcm_s16le", 16000, 2))
    assert listener.hear(bytes(6)) + listener.hear(bytes(5)) == []
    found, _ = listener.end()  # and it is silent
    assert found.code == "partial-sample"
    assert found.message.startswith("The audio ended 3 byte(s) into a sample")


class TestWrong:
    """What follows from a wrong encoding is not told beside it."""

    def test_no_level(self) -> None:
        """Half a minute of bytes as denormal floats is nothing but misread."""
        clip = np.resize(speech(CLIP, RATE), 80 * RATE)
        audio = AudioFormat("pcm_f32le", RATE)
        assert codes(audio, encode(clip, "pcm_s16le")) == ["wrong-encoding"]

    @pytest.mark.parametrize("declared", ["pcm_s32le", "pcm_f32le"])
    def test_faint(self, declared: str) -> None:
        """Samples read backwards may be hardly anything: at the end it is told."""
        clip = encode(speech(CLIP, RATE), "pcm_s16le")
        data = (np.frombuffer(clip, "<i2").astype(np.int32) << 16).astype(">i4")
        listener = Listener(AudioFormat(declared, RATE))
        assert listener.hear(data.tobytes()) == []
        (found,) = listener.end()
        assert found.code == "wrong-encoding"
        assert "hardly anything" in found.message
        assert "sound as pcm_s32be" in found.message

    def test_faint_noise(self) -> None:
        """What is hardly heard and no sound in any way is quiet, and that is all."""
        for level in (0.0001, 0.0003):
            listener = Listener(S16)
            listener.hear(encode(_noise(level), "pcm_s16le"))
            assert [finding.code for finding in listener.end()] == ["quiet"]

    def test_law_of_two_channels(self) -> None:
        """Of two channels each has its say on the law; one that is silent has none."""
        clip = np.resize(speech(CLIP, 8000), 24 * 8000)
        for other in (np.roll(clip, 8000), 0 * clip):
            data = encode(np.stack([clip, other], 1).ravel(), "pcm_alaw")
            found = listen(AudioFormat("pcm_mulaw", 8000, 2), data)
            assert found[0][1].code == "wrong-encoding"
            assert 'AudioFormat("pcm_alaw", 8000, 2)' in found[0][1].advice
