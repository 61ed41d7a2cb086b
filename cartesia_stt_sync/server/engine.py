"""What turns sound into text: the interface, and the scripted engine.

Decides what an engine must offer and what the scripted one says when. Never
touches a socket, a thread or a clock: the server calls an engine off its own
loop, one call at a time for each listener.

An *engine* is shared by every stream and holds what is expensive (a model); a
*listener* is one stream's ear: it is fed, and says pieces of text. Anything with
these methods can stand in: pass it as ``LocalServer(engine=...)``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import attrs

from ..errors import ConfigError
from ..events import Word

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Engine", "Listener", "Piece", "ScriptedEngine"]


@attrs.frozen(kw_only=True)
class Piece:
    """A piece of text that a listener has heard.

    Attributes:
        text: The text, as it shall stand on the wire: the caller of the server
            joins the final ones with nothing between, so a piece that begins a
            new word begins with a space.
        is_final: Whether it stands, or the next piece replaces it.
        start: Where its audio begins, in seconds from the stream's first sample.
        end: Where its audio ends.
        words: Its words, in the same seconds.
    """

    text: str
    is_final: bool
    start: float
    end: float
    words: tuple[Word, ...] = ()


class Listener(Protocol):
    """One stream's ear. Each call may take long; they never overlap."""

    def feed(self, samples: NDArray[np.float32]) -> Iterable[Piece]:
        """Hear more: mono, -1 to 1, at the rate given to `Engine.open`."""

    def finalize(self) -> Iterable[Piece]:
        """Say all that was heard; what comes next is a new utterance."""

    def close(self) -> None:
        """Let go of what this stream holds. The last call."""


@runtime_checkable
class Engine(Protocol):
    """What all streams share.

    Attributes:
        name: What the server calls it in its log and on its front page.
        language: The only language it knows, or ``None`` where it does not care.
    """

    name: str
    language: str | None

    def load(self) -> None:
        """Fetch what is slow to fetch; called before the server opens its port."""

    def open(self, sample_rate: int) -> Listener:
        """Begin a stream of samples at ``sample_rate`` Hz."""


class ScriptedEngine:
    """Say given texts at given places of the audio, whatever the audio holds.

    For each ``(seconds, text)`` the text goes out as a final, byte for byte, in
    the moment the stream has received ``seconds`` of audio since its start. Half
    way there from the entry before (or the start), an interim of the same text
    goes out. So what is said depends on the audio's length only: not on the
    clock, not on how it is cut into messages.

    `finalize` and `close` say nothing early: what the script has not reached, the
    speaker has not said. Words are the text's, spread evenly over the time since
    the entry before.

    Args:
        script: The entries, in the order of their seconds.

    Raises:
        ConfigError: An entry is not a pair of a number and a text, or is out of
            order.
    """

    name = "scripted"
    language: str | None = None

    def __init__(self, script: Sequence[tuple[float, str]]) -> None:
        self._says = _timeline(script)

    def load(self) -> None:
        """Nothing to fetch."""

    def open(self, sample_rate: int) -> Listener:
        """Begin at the script's beginning."""
        return _Reader(self._says, sample_rate)


class _Reader:
    """One stream's place in the script."""

    def __init__(self, says: Sequence[tuple[float, Piece]], sample_rate: int) -> None:
        self._says = says
        self._rate = sample_rate
        self._samples = 0
        self._next = 0

    def feed(self, samples: NDArray[np.float32]) -> list[Piece]:
        self._samples += len(samples)
        heard = []
        while self._next < len(self._says):
            at, piece = self._says[self._next]
            # Rounded to a sample: 0.3 s is 4,800 of them, though 0.3 * 16000 is
            # not quite that in binary.
            if self._samples < round(at * self._rate):
                break
            heard.append(piece)
            self._next += 1
        return heard

    def finalize(self) -> list[Piece]:
        return []

    def close(self) -> None:
        pass


def _timeline(script: object) -> list[tuple[float, Piece]]:
    """Every interim and final of a script with the second at which it is said."""
    if isinstance(script, str) or not isinstance(script, Iterable):
        raise ConfigError(f"script: a list of (seconds, text) pairs, got {script!r}")
    says: list[tuple[float, Piece]] = []
    before = 0.0
    for index, entry in enumerate(script):
        seconds, text = _entry(index, entry)
        if seconds < before:
            raise ConfigError(
                f"script: seconds count from the stream's start and never go back, "
                f"got {seconds} after {before} in entry {index}"
            )
        words = _spread(text, before, seconds)
        middle = (before + seconds) / 2
        for at, final in ((middle, False), (seconds, True)):
            piece = Piece(
                text=text,
                is_final=final,
                start=before,
                end=at,
                words=words if final else (),
            )
            if final or seconds > before:
                says.append((at, piece))
        before = seconds
    return says


def _entry(index: int, entry: object) -> tuple[float, str]:
    problem = f"script: (seconds, text) pairs, got {entry!r} as entry {index}"
    if not isinstance(entry, (tuple, list)) or len(entry) != 2:
        raise ConfigError(problem)
    seconds, text = entry
    number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if not number or not isinstance(text, str):
        raise ConfigError(problem)
    if not 0 <= seconds < math.inf:
        raise ConfigError(
            f"script: seconds of at least 0, got {seconds} in entry {index}"
        )
    return float(seconds), text


def _spread(text: str, start: float, end: float) -> tuple[Word, ...]:
    """The words of ``text``, each as long as the other."""
    words = text.split()
    step = (end - start) / max(len(words), 1)
    return tuple(
        Word(word, round(start + step * i, 3), round(start + step * (i + 1), 3))
        for i, word in enumerate(words)
    )
