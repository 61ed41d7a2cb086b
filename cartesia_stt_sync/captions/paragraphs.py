"""Paragraphs: a transcript to be read, without a clock.

Decides where one begins, from pauses and the ends of sentences. Who speaks is not
known, unless the channels say so.
"""

from __future__ import annotations

from collections.abc import Iterable

from .._validate import count, seconds
from ..events import Transcript
from ..transcript import whose
from .pieces import Piece
from .timing import in_ms, timed

__all__ = ["to_paragraphs"]


def to_paragraphs(
    transcript: Transcript | Iterable[Transcript],
    *,
    pause: float = 1.5,
    full: int = 500,
) -> tuple[str, ...]:
    """Break a transcript into paragraphs, for reading.

    A new one begins behind a sentence that a long pause follows, where a pause is
    twice as long, and with each line of the transcript and each change of the
    channel. Where no times are known there are no pauses.

    Args:
        transcript: What `to_captions` takes; here no times are needed.
        pause: Seconds of silence.
        full: Characters of a paragraph from which on any end of a sentence ends it.

    Returns:
        The paragraphs; blanks are single, and no text is dropped or added. Where
        channels are transcribed apart, each begins with its own, from 1: ``1: Hello``.

    Raises:
        ConfigError: An argument makes no sense.

    Threads: any.
    """
    long = in_ms(seconds("pause", pause, positive=True) or 0)
    count("full", full, least=1)
    found: list[list[str]] = []
    last: Piece | None = None
    size = 0
    for piece in timed(transcript):
        silence = 0 if last is None else piece.start - last.stop
        ended = piece.ease == 0 and (silence >= long or size >= full)
        changed = last is not None and piece.channel != last.channel
        if last is None or piece.turns or changed or ended or silence >= 2 * long:
            found.append([whose(piece.channel), piece.text])
            size = len(piece.text)
        else:
            found[-1] += (piece.glue, piece.text)
            size += piece.size
        last = piece
    return tuple("".join(parts) for parts in found)
