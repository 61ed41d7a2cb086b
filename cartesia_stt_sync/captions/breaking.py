"""Where captions and their lines break.

Decides it for a whole transcript at once, so that the sum of what is bad about its
captions is least. Knows nothing of how long each then stands, or how it is spelled.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import attrs

from .pieces import Piece

__all__ = ["Rules", "cut", "lines_of", "reading_time"]


@attrs.frozen(kw_only=True)
class Rules:
    """The limits, checked; times in milliseconds.

    Attributes:
        chars: On a line, at most.
        lines: Of a caption, at most.
        most: The longest that a caption stands.
        least: The shortest.
        pause: A longer silence ends a caption.
        apart: From the end of a caption to the next one, at least.
        cps: Characters that can be read in a second.
    """

    chars: int
    lines: int
    most: int
    least: int
    pause: int
    apart: int
    cps: float


def cut(pieces: list[Piece], rules: Rules) -> Iterator[list[Piece]]:
    """Break all pieces into those of each caption, so that the sum costs least."""
    # From the end: the cheapest way on from each piece, and where it breaks next.
    costs = [0.0] * (len(pieces) + 1)
    nexts = [0] * len(pieces)
    breaks = _breaks(pieces, rules)
    bulks = _bulks(rules)
    for begin in reversed(range(len(pieces))):
        cheapest = math.inf
        start, last = pieces[begin].start, len(pieces) - 1
        for end, chars, inside in _reach(pieces, begin, rules):
            cost = inside + breaks[end] + costs[end]
            empty, needed = bulks[min(chars, len(bulks) - 1)]
            room = pieces[end].start - start - rules.apart if end <= last else needed
            if room < needed:
                cost += 20.0 * (1 - room / needed)
            if cost + empty < cheapest:
                cheapest = cost + empty
                nexts[begin] = end
        costs[begin] = cheapest
    begin = 0
    while begin < len(pieces):
        yield pieces[begin : nexts[begin]]
        begin = nexts[begin]


def _breaks(pieces: list[Piece], rules: Rules) -> list[float]:
    """What a break before each piece costs, and one behind the last."""
    found = [0.0]
    for last, piece in pairwise(pieces):
        silence = (piece.start - last.stop) / (rules.pause or 1)
        found.append(4.0 * piece.ease - 6.0 * min(silence, 1.0))
    return [*found, 0.0]


def _bulks(rules: Rules) -> list[tuple[float, int]]:
    """For so many characters: what one more caption costs, half empty, and its time."""
    full = rules.chars * rules.lines
    return [
        (6.0 + 6.0 * (1 - chars / full) ** 2, reading_time(chars, rules))
        for chars in range(full + 1)
    ]


def _reach(
    pieces: list[Piece], begin: int, rules: Rules
) -> Iterator[tuple[int, int, float]]:
    """Each end that a caption may have, its characters, and what is bad inside."""
    first = pieces[begin]
    latest, channel, stop = first.start + rules.most, first.channel, first.stop
    lines, width, chars, inside = 1, len(first.text), len(first.text), 0.0
    yield begin + 1, chars, inside
    for number in range(begin + 1, len(pieces)):
        piece = pieces[number]
        if piece.start - stop > rules.pause or piece.channel != channel:
            return
        stop = piece.stop
        width += piece.size
        if width > rules.chars:
            lines, width = lines + 1, len(piece.text)
        if stop > latest or lines > rules.lines:
            return
        chars += piece.size
        # A sentence may end inside; what was put on another line had better not.
        if piece.ease == 0:
            inside += 25.0 if piece.turns else 7.0
        yield number + 1, chars, inside


def reading_time(chars: int, rules: Rules) -> int:
    """The milliseconds that a caption should stand, to be read."""
    return min(max(rules.least, round(1000 * chars / rules.cps)), rules.most)


def lines_of(pieces: list[Piece], chars: int) -> tuple[str, ...]:
    """Break a caption's pieces into the fewest lines, the best way there is."""
    whole = _line(pieces)
    if len(whole) <= chars or len(pieces) == 1:
        return (whole,)
    half = len(whole) / math.ceil(len(whole) / chars)
    # The best lines up to each piece: first by how many, then by how they look.
    best: list[tuple[int, float, int]] = [(0, 0.0, 0)]
    for end in range(1, len(pieces) + 1):
        ways = []
        width = 0
        for begin in reversed(range(end)):
            piece = pieces[begin]
            width += piece.size
            size = width - len(piece.glue)
            if size > chars and end - begin > 1:
                break
            cost = best[begin][1] + (size - half) ** 2 / half
            cost += 2.0 * piece.ease if begin else 0.0
            ways.append((best[begin][0] + 1, cost, begin))
        best.append(min(ways))
    found: list[str] = []
    end = len(pieces)
    while end:
        begin = best[end][2]
        found.append(_line(pieces[begin:end]))
        end = begin
    return tuple(reversed(found))


def _line(pieces: list[Piece]) -> str:
    return "".join(piece.glue + piece.text for piece in pieces)[len(pieces[0].glue) :]
