"""Figures of a recording, taken piece by piece.

Decides how loud it is, and which way to read its bytes fits best. The memory is the
same for a second and for a day.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import attrs

from cartesia_stt_sync import Declaration, diagnose

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Ballot", "Fit", "Meter", "decibels"]

_WINDOW = 0.05
_SILENCE = 10 ** (-50 / 20)
"""Below this level a window of so many seconds is silence."""

_SIZE = 65_520
"""Bytes of a piece that has a vote: as many as `diagnose` looks at, in whole frames."""

_VOTES = 12
"""Pieces that have a vote, at most."""


def decibels(level: float) -> float | None:
    """A level in dB of full scale; ``None`` for none at all."""
    return 20 * math.log10(level) if level > 0 else None


class Meter:
    """The levels of a recording.

    Attributes:
        seconds: How long it is, so far.
        peak: Of its loudest sample, from 0 to 1.
    """

    def __init__(self) -> None:
        self.seconds = self.peak = 0.0
        self._squares = 0.0
        self._samples = 0
        self._windows = self._silent = 0

    @property
    def rms(self) -> float:
        """The root mean square of all samples."""
        return math.sqrt(self._squares / self._samples) if self._samples else 0.0

    @property
    def silence(self) -> float:
        """Which share of it is silence."""
        return self._silent / self._windows if self._windows else 0.0

    def add(self, samples: NDArray[np.float32], rate: int) -> None:
        """Take in the next samples, of shape ``(frames, channels)``."""
        import numpy as np

        if not len(samples):
            return
        with np.errstate(all="ignore"):
            samples = np.clip(np.nan_to_num(samples), -1e9, 1e9)
        self.seconds += len(samples) / rate
        self.peak = max(self.peak, float(np.abs(samples).max()))
        squares = np.square(samples.astype(np.float64)).mean(axis=1)
        self._squares += float(squares.sum())
        self._samples += len(squares)
        size = min(len(squares), max(1, round(_WINDOW * rate)))
        windows = squares[: len(squares) // size * size].reshape(-1, size).mean(axis=1)
        self._windows += len(windows)
        self._silent += int((windows < _SILENCE**2).sum())


@attrs.frozen
class Fit:
    """A way to read the bytes.

    Attributes:
        way: Which.
        votes: In how many pieces it was the best.
        of: How many pieces had sound in them.
    """

    way: Declaration
    votes: int
    of: int


class Ballot:
    """The vote of pieces with sound in them on how the bytes are best read."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._pieces = 0
        self._first: dict[str, int] = {}
        self._ways: dict[str, list[Declaration]] = {}

    def add(self, data: bytes) -> None:
        """Take in the next bytes."""
        if self._pieces == _VOTES:
            return
        self._rest += data
        while len(self._rest) >= _SIZE and self._pieces < _VOTES:
            self._vote(bytes(self._rest[:_SIZE]))
            del self._rest[:_SIZE]

    def end(self) -> list[Fit]:
        """Count, the best first; what is left has a vote only where none had."""
        if not self._pieces:
            self._vote(bytes(self._rest))
        self._rest.clear()
        fits = [
            Fit(
                min(ways, key=lambda way: way.roughness),
                self._first.get(name, 0),
                self._pieces,
            )
            for name, ways in self._ways.items()
        ]
        return sorted(fits, key=lambda fit: (-fit.votes, fit.way.roughness))

    def _vote(self, piece: bytes) -> None:
        ways = diagnose(piece)
        if not ways:
            return
        self._pieces += 1
        best = ways[0].name
        self._first[best] = self._first.get(best, 0) + 1
        for way in ways:
            self._ways.setdefault(way.name, []).append(way)
