"""What the command's exit says to a script.

Decides which number and which words an error becomes. Never prints.
"""

from __future__ import annotations

from cartesia_stt_sync import CartesiaSTTError, ConfigError, ConnectError

__all__ = [
    "CHECK_HELP",
    "CONNECT",
    "FILE",
    "FOUND",
    "HELP",
    "INTERNAL",
    "INTERRUPTED",
    "OK",
    "PIPE",
    "SESSION",
    "USAGE",
    "FileError",
    "code_of",
    "reason_of",
]

OK = 0
INTERNAL = 1
USAGE = 2
CONNECT = 3
SESSION = 4
FILE = 5
FOUND = 6
INTERRUPTED = 130
PIPE = 141
"""The last two are 128 and the signal's number, as a shell reports them."""

HELP = """\
exit status:
  0    all went well
  1    a bug in this program; --debug shows where
  2    the command line, the settings or the installation are wrong; an extra is missing
  3    no connection: network, key, credits, or too many streams
  4    the session ended with an error; the text up to it is kept
  5    a file cannot be read or written, or there is no microphone, or it is busy
  130  Ctrl-C, or SIGTERM; the text up to it is kept
  141  whoever read the standard output has gone
Of several files the highest counts."""

CHECK_HELP = """\
exit status:
  0    nothing is wrong with the audio, or it is compressed, and not judged
  1    a bug in this program; --debug shows where
  2    the command line or the installation is wrong
  5    a file cannot be read, or the picture not be written
  6    something was found
Of several files 5 counts before 6."""


class FileError(Exception):
    """A recording that cannot be read; its text says why."""


def code_of(error: BaseException) -> int:
    """The exit status for an error."""
    # Ours first: some of them are an OSError as well.
    if isinstance(error, ConfigError):
        return USAGE
    if isinstance(error, ConnectError):
        return CONNECT
    if isinstance(error, CartesiaSTTError):
        return SESSION
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):
        return PIPE
    return FILE if isinstance(error, (OSError, FileError)) else INTERNAL


def reason_of(error: BaseException) -> str:
    """An error in a few words, on one line."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    strerror = error.strerror if isinstance(error, OSError) else None
    return " ".join((strerror or str(error) or type(error).__name__).split())
