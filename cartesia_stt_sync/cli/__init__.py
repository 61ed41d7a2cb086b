"""The command ``cartesia-stt``.

Decides what every error becomes: one line and an exit status. Uses public names
of the library only; nothing in it imports this.
"""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from traceback import format_exc
from types import FrameType

from cartesia_stt_sync import CartesiaSTTError, ConfigError

from . import exits, serve
from .options import make_parser
from .say import complain, logging_to_stderr, printable

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
    with _streams() as has_output:
        options = make_parser().parse_args(arguments)
        with logging_to_stderr(options.debug), _terminable():
            try:
                if not (has_output or _needs_no_output(options)):
                    raise ConfigError(
                        "the standard output is closed, and there is nowhere else to "
                        "write to"
                    )
                code: int = options.run(options)
                sys.stdout.flush()
                return code
            except (Exception, KeyboardInterrupt) as exc:
                if options.debug and isinstance(exc, Exception):
                    print(printable(format_exc()), end="", file=sys.stderr)
                return _explain(exc)


@contextmanager
def _terminable() -> Iterator[None]:
    """Have SIGTERM, as of a container that stops, keep what Ctrl-C keeps."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield  # whoever runs this has an own mind about it
        return
    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def _streams() -> Iterator[bool]:
    """Have streams that take what is written, also where they are closed (``2>&-``).

    Yields:
        Whether there is a standard output.
    """
    before = sys.stdout, sys.stderr
    with ExitStack() as stack:
        for name, stream in zip(("stdout", "stderr"), before, strict=True):
            if stream is None:
                nowhere = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
                stack.callback(setattr, sys, name, None)
                setattr(sys, name, nowhere)
            elif isinstance(stream, io.TextIOWrapper):
                # A word that the locale cannot write shall not end the session.
                stream.reconfigure(errors="replace")
        yield before[0] is not None


def _needs_no_output(options: argparse.Namespace) -> bool:
    """Whether something comes of it that is not on the standard output."""
    return options.run is serve.run or getattr(options, "output", None) is not None


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
