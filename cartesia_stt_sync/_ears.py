"""What is listened for in the audio on its way in: ends of utterances, and mistakes.

Decides who hears what, and runs the caller's endpointer. Numbers come out: nothing is
queued or told here, and no lock is held.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from .audio import AudioFormat, decode
from .checks import BLOCK, Finding, Listener
from .errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Ears", "Endpointer", "Heard"]

_MOST = 3.4e38
"""The largest float32, or nearly."""

_AT_ONCE = 10
"""Blocks that are measured at once, at least."""


class Endpointer(Protocol):
    """What `Transcriber` asks of an ``endpointer=``.

    Threads: its methods are called one at a time, by whoever feeds.
    """

    def start(self, sample_rate: int) -> None:
        """Begin to listen to a stream of this rate, in Hz."""

    def hear(self, samples: NDArray[np.float32]) -> Sequence[int]:
        """Listen to the next samples, of shape ``(frames,)`` and from -1 to 1.

        Returns:
            Where among them utterances are over, in frames from their beginning, in
            order; mostly none.
        """

    def reset(self) -> None:
        """Forget the utterance under way: the caller has ended it."""


class Heard(NamedTuple):
    """What a piece of audio had in it.

    Attributes:
        findings: What is wrong with it.
        levels: The root mean square, from 0 to 1, of each `BLOCK` that has come
            since there were some last.
        ends: Where in it an utterance is over, in bytes of the wire's format.
        untold: Blocks that have come and whose levels are still to be told.
    """

    findings: Sequence[Finding] = ()
    levels: tuple[float, ...] = ()
    ends: tuple[int, ...] = ()
    untold: float = 0.0


class Ears:
    """The listeners of one session.

    Args:
        source: What the caller feeds.
        wire: What becomes of it.
        endpointer: Who hears the ends of utterances, if anybody does.
        checks: Whether to listen for mistakes.

    Attributes:
        deaf: Whether nobody listens.
        hears_ends: Whether somebody listens for the ends of utterances.

    Threads: one at a time, that whose `feed` has its turn; but for `reset`.
    """

    __slots__ = (
        *("_begun", "_endpointer", "_levels", "_listener", "_reset", "_wire"),
        *("deaf", "hears_ends"),
    )

    def __init__(
        self,
        source: AudioFormat,
        wire: AudioFormat,
        *,
        endpointer: Endpointer | None,
        checks: bool,
    ) -> None:
        self._wire = wire
        self._endpointer = endpointer
        self.hears_ends = endpointer is not None
        self.deaf = endpointer is None and not checks
        self._listener = Listener(source) if checks else None
        self._levels = Levels(wire) if checks else None
        self._begun = self._reset = False

    def reset(self) -> None:
        """Note that the caller has ended an utterance; from any thread."""
        # The endpointer is told by the next feed: it is at work on one thread only.
        self._reset = True

    def hear(self, audio: Any, data: bytes, *, muted: bool) -> Heard:
        """Listen to a piece.

        Args:
            audio: As it was fed: bytes or an array.
            data: As it will be sent.
            muted: Whether silence is sent in its place.
        """
        findings: Sequence[Finding] = ()
        if self._listener is not None and not muted:
            findings = self._listener.listen(audio)
        levels: tuple[float, ...] = ()
        ends: tuple[int, ...] = ()
        untold = 0.0
        if self._levels is not None:
            levels, untold = self._levels.of(data), self._levels.untold
        if self._endpointer is not None and data:
            ends = self._ends(self._endpointer, data)
        return Heard(findings, levels, ends, untold)

    def _ends(self, endpointer: Endpointer, data: bytes) -> tuple[int, ...]:
        samples = decode(data, self._wire.encoding)
        if not self._begun:
            endpointer.start(self._wire.sample_rate)
            self._begun = True
        if self._reset:
            self._reset = False
            endpointer.reset()
        ends = _checked(endpointer.hear(samples), len(samples))
        width = self._wire.frame_bytes
        return tuple(end * width for end in ends)


def _checked(ends: Sequence[int] | None, frames: int) -> list[int]:
    """What somebody's endpointer returned, if audio can be cut there."""
    try:
        # NumPy's integers are welcome, floats are not.
        found = [index(end) for end in ends]  # type: ignore[union-attr]  # the except's
    except TypeError:
        found = [-1]
    if found != sorted(found) or any(not 0 <= end <= frames for end in found):
        raise ConfigError(
            "endpointer: hear() returns where among its samples utterances are over, "
            f"integers from 0 to {frames} in order, or []; got {ends!r}"
        )
    return found


class Levels:
    """The levels of audio, block by block, however it is cut.

    Several at a time: to measure one takes nearly as long as to measure all of them,
    and audio comes in pieces of 20 ms, from hundreds of callers.

    Args:
        audio: What it is; one channel.
    """

    __slots__ = ("_encoding", "_missing", "_pieces", "_size", "_width")

    def __init__(self, audio: AudioFormat) -> None:
        self._encoding = audio.encoding
        self._width = audio.frame_bytes
        self._size = max(1, round(audio.sample_rate * BLOCK))
        self._pieces: list[bytes] = []  # what has come since
        self._missing = self._enough  # bytes of as much as is measured at once

    @property
    def _enough(self) -> int:
        return _AT_ONCE * self._size * self._width

    @property
    def untold(self) -> float:
        """Blocks that have come since."""
        return (self._enough - self._missing) / (self._size * self._width)

    def of(self, data: bytes) -> tuple[float, ...]:
        """The root mean square of each block that there is; none before it is time."""
        if data:
            self._pieces.append(data)
        self._missing -= len(data)
        if self._missing > 0:
            return ()
        data = data if len(self._pieces) == 1 else b"".join(self._pieces)
        block = self._size * self._width
        over = len(data) % block
        self._pieces = [data[len(data) - over :]] if over else []
        self._missing = self._enough - over
        return self._measured(data[: len(data) - over])

    def _measured(self, data: bytes) -> tuple[float, ...]:
        import numpy as np

        blocks = decode(data, self._encoding).reshape(-1, self._size)
        with np.errstate(all="ignore"):
            power = np.einsum("ij,ij->i", blocks, blocks) / np.float32(self._size)
        # NaN is no level, and infinity a large one.
        return tuple(np.sqrt(np.fmin(np.fmax(power, 0.0), _MOST)).tolist())
