"""Several channels, a stream each: apart on the way in, in order on the way out.

Decides which bytes are whose, and whose text stands where. Pure: no clock, thread or
socket; holds a partial frame, and how far each channel's text has come.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import attrs

from ._validate import finite
from .audio import AudioFormat, is_array, view_of
from .errors import ConfigError
from .events import Transcript, Word
from .transcript import joined

__all__ = ["Merger", "Splitter", "stamped", "whole_of"]


class Splitter:
    """Takes what a caller feeds apart, without a look at what the samples say.

    Args:
        source: What is fed; two channels or more.

    Threads: one at a time.
    """

    def __init__(self, source: AudioFormat) -> None:
        self._source = source
        self._partial = b""

    @property
    def pending_bytes(self) -> int:
        """Bytes of a partial frame that wait for the rest of it."""
        return len(self._partial)

    def seconds(self, audio: Any) -> float:
        """How long a piece is; it is not taken yet.

        Raises:
            ConfigError: It cannot be audio of so many channels.
        """
        rate = self._source.sample_rate
        if is_array(audio):
            return len(self._checked(audio)) / rate
        return len(view_of(audio)) / (rate * self._source.frame_bytes)

    def split(self, audio: Any) -> list[Any]:
        """Take a piece apart: bytes give bytes for each channel, arrays give arrays."""
        import numpy as np

        channels = self._source.channels
        if is_array(audio):
            array = self._checked(audio)
            return [array[:, channel] for channel in range(channels)]
        data = self._partial + bytes(view_of(audio))
        whole = len(data) - len(data) % self._source.frame_bytes
        self._partial = data[whole:]
        width = self._source.frame_bytes // channels
        frames = np.frombuffer(data[:whole], np.uint8).reshape(-1, channels, width)
        return [frames[:, channel].tobytes() for channel in range(channels)]

    def _checked(self, audio: Any) -> Any:
        import numpy as np

        array = np.asarray(audio)
        if self._partial:
            raise ConfigError(
                f"audio: got an array while {len(self._partial)} bytes of a partial "
                "frame wait for their rest; feed bytes or arrays, not half of each"
            )
        if array.ndim != 2 or array.shape[1] != self._source.channels:
            raise ConfigError(
                'audio: channels="split" takes an array of shape (frames, '
                f"{self._source.channels}), got shape {array.shape}"
            )
        return array


def stamped(transcript: Transcript, channel: int) -> Transcript:
    """The same transcript, and whose it is."""
    words = transcript.words
    if words is not None:
        words = tuple(attrs.evolve(word, channel=channel) for word in words)
    return attrs.evolve(transcript, channel=channel, words=words)


class Merger:
    """Puts deltas of several channels in order of time, those of each in their own.

    A delta begins with its first word. Where it has none, it begins where the deltas
    before it in its channel end, by their durations.

    Args:
        channels: How many.
    """

    def __init__(self, channels: int) -> None:
        self._begun = [0.0] * channels  # when each channel's latest delta began
        self._ended = [0.0] * channels

    def merge(self, lanes: Sequence[Sequence[Transcript]]) -> list[Transcript]:
        """Put the next deltas of each channel in order."""
        timed = [
            (self._begin(channel, delta), delta)
            for channel, lane in enumerate(lanes)
            for delta in lane
        ]
        timed.sort(key=itemgetter(0))  # stable: each channel keeps its order
        return [delta for _, delta in timed]

    def _begin(self, channel: int, delta: Transcript) -> float:
        words: tuple[Word, ...] = delta.words or ()
        starts = [at for word in words if (at := finite(word.start)) is not None]
        ends = [at for word in words if (at := finite(word.end)) is not None]
        last = self._ended[channel]
        begun = max(starts[0] if starts else last, self._begun[channel])
        self._begun[channel] = begun
        length = finite(delta.duration) or 0.0
        self._ended[channel] = max(last + length, *ends[-1:], begun)
        return begun


def whole_of(lanes: Sequence[Sequence[Transcript]]) -> Transcript:
    """Everything that stands of all channels, as one transcript.

    Its text has a line for each change of the channel, its words are in order of time,
    and its duration is that of the longest channel.
    """
    lanes = [list(lane) for lane in lanes]  # each is made once
    deltas = Merger(len(lanes)).merge(lanes)
    words = [word for delta in deltas for word in delta.words or ()]
    words.sort(key=lambda word: word.start)
    spans = [
        sum(known)
        for lane in lanes
        if (known := [delta.duration for delta in lane if delta.duration is not None])
    ]
    return Transcript(
        text="".join(joined(deltas)),
        is_final=True,
        duration=max(spans) if spans else None,
        language=next((d.language for d in reversed(deltas) if d.language), None),
        words=tuple(words) if any(d.words is not None for d in deltas) else None,
        request_id=next((d.request_id for d in deltas if d.request_id), None),
    )
