"""``cartesia-stt replay``: what a session did, and the same once more.

Decides how a recording is shown and sent. Never decides what is in one: that is
`recording`.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cartesia_stt_sync import Transcriber, TurnTranscriber

from . import exits
from .local import local_server
from .recording import Recording, find, load
from .say import printable

__all__ = ["run"]

_BUFFER = 1.0
"""Seconds of audio that may wait: few, so that Ctrl-C is prompt."""


def run(options: argparse.Namespace) -> int:
    """Show a recording, and send it again.

    Returns:
        The exit status.

    Raises:
        CartesiaSTTError: It could not be sent, or its session failed.
        FileError: There is no recording.
        OSError: It cannot be read.
    """
    path, others = find(options.place)
    recording = load(path)
    if others:
        _say(f"{path}, the latest of {others + 1}")
    for line in recording.shown():
        _say(line)
    _say("")
    for what, name in (("play it: ", "play"), ("headless:", "play_raw")):
        _say(f"{what} {_in_place(recording, str(recording.about.get(name)))}")
    _say(f"text:     {recording.text()}")
    if not options.show:
        _say(f"now:      {_send(recording, options)}")
    return exits.OK


def _in_place(recording: Recording, command: str) -> str:
    """A command that names the WAV file as it is found from here."""
    wav = recording.path.with_suffix(".wav")
    return command.replace(wav.name, shlex.quote(str(wav)))


def _send(recording: Recording, options: argparse.Namespace) -> str:
    """Send the same audio and commands; return the text that comes now."""
    with _service(options) as service:
        given = recording.options() | service | {"max_buffer": _BUFFER}
        t = TurnTranscriber(**given) if recording.turns else Transcriber(**given)
        with t:
            for step in recording.steps():
                if isinstance(step, bytes):
                    t.feed(step)
                elif isinstance(step, dict):
                    t.config(**step)
                elif step == "finalize" and isinstance(t, Transcriber):
                    t.finalize()
        return t.text


@contextmanager
def _service(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    if not options.local:
        yield {"base_url": options.base_url}
        return
    with local_server() as server:
        yield {"base_url": server.base_url, "api_key": "local", "proxy": None}


def _say(line: str) -> None:
    print(printable(line), flush=True)
