"""What is wrong with the level of audio: too loud, too quiet, dead, shifted.

Decides from samples that are what they were declared to be, a block at a time. NumPy
does the arithmetic and is imported by the first call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..audio import AudioFormat
from .declaration import roughness
from .finding import PAGE, Finding

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Level", "sounds"]

_SOUND = 0.003
"""Level from which on there is something to hear: -50 dB of full scale."""


def clipped(share: float) -> Finding:
    """Peaks are cut off."""
    return Finding(
        "clipping",
        f"The audio is clipped: {share:.1%} of its samples are at full scale, in rows.",
        "Turn down the gain before it is recorded; what is cut off cannot be mended.",
    )


def beyond_one(peak: float) -> Finding:
    """Floats that are scaled as integers are."""
    return Finding(
        "float-scale",
        f"The audio is float and goes up to {peak:.4g}; what lies beyond 1 is cut off.",
        "Floats go from -1 to 1: divide by the integers' full scale, say 32768.",
        PAGE,
    )


def all_zero(seconds: float) -> Finding:
    """Nothing but digital silence."""
    return Finding(
        "silent",
        f"All {seconds:.3g} s of audio so far are digital silence.",
        "See that the microphone is the right one, and neither muted nor refused.",
        PAGE,
    )


def too_quiet(peak: float, encoding: str) -> Finding:
    """There is something, but hardly."""
    advice = "See that the microphone is the right one, and turn up its gain."
    if encoding == "pcm_s32le":
        advice = (
            "If the samples are of 16 or 24 bits, in the lower bytes of 32, shift them "
            f"to the top: array << {16 if peak <= _16_IN_32 else 8}. If not: {advice}"
        )
    return Finding(
        "quiet",
        f"The loudest sample so far is at {_decibels(peak):.0f} dB of full scale.",
        advice,
    )


def offset(mean: float) -> Finding:
    """The zero of the audio is not at zero."""
    return Finding(
        "dc-offset",
        f"The audio is shifted by {mean:+.1%} of full scale.",
        "See to the sound card, or subtract the mean; a wrong encoding looks alike.",
    )


def dead_channel(channel: int, channels: int) -> Finding:
    """One channel of several has nothing in it."""
    return Finding(
        "dead-channel",
        f"Channel {channel + 1} of {channels} is digital silence, while another has "
        "sound; mixed to one, the sound is that much quieter.",
        "Feed the channel that has the sound, or see why the other has none.",
        PAGE,
    )


def _decibels(level: float) -> float:
    import math

    return 20 * math.log10(level)


_DEAD = 10.0
"""Seconds without a single sample after which nothing is there."""

_FAINT, _LISTENED = 0.002, 30.0
"""A level that is hardly any, -54 dB, and the seconds in which nothing was louder."""

_24_IN_32, _16_IN_32 = 2.0**-8, 2.0**-16
"""The loudest, -48 and -96 dB, that 24 and 16 bits in the lower bytes of 32 are."""

_CLIPPED, _CLIPPED_SECONDS = 0.01, 2.0
"""The share of samples at full scale that is too much, and of how much sound."""

AS_INTEGERS, INTEGERS, SMOOTH_INTEGERS = 4.0, 2.0**31, 0.3
"""Between such peaks floats are scaled as integers, if they are as smooth as that."""

_SHIFTED, _PIECE = 0.03, 0.04
"""A mean beyond which the zero is not at zero, and the seconds it is taken of.

Two waves of a hum of 50 Hz fit into them.
"""

_RESTS, _STEADY = 8, 0.3
"""Blocks in a row whose means must agree, and how much they may differ, in parts."""


class Level:
    """Whether what was declared rightly is loud, whole and alive.

    Attributes:
        sounding: Blocks with something to hear in them.
    """

    __slots__ = (
        *("_alive", "_clipped", "_constant", "_encoding", "_faint", "_scaled"),
        *("_peak", "_rate", "_samples", "_seconds", "_shift", "_sound", "_top"),
        "sounding",
    )

    def __init__(self, audio: AudioFormat) -> None:
        law = audio.encoding in ("pcm_mulaw", "pcm_alaw")
        self._top = 0.98 if law else 0.9995
        self._encoding = audio.encoding
        # At their full scale the samples of 24 bits are as loud as that.
        self._faint = _24_IN_32 if audio.encoding == "pcm_s32le" else _FAINT
        self.sounding = 0
        self._seconds = self._sound = 0.0
        self._peak = 0.0
        self._constant = True
        self._scaled = False  # whether it is scaled as integers: then all is clipped
        self._clipped = self._samples = 0
        self._rate = audio.sample_rate
        self._shift: list[float] = []  # where each block with sound rests
        self._alive: list[float] = []  # how far each channel has moved at all

    def judge(
        self, samples: NDArray[np.float32], seconds: float, *, trusted: bool
    ) -> list[Finding]:
        """Judge a block.

        Args:
            samples: Of shape ``(frames, channels)``.
            seconds: How much audio it stands for.
            trusted: Whether it is what it was declared to be: what is not, is at full
                scale, shifted and all else.
        """
        import numpy as np

        self._seconds += seconds
        self._constant = self._constant and float(_span(samples)) == 0.0
        low, high = float(samples.min()), float(samples.max())
        peak = max(-low, high) if low == low else low  # NaN comes out of both
        self._peak = max(self._peak, peak)
        found = []
        if AS_INTEGERS < peak <= INTEGERS:
            smooth = roughness(samples[:, 0] / np.float32(peak))
            if smooth is not None and smooth < SMOOTH_INTEGERS:
                self._scaled = True
                found.append(beyond_one(peak))
        if self._constant and self._seconds >= _DEAD:
            found.append(all_zero(self._seconds))
        if 0 < self._peak <= self._faint and self._seconds >= _LISTENED:
            found.append(too_quiet(self._peak, self._encoding))
        beyond = self._scaled or peak > AS_INTEGERS  # so not for one garbage sample
        heard = sounds(samples)
        if heard:
            self.sounding += 1
        if heard and trusted and not found and not beyond:
            self._sound += seconds
            # What is clipped on one side looks shifted as well.
            found += self._clips(samples, peak) or self._shifts(samples)
            found += self._channels(samples)
        return found

    def end(self, *, trusted: bool) -> list[Finding]:
        """Judge the whole of it, however short."""
        if not self._seconds:
            return []
        if self._constant:
            return [all_zero(self._seconds)]
        if 0 < self._peak <= self._faint:
            return [too_quiet(self._peak, self._encoding)]
        share = self._clipped / max(1, self._samples)
        return [clipped(share)] if trusted and share >= _CLIPPED else []

    def _clips(self, samples: NDArray[np.float32], peak: float) -> list[Finding]:
        import numpy as np

        if not peak < self._top:
            full = np.abs(samples) >= self._top
            in_rows = full[2:] & full[1:-1] & full[:-2]
            self._clipped += int(np.count_nonzero(in_rows))
        self._samples += samples.size
        share = self._clipped / self._samples
        enough = self._sound >= _CLIPPED_SECONDS
        return [clipped(share)] if enough and share >= _CLIPPED else []

    def _shifts(self, samples: NDArray[np.float32]) -> list[Finding]:
        # Where it is quietest, and the same for long: a voice is lopsided, and the more
        # so the more it was compressed, but not always as much.
        self._shift = [*self._shift[1 - _RESTS :], self._resting(samples)]
        low, high = min(self._shift), max(self._shift)
        mean = sum(self._shift) / len(self._shift)
        steady = len(self._shift) == _RESTS and high - low < _STEADY * abs(mean)
        return [offset(mean)] if steady and min(abs(low), abs(high)) > _SHIFTED else []

    def _resting(self, samples: NDArray[np.float32]) -> float:
        """The mean of the quietest piece of a block."""
        import numpy as np

        size = min(len(samples), max(1, round(_PIECE * self._rate)))
        pieces = samples[: len(samples) // size * size].reshape(
            -1, size * samples.shape[1]
        )
        means = np.add.reduce(pieces, axis=1) / np.float32(pieces.shape[1])
        apart = pieces - means[:, None]
        return float(means[np.einsum("ij,ij->i", apart, apart).argmin()])

    def _channels(self, samples: NDArray[np.float32]) -> list[Finding]:
        import numpy as np

        channels = samples.shape[1]
        if channels == 1:
            return []
        moved = np.ptp(samples, axis=0).tolist()
        before = self._alive or [0.0] * channels
        self._alive = [max(pair) for pair in zip(before, moved, strict=True)]
        if self._sound >= _DEAD and 0.0 in self._alive:
            return [dead_channel(self._alive.index(0.0), channels)]
        return []


def sounds(samples: NDArray[np.float32]) -> bool:
    """Whether there is something to hear, or what no sound can be."""
    import numpy as np

    # As mean() has it, whose own Python takes longer than all the rest.
    flat = samples.ravel()
    apart = flat - np.add.reduce(flat) / np.float32(len(flat))
    power = float(apart @ apart) / len(flat)
    return not power <= _SOUND**2  # NaN too is something


def _span(samples: NDArray[np.float32]) -> float:
    import numpy as np

    return float(np.ptp(samples, axis=0).max())
