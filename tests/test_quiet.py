"""Where nobody speaks yet."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from cartesia_stt_sync._quiet import leading_quiet
from cartesia_stt_sync.audio import AudioFormat, encode

from .noises import TREATMENTS, WIRE, Samples, speech, telephone, tone
from .speech import clips

RATE = 16000
QUIET = 10.0
"""Seconds before each clip."""

SOFTLY = 0.5
"""Seconds before what is heard that the outbox sends as well."""


def quiet_seconds(samples: Samples, encoding: str = "pcm_s16le") -> float:
    """How much of a beginning is quiet."""
    audio = AudioFormat(encoding, RATE)
    data = encode(samples, encoding)
    return leading_quiet(data, audio) / audio.frame_bytes / RATE


def room(size: int, level: float) -> Samples:
    """The noise of a room."""
    noise = np.random.default_rng(7).normal(0, level, size)
    return np.asarray(noise, np.float32)


def first_sound(clip: Samples) -> float:
    """Seconds until a clip is a tenth as loud as it ever is."""
    size = RATE // 20
    levels = clip[: len(clip) // size * size].reshape(-1, size).std(axis=1)
    return float(np.flatnonzero(levels > levels.max() / 10)[0]) / 20


WAYS: dict[str, Callable[[Samples, int], Samples]] = {
    "as it is": lambda clip, _: clip,
    "telephone": telephone,
    **TREATMENTS,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("ratio", [40, 20, 10, 0])
def test_never_into_speech(way: str, ratio: int) -> None:
    """However noisy and however soft it is, the first word is not taken for quiet.

    Args:
        way: What became of the speech.
        ratio: Of speech to noise, in decibels.
    """
    found = 0
    for name in clips():
        clip = WAYS[way](speech(name, RATE), RATE)
        for gain in (1.0, 0.3, 0.1, 0.03):
            said = clip * np.float32(gain)
            level = float(said.std()) * 10 ** (-ratio / 20)
            audio = room(round(QUIET * RATE) + len(said), level)
            audio[-len(said) :] += said
            quiet = quiet_seconds(audio)
            assert quiet - SOFTLY <= QUIET + first_sound(clip), (name, gain)
            found += quiet >= 9.0
    assert found or ratio == 0, "nothing was ever found to be quiet"


@pytest.mark.parametrize("encoding", WIRE)
@pytest.mark.parametrize("level", [0.0, 0.0005, 0.005])
def test_a_quiet_room(encoding: str, level: float) -> None:
    """Digital silence and a room's noise are quiet to the end, in each encoding."""
    audio = room(12 * RATE + 7, level)
    assert quiet_seconds(audio, encoding) == 12 + 7 / RATE


def test_what_is_loud_is_not_quiet() -> None:
    """However steady: it may be speech of which no pause is there to be seen."""
    assert quiet_seconds(tone(RATE, 440, 0.3)) == 0
    assert quiet_seconds(room(RATE, 0.1)) == 0
    assert quiet_seconds(np.full(RATE, 0.02, np.float32)) == 0


def test_a_sound() -> None:
    """It is heard in the block that it begins in."""
    audio = room(10 * RATE, 0.002)
    audio[round(7.26 * RATE) :][:800] += tone(RATE, 440, 0.05)[:800]
    assert quiet_seconds(audio) == 7.25


def test_what_does_not_move() -> None:
    """It is silence at zero alone; elsewhere nobody knows what it stands for."""
    steps = np.repeat([0, 0, 0, 0, 0.001, 0.002, 0.003], RATE).astype(np.float32)
    assert quiet_seconds(steps) == 4
    assert quiet_seconds(room(4 * RATE, 0.001) + np.float32(0.3)) == 0


@pytest.mark.parametrize("shift", [0.002, 0.006, 0.009])
def test_shifted_by_the_sound_card(shift: float) -> None:
    """Neither the room's noise nor soft speech is taken for the shift."""
    room_alone = room(4 * RATE, 0.0002)
    assert quiet_seconds(room_alone + np.float32(shift)) == 4
    for name in clips():
        said = speech(name, RATE) * np.float32(0.03)
        audio = room(round(QUIET * RATE) + len(said), 0.0002)
        audio[-len(said) :] += said
        quiet = quiet_seconds(audio + np.float32(shift))
        assert 9.0 <= quiet <= QUIET + first_sound(said) + SOFTLY


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_no_number(odd: float) -> None:
    """What has no level may be anything, and so is not quiet."""
    audio = np.zeros(4 * RATE, "<f4")
    audio[2 * RATE] = odd
    wire = AudioFormat("pcm_f32le", RATE)
    assert leading_quiet(audio.tobytes(), wire) == 2 * RATE * 4


def test_less_than_a_block() -> None:
    """Of so little nobody can tell."""
    assert quiet_seconds(np.zeros(10, np.float32)) == 0
    assert quiet_seconds(np.zeros(0, np.float32)) == 0
