"""A recording in as many columns as a picture has, however long it is.

Decides what is kept of it for drawing: of each column the lowest and highest sample of
each channel, the power, and a spectrum of their mix. When there are too many columns,
two become one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Sketch"]

_MOST = 2048
"""Columns, at most."""

_COLUMN = 0.002
"""Seconds of a column, until two become one."""

_FRAME = 0.03
"""Seconds of which a spectrum is taken, about."""

_ROWS = 256
"""Rows of a spectrum, at most."""

_SPECTRA = 32
"""Spectra that a column is the mean of, at most."""


class Sketch:
    """What is drawn of a recording.

    Args:
        rate: Frames a second.
        channels: How many there are.

    Attributes:
        rate: The same.
        channels: The same.
        count: How many columns there are; of the arrays these are used.
        low: The lowest sample of each column and channel.
        high: The highest.
        power: The mean of the squares, over all channels.
        spectra: The power at each frequency, a column each, from 0 to half the rate.
    """

    def __init__(self, rate: int, channels: int = 1) -> None:
        import numpy as np

        self.rate = rate
        self.channels = channels
        self.count = 0
        self._hop = max(1, round(_COLUMN * rate))  # frames of a column
        size = 1 << max(6, round(_FRAME * rate).bit_length() - 1)
        self._window = np.hanning(size).astype(np.float32)
        self._scale = 1 / float(np.square(self._window).sum() * size)
        self._group = max(1, size // 2 // _ROWS)  # frequencies of a row
        self.low: NDArray[np.float32] = np.zeros((_MOST, channels), np.float32)
        self.high: NDArray[np.float32] = np.zeros((_MOST, channels), np.float32)
        self.power: NDArray[np.float32] = np.zeros(_MOST, np.float32)
        self.spectra = np.zeros((_MOST, size // 2 // self._group), np.float32)
        self._rest = np.zeros((0, channels), np.float32)

    @property
    def column(self) -> float:
        """Seconds of a column."""
        return self._hop / self.rate

    def add(self, samples: NDArray[np.float32]) -> None:
        """Take in the next samples, of shape ``(frames, channels)``."""
        import numpy as np

        with np.errstate(all="ignore"):
            samples = np.clip(np.nan_to_num(samples), -4, 4)
        if len(self._rest):
            samples = np.concatenate((self._rest, samples))
        # A spectrum may look beyond its column.
        ahead = len(self._window)
        at = 0
        while len(samples) - at >= self._hop + ahead:
            room = min(_MOST - self.count, (len(samples) - at - ahead) // self._hop)
            self._take(samples[at : at + room * self._hop + ahead], room)
            at += room * self._hop
            if self.count == _MOST:
                self._halve()
        self._rest = samples[at:].copy()

    def end(self) -> None:
        """Take in what is left, with silence behind it."""
        import numpy as np

        left = len(self._rest)
        columns = -(-left // self._hop)
        missing = columns * self._hop + len(self._window) - left
        self.add(np.zeros((missing, self.channels), np.float32))

    def _take(self, samples: NDArray[np.float32], columns: int) -> None:
        import numpy as np

        new = slice(self.count, self.count + columns)
        body = samples[: columns * self._hop].reshape(columns, -1, self.channels)
        self.low[new], self.high[new] = body.min(axis=1), body.max(axis=1)
        self.power[new] = np.square(body).mean(axis=(1, 2))
        mono = samples.mean(axis=1)
        frames = np.lib.stride_tricks.sliding_window_view(mono, len(self._window))
        spectra: Any = 0.0
        steps = range(0, self._hop, max(self._hop // _SPECTRA, len(self._window) // 2))
        for start in steps:
            chosen = frames[start :: self._hop][:columns]
            bins = np.square(np.abs(np.fft.rfft(chosen * self._window)))
            spectra = spectra + bins / len(steps)
        rows = self.spectra.shape[1]
        grouped = spectra[:, 1 : 1 + rows * self._group]
        grouped = grouped.reshape(columns, rows, -1).mean(axis=2)
        self.spectra[new] = grouped * self._scale
        self.count += columns

    def _halve(self) -> None:
        import numpy as np

        half = _MOST // 2
        for values, join in (
            (self.low, np.minimum),
            (self.high, np.maximum),
            (self.power, _mean),
            (self.spectra, _mean),
        ):
            values[:half] = join(values[::2], values[1::2])
        self.count = half
        self._hop *= 2


def _mean(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    joined: NDArray[Any] = (a + b) / 2
    return joined
