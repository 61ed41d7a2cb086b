"""The finals of a session, kept for as long as it is: as bytes, and not as objects.

Decides how a transcript is written down and made again: as the message that it came
as; or, where that does not say the same any more, by `marshal`. Python's collector
walks through every object that lives, again and again, and everything waits for that:
for a twentieth of a second where hundreds of streams keep a minute of words each. It
passes over bytes, which also take less than half of the room.
"""

from __future__ import annotations

import marshal
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any, overload

import attrs

from .events import Transcript, Word, raw_words
from .wire import parse

__all__ = ["Deltas"]

_FORMAT = 2
"""Of `marshal`: later ones look for objects that come twice, which takes longer."""

_TUPLE = b"("
"""What it begins a tuple with, and JSON nothing."""

_others = attrgetter("duration", "language", "channel", "request_id", "extra")


class Deltas(Sequence[Transcript]):
    """Final transcripts, in order; only ever appended to.

    Each is made when it is asked for: equal to what was appended, and not the same.
    That takes ten microseconds, so no lock should be held for many of them; a slice
    is `Deltas` again, and makes none.

    Args:
        kept, texts: What it has from the beginning.
    """

    __slots__ = ("_kept", "_texts")

    def __init__(
        self, kept: Iterable[bytes | Transcript] = (), texts: Iterable[str] = ()
    ) -> None:
        self._kept = list(kept)
        self._texts = list(texts)

    def append(self, event: Transcript, message: bytes = b"") -> None:
        """Keep one more.

        Args:
            event: It.
            message: What `wire.parse` makes just this of; none: not at hand.
        """
        self._kept.append(message or _written(event))
        self._texts.append(event.text)

    def texts(self, begin: int) -> list[str]:
        """The texts of all from the one of this number on."""
        return self._texts[begin:]

    def __len__(self) -> int:
        return len(self._kept)

    @overload
    def __getitem__(self, index: int) -> Transcript: ...
    @overload
    def __getitem__(self, index: slice) -> Deltas: ...
    def __getitem__(self, index: int | slice) -> Transcript | Deltas:
        if isinstance(index, slice):
            return Deltas(self._kept[index], self._texts[index])
        return _made(self._kept[index], self._texts[index])


def _written(event: Transcript) -> bytes | Transcript:
    words: Any = raw_words(event)
    if words and type(words[0]) is Word:
        words = tuple([attrs.astuple(word) for word in words])
    try:
        return marshal.dumps((words, *_others(event)), _FORMAT)
    except ValueError:  # of other things than JSON has, or nested a thousand deep
        return event


def _made(kept: bytes | Transcript, text: str) -> Transcript:
    if not isinstance(kept, bytes):
        return kept
    if not kept.startswith(_TUPLE):
        event = parse(kept)
        if isinstance(event, Transcript):
            return event
        # Nested so deep that whoever asks, deep down itself, has no room for it.
        return Transcript(text=text, is_final=True)
    fields: tuple[Any, ...] = marshal.loads(kept)
    words, duration, language, channel, request_id, extra = fields
    return Transcript(
        text=text,
        is_final=True,
        duration=duration,
        language=language,
        words=words,
        channel=channel,
        request_id=request_id,
        extra=extra,
    )
