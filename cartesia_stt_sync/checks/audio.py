"""What is wrong with the audio itself: not what was declared, too loud, dead.

Decides from the samples alone. Looks closely at the first seconds with something to
hear in them, and later at one block in ten: hundreds of streams share a processor.
NumPy does the arithmetic and is imported by the first call.
"""

from __future__ import annotations

from typing import Any

from .._samples import decode, normalize
from ..audio import AudioFormat
from .container import container_of, file_in_audio
from .finding import Finding, partial_sample
from .level import Level
from .misread import CLOSELY, Misread

__all__ = ["Listener"]

_BLOCK = 0.5
"""Seconds that are judged at once, at most: so that five chunks of 100 ms are enough,
and are not kept until the sixth has come."""

_ALIGNED = 48
"""Bytes that hold whole frames of every encoding, in one channel and in two."""


class Listener:
    """Listens to audio as it is fed.

    Args:
        audio: What it is declared to be.

    Threads: one at a time.
    """

    __slots__ = (
        *("_audio", "_frame", "_known", "_level", "_misread", "_missing", "_odd"),
        *("_pieces", "_size", "_skip", "_sounding", "_wrong"),
    )

    def __init__(self, audio: AudioFormat) -> None:
        self._audio = audio
        self._frame = audio.frame_bytes
        unit = _ALIGNED * audio.frame_bytes
        seconds = audio.sample_rate * audio.frame_bytes * _BLOCK
        self._size = max(1, int(seconds / unit)) * unit  # bytes of a block
        # Of the block under way. Bytes are not copied: mostly the same ones are kept
        # until they are sent and answered.
        self._pieces: list[bytes] = []
        self._missing = self._size  # bytes of that block
        self._odd = 0  # bytes of a frame whose rest has not come
        self._skip = 0  # bytes until the next block
        self._sounding = 0  # bytes of arrays with something to hear in them
        self._known: set[str] = set()
        self._wrong = False  # whether the level is one of something else
        self._misread = Misread(audio)
        self._level = Level(audio)

    def listen(self, audio: Any) -> list[Finding]:
        """Listen to what a caller feeds, bytes or an array."""
        if type(audio) is bytes:
            return self.hear(audio)
        if hasattr(audio, "__array__"):
            return self.hear_array(audio)
        return self.hear(memoryview(audio).cast("B"))

    def hear(self, data: bytes | memoryview) -> list[Finding]:
        """Listen to bytes.

        Args:
            data: The next of them, cut anywhere.

        Returns:
            What has come to light; each kind once.
        """
        found: list[Finding] = []
        self._odd = (self._odd + len(data)) % self._frame
        kind = container_of(bytes(data[:2048]))
        if kind is not None:
            found.append(file_in_audio(kind))
            self._misread.over = True  # it has been told what it is
        elif self._skip >= len(data):  # as mostly, once the first seconds are over
            self._skip -= len(data)
            return found
        at = 0
        while at < len(data):
            if self._skip:
                step = min(self._skip, len(data) - at)
                self._skip -= step
            else:
                step = min(self._missing, len(data) - at)
                self._pieces.append(bytes(data[at : at + step]))
                self._missing -= step
            at += step
            if not self._missing:
                found += self._judge(self._take())
        return self._new(found)

    def hear_array(self, array: Any) -> list[Finding]:
        """Listen to an array of shape ``(frames,)`` or ``(frames, channels)``."""
        import numpy as np

        values = np.asarray(array)
        if not values.size:
            return []
        size = len(values) * self._frame  # what its frames would take as declared
        if self._skip >= size:
            self._skip -= size
            return []
        closely = self._sounding < CLOSELY * self._size
        self._skip = 0 if closely else (CLOSELY - 1) * size
        sounding = self._level.sounding
        samples = normalize(values).reshape(len(values), -1)
        seconds = len(samples) / self._audio.sample_rate * (1 if closely else CLOSELY)
        with np.errstate(all="ignore"):
            found = self._level.judge(samples, seconds, trusted=True)
        if self._level.sounding > sounding:
            self._sounding += size
        return self._new(found)

    def end(self) -> list[Finding]:
        """Judge what there was, also if it was too little to be judged on the way.

        Returns:
            What comes to light thereby. Of a recording that is whole it can be said
            that it is silent, though it has lasted for two seconds.
        """
        frame = self._audio.frame_bytes
        block = self._take()
        whole = len(block) - len(block) % frame
        found = self._judge(block[:whole]) if whole else []
        misread = self._misread.end()
        if misread is not None:
            found += self._noted(misread)
        if self._odd:
            found.append(partial_sample(self._odd))
        if not self._wrong:
            found += self._level.end(trusted=self._misread.trusted)
        return self._new(found)

    def _take(self) -> bytes:
        """Take out what there is of a block."""
        block = b"".join(self._pieces)
        self._pieces, self._missing = [], self._size
        return block

    def _judge(self, block: bytes) -> list[Finding]:
        import numpy as np

        # What was declared wrongly is read as numbers that no sound has.
        with np.errstate(all="ignore"):
            return self._judge_any(block)

    def _judge_any(self, block: bytes) -> list[Finding]:
        audio, found = self._audio, list[Finding]()
        samples = decode(block, audio.encoding).reshape(-1, audio.channels)
        closely = self._level.sounding < CLOSELY and not self._wrong
        seconds = len(samples) / audio.sample_rate * (1 if closely else CLOSELY)
        self._skip = 0 if closely else (CLOSELY - 1) * self._size
        misread = self._misread.judge(block, samples)
        if misread is not None:
            found += self._noted(misread)
        if not self._wrong:
            found += self._level.judge(samples, seconds, trusted=self._misread.trusted)
        return found

    def _noted(self, misread: Finding) -> list[Finding]:
        # What is loud, quiet or shifted then, is so because it is read wrongly.
        self._wrong = misread.code == "wrong-encoding"
        return [misread]

    def _new(self, found: list[Finding]) -> list[Finding]:
        new: list[Finding] = []
        for finding in found:
            if finding.code not in self._known:
                self._known.add(finding.code)
                new.append(finding)
        return new
