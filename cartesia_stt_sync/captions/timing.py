"""When each piece of a transcript was said.

Decides it from the words where the text has them, else from the durations, and puts
what has neither between its neighbours. Trusts no number: those that are none, or run
backwards, do not count. Never decides where anything breaks.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

from .._validate import finite
from ..errors import ConfigError
from ..events import Transcript, Word
from ..transcript import joined
from .pieces import Piece, split

__all__ = ["finals", "in_ms", "timed"]

_SLACK = 24
"""Characters of a text that may lie between two of its words unheard."""

_FAR = 1000
"""Characters, about a minute, beyond which a word is not looked for."""

_VERBOSE = 4
"""How much longer words may be than their text, as in "two hundred" for 200."""

_MS_A_CHARACTER = 66
"""What speech takes where nothing else tells: 15 characters a second."""

# What a service may spell otherwise in its words than in its text.
_QUOTES = str.maketrans({"\u2019": "'", "\u2018": "'"})
_AROUND = "\"'.,;:!?()[]…、。，．！？：；「」『』“”«»¿¡-–—"  # noqa: RUF001  # meant


class _Span(NamedTuple):
    """Characters of a text, and the milliseconds in which they were said."""

    begin: int
    end: int
    start: int
    stop: int
    channel: int | None = None

    def at(self, position: int) -> int:
        """When the character at a position begins, at an even pace."""
        share = (position - self.begin) / (self.end - self.begin)
        return self.start + round(share * (self.stop - self.start))


def finals(transcript: object) -> tuple[Transcript, ...]:
    """The final transcripts of those that came, or of the one that did.

    Raises:
        ConfigError: Neither came.
    """
    if isinstance(transcript, Transcript):
        transcript = (transcript,)
    found = tuple(transcript) if isinstance(transcript, Iterable) else (transcript,)
    for item in found:
        if not isinstance(item, Transcript):
            raise ConfigError(
                f"transcript: a Transcript, or several, got {type(item).__name__}"
            )
    return tuple(item for item in found if item.is_final)


def in_ms(span: float) -> int:
    """Seconds as milliseconds; clamped, since a service may send any number."""
    return round(min(max(span, 0.0), 1e9) * 1000)


def timed(transcript: object) -> list[Piece]:
    """The text in pieces: all with times, in order, or, where none is known, none.

    Raises:
        ConfigError: What came is no transcript.
    """
    deltas = finals(transcript)
    texts = tuple(joined(deltas))
    pieces = split("".join(texts), _seams(deltas, texts))
    spans = _spans(deltas)
    at = 0
    for piece in pieces:
        while at < len(spans) and spans[at].end <= piece.begin:
            at += 1
        here = at
        while here < len(spans) and spans[here].begin < piece.end:
            span = spans[here]
            if piece.start < 0:
                piece.start = span.at(max(span.begin, piece.begin))
                piece.channel = span.channel
            piece.stop = span.at(min(span.end, piece.end))
            here += 1
    _name_channels(pieces, deltas)
    if any(piece.start >= 0 for piece in pieces):
        _order(pieces)
        _fill(pieces)
    return pieces


def _seams(deltas: Sequence[Transcript], texts: Sequence[str]) -> list[int]:
    """Where another connection goes on: the service sends no blank between two."""
    ends = accumulate(map(len, texts))
    return [
        end
        for end, (last, delta) in zip(ends, pairwise(deltas), strict=False)
        if delta.channel == last.channel
        and delta.request_id
        and last.request_id not in (None, delta.request_id)
    ]


def _name_channels(pieces: list[Piece], deltas: Sequence[Transcript]) -> None:
    """Give a delta's channel to all its text, and one word's to all its line."""
    at = end = 0
    for delta, text in zip(deltas, joined(deltas), strict=True):
        end += len(text)
        while at < len(pieces) and pieces[at].begin < end:
            if delta.channel is not None:
                pieces[at].channel = delta.channel
            at += 1
    for last, piece in pairwise(pieces):
        if piece.channel is None and not piece.turns:
            piece.channel = last.channel
    for piece, last in pairwise(reversed(pieces)):
        if last.channel is None and not piece.turns:
            last.channel = piece.channel


def _order(pieces: list[Piece]) -> None:
    """Forget the fewest times, so that those left do not run backwards.

    One wild time, such as a word that ends next year, shall not spoil all behind it.
    """
    known = [piece for piece in pieces if piece.start >= 0]
    # Longest run that never descends: for each length the least last start.
    lasts: list[int] = []
    ends: list[int] = []
    before: list[int] = []
    for number, piece in enumerate(known):
        place = bisect_right(lasts, piece.start)
        before.append(ends[place - 1] if place else -1)
        lasts[place : place + 1] = [piece.start]
        ends[place : place + 1] = [number]
    kept = set()
    number = ends[-1]
    while number >= 0:
        kept.add(number)
        number = before[number]
    for number, piece in enumerate(known):
        if number not in kept:
            piece.start = piece.stop = -1
    for last, piece in pairwise([known[n] for n in sorted(kept)]):
        last.stop = min(last.stop, piece.start)


def _fill(pieces: list[Piece]) -> None:
    """Put pieces without times between their neighbours."""
    known = [n for n, piece in enumerate(pieces) if piece.start >= 0]
    for n in known:
        pieces[n].stop = max(pieces[n].stop, pieces[n].start)
    for begin, end in zip([-1, *known], [*known, len(pieces)], strict=True):
        run = pieces[begin + 1 : end]
        size = sum(len(piece.text) for piece in run)
        spoken = size * _MS_A_CHARACTER
        if begin < 0:
            stop = pieces[end].start
            start = max(stop - spoken, 0)
        else:
            start = pieces[begin].stop
            stop = pieces[end].start if end < len(pieces) else start + spoken
            if run and stop - start > 2 * spoken:
                # There is a pause, on the side where it reads better.
                if run[0].ease < pieces[end].ease:
                    start = stop - spoken
                else:
                    stop = start + spoken
        done = 0
        for piece in run:
            piece.start = start + (stop - start) * done // size
            done += len(piece.text)
            piece.stop = start + (stop - start) * done // size


def _spans(deltas: Sequence[Transcript]) -> list[_Span]:
    """What is known of when the characters of all texts were said."""
    found: list[_Span] = []
    clocks: dict[int | None, float | None] = {}  # of each channel; None: unknown
    begin = 0
    for delta, text in zip(deltas, joined(deltas), strict=True):
        spans = _said(text, [w for w in delta.words or () if _known(w)])
        clock, length = clocks.get(delta.channel, 0.0), finite(delta.duration)
        if clock is not None:
            clocks[delta.channel] = after = None if length is None else clock + length
            if text and not spans and after is not None:
                spans = [_Span(0, len(text), in_ms(clock), in_ms(after))]
        found += [s._replace(begin=s.begin + begin, end=s.end + begin) for s in spans]
        begin += len(text)
    return found


def _known(word: Word) -> bool:
    return None not in (finite(word.start), finite(word.end))


def _said(text: str, words: Sequence[Word]) -> list[_Span]:
    """Where the words stand in the text that they were taken from.

    Where channels were merged, each line is of that one whose next words it has.
    """
    lanes: dict[int | None, list[Word]] = {}
    for word in words:
        lanes.setdefault(word.channel, []).append(word)
    lines = text.splitlines(keepends=True) if len(lanes) > 1 else [text]
    heard = dict.fromkeys(lanes, 0)  # how many words of each lane are placed
    spans: list[_Span] = []
    begin = 0
    for line in lines if words else ():
        tried = [
            (*_found(line, lane, heard[channel]), channel)
            for channel, lane in lanes.items()
        ]
        _, used, found, channel = max(tried, key=lambda attempt: attempt[0])
        heard[channel] = used
        spans += [s._replace(begin=s.begin + begin, end=s.end + begin) for s in found]
        begin += len(line)
    if words and not spans:  # written otherwise than said
        start, stop = min(w.start for w in words), max(w.end for w in words)
        spans = [_Span(0, len(text), in_ms(start), in_ms(stop))] if text else []
    return spans


def _found(
    text: str, words: Sequence[Word], begin: int
) -> tuple[float, int, list[_Span]]:
    """Look for words in a text, one behind the other.

    Returns:
        How well they fit, the first that the text did not use, and where they stand.
    """
    folded = _fold(text)
    spans: list[_Span] = []
    at = missed = 0
    used = begin
    fit = 0.0
    for number in range(begin, len(words)):
        word = words[number]
        spelled = _fold(word.word.strip())
        said = spelled.strip(_AROUND) or spelled
        if at == len(folded) or missed > _VERBOSE * len(folded):
            break
        # The more words were in vain, the further on this one may be.
        most = at + min(2 * missed + _SLACK, _FAR) + len(said)
        place = _find(folded, said, at, most) if said else -1
        if place < 0:
            missed += len(said) + 1
            continue
        fit += len(said) - missed
        missed, used = 0, number + 1
        # Its marks are its own, where they stand in the text as well: the word behind
        # it may be nothing but such a mark.
        before, _, behind = spelled.partition(said)
        first, last = place - len(before), place + len(said)
        if first < at or not folded.startswith(before, first):
            first = place
        if folded.startswith(behind, last):
            last += len(behind)
        at = last
        start, stop = in_ms(word.start), in_ms(word.end)
        spans.append(_Span(first, last, start, stop, word.channel))
    return fit, used, spans


def _find(text: str, said: str, at: int, most: int) -> int:
    """Where a word stands first, and not inside of another; -1 where nowhere."""
    place = text.find(said, at, most)
    while place > at and _joins(text[place - 1]) and said[0].isalnum():
        if _without_blanks(text[place]):  # so no words to be inside of
            break
        place = text.find(said, place + 1, most)
    return place


def _joins(char: str) -> bool:
    return char.isalnum() or unicodedata.category(char)[0] == "M"


def _without_blanks(char: str) -> bool:
    """Whether its script, such as Thai, Khmer or Chinese, puts none between words."""
    return (
        char >= "\u2e80" or "\u0e00" <= char <= "\u109f" or "\u1780" <= char <= "\u17ff"
    )


def _fold(text: str) -> str:
    """Lower case, where that keeps each character's place."""
    low = text.lower()
    if len(low) != len(text):
        low = "".join(low if len(low := c.lower()) == 1 else c for c in text)
    return low.translate(_QUOTES)
