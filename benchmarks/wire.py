"""What goes over the wire in every benchmark, and how its times are told.

The server writes its monotonic time into the text of each event, so that a client
needs nothing of its own to measure: on one machine all processes share that clock.
"""

from __future__ import annotations

import json
import time
import wave
from functools import cache
from itertools import cycle, islice
from pathlib import Path

import cartesia_stt_sync

__all__ = [
    "CHUNK",
    "CHUNK_BYTES",
    "EVENT_BYTES",
    "RATE",
    "chunks",
    "event",
    "now",
    "own",
]

RATE = 16000
"""Samples a second, of two bytes."""

CHUNK = 0.1
"""Seconds of audio in a message."""

CHUNK_BYTES = 3200
EVENT_BYTES = 305
TIME_DIGITS = 19

_CLIP = Path(cartesia_stt_sync.__file__).parent / "data" / "sense_and_sensibility.wav"


@cache
def chunks() -> tuple[bytes, ...]:
    """A human voice, cut into messages; begin anew after the last."""
    with wave.open(str(_CLIP)) as clip:
        assert clip.getparams()[:3] == (1, 2, RATE)
        audio = clip.readframes(clip.getnframes())
    whole = len(audio) - len(audio) % CHUNK_BYTES
    return tuple(audio[at : at + CHUNK_BYTES] for at in range(0, whole, CHUNK_BYTES))


def audio(count: int) -> list[bytes]:
    """So many messages of it."""
    return list(islice(cycle(chunks()), count))


def own(piece: bytes) -> bytes:
    """A copy: each call has audio of its own, and a client may keep some of it."""
    return bytes(memoryview(piece))


def event(nanoseconds: int) -> bytes:
    """A final transcript as the service sends it, with the time as its text."""
    return HEAD + b"%019d" % nanoseconds + TAIL


def now() -> int:
    """The clock that all processes share, in nanoseconds."""
    return time.monotonic_ns()


def _event_around() -> tuple[bytes, bytes]:
    words = [("Elinor,", 0.0, 0.03), ("the", 0.03, 0.06), ("eldest", 0.06, 0.09)]
    text = "0" * TIME_DIGITS
    fields = {
        "type": "transcript",
        "is_final": True,
        "request_id": "9f1c6d1e-2f0b-4b7a-9a55-0c4de1b2a7f3",
        "text": text,
        "duration": CHUNK,
        "language": "en",
        "words": [{"word": w, "start": s, "end": e} for w, s, e in words],
    }
    head, tail = json.dumps(fields, separators=(",", ":")).encode().split(text.encode())
    # Blanks between JSON's tokens mean nothing, and make it the size that it has.
    return head, tail[:-1] + b" " * (
        EVENT_BYTES - len(head + tail) - TIME_DIGITS
    ) + b"}"


HEAD, TAIL = _event_around()
assert len(HEAD) + TIME_DIGITS + len(TAIL) == EVENT_BYTES
