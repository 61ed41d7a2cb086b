"""The command's own words on the standard error.

Decides what a message looks like. Never says a transcript.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["complain", "logging_to_stderr", "printable"]


_COMMANDS = dict.fromkeys(
    [
        *(code for code in range(0x20) if chr(code) not in "\t\n"),
        *range(0x7F, 0xA0),
        # More line breaks, and what turns the direction of all behind it.
        *(0x2028, 0x2029),
        *range(0x202A, 0x202F),
        *range(0x2066, 0x206A),
        # Halves of a surrogate pair, of which nobody knows what becomes of them.
        *range(0xD800, 0xE000),
    ],
    "?",
)
"""What is no letter, mark or blank of any language: those stay, also the unseen."""


def printable(text: str) -> str:
    """Text without what could command a terminal: it came from somewhere else."""
    return text.translate(_COMMANDS)


def complain(message: str) -> None:
    """Say what went wrong, on one line."""
    print(f"cartesia-stt: {printable(message)}", file=sys.stderr, flush=True)


class _Long(logging.Formatter):
    """All that there is, with the milliseconds since the start."""

    def __init__(self) -> None:
        super().__init__("%(relativeCreated)d %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


class _Short(logging.Formatter):
    """A line a record: a traceback is for ``--debug``."""

    def format(self, record: logging.LogRecord) -> str:
        return f"cartesia-stt: {printable(record.getMessage())}"


@contextmanager
def logging_to_stderr(debug: bool) -> Iterator[None]:
    """Show the library's log: everything for ``debug``, else what warns.

    Findings are left out where they are printed by whoever runs the session.
    """
    log = logging.getLogger("cartesia_stt_sync")
    handler = logging.StreamHandler(sys.stderr)
    level = log.level
    if debug:
        handler.setFormatter(_Long())
        log.setLevel(logging.DEBUG)
    else:
        handler.setFormatter(_Short())
        handler.addFilter(lambda record: record.name != log.name)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
