"""``cartesia-stt demo``: real speech becomes text, with no account.

Decides what a newcomer is shown, and measures it: nothing it prints is made up.
"""

from __future__ import annotations

import argparse
import re
import sys
from importlib import resources

from cartesia_stt_sync import Transcriber, WavReader

from . import exits
from .display import Display, Lines, Live, has_rich, is_terminal
from .inputs import Input
from .local import local_server
from .say import printable

__all__ = ["CLIP", "DATA", "choose_display", "errors_between", "run"]

DATA = resources.files("cartesia_stt_sync") / "data"
CLIP = "sense_and_sensibility"

_PATIENCE = 30.0
"""Seconds for the answer to a finalize, on a slow machine."""

_NEXT = """\
What next
  your own recording      cartesia-stt transcribe --local FILE.wav
  with Cartesia's models  export CARTESIA_API_KEY=...   (made at play.cartesia.ai)
                          cartesia-stt transcribe FILE.wav
  in a program            from cartesia_stt_sync import Transcriber
  a server for its tests  cartesia-stt serve"""


def run(options: argparse.Namespace) -> int:
    """Stream the clip that ships with the package through the local server.

    Returns:
        The exit status.

    Raises:
        ConfigError: The local server is not installed.
        CartesiaSTTError: The session failed.
    """
    said = (DATA / f"{CLIP}.txt").read_text(encoding="utf-8").strip()
    print("Loading the recogniser ...", flush=True)
    with (
        local_server() as server,
        (DATA / f"{CLIP}.wav").open("rb") as file,
    ):
        wav = WavReader(file)
        print(
            f"A sentence of Jane Austen, {wav.duration:.1f} s, is sent in real time to "
            f"the {server.engine_name}\nrecogniser, on this machine at "
            f"{server.base_url}. No account is needed.\n",
            flush=True,
        )
        t = Transcriber(
            base_url=server.base_url,
            api_key="local",
            proxy=None,
            sample_rate=wav.format.sample_rate,
            max_buffer=1.0,
        )
        clip = Input("Sense and Sensibility", wav.format, wav.duration, iter(wav))
        with t:
            _show(t, clip)
    _print_results(t, said)
    return exits.OK


def _show(t: Transcriber, clip: Input) -> None:
    """Send the clip and show its text as it comes, up to the answer to a finalize."""
    display = choose_display()
    t.on("final", lambda _: display.text(t.text, "", t.stats.sent_seconds))
    t.on("partial", lambda _: display.text(t.text, t.partial, t.stats.sent_seconds))
    display.start(clip)
    try:
        for block in clip.blocks:
            t.feed(block)
            display.progress(t.stats.sent_seconds)
        t.finalize().result(timeout=_PATIENCE)
    finally:
        display.stop()


def choose_display() -> Display:
    """Say how the text is shown: in place where that can be done."""
    if not is_terminal(sys.stdout):
        return Lines(sys.stdout, progress=False, text=True)
    if has_rich():
        return Live(sys.stdout)
    print("(For text that changes in place: pip install 'cartesia-stt-sync[cli]')\n")
    return Lines(sys.stdout, progress=False, text=True)


def _print_results(t: Transcriber, said: str) -> None:
    errors, words = errors_between(said, t.text), len(said.split())
    latency = t.stats.finalize_seconds
    assert latency is not None  # it was waited for
    print(f"\nHeard  {printable(t.text.strip())}")
    print(f"Said   {said}")
    print(f"\nWord errors       {errors} of {words} ({errors / words:.1%})")
    print(f"Finalize to text  {latency:.2f} s\n")
    print(_NEXT, flush=True)


def errors_between(said: str, heard: str) -> int:
    """Count the words that must be changed, added or taken out.

    Case and punctuation do not count, and "Mr." is "mister".
    """
    wanted, got = _words(said), _words(heard)
    row = list(range(len(got) + 1))
    for i, word in enumerate(wanted, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(got, 1):
            kept = before + (word != other)
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, kept)
    return row[-1]


def _words(text: str) -> list[str]:
    words = re.findall(r"\w+(?:'\w+)*", text.lower())
    return ["mister" if word == "mr" else word for word in words]
