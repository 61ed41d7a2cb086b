"""What stands on the screen, from when to when.

Decides how long each caption stands, and checks the limits. Where captions break is
decided in `breaking`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from .._validate import count, finite, seconds
from ..errors import ConfigError
from ..events import Transcript
from .breaking import Rules, cut, lines_of, reading_time
from .pieces import Piece
from .timing import in_ms, timed

__all__ = ["Caption", "to_captions"]

_FLICKER = 500
"""Milliseconds: an empty screen that is shorter disturbs more than it helps."""

_LATE = 1500
"""Milliseconds that a caption may begin later than its words."""

_FASTEST = 10
"""Milliseconds for a character that is said faster than anybody speaks."""

_AHEAD = 50
"""Captions that are looked at to share the time there is, where it is short."""


_LATEST = 1e12
"""Seconds: beyond it a float has no milliseconds."""


def _a_channel(_: object, __: object, channel: int | None) -> None:
    if channel is not None:
        count("channel", channel)


def _no_breaks(_: object, __: object, lines: tuple[str, ...]) -> None:
    # An empty line would end the caption in a file, and the rest would be lost.
    if (
        not isinstance(lines, tuple)
        or not lines
        or not all(isinstance(line, str) and line.strip() for line in lines)
        or any(len(line.splitlines()) != 1 for line in lines)
    ):
        raise ConfigError(f"lines: a tuple of lines, none empty, got {lines!r}")


@attrs.frozen(kw_only=True)
class Caption:
    """Text on the screen, from when to when; ``str(caption)`` is its lines.

    Attributes:
        start: Seconds from the first audio.
        end: Seconds from the first audio, later than ``start``.
        lines: What is shown, from top to bottom.
        channel: Whose it is, from 0, where the channels are transcribed apart.
    """

    start: float
    end: float
    lines: tuple[str, ...] = attrs.field(validator=_no_breaks)
    channel: int | None = attrs.field(default=None, validator=_a_channel)

    def __attrs_post_init__(self) -> None:
        seconds("start", self.start, most=_LATEST)
        seconds("end", self.end, most=_LATEST)
        if round(self.end, 3) <= round(self.start, 3):
            raise ConfigError(f"end: seconds, later than start, got {self.end!r}")

    def __str__(self) -> str:
        return "\n".join(self.lines)


def to_captions(
    transcript: Transcript | Iterable[Transcript],
    *,
    max_chars: int = 42,
    max_lines: int = 2,
    max_seconds: float = 7.0,
    min_seconds: float = 1.0,
    max_cps: float = 20.0,
    pause: float = 1.0,
    min_gap: float = 0.08,
) -> tuple[Caption, ...]:
    """Break a transcript into captions.

    Lines end behind punctuation or before a conjunction where they can, those of
    one caption are about as long as each other, and captions never overlap. Each has
    one channel's words. All their texts joined are the transcript's, but for white
    space and control characters.

    Args:
        transcript: With words, or with a duration over which its text is spread. Or
            its deltas, ``t.finals()``, each with either; those that are not final
            do not count. Text with neither is put between its neighbours.
        max_chars: Characters on a line; only a longer single word has more. For
            Japanese 13 and for Chinese 16 are usual.
        max_lines: Lines of a caption.
        max_seconds: The longest that a caption stands.
        min_seconds: The shortest. Where that leaves no room, the next one begins
            later than its words, by 1.5 seconds at most: where that would not do, as
            in many short turns, captions are shorter.
        max_cps: Characters a second that can be read. A caption with more stands
            longer, where a pause follows.
        pause: Seconds; a longer silence always ends a caption.
        min_gap: Seconds from the end of a caption to the next one, so that the change
            is seen. A caption that would end less than half a second before that
            stands until then.

    Returns:
        The captions in order, in whole milliseconds; none where there is no text.

    Raises:
        ConfigError: A limit makes no sense, or no time is known at all.

    Threads: any.
    """
    least = seconds("min_seconds", min_seconds) or 0
    most = seconds("max_seconds", max_seconds, positive=True) or 0
    if least > most:
        raise ConfigError(f"min_seconds: at most max_seconds, got {min_seconds!r}")
    if (finite(max_cps) or 0) <= 0:
        raise ConfigError(f"max_cps: a number, more than 0, got {max_cps!r}")
    rules = Rules(
        chars=count("max_chars", max_chars, least=1, most=1000),
        lines=count("max_lines", max_lines, least=1, most=10),
        most=max(in_ms(most), 1),
        least=max(in_ms(least), 1),
        pause=in_ms(seconds("pause", pause) or 0),
        apart=in_ms(seconds("min_gap", min_gap) or 0),
        cps=max_cps,
    )
    pieces = timed(transcript)
    if pieces and pieces[0].start < 0:
        raise ConfigError(
            "transcript: words with times, or a duration, got neither; use a model "
            "that sends them, or attrs.evolve(transcript, duration=SECONDS) to have "
            "the text spread over that time"
        )
    return tuple(_shown(list(cut(pieces, rules)), rules))


def _shown(parts: list[list[Piece]], rules: Rules) -> Iterator[Caption]:
    """Give each caption its times and lines."""
    dues = list(_dues(parts))
    free = 0
    for number, pieces in enumerate(parts):
        start = max(pieces[0].start, free)
        chars = sum(piece.size for piece in pieces) - len(pieces[0].glue)
        stop = max(pieces[-1].stop, start + reading_time(chars, rules))
        if number + 1 < len(parts):
            room = parts[number + 1][0].start - rules.apart
            stop = room if room - _FLICKER < stop else stop
        least, gap = _least(start, dues[number + 1 : number + 1 + _AHEAD], rules)
        stop = min(max(stop, start + least), start + rules.most)
        free = stop + gap
        yield Caption(
            start=start / 1000,
            end=stop / 1000,
            lines=lines_of(pieces, rules.chars),
            channel=pieces[0].channel,
        )


def _dues(parts: list[list[Piece]]) -> Iterator[int]:
    """When each caption should begin: with its words, if they are no faster than any.

    Times that are all the same, as of a text that took no time, tell nothing.
    """
    at = 0
    for pieces in parts:
        at = max(at, pieces[0].start)
        yield at
        at += _FASTEST * sum(piece.size for piece in pieces)


def _least(start: int, dues: list[int], rules: Rules) -> tuple[int, int]:
    """How long a caption stands at least, and the gap behind it.

    Args:
        start: When it begins.
        dues: When those behind it should begin.
        rules: The limits.
    """
    whole = rules.least + rules.apart
    # None is too late if all up to it have equal parts of the time.
    shares = ((due + _LATE - start) // n for n, due in enumerate(dues, 1))
    share = max(min(shares, default=whole), 1)
    if share >= whole:
        return rules.least, rules.apart
    gap = min(rules.apart, max(share // 2, share - rules.least))
    return share - gap, gap
