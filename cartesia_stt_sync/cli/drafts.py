"""Files that are there whole, or not at all.

Decides where a file stands while it is written, and what its errors call it. Never
decides what is in it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

import attrs

__all__ = ["Draft", "called", "open_draft"]

_PART = 40
"""Characters of a file's name that its draft has: with the rest no name is too long."""


@attrs.define
class Draft:
    """A file that is being written.

    Attributes:
        stream: Takes its text.
        wanted: Whether it shall be put in its place; else nothing has happened.
    """

    stream: TextIO
    wanted: bool = True


@contextmanager
def called(name: str | None) -> Iterator[None]:
    """Have errors name a file as its user does; ``None`` leaves them as they are."""
    try:
        yield
    except OSError as exc:
        if name is not None:
            exc.filename, exc.filename2 = name, None
        raise


@contextmanager
def open_draft(path: Path) -> Iterator[Draft]:
    """Open a file for writing.

    It is written beside its place and put there in one step, so that whoever
    looks sees the old one or the whole new one, also after an interruption.

    Raises:
        OSError: It cannot be written.
    """
    name = str(path)
    with called(name):
        place = path.resolve()
        device = place.exists() and not place.is_file()  # or a named pipe
        beside = place.with_name(f".{place.name[:_PART]}.{os.getpid()}.part")
        # Half a surrogate pair, which no file can hold, shall not cost the rest.
        stream = open(
            place if device else beside,
            "w" if device else "x",
            encoding="utf-8",
            errors="replace",
        )
    draft = Draft(stream)
    try:
        with _closing(stream, name):
            yield draft
        if draft.wanted and not device:
            with called(name):
                os.replace(beside, place)
    finally:
        # What has gone wrong before is what matters, not that this does, too.
        with suppress(OSError):
            beside.unlink(missing_ok=True)


@contextmanager
def _closing(stream: TextIO, name: str) -> Iterator[None]:
    """Close a file at the end, which writes what is left; an earlier error counts."""
    try:
        yield
    except BaseException:
        with suppress(OSError):
            stream.close()
        raise
    with called(name):
        stream.close()
