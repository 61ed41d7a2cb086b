"""Where speech begins and ends: the stream cut into segments.

Decides it from a voice detector's verdict on each short window. Values in, values
out: never touches a clock, a thread, a socket or a recogniser.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["RATE", "Detector", "Segment", "Segmenter"]

RATE = 16_000
"""Samples a second, of everything in here and of both recognisers."""

_PRE_ROLL = 0.3
"""Seconds kept from before the detector noticed: soft consonants come first."""

_SILENCE = 0.6
"""Seconds of silence that end a segment."""

_LONG, _SHORT_SILENCE = 12.0, 0.2
"""Seconds after which so much silence is enough: better there than in a word."""

_KEPT_SILENCE = 0.3
"""Seconds of that silence which stay with the segment: a word fades out."""

_LONGEST = 20.0
"""Seconds after which a segment ends even in mid-speech: decoding is quadratic."""

_SHORTEST = 0.09
"""Seconds of speech below which it was a click; the recogniser invents words."""


@attrs.frozen
class Detector:
    """A voice detector for one stream.

    Attributes:
        window: How many samples it judges at once.
        speech: From that many samples, whether there is speech in them; told
            whether there was before, so that it may be harder to start than to
            go on.
    """

    window: int
    speech: Callable[[NDArray[np.float32], bool], bool]


@attrs.frozen(eq=False)
class Segment:
    """A stretch of the stream with speech in it.

    Attributes:
        samples: Its audio.
        start: Where it begins, in seconds from the stream's start.
    """

    samples: NDArray[np.float32]
    start: float

    @property
    def end(self) -> float:
        """Where it ends, in seconds from the stream's start."""
        return self.start + len(self.samples) / RATE


class Segmenter:
    """Cut a stream into segments as it comes.

    Args:
        detector: What tells speech from silence; used by this stream alone.
    """

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._rest = np.empty(0, np.float32)  # less than a window
        self._heard: list[NDArray[np.float32]] = []  # windows: pre-roll, then speech
        self._size = 0  # samples in them
        self._taken = 0  # samples of the stream up to and with them
        self._speaking = False
        self._voiced = 0  # samples judged as speech in this segment
        self._quiet = 0  # samples of silence at its end
        self._heard_at = 0  # samples of the stream up to the latest speech

    def feed(self, samples: NDArray[np.float32]) -> list[Segment]:
        """Take more of the stream; give out the segments that have ended in it."""
        samples = np.concatenate([self._rest, samples])
        width = self._detector.window
        whole = len(samples) - len(samples) % width
        self._rest = samples[whole:]
        ended = []
        for at in range(0, whole, width):
            segment = self._judge(samples[at : at + width])
            if segment is not None:
                ended.append(segment)
        return ended

    def current(self) -> Segment | None:
        """The segment that has begun and not ended, as far as it was heard."""
        if not self._speaking or not self._is_long_enough:
            return None
        return Segment(np.concatenate(self._heard), self._start)

    def flush(self) -> Segment | None:
        """End the segment here, if there is one; what follows starts afresh."""
        rest, self._rest = self._rest, np.empty(0, np.float32)
        self._append(rest)
        segment = self._end() if self._speaking else None
        # Nothing of what was transcribed may be heard again as a pre-roll.
        self._heard, self._size = [], 0
        return segment

    def voice(self) -> tuple[float, float]:
        """Seconds of speech in the segment that has begun, and seconds since any."""
        speech = self._voiced / RATE if self._is_long_enough else 0.0
        return speech, (self._taken - self._heard_at) / RATE

    @property
    def _start(self) -> float:
        return (self._taken - self._size) / RATE

    @property
    def _is_long_enough(self) -> bool:
        return self._voiced >= _SHORTEST * RATE

    @property
    def _is_over(self) -> bool:
        enough = _SILENCE if self._size < _LONG * RATE else _SHORT_SILENCE
        return self._quiet >= enough * RATE or self._size >= _LONGEST * RATE

    def _judge(self, window: NDArray[np.float32]) -> Segment | None:
        speech = self._detector.speech(window, self._speaking)
        self._append(window)
        if speech:
            self._speaking = True
            self._voiced += len(window)
            self._quiet = 0
            if self._is_long_enough:  # else it may be a click
                self._heard_at = self._taken
        elif self._speaking:
            self._quiet += len(window)
        if not self._speaking:
            self._trim(_PRE_ROLL)
        elif self._is_over:
            return self._end()
        return None

    def _append(self, window: NDArray[np.float32]) -> None:
        self._heard.append(window)
        self._size += len(window)
        self._taken += len(window)

    def _trim(self, seconds: float) -> None:
        while self._size - len(self._heard[0]) >= seconds * RATE:
            self._size -= len(self._heard.pop(0))

    def _end(self) -> Segment | None:
        """Close the segment; its last silence is the next one's pre-roll."""
        spare = max(self._quiet - int(_KEPT_SILENCE * RATE), 0)
        samples = np.concatenate(self._heard)
        cut = len(samples) - spare
        segment = Segment(samples[:cut], self._start) if self._is_long_enough else None
        self._heard, self._size = [samples[cut:]], spare
        self._speaking, self._voiced, self._quiet = False, 0, 0
        return segment
