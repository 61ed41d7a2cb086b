"""From the wire's sample rate to the recogniser's, piece by piece.

Decides each output sample as a windowed sinc over the input around its place: in
plain NumPy, because the server should not need a resampler installed for what is
one small matrix product a message. Never touches a clock, a thread or a socket.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Resampler"]

_CROSSINGS = 12
"""Zero crossings of the sinc on either side: 50 dB and more of stop band."""

_BLOCK = 4000
"""Output samples computed at once: bounds the memory of a big message."""


class Resampler:
    """Convert a stream; any cutting of the same audio gives the same samples.

    Args:
        source: The rate of what comes in, in Hz.
        target: The rate of what goes out, in Hz.
    """

    def __init__(self, source: int, target: int) -> None:
        self._same = source == target
        self._step = source / target
        # Below the lower of the two Nyquist frequencies, with room for the slope.
        self._cutoff = 0.95 * min(1.0, target / source)
        self._half = int(np.ceil(_CROSSINGS / self._cutoff))
        # Silence before the first sample, so that it has neighbours, too.
        self._held = np.zeros(self._half, np.float32)
        self._offset = -self._half  # which input sample is held first
        self._made = 0

    def convert(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give out what can be computed by now; the last few samples wait."""
        if self._same:
            return samples
        self._held = np.concatenate([self._held, samples])
        last = self._offset + len(self._held) - self._half - 1
        ready = int(np.floor(last / self._step)) - self._made + 1
        blocks = [np.empty(0, np.float32)]
        while ready > 0:
            blocks.append(self._compute(min(ready, _BLOCK)))
            ready -= len(blocks[-1])
        done = int(np.floor(self._made * self._step)) - self._half + 1 - self._offset
        if done > 0:
            self._held = self._held[done:]
            self._offset += done
        return np.concatenate(blocks)

    def flush(self) -> NDArray[np.float32]:
        """Give out what waits, as if silence followed; a later piece goes on."""
        if self._same:
            return np.empty(0, np.float32)
        later = self.convert(np.zeros(self._half, np.float32))
        # The silence was only thought of: what truly follows takes its place.
        self._held = self._held[: -self._half]
        return later

    def _compute(self, count: int) -> NDArray[np.float32]:
        places = (self._made + np.arange(count)) * self._step
        first = np.floor(places).astype(np.int64) - self._half + 1
        index = first[:, None] + np.arange(2 * self._half)
        away = (index - places[:, None]).astype(np.float32)
        window = 0.5 + 0.5 * np.cos(np.pi * away / self._half)
        kernel = self._cutoff * np.sinc(self._cutoff * away) * window
        self._made += count
        taken = self._held[index - self._offset]
        made: NDArray[np.float32] = (taken * kernel).sum(axis=1, dtype=np.float32)
        return made
