"""Joining deltas: the whole transcript is the finals' texts, byte for byte.

Decides what the text is so far. No strip, no blank added, nothing dropped: the
service puts the blanks where they belong. Touches no clock, thread or socket.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from ._deltas import Deltas
from .events import Transcript, raw_words

__all__ = ["Assembler", "joined", "whole", "whose"]


def whose(channel: int | None) -> str:
    """What stands before a channel's text where people read it; they count from 1."""
    return "" if channel is None else f"{channel + 1}: "


def joined(deltas: Iterable[Transcript]) -> Iterator[str]:
    """The texts of deltas, to be joined: a new line for each change of the channel."""
    last: Transcript | None = None
    for delta in deltas:
        changed = last is not None and delta.channel != last.channel
        yield "\n" + delta.text if changed else delta.text
        last = delta


class Assembler:
    """Everything final that came, in order, and the provisional tail after it.

    Attributes:
        deltas: The final transcripts; only ever appended to.
        tail: The provisional transcript behind them, if one stands.
    """

    __slots__ = ("_joined", "_text", "_utterance", "deltas", "tail")

    def __init__(self) -> None:
        self.deltas = Deltas()
        self.tail: Transcript | None = None
        self._text = ""
        self._joined = 0  # how many deltas _text holds already
        self._utterance = 0  # the first delta of the utterance under way

    @property
    def text(self) -> str:
        """All final text so far."""
        if self._joined < len(self.deltas):
            self._text += "".join(self.deltas.texts(self._joined))
            self._joined = len(self.deltas)
        return self._text

    @property
    def partial(self) -> str:
        """The provisional tail behind `text`; empty where none stands."""
        return self.tail.text if self.tail is not None else ""

    def add(self, transcript: Transcript, message: bytes = b"") -> None:
        """Take in the next transcript: each replaces the tail, a final also stays.

        Args:
            transcript: It.
            message: As which it came; none: that is not at hand, or not the same.
        """
        if transcript.is_final:
            self.deltas.append(transcript, message)
            self.tail = None
        else:
            self.tail = transcript

    def end_utterance(self) -> str:
        """Return the text of all finals since the last call.

        A final that comes right after its ``flush_done`` is kept all the same:
        it opens the next utterance, and `text` is whole either way.
        """
        begin, self._utterance = self._utterance, len(self.deltas)
        return "".join(self.deltas.texts(begin))


def whole(deltas: Sequence[Transcript], text: str) -> Transcript:
    """Several deltas as one transcript.

    Its words are there if any delta had some, its duration is the sum, its language and
    request are the latest named.

    Args:
        deltas: They, in order.
        text: All of their text.
    """
    deltas = list(deltas)  # each is made once
    spans = [d.duration for d in deltas if d.duration is not None]
    timed: list[Any] = [words for d in deltas if (words := raw_words(d)) is not None]
    if any(words and type(words[0]) is not tuple for words in timed):
        timed = [d.words for d in deltas if d.words is not None]
    return Transcript(
        text=text,
        is_final=True,
        duration=sum(spans) if spans else None,
        language=next((d.language for d in reversed(deltas) if d.language), None),
        words=tuple(chain.from_iterable(timed)) if timed else None,
        request_id=next((d.request_id for d in reversed(deltas) if d.request_id), None),
    )
