"""Where transcripts go: the standard output or a file, as text or as JSON.

Decides what is written when. Never touches the terminal's other half, the
standard error: that is `display`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import attrs

from cartesia_stt_sync import Finding, Stats, Transcript

from .exits import reason_of

__all__ = ["Output", "Result", "open_output"]


_NO_TEXT = Transcript(text="", is_final=True)


@attrs.frozen(kw_only=True)
class Result:
    """What became of one recording.

    Attributes:
        name: Its name, as given.
        transcript: Its text, as far as it came.
        stats: The session's figures, or ``None`` where there was no session.
        findings: What was noticed.
        error: Why it is not whole, or ``None``.
    """

    name: str
    transcript: Transcript = _NO_TEXT
    stats: Stats | None = None
    findings: tuple[Finding, ...] = ()
    error: BaseException | None = None

    def as_dict(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        words = self.transcript.words
        return {
            "file": self.name,
            "text": self.transcript.text,
            "language": self.transcript.language,
            "duration": None
            if self.stats is None
            else round(self.stats.fed_seconds, 3),
            "words": None if words is None else [attrs.asdict(w) for w in words],
            "stats": None if self.stats is None else attrs.asdict(self.stats),
            "findings": [attrs.asdict(finding) for finding in self.findings],
            "error": None if self.error is None else _error(self.error),
        }


def _error(error: BaseException) -> dict[str, Any]:
    return {
        "type": type(error).__name__,
        "message": reason_of(error),
        # Errors of the library's own have these.
        "status_code": getattr(error, "status_code", None),
        "error_code": getattr(error, "error_code", None),
    }


class Output:
    """A stream of transcripts: one line of text, or one object, for each recording.

    Args:
        stream: Where to write.
        as_json: Whether to write objects.
        live: Whether to write text as it comes, not only at a recording's end.

    Threads: `delta` on the receiver's, `end` when that has ended.
    """

    def __init__(self, stream: TextIO, *, as_json: bool, live: bool) -> None:
        self._stream = stream
        self._as_json = as_json
        self._live = live and not as_json
        self._written = 0

    def delta(self, text: str) -> None:
        """Take in the next piece of text.

        Raises:
            OSError: It cannot be written.
        """
        if self._live:
            self._stream.write(text)
            self._stream.flush()
            self._written += len(text)

    def end(self, result: Result) -> None:
        """Write what has not been written of a recording, and its end.

        Raises:
            OSError: It cannot be written.
        """
        if self._as_json:
            # In ASCII, which every locale can write, and a name that is no UTF-8.
            line = json.dumps(result.as_dict())
        else:
            line = result.transcript.text[self._written :]
        self._stream.write(line + "\n")
        self._stream.flush()
        self._written = 0


@contextmanager
def open_output(path: str | None, *, as_json: bool, live: bool) -> Iterator[Output]:
    """Open the output.

    A file is written beside its place and put there in one step, so that whoever
    looks sees the old one or the whole new one, also after an interruption.

    Args:
        path: The file's, or ``None`` for the standard output.
        as_json: See `Output`.
        live: See `Output`; for the standard output only.

    Raises:
        OSError: The file cannot be written.
    """
    if path is None:
        yield Output(sys.stdout, as_json=as_json, live=live)
        return
    place = Path(path).resolve()
    if place.exists() and not place.is_file():
        # A device or a named pipe; a directory says so itself.
        with open(place, "w", encoding="utf-8") as stream:
            yield Output(stream, as_json=as_json, live=False)
        return
    draft = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        with open(draft, "x", encoding="utf-8") as stream:
            yield Output(stream, as_json=as_json, live=False)
        os.replace(draft, place)
    finally:
        draft.unlink(missing_ok=True)
