"""``cartesia-stt transcribe``: recordings in, text out.

Decides how a recording goes through a `Transcriber`, and what becomes of one
that fails. Never decides how anything looks or where it is written.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cartesia_stt_sync import (
    AudioFormat,
    AuthenticationError,
    CartesiaSTTError,
    ConfigError,
    QuotaError,
    Reconnecting,
    Transcriber,
    Transcript,
)

from . import exits
from .display import Display, Lines, Live, Silent, has_rich, is_terminal
from .inputs import STDIN, Input, open_input, wire_encoding
from .local import local_server
from .outputs import Output, Result, open_output
from .say import complain

__all__ = ["run", "stream"]

_BUFFER = 1.0
"""Seconds of audio that may wait: few, so that progress and Ctrl-C are prompt."""

_LAST_WORDS = 3.0
"""Seconds that a session has to answer what it has heard when it is cut short."""

_HOPELESS = (KeyboardInterrupt, AuthenticationError, QuotaError)
"""What would happen to the next file as well."""


def run(options: argparse.Namespace) -> int:
    """Transcribe each file.

    Returns:
        The exit status.

    Raises:
        ConfigError: The options do not go together, or are not the library's.
        OSError: The output cannot be written.
    """
    raw = _check(options)
    display = _choose_display(options.quiet)
    # Where the display shows the text already, it is printed when it is whole.
    live = not (isinstance(display, Live) and sys.stdout.isatty())
    worst = exits.OK
    with (
        _service(options, display) as service,
        open_output(options.output, as_json=options.json, live=live) as output,
    ):
        for name in options.files:
            result = _transcribe(name, raw, service, display, output)
            output.end(result)
            if result.error is not None:
                complain(f"{name}: {exits.reason_of(result.error)}")
                worst = max(worst, exits.code_of(result.error))
            if isinstance(result.error, _HOPELESS):
                break
    return worst


def stream(
    t: Transcriber, recording: Input, display: Display, output: Output
) -> BaseException | None:
    """Send a recording through a transcriber, to the last word.

    Returns:
        Why the text is not whole, or ``None``. The text so far is in ``t``.

    Raises:
        OSError: The output cannot be written.
    """
    unwritten: list[OSError] = []

    def show(transcript: Transcript) -> None:
        try:
            if transcript.is_final:
                output.delta(transcript.text)
            display.text(t.text, t.partial, t.stats.sent_seconds)
        except OSError as exc:  # nobody reads it, so nobody shall pay for it
            unwritten.append(exc)
            t.abort()

    def tell(plan: Reconnecting) -> None:
        display.note(f"the connection was lost; next try in {plan.delay:.1f} s")

    t.on("final", show).on("partial", show).on("reconnect", tell)
    display.start(recording)
    try:
        return _feed(t, recording, display)
    finally:
        t.abort()  # nothing, if it has ended
        display.stop()
        if unwritten:
            raise unwritten[0]


def _feed(t: Transcriber, recording: Input, display: Display) -> BaseException | None:
    try:
        t.open()
        for block in recording.blocks:
            t.feed(block)
            display.progress(t.stats.sent_seconds)
        t.close()
    except CartesiaSTTError as exc:
        return exc
    except (KeyboardInterrupt, OSError) as exc:
        if t.state == "OPEN":
            _close_early(t, display)
        return exc
    return None


def _close_early(t: Transcriber, display: Display) -> None:
    """Get the text of what was heard; a second Ctrl-C does without."""
    display.note("stopped; waiting for the last words")
    try:
        t.close(timeout=_LAST_WORDS)
    except (CartesiaSTTError, KeyboardInterrupt) as exc:
        display.note(f"the last words did not come: {exits.reason_of(exc)}")


def _transcribe(
    name: str,
    raw: AudioFormat | None,
    service: dict[str, Any],
    display: Display,
    output: Output,
) -> Result:
    try:
        with open_input(name, raw) as recording:
            t = Transcriber(
                **service,
                encoding=wire_encoding(recording.format),
                sample_rate=recording.format.sample_rate,
                source=recording.format,
                max_buffer=_BUFFER,
            )
            error = stream(t, recording, display, output)
    except exits.FileError as exc:
        return Result(name=name, error=exc)
    for finding in t.findings:
        display.note(f"{name}: {finding}")
    return Result(
        name=name,
        transcript=t.transcript,
        stats=t.stats,
        findings=t.findings,
        error=error,
    )


@contextmanager
def _service(options: argparse.Namespace, display: Display) -> Iterator[dict[str, Any]]:
    """Whom to talk to, and how: arguments of `Transcriber`."""
    language = None if options.language == "none" else options.language
    chosen = {"language": language, "model": options.model}
    if not options.local:
        yield chosen | {"base_url": options.base_url}
        return
    with local_server() as server:
        display.note(f"a server on this machine listens, with {server.engine_name}")
        yield chosen | {
            "base_url": server.base_url,
            "api_key": "local",
            "proxy": None,
        }


def _check(options: argparse.Namespace) -> AudioFormat | None:
    """Check what goes together; return what raw samples are, if they are raw."""
    if options.files.count(STDIN) > 1:
        raise ConfigError("FILE: the standard input can be read only once")
    if STDIN in options.files and sys.stdin.isatty():
        raise ConfigError(
            "FILE: - reads audio from a pipe, got a terminal; for a microphone: "
            "arecord -f S16_LE -r 16000 -t wav | cartesia-stt transcribe -"
        )
    encoding, rate = options.encoding, options.sample_rate
    if encoding is None and rate is None and options.channels is None:
        return None
    if encoding is None or rate is None:
        raise ConfigError("--encoding and --sample-rate: both or none")
    return AudioFormat(encoding, rate, options.channels or 1)


def _choose_display(quiet: bool) -> Display:
    if quiet:
        return Silent()
    if not is_terminal(sys.stderr):
        return Lines(sys.stderr, progress=True)
    if has_rich():
        return Live(sys.stderr)
    lines = Lines(sys.stderr, progress=not sys.stdout.isatty())
    lines.note("for live text and a progress bar: pip install 'cartesia-stt-sync[cli]'")
    return lines
