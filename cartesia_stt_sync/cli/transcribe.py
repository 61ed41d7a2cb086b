"""``cartesia-stt transcribe``: recordings in, text out.

Decides how a recording goes through a `Transcriber`, and what becomes of one
that fails. Never decides how anything looks or where it is written.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from cartesia_stt_sync import (
    AudioFormat,
    AuthenticationError,
    CartesiaSTTError,
    ClosedError,
    ConfigError,
    QuotaError,
    Reconnecting,
    Transcriber,
    Transcript,
    TurnTranscriber,
)
from cartesia_stt_sync.checks import cut_off

from . import exits
from .display import Display, Lines, Live, Silent, has_rich, is_terminal
from .inputs import Input, check_stdin, open_input, wire_encoding
from .local import local_server
from .outputs import CAPTIONS, Sink, check_output, open_output
from .result import Result
from .say import complain

__all__ = [
    "HOPELESS",
    "check_inputs",
    "choose_display",
    "deltas",
    "run",
    "send",
    "service_of",
    "stream",
    "tell_guess",
]

_BUFFER = 1.0
"""Seconds of audio that may wait: few, so that progress and Ctrl-C are prompt."""

_LAST_WORDS = 3.0
"""Seconds that a session has to answer what it was sent when it is cut short."""

HOPELESS = (KeyboardInterrupt, AuthenticationError, QuotaError)
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
    display = choose_display(options.quiet)
    # Where the display shows the text already, it is printed when it is whole.
    # So is what several say, in turns.
    shown = isinstance(display, Live) and sys.stdout.isatty()
    live = not (shown or options.split)
    worst = exits.OK
    with (
        service_of(options, display) as whom,
        open_output(options.output, form=options.format, live=live) as output,
    ):
        for name in options.files:
            result = _transcribe(name, raw, options.split, whom, display, output)
            tell_guess(result, options.format, display)
            output.end(result)
            if result.error is not None:
                complain(f"{name}: {exits.reason_of(result.error)}")
                worst = max(worst, exits.code_of(result.error))
            if isinstance(result.error, HOPELESS):
                break
    return worst


def stream(
    t: Transcriber, recording: Input, display: Display, output: Sink
) -> BaseException | None:
    """Send a recording through a transcriber, and write its text as it comes.

    Returns:
        Why the text is not whole, or ``None``. The text so far is in ``t``.

    Raises:
        OSError: The output cannot be written.
    """

    def show(transcript: Transcript) -> None:
        if transcript.is_final:
            output.delta(transcript.text)
        display.text(t.text, t.partial, _played(t))

    return send(t, recording, display, {"final": show, "partial": show})


def send(
    t: Transcriber | TurnTranscriber,
    recording: Input,
    display: Display,
    handlers: Mapping[str, Callable[[Any], object]],
) -> BaseException | None:
    """Send a recording through a transcriber, to the last word.

    Args:
        t: The transcriber.
        recording: What to send.
        display: Where its way is shown.
        handlers: What to call, by the type of event; if it cannot write, the session
            ends.

    Returns:
        Why the text is not whole, or ``None``. The text so far is in ``t``.

    Raises:
        OSError: A handler's.
    """
    unwritten: list[OSError] = []

    def guarded(handler: Callable[[Any], object]) -> Callable[[Any], object]:
        def call(event: Any) -> None:
            try:
                handler(event)
            except OSError as exc:  # nobody reads it, so nobody shall pay for it
                unwritten.append(exc)
                t.abort()

        return call

    def tell(plan: Reconnecting) -> None:
        display.note(f"the connection was lost; next try in {plan.delay:.1f} s")

    for kind, handler in handlers.items():
        t.on(kind, guarded(handler))
    t.on("reconnect", tell)
    display.start(recording)
    try:
        return _feed(t, recording, display)
    finally:
        t.abort()  # nothing, if it has ended
        display.stop()
        if unwritten:
            raise unwritten[0]


def _feed(
    t: Transcriber | TurnTranscriber, recording: Input, display: Display
) -> BaseException | None:
    try:
        t.open()
        for block in recording.blocks:
            t.feed(block)
            display.progress(_played(t))
        t.close()
    except CartesiaSTTError as exc:
        if isinstance(exc, ClosedError) and t.state == "DRAINING":
            _close_early(t, display)  # the budget is spent
        return exc
    except (KeyboardInterrupt, OSError, exits.FileError) as exc:
        if t.state == "OPEN":
            _close_early(t, display)
        return exc
    return None


def _played(t: Transcriber | TurnTranscriber) -> float:
    """Seconds of the recording that are on their way, whatever its channels."""
    stats = t.stats
    return stats.fed_seconds - stats.buffered_seconds


def _close_early(t: Transcriber | TurnTranscriber, display: Display) -> None:
    """Get the text of what was heard; a second Ctrl-C does without."""
    display.note("stopped; waiting for the last words")
    try:
        t.close(timeout=t.stats.buffered_seconds + _LAST_WORDS)
    except (CartesiaSTTError, KeyboardInterrupt) as exc:
        display.note(f"the last words did not come: {exits.reason_of(exc)}")


def _transcribe(
    name: str,
    raw: AudioFormat | None,
    split: bool,
    whom: dict[str, Any],
    display: Display,
    output: Sink,
) -> Result:
    try:
        with open_input(name, raw) as recording:
            if split and recording.format.channels == 1:
                display.note(f"{name}: one channel only, so it is transcribed as one")
                split = False
            t = Transcriber(
                **whom,
                channels="split" if split else "mix",
                encoding=wire_encoding(recording.format),
                sample_rate=recording.format.sample_rate,
                source=recording.format,
                max_buffer=_BUFFER,
            )
            error = stream(t, recording, display, output)
            findings = t.findings
            if error is None and (missing := recording.missing()):
                findings += (cut_off(missing),)
    except exits.FileError as exc:
        return Result(name=name, error=exc)
    for finding in findings:
        display.note(f"{name}: {finding}")
    return Result(
        name=name,
        transcript=t.transcript,
        deltas=tuple(deltas(t)),
        stats=t.stats,
        findings=findings,
        error=error,
    )


def tell_guess(result: Result, form: str, display: Display) -> None:
    """Say of captions whose times nobody knows that they are a guess."""
    if form in CAPTIONS and result.guessed:
        display.note(
            f"{result.name}: the service sent no times, so those of the captions are "
            "estimated"
        )


def deltas(t: Transcriber) -> Iterator[Transcript]:
    """The final deltas of a session that has ended."""
    try:
        yield from t.finals()
    except CartesiaSTTError:
        pass  # the session's error, which is told already


@contextmanager
def service_of(
    options: argparse.Namespace, display: Display
) -> Iterator[dict[str, Any]]:
    """Whom to talk to, and how: arguments of `Transcriber` and `transcribe_file`."""
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


def check_inputs(names: Sequence[str]) -> None:
    """See `check_stdin`."""
    check_stdin(
        names,
        "; for a microphone: arecord -f S16_LE -r 16000 -t wav | cartesia-stt "
        "transcribe -",
    )


def _check(options: argparse.Namespace) -> AudioFormat | None:
    """Check what goes together; return what raw samples are, if they are raw."""
    check_output(options.output, options.files, options.format)
    check_inputs(options.files)
    encoding, rate = options.encoding, options.sample_rate
    if encoding is None and rate is None and options.channels is None:
        return None
    if encoding is None or rate is None:
        raise ConfigError("--encoding and --sample-rate: both or none")
    channels = 1 if options.channels is None else options.channels
    return AudioFormat(encoding, rate, channels)


def choose_display(quiet: bool) -> Display:
    """Say how a session's way is shown."""
    if quiet:
        return Silent()
    if not is_terminal(sys.stderr):
        return Lines(sys.stderr, progress=True)
    if has_rich():
        return Live(sys.stderr)
    lines = Lines(sys.stderr, progress=not sys.stdout.isatty())
    lines.note("for live text and a progress bar: pip install 'cartesia-stt-sync[cli]'")
    return lines
