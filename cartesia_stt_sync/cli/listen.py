"""``cartesia-stt listen``: the microphone in, text out, a line for each utterance.

Decides who says when an utterance is over, and what is told at the end. Sending is that
of `transcribe`, and the sound comes from `microphone`.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from cartesia_stt_sync import (
    ConfigError,
    EnergyEndpointer,
    SileroEndpointer,
    Transcriber,
    Transcript,
    Turn,
    TurnTranscriber,
)

from . import exits
from .display import Display, Live
from .inputs import Input
from .keys import Keys
from .microphone import Inbox, Key, Microphone, list_devices
from .outputs import Folder, is_folder, open_output
from .result import Result
from .say import complain, printable
from .spoken import Spoken
from .transcribe import choose_display, deltas, send, service_of

__all__ = ["run"]

_BUDGET = "budget-spent"

_LATE = 4
"""Blocks that are taken behind the key which ends an utterance: sound comes late, and
people press while they say the last syllable."""


def run(options: argparse.Namespace) -> int:
    """Listen until Ctrl-C.

    Returns:
        The exit status.

    Raises:
        ConfigError: The options do not go together, or an extra is not installed.
        FileError: There is no microphone.
        OSError: The output cannot be written.
    """
    if options.list_devices:
        lines = list_devices() or ["no microphone is connected"]
        print(printable("\n".join(lines)))
        return exits.OK
    _check(options)
    options.language = options.language or "en"
    display = choose_display(options.quiet)
    endpointer = _endpointer(options, display)
    inbox = Inbox()
    # Whether there is one is known before anything is sent, or a server started.
    with (
        Microphone(inbox, options.device, options.sample_rate) as microphone,
        service_of(options, display) as whom,
        _open_output(options, display) as output,
    ):
        t = _transcriber(options, microphone, endpointer, whom)
        session = _Session(t, microphone, inbox, display, output)
        error = session.run(push=options.push_to_talk, asks=endpointer is not None)
        if _is_planned(error, t):
            error = None
        output.end(session.result(error))
    for finding in t.findings:
        display.note(f"{microphone.name}: {finding}")
    display.note(_summary(t, inbox))
    if error is None:
        return exits.OK
    complain(f"{microphone.name}: {exits.reason_of(error)}")
    return exits.code_of(error)


def _check(options: argparse.Namespace) -> None:
    if options.auto and (options.push_to_talk or options.endpointer):
        raise ConfigError(
            "--auto: the service finds the ends of utterances by itself; leave out "
            "--push-to-talk and --endpointer"
        )
    if options.push_to_talk and options.endpointer not in (None, "none"):
        raise ConfigError(
            "--push-to-talk: a key ends an utterance; leave out --endpointer"
        )
    if options.push_to_talk and sys.stdin is None:
        raise ConfigError(
            "--push-to-talk: keys are read from the standard input, and it is closed"
        )
    if options.auto and options.language is not None:
        raise ConfigError("--language: Auto has none, it detects; leave it out")
    if options.output is not None and is_folder(options.output):
        raise ConfigError(f"--output: a file, got the folder {options.output}")


def _endpointer(
    options: argparse.Namespace, display: Display
) -> EnergyEndpointer | SileroEndpointer | None:
    """Who says when an utterance is over; ``None``: a key, or the service."""
    if options.auto or options.push_to_talk or options.endpointer == "none":
        return None
    if options.endpointer is not None:
        energy = options.endpointer == "energy"
        return EnergyEndpointer() if energy else SileroEndpointer()
    try:
        return SileroEndpointer()
    except ConfigError:
        display.note(
            "utterances end by loudness; to tell speech from noise: pip install "
            "'cartesia-stt-sync[vad]'"
        )
        return EnergyEndpointer()


def _transcriber(
    options: argparse.Namespace,
    microphone: Microphone,
    endpointer: EnergyEndpointer | SileroEndpointer | None,
    whom: dict[str, Any],
) -> Transcriber | TurnTranscriber:
    audio = {
        "sample_rate": microphone.format.sample_rate,
        "source": microphone.format,
        "budget": options.budget,
    }
    if not options.auto:
        return Transcriber(**whom, **audio, endpointer=endpointer)
    whom = {name: value for name, value in whom.items() if name != "language"}
    return TurnTranscriber(**whom, **audio)


@contextmanager
def _open_output(options: argparse.Namespace, display: Display) -> Iterator[Spoken]:
    # Whoever watches sees each line when it is said, and needs it only once.
    if isinstance(display, Live) and sys.stdout.isatty():
        if options.output is None and options.format == "txt":
            yield Spoken(io.StringIO(), live=True)
            return
    path, form = options.output, options.format
    with open_output(path, form=form, live=True, kind=Spoken) as output:
        assert not isinstance(output, Folder)  # it is checked
        yield output


class _Session:
    """A session with the microphone, and what becomes of its text.

    Threads: its handlers run on the receiver's, the rest on the main one.
    """

    def __init__(
        self,
        t: Transcriber | TurnTranscriber,
        microphone: Microphone,
        inbox: Inbox,
        display: Display,
        output: Spoken,
    ) -> None:
        self._t = t
        self._microphone, self._inbox = microphone, inbox
        self._display, self._output = display, output
        self._begin = 0  # of the utterance, in the text

    def run(self, *, push: bool, asks: bool) -> BaseException | None:
        """Send the sound until it ends.

        Args:
            push: Whether keys say when somebody speaks.
            asks: Whether an endpointer ends utterances.

        Returns:
            Why the text is not whole, or what ended it, if that was no key.
        """
        handlers: dict[str, Callable[[Any], object]] = {
            "final": self._final,
            "partial": self._show,
            "flush_done": self._over,
            "turn": self._turn,
            "update": self._show,
        }
        if not (push or asks):
            # The service finds the pauses, and says so by a final.
            handlers["final"] = self._turn
        sound = self._sound(self._talks() if push else self._all())
        recording = Input(self._microphone.name, self._microphone.format, None, sound)
        keys: AbstractContextManager[object] = nullcontext()
        if push:
            put = self._inbox.put
            keys = Keys(sys.stdin, lambda: put(Key.PRESSED), lambda: put(Key.END))
        with keys:
            return send(self._t, recording, self._display, handlers)

    def result(self, error: BaseException | None) -> Result:
        """What became of it."""
        t = self._t
        return Result(
            name=self._microphone.name,
            transcript=t.transcript,
            deltas=tuple(deltas(t)) if isinstance(t, Transcriber) else (),
            stats=t.stats,
            findings=t.findings,
            error=error,
        )

    # The sound

    def _sound(self, chosen: Iterator[bytes]) -> Iterator[bytes]:
        inbox, told = self._inbox, False
        self._microphone.start()
        try:
            for block in chosen:
                if not told and (inbox.lost or inbox.overflows):
                    told = True
                    self._display.note(
                        "sound is lost: the network or this machine is too slow"
                    )
                yield block
        finally:
            # Not only stopped: nobody shall wonder whether it still listens.
            self._microphone.close()

    def _all(self) -> Iterator[bytes]:
        self._display.note("listening; Ctrl-C ends")
        for item in self._inbox:
            assert isinstance(item, bytes)  # nobody reads keys
            yield item

    def _talks(self) -> Iterator[bytes]:
        """What is said between two presses; nothing is sent or billed else."""
        t, note = self._t, self._display.note
        assert isinstance(t, Transcriber)
        note("Enter or the space bar begins and ends what you say; Ctrl-C ends it all")
        talking, late = False, 0
        for item in self._inbox:
            if t.state == "CLOSED":
                return  # nobody feeds, so nobody would be told
            if isinstance(item, Key):
                talking = not talking
                late = 0 if talking else _LATE
                note("talk" if talking else "got it")
                continue
            if talking or late:
                yield item
            if late:
                late -= 1
                if not late:
                    t.finalize()

    # The text

    def _final(self, delta: Transcript) -> None:
        self._output.delta(delta.text)
        self._show()

    def _turn(self, turn: Turn | Transcript) -> None:
        self._output.delta(turn.text)
        self._over()

    def _over(self, event: object = None) -> None:
        """An utterance is over: its line is whole."""
        line = self._output.utterance()
        self._begin = len(self._t.text)
        if line and isinstance(self._display, Live):
            self._display.say(line)
        self._show()

    def _show(self, event: object = None) -> None:
        t = self._t
        self._display.text(t.text[self._begin :], t.partial, t.stats.sent_seconds)


def _is_planned(error: BaseException | None, t: Transcriber | TurnTranscriber) -> bool:
    """Whether that is how somebody wanted it to end."""
    if isinstance(error, KeyboardInterrupt):
        return t.stats.sessions > 0  # not while it connected
    return any(finding.code == _BUDGET for finding in t.findings)


def _summary(t: Transcriber | TurnTranscriber, inbox: Inbox) -> str:
    said = f"{t.stats.billed_seconds:.1f} s of sound were sent, and are billed"
    if inbox.lost:
        said += f"; {inbox.lost_seconds:.1f} s more had to be dropped"
    if inbox.overflows:
        said += f"; the system lost some {inbox.overflows} times"
    return said
