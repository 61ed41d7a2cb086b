"""What became of one recording: its text, its captions, its line of JSON.

Decides what is made of a recording that failed, or of which nobody knows the times.
Writes nothing: that is `outputs`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from cartesia_stt_sync import (
    Caption,
    ConfigError,
    Finding,
    Stats,
    Transcript,
    Word,
    to_captions,
    to_dict,
)

from .exits import reason_of

__all__ = ["Result"]

_CPS = 15.0
"""Characters a second of speech, where nothing else tells how long it took."""

_NO_TEXT = Transcript(text="", is_final=True)


@attrs.frozen(kw_only=True)
class Result:
    """What became of one recording.

    Attributes:
        name: Its name, as given.
        transcript: Its text, as far as it came.
        deltas: The pieces in which it came.
        stats: The session's figures, or ``None`` where there was no session.
        length: Its seconds, where no session counted them; ``None``: not known.
        findings: What was noticed.
        error: Why it is not whole, or ``None``.
    """

    name: str
    transcript: Transcript = _NO_TEXT
    deltas: tuple[Transcript, ...] = ()
    stats: Stats | None = None
    length: float | None = None
    findings: tuple[Finding, ...] = ()
    error: BaseException | None = None

    @property
    def apart(self) -> bool:
        """Whether it is known which channel said what."""
        return any(delta.channel is not None for delta in self.deltas)

    @property
    def came(self) -> bool:
        """Whether anything came of it: text, or the news that there is none."""
        return self.error is None or bool(self.transcript.text)

    @property
    def guessed(self) -> bool:
        """Whether there is text, and nobody has said when any of it was spoken."""
        return any(delta.text for delta in self.deltas) and not any(
            delta.words or delta.duration for delta in self.deltas
        )

    def as_dict(self) -> dict[str, Any]:
        """What ``-f json`` prints."""
        fed = self.transcript.duration
        if self.stats is not None:
            fed = round(self.stats.fed_seconds, 3)
        return {
            "file": self.name,
            **to_dict(self.deltas if self.apart else self.transcript),
            "duration": fed,
            "stats": None if self.stats is None else attrs.asdict(self.stats),
            "findings": [attrs.asdict(finding) for finding in self.findings],
            "error": None if self.error is None else _error(self.error),
        }

    def captions(self) -> tuple[Caption, ...]:
        """What ``-f srt`` and ``-f vtt`` write."""
        try:
            return to_captions(self.deltas)
        except ConfigError:
            # Text that was paid for is not thrown away for want of times: it is
            # spread over the recording.
            fed = self.length if self.stats is None else self.stats.fed_seconds
            fed = fed or len(self.transcript.text) / _CPS
            if self.apart:
                return to_captions(tuple(_spread(self.deltas, fed)))
            return to_captions(attrs.evolve(self.transcript, duration=fed))


def _spread(deltas: Sequence[Transcript], seconds: float) -> Iterator[Transcript]:
    """Give each delta's text its share of the time, as one long word."""
    size = sum(len(delta.text) for delta in deltas) or 1
    at = 0
    for delta in deltas:
        start, at = at, at + len(delta.text)
        told = Word(delta.text, seconds * start / size, seconds * at / size)
        yield attrs.evolve(delta, words=(told,))


def _error(error: BaseException) -> dict[str, Any]:
    return {
        "type": type(error).__name__,
        "message": reason_of(error),
        # Errors of the library's own have these.
        "status_code": getattr(error, "status_code", None),
        "error_code": getattr(error, "error_code", None),
    }
