"""The options of ``cartesia-stt listen``, and their help.

Decides what may be written there and how it is explained. Does nothing.
"""

from __future__ import annotations

import argparse

from . import outputs

__all__ = ["ABOUT", "EXAMPLES", "add_options"]

ABOUT = """\
Listen to the microphone, and print what is said, a line for each utterance.

Where one ends is heard (--endpointer), or a key says it (--push-to-talk), or the
service does (--auto). Ctrl-C ends, with the last words and with what was billed.
It needs the packages of an extra:

  pip install 'cartesia-stt-sync[mic,vad,cli]'
  cartesia-stt listen"""

EXAMPLES = """\
examples:
  cartesia-stt listen --local                 no account: a server of its own
  cartesia-stt listen --push-to-talk          pays for nothing but what you say
  cartesia-stt listen --device USB | ./answer.py
  cartesia-stt listen --budget 600 -o talk.txt
"""


def add_options(command: argparse.ArgumentParser) -> None:
    """Add what may be written behind ``listen``, but for whom to talk to."""
    command.add_argument(
        "--language",
        help='spoken language, ISO 639-1 (default: en); "none" sends none',
    )
    command.add_argument("--model", default="ink-2", help="default: ink-2")
    command.add_argument(
        "-f",
        "--format",
        choices=outputs.FORMATS,
        default="txt",
        help="a line for each utterance (default), captions as SubRip or WebVTT, or an "
        "object for all of it",
    )
    command.add_argument(
        "-o", "--output", metavar="OUT", help="write to this file, once all is there"
    )
    command.add_argument(
        "-q", "--quiet", action="store_true", help="show neither text nor notes beside"
    )
    command.add_argument(
        "--budget",
        type=float,
        metavar="SECONDS",
        help="end when so much was sent; each second is billed, silence too",
    )
    ends = command.add_argument_group("the end of an utterance")
    ends.add_argument(
        "--endpointer",
        choices=("silero", "energy", "none"),
        help="who hears it: a neural network (default, where it is installed), the "
        "loudness, or nobody: the service waits for a pause",
    )
    ends.add_argument(
        "--push-to-talk",
        action="store_true",
        help="Enter or the space bar begins and ends one; between two nothing is sent",
    )
    ends.add_argument(
        "--auto",
        action="store_true",
        help="the service's Auto endpoint, which finds the turns of a conversation",
    )
    sound = command.add_argument_group("microphone")
    sound.add_argument(
        "--device", metavar="NAME", help="its number, or a part of its name"
    )
    sound.add_argument(
        "--list-devices", action="store_true", help="show what there is, and end"
    )
    sound.add_argument(
        "--sample-rate", type=int, metavar="HZ", help="default: the device's own"
    )
