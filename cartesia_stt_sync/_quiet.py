"""Where nobody speaks yet, in audio that is late already.

Decides how much of its beginning is quiet, and errs towards speech: a second sent for
nothing is late, a word left out is lost. Looks at what is there as a whole. NumPy does
the arithmetic and is imported by the first call.
"""

from __future__ import annotations

from .audio import AudioFormat, decode

__all__ = ["leading_quiet"]

_BLOCK = 0.05
"""Seconds that are measured at once; a syllable takes four times as long."""

_SILENT = 2.5e-4
"""Level of digital silence, or of what a noise gate leaves of a room: -72 dB."""

_LOUD = 0.01
"""Level that is never quiet, -40 dB: somebody close to a microphone is louder."""

_ABOVE_FLOOR = 1.5
"""How much louder than the quietest block quiet may be: 3.5 dB. Of speech that is no
louder than the noise it is in, the first syllable stands out by more."""


def leading_quiet(data: bytes, audio: AudioFormat) -> int:
    """Say how many bytes at the beginning of audio are quiet.

    Args:
        data: Whole samples; the more there are, the better the floor is known.
        audio: Their format; one channel.

    Returns:
        Whole blocks; all of ``data`` where nothing is heard in any of them.
    """
    import numpy as np

    size = max(1, round(audio.sample_rate * _BLOCK))
    block = size * audio.frame_bytes
    whole = len(data) // block * block
    if not whole:
        return 0
    samples = decode(data[:whole], audio.encoding).reshape(-1, size)
    with np.errstate(all="ignore"):  # NaN is no level, and so is never quiet
        means = samples.mean(axis=1)
        known = means[np.isfinite(means)]
        shift = np.median(known) if len(known) else np.float32(np.inf)
        if abs(shift) > _LOUD:
            return 0  # whatever it is, it is not a room in which nobody speaks
        samples = samples - shift  # a sound card's, and not each block's own
        levels = np.sqrt(np.einsum("ij,ij->i", samples, samples) / np.float32(size))
        floor = float(np.fmin.reduce(levels))
        most = min(max(_SILENT, _ABOVE_FLOOR * floor), _LOUD)
        heard = np.flatnonzero(~(levels <= most))
    return int(heard[0]) * block if len(heard) else len(data)
