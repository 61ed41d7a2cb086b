"""What raw samples are, judged by how they would sound."""

from __future__ import annotations

import numpy as np
import pytest

from cartesia_stt_sync.audio import encode
from cartesia_stt_sync.checks import Declaration, diagnose
from cartesia_stt_sync.checks.declaration import roughness, two_channels

from .noises import NOISES, WIRE, as_s16be, as_s24, as_u8, interleaved, speech, tone
from .speech import clips

NAMES = list(clips())


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
@pytest.mark.parametrize("encoding", [*WIRE, "pcm_s24le", "pcm_u8", "swapped", "two"])
def test_clips(encoding: str, rate: int) -> None:
    """A second of each clip is told for what it is, in every encoding."""
    for name in NAMES:
        clip = speech(name, rate)[rate : 2 * rate]
        makers = {"pcm_s24le": as_s24, "pcm_u8": as_u8, "swapped": as_s16be}
        if encoding == "two":
            data = interleaved(clip, np.roll(clip, 999))
        elif encoding in makers:
            data = makers[encoding](clip)
        else:
            data = encode(clip, encoding)
        best = diagnose(data)[0]
        expected = {"swapped": "pcm_s16be", "two": TWO}.get(encoding, encoding)
        assert best.name == expected, name


TWO = "pcm_s16le, two channels interleaved"


@pytest.mark.parametrize("data", [b"", bytes(64000), b"\xff" * 64000])
def test_silence(data: bytes) -> None:
    """Silence says nothing of what it is."""
    assert diagnose(data) == []


def test_noise() -> None:
    """Noise is the same in every reading."""
    noise = np.random.default_rng(0).bytes(64000)
    assert diagnose(noise) == []


def test_16_bits_in_32() -> None:
    """Zeros in every lower half are 32 bits; the other way round it is a channel."""
    clip = speech(NAMES[0], 16000)[16000:32000]
    assert diagnose(encode(clip, "pcm_s32le"))[0].name == "pcm_s32le"
    assert diagnose(interleaved(clip, 0 * clip))[0].name == TWO


class TestArguments:
    """How a declaration is said in a program."""

    @pytest.mark.parametrize(
        ("way", "text"),
        [
            (
                Declaration(encoding="pcm_mulaw", roughness=0.1),
                'encoding="pcm_mulaw", sample_rate=8000',
            ),
            (
                Declaration(encoding="pcm_s24le", roughness=0.1),
                'source=AudioFormat("pcm_s24le", 8000, 1)',
            ),
            (
                Declaration(encoding="pcm_s16le", channels=2, roughness=0.1),
                'source=AudioFormat("pcm_s16le", 8000, 2)',
            ),
        ],
    )
    def test_as_they_are_written(self, way: Declaration, text: str) -> None:
        """They can be pasted."""
        assert way.arguments(8000) == text

    def test_swapped(self) -> None:
        """No argument swaps bytes; the caller has to."""
        way = Declaration(encoding="pcm_s16le", swapped=True, roughness=0.1)
        assert "swapped" in way.arguments(8000)
        assert way.name == "pcm_s16be"


class TestRoughness:
    """How far samples jump."""

    def test_scale(self) -> None:
        """A low tone is smooth, noise is 1, and the highest tone is 2."""
        noise = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)
        assert roughness(tone(16000, 200)) == pytest.approx(0.003, abs=0.001)
        assert roughness(noise) == pytest.approx(1.0, abs=0.05)
        highest = np.tile(np.array([0.5, -0.5], np.float32), 8000)
        assert roughness(highest) == pytest.approx(2.0, abs=0.01)

    @pytest.mark.parametrize("bad", [np.nan, np.inf, 1e30])
    def test_no_sound(self, bad: float) -> None:
        """Floats that no sound has are none."""
        samples = tone(16000, 200)
        samples[77] = bad
        assert roughness(samples) is None
        assert two_channels(samples) is None

    def test_too_short(self) -> None:
        """A few samples say nothing."""
        assert roughness(tone(16000, 200)[:399]) is None


class TestStraight:
    """Bytes in the order in which they are read."""

    @pytest.mark.parametrize("encoding", ["pcm_s16le", "pcm_s32le", "pcm_f32le"])
    def test_swapped(self, encoding: str) -> None:
        """The bytes of each sample are turned round."""
        width = 2 if encoding == "pcm_s16le" else 4
        way = Declaration(encoding=encoding, swapped=True, roughness=0.1)
        data = bytes(range(4 * width))
        turned = way.straight(data)
        assert turned[:width] == data[:width][::-1]
        assert way.straight(turned) == data

    def test_as_they_are(self) -> None:
        """Of most ways nothing has to be turned."""
        way = Declaration(encoding="pcm_mulaw", roughness=0.1)
        assert way.straight(b"abc") == b"abc"


class TestAside:
    """Silence that would be far from zero is that of another encoding."""

    def test_keys_of_a_telephone(self) -> None:
        """Tones with digital silence between them are told in G.711."""
        keys = NOISES["a telephone's keys"](8000)[:16000]
        names = [way.name for way in diagnose(encode(keys, "pcm_mulaw"))]
        assert "pcm_u8" not in names
        assert "pcm_mulaw" not in [way.name for way in diagnose(encode(keys, F32))]

    def test_clipped(self) -> None:
        """What is cut off at both ends rests there, and is sound."""
        clip = np.clip(speech(NAMES[0], 16000)[16000:48000] * 40, -1, 1)
        assert diagnose(encode(clip, "pcm_s16le"))[0].name == "pcm_s16le"


F32 = "pcm_f32le"


class TestLowBytes:
    """Samples of 16 or 24 bits in 32 that nobody has shifted to the top."""

    @pytest.mark.parametrize("shift", [8, 16])
    @pytest.mark.parametrize("order", ["<", ">"])
    def test_them(self, shift: int, order: str) -> None:
        """They are 32 bits, and no two channels."""
        clip = encode(speech(NAMES[0], 16000)[16000:32000], "pcm_s32le")
        data = (np.frombuffer(clip, "<i4") >> shift).astype(f"{order}i4").tobytes()
        best = diagnose(data)[0]
        assert (best.encoding, best.channels) == ("pcm_s32le", 1)
        assert best.swapped == (order == ">")

    def test_a_quiet_channel(self) -> None:
        """A second channel with hardly a hum in it is still one."""
        clip = speech(NAMES[0], 16000)[16000:32000]
        for other in (tone(16000, 50, 0.001)[:16000], 0.001 * np.roll(clip, 999)):
            data = interleaved(clip, other.astype(np.float32))
            assert diagnose(data)[0].name == TWO
