"""What raw samples are, judged by how they would sound.

Decides which encoding, byte order and number of channels fit some bytes best. Sound is
smooth: each sample is near the one before it. Bytes that are read as what they are not
jump about. NumPy does the arithmetic and is imported by the first call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from .._ffplay import ffplay
from .._value import Value
from ..audio import ENCODINGS, decode

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "SMOOTH",
    "Declaration",
    "diagnose",
    "read_as",
    "roughness",
    "two_channels",
]

_ENCODINGS = (
    # Of what fits alike, the first is meant.
    ("pcm_s16le", 2),
    ("pcm_mulaw", 1),
    ("pcm_alaw", 1),
    ("pcm_f32le", 4),
    ("pcm_s32le", 4),
    ("pcm_s24le", 3),
    ("pcm_u8", 1),
    ("pcm_f64le", 8),
    ("pcm_f16le", 2),
)
_SWAPPED = ("pcm_s16le", "pcm_s32le", "pcm_f32le")
"""Those that come with the other byte order, too; then one channel is looked for."""

_LOUDEST = 4.0
"""No float of a sound is beyond this, though some go beyond 1."""

_ENOUGH = 1 << 16
"""Bytes that are looked at."""

SMOOTH = 0.3
"""Roughness below which bytes are believed to be sound."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Declaration(Value):
    """One way to read some bytes.

    Attributes:
        encoding: The name of the encoding, in the little-endian spelling.
        channels: 1 or 2.
        swapped: Whether the bytes of each sample stand the other way round.
        roughness: From 0, as smooth as can be, to about 1, noise, and beyond.
    """

    encoding: str
    channels: int = 1
    swapped: bool = False
    roughness: float

    @property
    def name(self) -> str:
        """The encoding in words."""
        order = "be" if self.swapped else "le"
        name = self.encoding.removesuffix("le") + order
        plain = name if self.encoding.endswith("le") else self.encoding
        return plain + (", two channels interleaved" if self.channels == 2 else "")

    def arguments(self, sample_rate: int) -> str:
        """Say it as arguments of a `Transcriber`.

        Args:
            sample_rate: In Hz; bytes do not tell it.
        """
        source = (
            f'source=AudioFormat("{self.encoding}", {sample_rate}, {self.channels})'
        )
        if self.swapped:
            return f"{source}, once the bytes of each sample are swapped"
        on_the_wire = self.encoding not in ("pcm_u8", "pcm_s24le", "pcm_f64le")
        if self.channels == 1 and on_the_wire:
            return f'encoding="{self.encoding}", sample_rate={sample_rate}'
        return source

    def straight(self, data: bytes) -> bytes:
        """The bytes of whole samples in the order that `encoding` has them in.

        Threads: any.
        """
        if not self.swapped:
            return data
        import numpy as np

        samples = np.frombuffer(data, np.uint8)
        return samples.reshape(-1, ENCODINGS[self.encoding].width)[:, ::-1].tobytes()

    def ffplay(self, sample_rate: int, path: str) -> str | None:
        """The shell's line that plays a file of such samples, or ``-``.

        Args:
            sample_rate: In Hz; bytes do not tell it.
            path: The file's.

        Returns:
            ``None`` for half floats, which ffplay does not know.

        Threads: any.
        """
        return ffplay(
            self.encoding, sample_rate, self.channels, path, swapped=self.swapped
        )


def diagnose(data: bytes) -> list[Declaration]:
    """Rank the ways to read raw bytes.

    Args:
        data: A second or more of audio with something to hear in it; more than 64 KiB
            are not looked at.

    Returns:
        The ways that give sound, the best first; none where the bytes are noise, or
        silence, in every way. The first byte is taken for the first of a frame.

    Threads: any.
    """
    data = bytes(data[:_ENOUGH])
    found = []
    for encoding, width in _ENCODINGS:
        for swapped in (False, True) if encoding in _SWAPPED else (False,):
            way = _way(data, encoding, width, swapped)
            if way is not None:
                found.append(way)
    # Stable: of what is equally smooth the first of the list above is meant.
    return sorted(found, key=lambda way: round(way.roughness, 3))


def read_as(data: bytes, encoding: str) -> Declaration | None:
    """How some bytes would sound, read in this way; ``None``: like noise or nothing."""
    return _way(data[:_ENOUGH], encoding, ENCODINGS[encoding].width, False)


def _way(data: bytes, encoding: str, width: int, swapped: bool) -> Declaration | None:
    """How some bytes would sound, read in this way; ``None``: like noise or nothing."""
    import numpy as np

    samples = _read(data, encoding, width, swapped)
    low = encoding in ("pcm_s16le", "pcm_s32le") and _is_low(
        samples if encoding == "pcm_s16le" else _read(data, "pcm_s16le", 2, swapped),
        swapped,
    )
    if low and encoding == "pcm_s32le":
        samples = samples / np.abs(samples).max()
    rough = roughness(samples)
    if rough is None:
        return None
    apart = two_channels(samples, rough)
    if low and encoding == "pcm_s16le" and apart is not None:
        return None  # the second is but the sign of 32 bits
    smooth = rough if apart is None else apart
    if smooth >= SMOOTH or (swapped and apart is not None):
        return None
    # Last, for it takes longest, and most ways are noise.
    if _rests_aside(samples) or (not low and _holds_two(data, encoding, swapped)):
        return None
    return Declaration(
        encoding=encoding,
        swapped=swapped,
        channels=1 if apart is None else 2,
        roughness=smooth,
    )


def _read(data: bytes, encoding: str, width: int, swapped: bool) -> NDArray[np.float32]:
    import numpy as np

    whole = data[: len(data) // width * width]
    if swapped:
        turned = np.frombuffer(whole, np.uint8).reshape(-1, width)[:, ::-1]
        whole = turned.tobytes()
    with np.errstate(all="ignore"):
        return decode(whole, encoding)


_RESTS, _ASIDE = 0.15, 0.25
"""The share of samples with one value that makes it silence, and a mean off zero."""


def _rests_aside(samples: NDArray[np.float32]) -> bool:
    """Whether silence would be far off zero: it is that of another encoding.

    Between such silence and noise there are few jumps, so that it looks smooth. What is
    clipped rests at both ends.
    """
    import numpy as np

    if abs(float(np.add.reduce(samples)) / len(samples)) > _ASIDE:
        return True
    away = np.abs(samples)
    loud = away >= np.float32(0.5) * away.max()
    if np.count_nonzero(loud) < _RESTS * len(samples):
        return False  # no loud value is as frequent as that; to count them takes long
    values, counts = np.unique(samples, return_counts=True)
    most = int(counts.argmax())
    value, share = float(values[most]), float(counts[most]) / len(samples)
    if share < _RESTS or abs(value) < 0.5 * float(np.abs(values).max()):
        return False
    opposite = values[0] if value > 0 else values[-1]
    return float(counts[values == opposite].sum()) < 0.3 * float(counts[most])


_LOW = 1 / 128
"""Level below which 32 bits may be 24 or 16 that were never shifted to the top."""


def _is_low(halves: NDArray[np.float32], swapped: bool) -> bool:
    """Whether these are 32-bit samples that use their lower bytes only.

    Then the upper half alone is nothing but steps, which the lower half makes smooth.
    What is a second channel makes nothing smooth.

    Args:
        halves: The same bytes as 16-bit samples.
        swapped: Whether the upper halves come first.
    """
    import numpy as np

    halves = halves[: len(halves) // 2 * 2]
    lower, upper = (
        (halves[1::2], halves[::2]) if swapped else (halves[::2], halves[1::2])
    )
    if not (len(upper) and -_LOW < upper.min() <= upper.max() < _LOW and upper.any()):
        return False
    whole = upper + (lower % 2) / 65536
    steps, smooth = np.diff(upper), np.diff(whole)
    return float(smooth @ smooth) < 0.5 * float(steps @ steps)


def _holds_two(data: bytes, encoding: str, swapped: bool) -> bool:
    """Whether the lower halves of 32-bit samples are sound as well: two of 16 bits."""
    if encoding != "pcm_s32le":
        return False
    halves = _read(data, "pcm_s16le", 2, swapped)
    lower, upper = (
        (halves[1::2], halves[::2]) if swapped else (halves[::2], halves[1::2])
    )
    rough = roughness(lower)
    return roughness(upper) is None or (rough is not None and rough < SMOOTH)


def roughness(samples: NDArray[np.float32]) -> float | None:
    """How far samples jump: the differences' power over twice the samples' own.

    Returns:
        Near 0 for sound, near 1 for noise, 2 at most; ``None`` for what is no sound at
        all: silence, or floats that no sound has.
    """
    import numpy as np

    if len(samples) < 400:
        return None
    low, high = float(samples.min()), float(samples.max())
    if not (low >= -_LOUDEST and high <= _LOUDEST):  # NaN is neither
        return None
    # As mean() has it, whose own Python takes longer than all the rest.
    centred = samples - np.add.reduce(samples) / np.float32(len(samples))
    power = float(centred @ centred)
    # Tiny floats are what other bytes look like; a sixteen-bit step is 3e-5.
    if power < 1e-10 * len(samples):
        return None
    steps = samples[1:] - samples[:-1]
    return float(steps @ steps) / (2 * power)


def two_channels(
    samples: NDArray[np.float32], rough: float | None = None
) -> float | None:
    """Whether these are two channels in turn; if so, how rough they are apart.

    Either each sample is near the one before the last and not the last, or pairs of
    samples are alike, which in one channel they are no more than others.

    Args:
        samples: Read as one channel.
        rough: Their roughness, where it is known.
    """
    import numpy as np

    rough = roughness(samples) if rough is None else rough
    if rough is None:
        return None
    pairs = samples[: len(samples) // 2 * 2].reshape(-1, 2)
    left, right = np.ascontiguousarray(pairs.T)
    rough_left = roughness(left)
    if rough_left is None:
        return None  # zeros before each sample are 32 bits, made of 16
    pair, neighbours = right - left, left[1:] - right[:-1]
    within, across = float(pair @ pair), float(neighbours @ neighbours)
    apart = [one for one in (rough_left, roughness(right)) if one is not None]
    if within < _PAIRED * across:
        return max(apart)
    if max(apart) < min(SMOOTH, _APART * rough):
        return max(apart)
    return None


_PAIRED = 0.4
"""How much nearer the two of a pair are than neighbours of two pairs."""

_APART = 0.4
"""How much smoother two channels are apart than in turn."""
