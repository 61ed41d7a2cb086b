"""The command ``cartesia-stt``.

Decides what every error becomes: one line and an exit status. Uses public names
of the library only; nothing in it imports this.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

from cartesia_stt_sync import CartesiaSTTError

from . import exits
from .options import make_parser
from .say import complain, logging_to_stderr

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: What stands behind its name; default ``None``: ``sys.argv``.

    Returns:
        The exit status; ``cartesia-stt transcribe --help`` lists them.

    Raises:
        SystemExit: After ``--help``, and for arguments that cannot be parsed.

    Threads: the main one.
    """
    options = make_parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A word that the locale cannot write shall not end the session.
            stream.reconfigure(errors="replace")
    with logging_to_stderr(options.debug):
        try:
            code: int = options.run(options)
            sys.stdout.flush()
            return code
        except (Exception, KeyboardInterrupt) as exc:
            if options.debug and isinstance(exc, Exception):
                raise
            return _explain(exc)


def _explain(error: BaseException) -> int:
    """Say on one line why the command ended; return the exit status."""
    code = exits.code_of(error)
    reason = exits.reason_of(error)
    if code == exits.PIPE:  # pragma: no cover  # seen by a process of its own only
        # Python writes what is left once more at exit, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    elif code == exits.INTERNAL:
        complain(f"a bug: {type(error).__name__}: {reason}; --debug shows where")
    elif reason.startswith("api_key: none given"):
        complain(
            "CARTESIA_API_KEY is not set; make a key at play.cartesia.ai, or use "
            "--local, which needs no account"
        )
    elif isinstance(error, OSError) and not isinstance(error, CartesiaSTTError):
        where = "" if error.filename is None else f"{error.filename}: "
        complain(where + reason)
    else:
        complain(reason)
    return code
