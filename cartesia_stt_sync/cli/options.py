"""The command line: subcommands, options and their help.

Decides what may be written there and how it is explained. Does nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from cartesia_stt_sync import __version__

from . import demo, exits, replay, serve, transcribe

__all__ = ["make_parser"]

_ABOUT = """\
Speech to text with Cartesia, live.

  cartesia-stt demo                    see it work; needs no account
  cartesia-stt transcribe speech.wav   a recording becomes text
  cartesia-stt serve                   a speech-to-text server on this machine
  cartesia-stt replay DIR              what a recorded session did, once more"""

_TRANSCRIBE = """\
Send recordings to the service in real time, and print their text.

The text goes to the standard output, one line for each file; progress goes to
the standard error. The key is taken from CARTESIA_API_KEY and is never shown."""

_EXAMPLES = """\
examples:
  cartesia-stt transcribe --local talk.wav          no account: a server of its own
  cartesia-stt transcribe -o talk.txt talk.wav      the text goes into a file
  cartesia-stt transcribe --json *.wav > all.jsonl  word times; one line for each
  arecord -f S16_LE -r 16000 -t wav | cartesia-stt transcribe -
  ffmpeg -i talk.mp3 -f wav - | cartesia-stt transcribe -
  cartesia-stt transcribe --encoding pcm_mulaw --sample-rate 8000 call.raw
"""

_SERVE = """\
Run a speech-to-text server on this machine, for trials and tests.

It speaks the service's own protocol. It prints the two settings that make a
program use it, and runs until Ctrl-C."""

_REPLAY = """\
Show what a session did that was recorded by Transcriber(record=DIR), then send the
same audio and commands again, in real time, and print the text that comes now.

The key is taken from CARTESIA_API_KEY; recordings hold none."""

_DEMO = """\
Watch a recording that ships with this package become text.

It goes through a server on this machine, which needs no account and no network,
but the packages of an extra:

  pip install 'cartesia-stt-sync[local,cli]'
  cartesia-stt demo"""


def make_parser() -> argparse.ArgumentParser:
    """Make the parser; what it gives has a ``run`` to be called with it."""
    parser = argparse.ArgumentParser(
        prog="cartesia-stt",
        description=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(
        metavar="COMMAND",
        required=True,
        help='one of these four; "cartesia-stt COMMAND --help" says more',
    )

    def add(
        name: str,
        about: str,
        run: Callable[[argparse.Namespace], int],
        end: str = "",
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(
            name,
            description=about,
            epilog=end,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_argument(
            "--debug", action="store_true", help="show the log, and where errors arose"
        )
        command.set_defaults(run=run)
        return command

    add("demo", _DEMO, demo.run)
    end = f"{_EXAMPLES}\n{exits.HELP}"
    command = add("transcribe", _TRANSCRIBE, transcribe.run, end)
    _add_transcribe(command)
    _add_serve(add("serve", _SERVE, serve.run))
    _add_replay(add("replay", _REPLAY, replay.run, exits.HELP))
    return parser


def _add_transcribe(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="a WAV file of any rate, width and channels; - is the standard input",
    )
    command.add_argument(
        "--language",
        default="en",
        help='spoken language, ISO 639-1 (default: en); "none" sends none',
    )
    command.add_argument("--model", default="ink-2", help="default: ink-2")
    command.add_argument(
        "--json", action="store_true", help="print an object for each file, on one line"
    )
    command.add_argument(
        "-o", "--output", metavar="OUT", help="write to this file, once all is there"
    )
    command.add_argument(
        "-q", "--quiet", action="store_true", help="show neither progress nor notes"
    )
    _add_service(command)
    raw = command.add_argument_group("raw samples without a header")
    raw.add_argument("--encoding", metavar="NAME", help="pcm_s16le, pcm_mulaw, ...")
    raw.add_argument("--sample-rate", type=int, metavar="HZ", help="16000, 8000, ...")
    raw.add_argument("--channels", type=int, metavar="N", help="default: 1")


def _add_serve(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--host", default="127.0.0.1", help="default: 127.0.0.1, this machine only"
    )
    command.add_argument(
        "--port", type=int, default=8765, help="default: 8765; 0 takes a free one"
    )
    command.add_argument(
        "--engine",
        default="auto",
        metavar="NAME",
        help="auto (default), recogniser, pocketsphinx or scripted",
    )
    command.add_argument(
        "--script",
        metavar="FILE",
        help="say this instead of listening: JSON like "
        '[[0.5, "Hello"], [1.2, " world"]], seconds of audio and text',
    )


def _add_replay(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "place", metavar="DIR", help="the folder, for its latest recording; or a .jsonl"
    )
    command.add_argument(
        "--show", action="store_true", help="show it, and send nothing"
    )
    _add_service(command)


def _add_service(command: argparse.ArgumentParser) -> None:
    whom = command.add_argument_group("service").add_mutually_exclusive_group()
    whom.add_argument(
        "--local",
        action="store_true",
        help="start a server on this machine for this run: needs no account",
    )
    whom.add_argument(
        "--base-url",
        metavar="URL",
        help="default: CARTESIA_BASE_URL, else wss://api.cartesia.ai",
    )
