"""What of a text is never broken, and how well a break before each piece reads.

Decides by the characters alone; the words that a line should not end with are
English. Knows no times, no limits.
"""

# ruff: noqa: RUF001  # the punctuation of other scripts is meant

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from itertools import pairwise

import attrs

__all__ = ["ALONE", "Piece", "split"]

# White space breaks, and so do control characters, which no file should hold.
_BLANK = r"\s\x00-\x1f\x7f-\x9f"

# Scripts without blanks may break between any two characters, but not before what
# closes, lengthens or combines, nor behind what opens. Thai, Lao, Khmer and Burmese
# would need a dictionary: what has no blank in it stays whole.
_OPEN = "「『（【〈《〔"
_CLOSE = (
    "、。，．！？：；）」』】〉》〕…‥ー〜～・々ゝゞヽヾ％ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ"
    "\u3099-\u309c\u0300-\u036f\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef"
)
_WIDE = "\u2e80-\u2fff\u3001-\u9fff\uf900-\ufaff\U00020000-\U0003fffd"
_PIECE = re.compile(rf"[{_OPEN}]*(?:[{_WIDE}]|[^{_BLANK}{_WIDE}]+)[{_CLOSE}]*")

_SENTENCE = re.compile(r"[.!?…。！？؟۔।][\"'”’»)\]」』）]*$")
_CLAUSE = re.compile(r"[,;:–—、，；：،؛][\"'”’»)\]」』）]*$")
_SHORTENED = re.compile(
    r"\W*(?:mr|mrs|ms|dr|st|prof|vs|jr|sr|rev|gen|col|capt|sgt|lt|[a-z]|\w\.\w)\.$",
    re.IGNORECASE,
)
_CONJUNCTIONS = frozenset(
    "and but or nor so yet because although though since unless until while when "
    "where which who whose that if whether as than".split()
)
_PREPOSITIONS = frozenset(
    "of to in on at by for from with without about into onto over under between "
    "through during after before against".split()
)
_ARTICLES = frozenset(("a", "an", "the"))

ALONE = 20
"""The ease of a break that costs more than any other, so it is hardly ever made."""


@attrs.define
class Piece:
    """What is never broken: a word, or a character of a script without blanks.

    Attributes:
        text: As it stands in the transcript.
        begin: Where its first character stands there.
        glue: What stands before it on a line: a blank or nothing.
        turns: Whether a line of the transcript begins with it.
        ease: How well a break before it reads: 0 is best, 5 bad, 8 wrong; see `ALONE`.
        start: Milliseconds from the first audio; less than 0 where not known.
        stop: Milliseconds from the first audio.
        channel: Whose it is, if known.
    """

    text: str
    begin: int
    glue: str = ""
    turns: bool = False
    ease: int = ALONE
    start: int = -1
    stop: int = -1
    channel: int | None = None
    end: int = attrs.field(init=False)
    size: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.end = self.begin + len(self.text)
        self.size = len(self.glue) + len(self.text)


def split(text: str, seams: Collection[int] = ()) -> list[Piece]:
    """Take a text apart; joined again it is the same, but for white space.

    Args:
        text: All of it.
        seams: Where a word ends, though there may be no blank.
    """
    found: list[Piece] = []
    end = 0
    for begin, stop in _places(text, seams):
        between = text[end:begin]
        glue = " " if found and (between or begin in seams) else ""
        piece = Piece(text[begin:stop], begin, glue, "\n" in between)
        if found:
            piece.ease = _ease(found[-1], piece)
        end = stop
        found.append(piece)
    return found


def _places(text: str, seams: Collection[int]) -> Iterator[tuple[int, int]]:
    """Where pieces begin and end; none goes on over a seam."""
    for match in _PIECE.finditer(text):
        begin, end = match.span()
        inside = [seam for seam in seams if begin < seam < end] if seams else []
        yield from pairwise((begin, *inside, end))


def _ease(last: Piece, piece: Piece) -> int:
    """How well a break between two pieces reads."""
    if piece.turns:
        return 0
    if piece.text[0] in "!?:;»%€)" or last.text[-1] in "«(":  # French has blanks there
        return ALONE
    if _SHORTENED.match(last.text):
        return 8  # a title belongs to its name
    if _SENTENCE.search(last.text):
        return 4 if piece.text[0].islower() else 0
    if _CLAUSE.search(last.text):
        return 2
    if not piece.glue and "\u3041" <= piece.text[0] <= "\u309f":
        return 5  # Japanese: hiragana mostly goes on with the word before it
    before = last.text.lower()
    if before in _ARTICLES or before in _PREPOSITIONS:
        return 5
    word = piece.text.lower().strip("\"'“‘(")
    return 3 if word in _CONJUNCTIONS or word in _PREPOSITIONS else 4
