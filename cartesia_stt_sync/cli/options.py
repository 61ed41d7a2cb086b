"""The command line: subcommands, options and their help.

Decides what may be written there and how it is explained. Does nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from cartesia_stt_sync import __version__

from . import (
    batch,
    check,
    demo,
    exits,
    listen,
    listening,
    outputs,
    replay,
    serve,
    transcribe,
)

__all__ = ["make_parser"]

_ABOUT = """\
Speech to text with Cartesia, live.

  cartesia-stt demo                    see it work; needs no account
  cartesia-stt transcribe speech.wav   a recording becomes text
  cartesia-stt batch talk.mp3          a file in one request, not in real time
  cartesia-stt listen                  what you say becomes text
  cartesia-stt serve                   a speech-to-text server on this machine
  cartesia-stt replay DIR              what a recorded session did, once more
  cartesia-stt check call.raw          what a file is, and what is wrong with it"""

_TRANSCRIBE = """\
Send recordings to the service in real time, and print their text.

The text goes to the standard output, one line for each file; progress goes to
the standard error. The key is taken from CARTESIA_API_KEY and is never shown."""

_EXAMPLES = """\
examples:
  cartesia-stt transcribe --local talk.wav          no account: a server of its own
  cartesia-stt transcribe -o talk.txt talk.wav      the text goes into a file
  cartesia-stt transcribe --json *.wav > all.jsonl  word times; one line for each
  cartesia-stt transcribe --split call.wav          who said what, on two channels
  cartesia-stt transcribe -f srt -o subs *.wav      captions into the folder subs
  cartesia-stt transcribe -f paragraphs talk.wav    text to be read
  arecord -f S16_LE -r 16000 -t wav | cartesia-stt transcribe -
  ffmpeg -i talk.mp3 -f wav - | cartesia-stt transcribe -
  cartesia-stt transcribe --encoding pcm_mulaw --sample-rate 8000 call.raw
"""

_BATCH = """\
Send each file to the service in one request, and print its text: faster than in real
time, and cheaper.

The text goes to the standard output, one line for each file; progress goes to the
standard error. What is refused with 429 or 5xx is sent again, three times; after a
lost connection nothing is, for it may have been billed. The key is taken from
CARTESIA_API_KEY and is never shown."""

_BATCH_EXAMPLES = """\
examples:
  cartesia-stt batch talk.mp3                       flac, m4a, mp3, mp4, ogg, wav, webm
  cartesia-stt batch --local talk.flac              no account: a server of its own
  cartesia-stt batch -f srt -o subs *.mp3           captions into the folder subs
  cartesia-stt batch --json --words *.wav > all.jsonl
  curl -s https://example.org/talk.mp3 | cartesia-stt batch -
  cartesia-stt batch --encoding pcm_mulaw --sample-rate 8000 call.raw
"""

_SERVE = """\
Run a speech-to-text server on this machine, for trials and tests.

It speaks the service's own protocol. It prints the two settings that make a
program use it, and runs until Ctrl-C."""

_REPLAY = """\
Show what a session did that was recorded by Transcriber(record=DIR), then send the
same audio and commands again, in real time, and print the text that comes now.

The key is taken from CARTESIA_API_KEY; recordings hold none."""

_CHECK = """\
Say what a file of audio is, how loud, what is wrong with it and how to declare it.

Of raw samples nothing need be known: the encoding that fits best is found. Nothing is
sent anywhere. Each finding, and how often it is wrong, is in docs/findings.rst."""

_CHECK_EXAMPLES = """\
examples:
  cartesia-stt check call.raw                    what is this?
  cartesia-stt check --encoding pcm_s16le --sample-rate 16000 call.raw
                                                 is it this?
  cartesia-stt check --plot call.png call.wav    look at it
  cartesia-stt check --json *.wav                an object for each, on one line
  arecord -f S16_LE -r 16000 -d 5 -t raw | cartesia-stt check -
"""

_DEMO = """\
Watch a recording that ships with this package become text.

It goes through a server on this machine, which needs no account and no network,
but the packages of an extra:

  pip install 'cartesia-stt-sync[local,cli]'
  cartesia-stt demo"""


class _Intermixed(argparse.ArgumentParser):
    """Takes options before, between and behind the files.

    argparse gives the files behind an option back as not known. It has
    ``parse_intermixed_args`` for that, but not for one of several commands, and it
    forgets ``--`` there.
    """

    def parse_known_args(  # type: ignore[override]  # one of its overloads
        self,
        args: Sequence[str] | None = None,
        namespace: argparse.Namespace | None = None,
    ) -> tuple[argparse.Namespace, list[str]]:
        found, rest = super().parse_known_args(args, namespace)
        if hasattr(found, "files"):
            end = rest.index("--") if "--" in rest else len(rest)
            odd = [arg for arg in rest[:end] if arg.startswith("-") and arg != "-"]
            late = [arg for arg in rest[:end] if arg not in odd]
            found.files += late + rest[end + 1 :]
            rest = odd
        return found, rest


def make_parser() -> argparse.ArgumentParser:
    """Make the parser; what it gives has a ``run`` to be called with it."""
    parser = argparse.ArgumentParser(
        prog="cartesia-stt",
        description=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(
        parser_class=_Intermixed,
        metavar="COMMAND",
        required=True,
        help='one of these; "cartesia-stt COMMAND --help" says more',
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
    end = f"{_BATCH_EXAMPLES}\n{exits.HELP}"
    _add_batch(add("batch", _BATCH, batch.run, end))
    end = f"{listening.EXAMPLES}\n{exits.HELP}"
    command = add("listen", listening.ABOUT, listen.run, end)
    listening.add_options(command)
    _add_service(command)
    _add_serve(add("serve", _SERVE, serve.run))
    _add_replay(add("replay", _REPLAY, replay.run, exits.HELP))
    end = f"{_CHECK_EXAMPLES}\n{exits.CHECK_HELP}"
    _add_check(add("check", _CHECK, check.run, end))
    return parser


def _add_transcribe(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="a WAV file of any rate, width and channels; - is the standard input",
    )
    _add_output(command, "ink-2")
    command.add_argument(
        "--split",
        action="store_true",
        help="a session for each channel, as a telephone call has a speaker on each; "
        "each counts and is billed as one. Texts and captions say which channel it is, "
        "from 1; json counts from 0, as in Python. A file with one channel is "
        "transcribed as one",
    )
    _add_service(command)
    raw = _add_raw(command)
    raw.add_argument("--channels", type=int, metavar="N", help="default: 1")


def _add_batch(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="any file that the service takes; it is sent as it is. - is the standard "
        "input",
    )
    _add_output(command, "ink-whisper")
    command.add_argument(
        "--words",
        action="store_true",
        help="ask for the words' times, for -f json; captions ask by themselves",
    )
    _add_service(command)
    _add_raw(command)


def _add_output(command: argparse.ArgumentParser, model: str) -> None:
    command.add_argument(
        "--language",
        default="en",
        help='spoken language, ISO 639-1 (default: en); "none" sends none',
    )
    command.add_argument("--model", default=model, help=f"default: {model}")
    form = command.add_mutually_exclusive_group()
    form.add_argument(
        "-f",
        "--format",
        choices=outputs.FORMATS,
        default="txt",
        metavar="FORMAT",
        help="txt: a line of text for each file (default); paragraphs: to be read, "
        "with blank lines between; srt, vtt: captions, as SubRip or WebVTT; json: an "
        "object for each file, on one line, with the times of its words",
    )
    form.add_argument(
        "--json",
        action="store_const",
        const="json",
        dest="format",
        help="the same as -f json",
    )
    command.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        help="write to this file, once all is there; if it is a folder, to a file in "
        "it for each recording, once that is whole (what broke off is "
        "NAME.partial.txt). OUT/ is made if it is not there. "
        "Where nothing comes of what is sent, an older file stays as it is",
    )
    command.add_argument(
        "-q", "--quiet", action="store_true", help="show neither progress nor notes"
    )


def _add_raw(command: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    raw = command.add_argument_group("raw samples without a header")
    raw.add_argument("--encoding", metavar="NAME", help="pcm_s16le, pcm_mulaw, ...")
    raw.add_argument("--sample-rate", type=int, metavar="HZ", help="16000, 8000, ...")
    return raw


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


def _add_check(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "files", nargs="+", metavar="FILE", help="any file; - is the standard input"
    )
    command.add_argument(
        "--json", action="store_true", help="an object for each file, on one line"
    )
    command.add_argument(
        "--plot",
        metavar="OUT.png",
        help="draw waveform, level and spectrogram of one file; needs the extra [plot]",
    )
    raw = command.add_argument_group(
        "what you declare; with --encoding the bytes of any file are read as this, "
        "header or not, without it a WAV file's header is used"
    )
    raw.add_argument("--encoding", metavar="NAME", help="pcm_s16le, pcm_mulaw, ...")
    raw.add_argument("--sample-rate", type=int, metavar="HZ", help="16000, 8000, ...")
    raw.add_argument("--channels", type=int, metavar="N", help="1, 2, ...")


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
