"""What of the text after a reconnect had been said before it.

Decides how much of a transcript repeats words that are in the text already.
Only needed where the server gave finals neither a duration nor words: then
nobody knows how far they reached, all audio since the last answer is sent again,
and so its words come again. Pure: texts in, numbers out.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

import attrs

from .events import Transcript

__all__ = ["Seam"]

_WORDS = 8
"""Words that the fastest speaker says in a second."""

_ALIKE = 0.5
"""Share of words in common from which on two texts are taken for the same speech."""


class _Overlap(NamedTuple):
    """How a text lies over the words that are expected once more.

    Attributes:
        cut: Characters at the text's beginning that repeat.
        used: Expected words that are done with.
        differs: Whether the text is another one altogether.
    """

    cut: int
    used: int
    differs: bool = False


class Seam:
    """The words that finals have brought since the audio that would be sent again.

    ``note`` them as they come, ``forget`` them when their audio is answered,
    ``open`` the seam when the audio goes out again, and pass each transcript through
    `without_repeats`.

    Args:
        max_replay: Seconds of audio that may go out again.

    Attributes:
        again: What was said before and is yet to be heard again.
        differed: Whether a replay was heard as something else altogether.
    """

    __slots__ = ("_most", "_said", "again", "differed")

    def __init__(self, max_replay: float) -> None:
        self._most = round(max_replay * _WORDS)
        # No more than so many, and how much of the audio stood before each's end.
        self._said: list[tuple[str, float]] = []
        self.again: list[str] = []
        self.differed = False

    def note(self, text: str, *, placed: bool, sent: float = math.inf) -> None:
        """Note a final's words, after `trim`.

        Args:
            text: What is new in it.
            sent: How much of the caller's audio had been sent by then.
            placed: Whether the audio that it covers is known, so that it will
                not be sent again; but behind one of which that is not known,
                places are not to be relied on.
        """
        if self._said or not placed:
            self._said += [(word, sent) for word in _words(text)]
            del self._said[: max(0, len(self._said) - self._most)]

    def forget(self) -> None:
        """All audio so far is answered: nothing of it comes again."""
        self._said.clear()
        self.again = []

    def open(self, begin: float) -> None:
        """What is unanswered goes out again, and with it the words that were noted.

        Args:
            begin: How much of the caller's audio stands before that: what had been
                said by then does not come again.
        """
        self.again = [word for word, sent in self._said if sent > begin]

    def without_repeats(self, event: Transcript) -> Transcript:
        """Cut off what a replay has made the server say twice."""
        cut = self.trim(event.text, final=event.is_final)
        if not cut:
            return event
        words, gone = event.words, len(event.text[:cut].split())
        if words is not None and len(words) == len(event.text.split()):
            words = words[gone:]
        return attrs.evolve(event, text=event.text[cut:], words=words)

    def trim(self, text: str, *, final: bool) -> int:
        """Say how many characters at a transcript's beginning repeat.

        Args:
            text: Of the next transcript.
            final: Whether it stands: a provisional one comes again.
        """
        if not self.again:
            return 0
        over = _overlap(self.again, text)
        if final:
            self.again = [] if over.differs else self.again[over.used :]
            self.differed = self.differed or over.differs
        return over.cut


def _normal(word: str) -> str:
    # Recognisers that hear one sentence twice may put other commas into it.
    return "".join(filter(str.isalnum, word.casefold())) or word


def _words(text: str) -> list[str]:
    return [_normal(word) for word in text.split()]


def _overlap(again: list[str], text: str) -> _Overlap:
    ends = [match.end() for match in re.finditer(r"\S+", text)]
    heard = _words(text)
    if not heard:
        return _Overlap(0, 0)
    # Imported only here: few sessions are lost, and fewer in this way.
    from difflib import SequenceMatcher

    common = min(len(heard), len(again))
    # What repeats stands in front, and a server may send as much as it likes behind.
    front = heard[: 2 * len(again)]
    blocks = SequenceMatcher(None, again, front, autojunk=False).get_matching_blocks()
    blocks = [block for block in blocks if block.size]
    if sum(block.size for block in blocks) < _ALIKE * common:
        return _Overlap(0, 0, differs=True)
    last = blocks[-1]
    used, cut = last.a + last.size, last.b + last.size
    left_again, left_heard = len(again) - used, len(heard) - cut
    if left_heard <= left_again:
        # All of it lies within what was said: its last words were misheard, now or
        # before.
        used, cut = used + left_heard, len(heard)
    else:
        # From the last word that both have on it is new. A misheard word may so
        # come twice; the other choice could lose one.
        used = len(again)
    return _Overlap(len(text) if cut == len(heard) else ends[cut - 1], used)
