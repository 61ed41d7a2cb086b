"""``cartesia-stt batch``: files in, text out, each in one request.

Decides what becomes of a file that fails. Never decides how anything looks or where
it is written.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

import attrs

from cartesia_stt_sync import (
    CartesiaSTTError,
    ConfigError,
    WavReader,
    transcribe_file,
)

from . import exits
from .display import Display, Upload
from .inputs import STDIN
from .outputs import CAPTIONS, check_output, open_output
from .result import Result
from .say import complain
from .transcribe import (
    HOPELESS,
    check_inputs,
    choose_display,
    service_of,
    tell_guess,
)

__all__ = ["run"]

_OF_THE_FILE = "path: "
"""How the message of a `ConfigError` begins that is about the file."""


def run(options: argparse.Namespace) -> int:
    """Have each file transcribed.

    Returns:
        The exit status.

    Raises:
        ConfigError: The options do not go together, or are not the library's.
        OSError: The output cannot be written.
    """
    check_output(options.output, options.files, options.format)
    check_inputs(options.files)
    given = {
        "encoding": options.encoding,
        "sample_rate": options.sample_rate,
        "words": options.words or options.format in CAPTIONS,
    }
    display = choose_display(options.quiet)
    worst = exits.OK
    with (
        service_of(options, display) as service,
        open_output(options.output, form=options.format) as output,
    ):
        for name in options.files:
            result = _transcribe(name, service | given, display)
            tell_guess(result, options.format, display)
            output.end(result)
            if result.error is not None:
                complain(f"{name}: {exits.reason_of(result.error)}")
                worst = max(worst, exits.code_of(result.error))
            if isinstance(result.error, HOPELESS):
                break
    return worst


def _transcribe(name: str, given: dict[str, Any], display: Display) -> Result:
    def progress(sent: int, size: int) -> None:
        if not sent:
            display.stop()  # it is sent once more
            display.start(Upload(name, size))
        display.progress(sent)
        if sent == size:
            display.text("", "sent; waiting for the text", 0.0)

    try:
        file = sys.stdin.buffer if name == STDIN else name
        transcript = transcribe_file(file, progress=progress, **given)
    except ConfigError as exc:
        reason = str(exc)
        if not reason.startswith(_OF_THE_FILE):
            raise
        return Result(name=name, error=exits.FileError(_in_options(reason)))
    except (CartesiaSTTError, OSError, KeyboardInterrupt) as exc:
        return Result(name=name, error=exc)
    finally:
        display.stop()
    result = Result(name=name, transcript=transcript, deltas=(transcript,))
    return attrs.evolve(result, length=_length(name)) if result.guessed else result


def _length(name: str) -> float | None:
    """The seconds of a WAV file; ``None`` for what is none, and for what is read up."""
    if name == STDIN or not os.path.isfile(name):  # a pipe would be waited for
        return None
    try:
        with WavReader(name) as wav:
            return wav.duration
    except (ConfigError, OSError):
        return None


def _in_options(reason: str) -> str:
    """A message about arguments, for somebody who writes options."""
    for argument, option in (
        ("encoding= and sample_rate=", "--encoding and --sample-rate"),
        ("encoding and sample_rate", "--encoding and --sample-rate"),
    ):
        reason = reason.replace(argument, option)
    return reason.removeprefix(_OF_THE_FILE)
