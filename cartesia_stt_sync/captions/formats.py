"""How captions and transcripts are spelled: SubRip, WebVTT, and what JSON takes.

Decides the spelling alone. Opens no file: what comes out is text, or a dict.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any, cast

from .._validate import finite
from ..events import Transcript, Word
from ..transcript import joined, whole, whose
from .showing import Caption, to_captions
from .timing import finals

__all__ = ["to_dict", "to_srt", "to_webvtt"]


def to_srt(captions: Iterable[Caption] | Transcript | Iterable[Transcript]) -> str:
    """Write SubRip (``.srt``), which players and editors take.

    Args:
        captions: Those of `to_captions`, in any order; or what it takes, for its
            defaults.

    Returns:
        The file's text. The format has no way to escape, so ``<i>`` in a text is
        markup to a player; ``-->``, which stands between times, becomes an arrow.
        Where channels are transcribed apart, each caption begins with its own, from
        1: ``1: Hello``. ``max_chars`` does not count that.

    Raises:
        ConfigError: See `to_captions`.

    Threads: any.
    """
    return "\n".join(
        f"{number}\n{_stamp(c.start, ',')} --> {_stamp(c.end, ',')}\n"
        + whose(c.channel)
        + str(c).replace("-->", "\u2192")
        + "\n"
        for number, c in enumerate(_made(captions), 1)
    )


def to_webvtt(captions: Iterable[Caption] | Transcript | Iterable[Transcript]) -> str:
    """Write WebVTT (``.vtt``), which browsers take.

    Args:
        captions: Those of `to_captions`, in any order; or what it takes, for its
            defaults.

    Returns:
        The file's text. What could be markup is escaped; where channels are
        transcribed apart, each caption has its voice, from 1: ``<v Channel 1>``.

    Raises:
        ConfigError: See `to_captions`.

    Threads: any.
    """
    # Two line breaks end the header, also where nothing follows it.
    return "WEBVTT\n\n" + "\n".join(
        f"{_stamp(c.start, '.')} --> {_stamp(c.end, '.')}\n"
        + ("" if c.channel is None else f"<v Channel {c.channel + 1}>")
        + str(c).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        + "\n"
        for c in _made(captions)
    )


def to_dict(transcript: Transcript | Iterable[Transcript]) -> dict[str, Any]:
    """Make what JSON takes of a transcript, or of its deltas.

    Returns:
        ``text``, byte for byte; ``language``, ``duration`` (seconds) and ``words``,
        each ``None`` where not known. A word has ``word``, ``start`` and ``end``, in
        seconds. Where channels are transcribed apart, each word has its ``channel``,
        from 0, and where deltas came there is ``lines``: for each line of the text,
        that is for each change of the channel, a ``channel`` and its ``text``.

    Raises:
        ConfigError: Neither came.

    Threads: any.
    """
    deltas = finals(transcript)
    text = "".join(joined(deltas))
    all_of_it = whole(deltas, text)
    said = all_of_it.words
    words = None if said is None else [_word(word) for word in said]
    found = {
        "text": text,
        "language": all_of_it.language,
        "duration": finite(all_of_it.duration),
        "words": words,
    }
    if any(delta.channel is not None for delta in deltas):
        runs = groupby(deltas, key=lambda delta: delta.channel)
        found["lines"] = [
            {"channel": channel, "text": "".join(delta.text for delta in run)}
            for channel, run in runs
        ]
    return found


def _word(word: Word) -> dict[str, Any]:
    # JSON has no NaN.
    start, end = finite(word.start), finite(word.end)
    found = {"word": word.word, "start": start, "end": end}
    return found if word.channel is None else found | {"channel": word.channel}


def _stamp(at: float, point: str) -> str:
    minutes, ms = divmod(round(at * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{ms // 1000:02}{point}{ms % 1000:03}"


def _made(source: object) -> tuple[Caption, ...]:
    """The captions that came, in order, or those of what came."""
    if isinstance(source, Iterable) and not isinstance(source, Transcript):
        source = tuple(source)
        if source and all(isinstance(item, Caption) for item in source):
            return tuple(sorted(source, key=lambda caption: caption.start))
    return to_captions(cast("Transcript | tuple[Transcript, ...]", source))
