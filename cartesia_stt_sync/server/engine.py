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

__all__ = ["Engine", "HearsVoice", "Listener", "Piece", "Script", "ScriptedEngine"]

Script = Sequence[tuple[float, str] | tuple[float, str, str]]
"""What the scripted engine says; see there."""

_TURN = ("update", "eager_end", "end")


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
        turn: On the Auto endpoint, how the turn stands with this piece, where its
            engine knows: ``"update"`` (it goes on), ``"eager_end"`` (perhaps it is
            over) or ``"end"``. From the first such piece on no pause ends a turn.
            ``None``: the pause that follows decides.
    """

    text: str
    is_final: bool
    start: float
    end: float
    words: tuple[Word, ...] = ()
    turn: str | None = None


class Listener(Protocol):
    """One stream's ear. Each call may take long; they never overlap.

    For the Auto endpoint it may have a method ``voice()`` besides, which returns the
    seconds of speech of which no final has come yet, and the seconds since the latest
    speech. Without it, a turn begins with its first piece, and the pause at the end
    of its latest one.
    """

    def feed(self, samples: NDArray[np.float32]) -> Iterable[Piece]:
        """Hear more: mono, -1 to 1, at the rate given to `Engine.open`."""

    def finalize(self) -> Iterable[Piece]:
        """Say all that was heard; what comes next is a new utterance."""

    def close(self) -> None:
        """Let go of what this stream holds. The last call."""


@runtime_checkable
class HearsVoice(Protocol):
    """What a listener can do that hears a voice before it has text."""

    def voice(self) -> tuple[float, float]:
        """How things stand at the end of what was fed.

        Returns:
            Seconds of speech of which no final has come yet; 0 where all was said.
            And seconds since the latest speech.
        """


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

    On the Auto endpoint each entry is a turn: it begins half way, where Manual has
    its interim, and its text and its end come at its second. A third element says
    otherwise: ``(seconds, text, "update")``, and the turn goes on with the next
    entry, whose text is added; ``(seconds, text, "eager_end")``, and it is perhaps
    over, until the next entry resumes it. ``"end"`` is the default. Manual takes no
    notice of it.

    Args:
        script: The entries, in the order of their seconds.

    Raises:
        ConfigError: An entry is none of these, or is out of order.
    """

    name = "scripted"
    language: str | None = None

    def __init__(self, script: Script) -> None:
        self._says = _timeline(script)

    def load(self) -> None:
        """Nothing to fetch."""

    def open(self, sample_rate: int) -> Listener:
        """Begin at the script's beginning."""
        return _Reader(self._says, sample_rate)

    def whole(self) -> list[Piece]:
        """All finals of the script, whatever there is to hear: for Batch."""
        return [piece for _, piece in self._says if piece.is_final]


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
        seconds, text, turn = _entry(index, entry)
        if seconds < before:
            raise ConfigError(
                f"script: seconds count from the stream's start and never go back, "
                f"got {seconds} after {before} in entry {index}"
            )
        middle = (before + seconds) / 2
        if seconds > before:
            interim = Piece(
                text=text, is_final=False, start=before, end=middle, turn="update"
            )
            says.append((middle, interim))
        final = Piece(
            text=text,
            is_final=True,
            start=before,
            end=seconds,
            words=_spread(text, before, seconds),
            turn=turn,
        )
        says.append((seconds, final))
        before = seconds
    return says


def _entry(index: int, entry: object) -> tuple[float, str, str]:
    problem = (
        f"script: (seconds, text) pairs, or with one of {', '.join(_TURN)} as their "
        f"third, got {entry!r} as entry {index}"
    )
    if not isinstance(entry, (tuple, list)) or len(entry) not in (2, 3):
        raise ConfigError(problem)
    seconds, text, turn = (*entry, "end")[:3]
    number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if not number or not isinstance(text, str) or turn not in _TURN:
        raise ConfigError(problem)
    if not 0 <= seconds < math.inf:
        raise ConfigError(
            f"script: seconds of at least 0, got {seconds} in entry {index}"
        )
    return float(seconds), text, turn


def _spread(text: str, start: float, end: float) -> tuple[Word, ...]:
    """The words of ``text``, each as long as the other."""
    words = text.split()
    step = (end - start) / max(len(words), 1)
    return tuple(
        Word(word, round(start + step * i, 3), round(start + step * (i + 1), 3))
        for i, word in enumerate(words)
    )
