"""Audio to be wrong about: real speech in all its forms, and what is no speech.

Everything is made from the clips in ``data`` and from seeded noise, so it is the same
each time. All arrays are float32 from -1 to 1, of shape ``(frames,)``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import soxr
from numpy.typing import NDArray

from cartesia_stt_sync.audio import decode, encode

from .speech import clips, samples

Samples = NDArray[np.float32]

RATES = (8000, 16000, 44100, 48000)
WIRE = ("pcm_s16le", "pcm_s32le", "pcm_f16le", "pcm_f32le", "pcm_mulaw", "pcm_alaw")
SECONDS = 12


@cache
def speech(name: str, rate: int) -> Samples:
    """A clip at any rate."""
    clip = decode(samples(name), "pcm_s16le")
    if rate == 16000:
        return clip
    made: Samples = soxr.resample(clip, 16000, rate).astype(np.float32)
    return made


def corpus(rate: int) -> Iterator[tuple[str, Samples]]:
    """All correct audio at a rate, by name."""
    for name in clips():
        clip, short = speech(name, rate), name[-4:]
        for label, gain in (("-30 dB", 0.0316), ("-10 dB", 0.316), ("as it is", 1.0)):
            yield f"clip {short}, {label}", clip * np.float32(gain)
        for label, peak in (("to the full", 1.0), ("hardly heard", 0.005)):
            yield f"clip {short}, {label}", clip / np.abs(clip).max() * np.float32(peak)
        for label, way in TREATMENTS.items():
            yield f"clip {short}, {label}", way(clip, rate)
        yield f"clip {short}, telephone", telephone(clip, rate)
        yield f"clip {short}, in noise", clip + _normal(len(clip), 0.01)
    for name, make in NOISES.items():
        yield name, np.asarray(make(rate), np.float32)
    for hertz in range(100, rate // 2, rate // 20):
        yield f"beep of {hertz} Hz", tone(rate, hertz, 0.3)


def telephone(clip: Samples, rate: int) -> Samples:
    """What is left of it between 300 and 3,400 Hz."""
    spectrum = np.fft.rfft(clip)
    hertz = np.fft.rfftfreq(len(clip), 1 / rate)
    spectrum[(hertz < 300) | (hertz > 3400)] = 0
    return np.asarray(np.fft.irfft(spectrum, len(clip)), np.float32)


def compressed(clip: Samples, _: int) -> Samples:
    """What a telephone's automatic gain makes of it: loud, and lopsided."""
    loud = np.tanh(clip / np.abs(clip).max() * 4) * 0.95
    return np.asarray(loud, np.float32)


def gated(clip: Samples, rate: int) -> Samples:
    """Zeros wherever nobody speaks."""
    size = rate // 40
    loudness = np.sqrt(np.convolve(clip**2, np.full(size, 1 / size), "same"))
    return np.where(loudness > 0.01, clip, 0).astype(np.float32)


def in_a_hall(clip: Samples, rate: int) -> Samples:
    """With an echo that dies away in a quarter of a second."""
    size = rate // 4
    echo = _normal(size, 1) * np.exp(-np.arange(size) / (0.08 * rate))
    heard = np.convolve(clip, echo, "same")
    return np.asarray(heard / np.abs(heard).max() * 0.7, np.float32)


def sharpened(clip: Samples, _: int) -> Samples:
    """With the highs of a cheap microphone."""
    return np.append(clip[:1], clip[1:] - np.float32(0.95) * clip[:-1])


TREATMENTS: dict[str, Callable[[Samples, int], Samples]] = {
    "compressed": compressed,
    "gated": gated,
    "in a hall": in_a_hall,
    "sharpened": sharpened,
    "of 8 bits": lambda clip, _: (np.rint(clip * 128) / 128).astype(np.float32),
    "through G.711": lambda clip, _: decode(encode(clip, "pcm_alaw"), "pcm_alaw"),
}


def _normal(size: int, level: float) -> Samples:
    noise = np.random.default_rng(1).normal(0, level, size)
    return np.asarray(noise, np.float32)


def tone(rate: int, hertz: float, level: float = 0.3) -> Samples:
    """A beep."""
    time = np.arange(rate * SECONDS) / rate
    return np.asarray(level * np.sin(2 * np.pi * hertz * time), np.float32)


def _pink(rate: int) -> Samples:
    size = rate * SECONDS
    hertz = np.maximum(np.fft.rfftfreq(size, 1 / rate), 20)
    made = np.fft.irfft(np.fft.rfft(_normal(size, 1)) / np.sqrt(hertz), size)
    return np.asarray(made / np.abs(made).max() / 2, np.float32)


def _babble(rate: int) -> Samples:
    parts = [np.resize(speech(name, rate), rate * SECONDS) for name in clips()]
    return np.asarray(np.sum(parts, axis=0) / 2, np.float32)


def _music(rate: int) -> Samples:
    """A chord with vibrato, in beats, and a drum."""
    time = np.arange(rate * SECONDS) / rate
    wave = sum(
        0.08 * np.sin(2 * np.pi * f * time + 3 * np.sin(2 * np.pi * 5 * time))
        for f in (220.0, 277.2, 329.6, 440.0, 1760.0)
    )
    beat = 1 + 0.5 * np.sign(np.sin(2 * np.pi * 2 * time))
    drum = np.exp(-((time * 2) % 1) * 30) * _normal(len(time), 0.3)
    return np.asarray(wave * beat + drum, np.float32)


def _strings(rate: int) -> Samples:
    """Plucked strings (Karplus and Strong), two at a time."""
    chance = np.random.default_rng(2)
    made = np.zeros(rate * SECONDS, np.float32)
    for start in range(0, len(made) - rate, rate // 4):
        for hertz in chance.choice(110 * 2 ** (np.arange(30) / 12), 2, replace=False):
            wave = chance.uniform(-1, 1, int(rate / hertz))
            wave -= wave.mean()
            turns = []
            for _ in range(int(hertz)):
                turns.append(wave)
                wave = 0.498 * (wave + np.roll(wave, 1))
            sound = np.concatenate(turns)[:rate]
            made[start : start + len(sound)] += (0.2 * sound).astype(np.float32)
    return np.clip(made, -1, 1)


def _keys(rate: int) -> Samples:
    """The two tones of each key of a telephone, a tenth of a second on and off."""
    chance, time = np.random.default_rng(5), np.arange(rate // 10) / rate
    parts = []
    for _ in range(5 * SECONDS):
        low, high = chance.choice([697, 770, 852, 941]), chance.choice([1209, 1336])
        pair = np.sin(2 * np.pi * low * time) + np.sin(2 * np.pi * high * time)
        parts += [0.3 * pair, 0 * time]
    return np.concatenate(parts).astype(np.float32)


def _ringing(rate: int) -> Samples:
    time = np.arange(rate * SECONDS) / rate
    pair = tone(rate, 440, 0.15) + tone(rate, 480, 0.15)
    return np.where(time % 6 < 2, pair, 0).astype(np.float32)


def _swelling(rate: int) -> Samples:
    """Noise that comes and goes as syllables do."""
    swell = 0.55 + 0.45 * np.sin(2 * np.pi * 4 * np.arange(rate * SECONDS) / rate)
    return np.asarray(_normal(rate * SECONDS, 0.2) * swell, np.float32)


def _claps(rate: int) -> Samples:
    """Bursts of noise in digital silence."""
    made, size = np.zeros(rate * SECONDS, np.float32), rate // 20
    fading = np.exp(-np.arange(size) / (0.01 * rate))
    starts = np.random.default_rng(4).integers(0, len(made) - size, 40)
    for number, start in enumerate(starts):
        burst = np.random.default_rng(number).normal(0, 0.3, size) * fading
        made[start : start + size] += burst.astype(np.float32)
    return np.clip(made, -0.99, 0.99)


def _rumble(rate: int) -> Samples:
    """A street: the deeper, the louder, down to 20 Hz."""
    spectrum = np.fft.rfft(_normal(rate * SECONDS, 1))
    hertz = np.fft.rfftfreq(rate * SECONDS, 1 / rate)
    made = np.fft.irfft(np.where(hertz < 20, 0, spectrum / np.maximum(hertz, 20)))
    return np.asarray(made / np.abs(made).max() / 2, np.float32)


def _square(rate: int) -> Samples:
    return np.asarray(np.sign(tone(rate, 150)) * 0.3, np.float32)


def _late_speech(rate: int) -> Samples:
    first = speech(next(iter(clips())), rate)
    return np.concatenate([np.zeros(5 * rate, np.float32), first])


def _dither(rate: int) -> Samples:
    """The last bit alone; for less than ten seconds, since in G.711 it is nothing."""
    steps = np.sign(np.round(_normal(8 * rate, 0.6))) / 32768
    return np.asarray(steps, np.float32)


NOISES: dict[str, Callable[[int], Samples]] = {
    "white noise": lambda rate: _normal(rate * SECONDS, 0.1),
    "loud white noise": lambda rate: _normal(rate * SECONDS, 0.25),
    "pink noise": _pink,
    "babble": _babble,
    "music": _music,
    "plucked strings": _strings,
    "a telephone's keys": _keys,
    "ringing": _ringing,
    "swelling noise": _swelling,
    "claps": _claps,
    "a street": _rumble,
    "square wave": _square,
    "hum": lambda rate: tone(rate, 50, 0.05) + tone(rate, 150, 0.01),
    "dither": _dither,
    "5 s of zeros, then speech": _late_speech,
}


def as_s24(clip: Samples) -> bytes:
    """Samples as 24-bit integers."""
    whole = np.rint(np.clip(clip, -1, 1).astype(np.float64) * (2**23 - 1)).astype("<i4")
    return whole.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()


def as_u8(clip: Samples) -> bytes:
    """Samples as unsigned bytes."""
    return np.clip(np.rint(clip * 128 + 128), 0, 255).astype(np.uint8).tobytes()


def as_s16be(clip: Samples) -> bytes:
    """Samples as 16-bit integers, the high byte first."""
    return np.frombuffer(encode(clip, "pcm_s16le"), "<i2").astype(">i2").tobytes()


def interleaved(left: Samples, right: Samples) -> bytes:
    """Two channels as 16-bit integers."""
    return encode(np.stack([left, right], 1).ravel(), "pcm_s16le")


def _stereo(clip: Samples) -> bytes:
    return interleaved(clip, np.roll(clip, len(clip) // 3))


MISTAKES: dict[str, tuple[str, str, Callable[[Samples], bytes]]] = {
    # what it is: the finding, what is declared, and the bytes
    "float as 16 bits": (
        "wrong-encoding",
        "pcm_s16le",
        lambda clip: encode(clip, "pcm_f32le"),
    ),
    "16 bits as float": (
        "wrong-encoding",
        "pcm_f32le",
        lambda clip: encode(clip, "pcm_s16le"),
    ),
    "half floats as 16 bits": (
        "wrong-encoding",
        "pcm_s16le",
        lambda clip: encode(clip, "pcm_f16le"),
    ),
    "32 bits as 16": (
        "wrong-encoding",
        "pcm_s16le",
        lambda clip: encode(clip, "pcm_s32le"),
    ),
    "24 bits as 16": ("wrong-encoding", "pcm_s16le", as_s24),
    "unsigned bytes as 16 bits": ("wrong-encoding", "pcm_s16le", as_u8),
    "unsigned bytes as mu-law": ("wrong-encoding", "pcm_mulaw", as_u8),
    "high byte first": ("wrong-encoding", "pcm_s16le", as_s16be),
    "mu-law as 16 bits": (
        "wrong-encoding",
        "pcm_s16le",
        lambda clip: encode(clip, "pcm_mulaw"),
    ),
    "A-law as 16 bits": (
        "wrong-encoding",
        "pcm_s16le",
        lambda clip: encode(clip, "pcm_alaw"),
    ),
    "A-law as mu-law": (
        "wrong-encoding",
        "pcm_mulaw",
        lambda clip: encode(clip, "pcm_alaw"),
    ),
    "mu-law as A-law": (
        "wrong-encoding",
        "pcm_alaw",
        lambda clip: encode(clip, "pcm_mulaw"),
    ),
    "16 bits as mu-law": (
        "wrong-encoding",
        "pcm_mulaw",
        lambda clip: encode(clip, "pcm_s16le"),
    ),
    "16 bits as A-law": (
        "wrong-encoding",
        "pcm_alaw",
        lambda clip: encode(clip, "pcm_s16le"),
    ),
    "two channels as one": ("wrong-channels", "pcm_s16le", _stereo),
    "twice the same channel as one": (
        "wrong-channels",
        "pcm_s16le",
        lambda clip: interleaved(clip, clip),
    ),
    "clipped": (
        "clipping",
        "pcm_s16le",
        lambda clip: encode(clip * np.float32(20), "pcm_s16le"),
    ),
    "floats scaled as integers": (
        "float-scale",
        "pcm_f32le",
        lambda clip: (clip * 32768).astype("<f4").tobytes(),
    ),
    "all zeros": ("silent", "pcm_s16le", lambda clip: bytes(4 * len(clip))),
    "shifted": (
        "dc-offset",
        "pcm_s16le",
        lambda clip: encode(clip * np.float32(0.5) + np.float32(0.1), "pcm_s16le"),
    ),
}
