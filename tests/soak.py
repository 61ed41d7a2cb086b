"""Long runs: an hour of audio on a clock that is moved, and real minutes of many calls.

::

    python -m tests.soak hour
    python -m tests.soak calls --streams 50 --minutes 10

The first is in the suite as well. The second needs its minutes; what it printed on
one machine stands in ``docs/reliability.rst``.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import resource
import statistics
import threading
import time
from collections.abc import Iterable
from multiprocessing.connection import Connection
from typing import Any

import attrs

from cartesia_stt_sync import Transcriber
from cartesia_stt_sync._frames import TEXT, FrameReader
from cartesia_stt_sync._queue import Kind, Send
from cartesia_stt_sync.errors import ConnectionLost
from cartesia_stt_sync.events import Done, Event
from cartesia_stt_sync.server import LocalServer
from cartesia_stt_sync.wire import dump, parse

from .hearing import LENGTH, RATE, Hearer, spoken, written
from .test_core import Rig

CHUNK = 0.1
PIECE = 0.02
"""Seconds of audio in a call of feed."""

UTTERANCE = 20
"""Words between two finalizes; of 30,000 numbers, for a sample holds no more."""


# One hour, on a clock that is moved


@attrs.define
class Hour:
    """What came of the hour.

    Attributes:
        late: For each connection, and each chunk on it, the seconds from when its
            last sample had been spoken to when it left.
        text: What was heard.
        expected: What was said.
        kept: Bytes that the session held at each tenth, but for its transcript.
        losses: Connections lost on the way.
        seconds: How long all that took to compute.
    """

    late: list[list[float]] = attrs.field(factory=lambda: [[]])
    text: str = ""
    expected: str = ""
    kept: list[int] = attrs.field(factory=list)
    losses: int = 0
    seconds: float = 0.0

    def drift(self) -> float:
        """By how much more the last minute of a connection was late than the first."""
        minute = round(60 / CHUNK)
        return max(
            statistics.median(late[-minute:]) - statistics.median(late[:minute])
            for late in self.late
        )


class Wire:
    """The server's end, with its answers as bytes in frames, cut at random."""

    def __init__(self, rig: Rig, die: random.Random) -> None:
        self.rig = rig
        self.die = die
        self.connect()

    def connect(self) -> None:
        """Stand anew."""
        self.hearer = Hearer("both", a_final=7)
        self.reader = FrameReader(1 << 20)

    def take(self, send: Send) -> None:
        """Hear one message, and answer at once."""
        if send.kind is Kind.FINALIZE:
            self.say(self.hearer.finalize())
        elif send.kind is Kind.CLOSE:
            self.say([*self.hearer.finalize()[:-1], Done()])
        else:
            self.say(self.hearer.feed(send.data))

    def say(self, events: list[Event]) -> None:
        """Bring events to the core by way of bytes, frames and JSON."""
        data = b"".join(framed(dump(event).encode()) for event in events)
        while data:
            cut = self.die.randint(1, len(data))
            self.reader.feed(data[:cut])
            data = data[cut:]
            while (frame := self.reader.next()) is not None:
                core = self.rig.core
                core.take_in(parse(frame.payload), self.rig.now, len(frame.payload))


def framed(text: bytes) -> bytes:
    """A server's text frame."""
    size = len(text)
    head = bytes([126]) + size.to_bytes(2, "big") if size > 125 else bytes([size])
    return bytes([0x80 | TEXT]) + head + text


def hour(seconds: int = 3600, losses: int = 5) -> Hour:
    """Feed words in real time, as a microphone does, with pauses and losses."""
    began = time.perf_counter()
    die = random.Random(1)
    rig = Rig(chunk=CHUNK, silence_after=0.3, keep_alive=60.0)
    wire = Wire(rig, die)
    core, result = rig.core, Hour()
    words = seconds * RATE // LENGTH
    audio = spoken(1, words)
    start, size = rig.now, round(PIECE * RATE) * 2

    def play(until: float) -> None:
        """Send at each moment that the core names, a little late as sleepers are."""
        while True:
            step = core.step(rig.now)
            if isinstance(step, Send):
                if step.kind is Kind.AUDIO:
                    said_by = start + core.outbox.source_bytes / 2 / RATE
                    result.late[-1].append(rig.now - said_by)
                wire.take(step)
            elif step is not None and step.until is not None and step.until < until:
                rig.now = max(rig.now, step.until + die.uniform(0, 0.0005))
            else:
                return

    # In the middle of utterances.
    lost_at = [round(words * (n + 0.5) / losses) + 5 for n in range(losses)]
    for at in range(0, len(audio), size):
        # A microphone's pieces come when they have been spoken, give or take.
        spoken_by = start + (at + size) / 2 / RATE
        fed_at = max(rig.now, spoken_by + die.uniform(0, 0.005))
        play(fed_at)
        rig.now = fed_at
        if at // 2 % (LENGTH * UTTERANCE) == 0 and at:
            rig.finalize()
        rig.feed(audio[at : at + size])
        word = at // 2 // LENGTH
        play(rig.now)
        core.finalizes.answers.clear()
        if lost_at and word >= lost_at[0]:
            lost_at.pop(0)
            core.lost(ConnectionLost("gone"), rig.now)
            core.next_attempt()
            wire.connect()
            core.connected(None, rig.now)
            result.losses += 1
            result.late.append([])
        if at // size % (len(audio) // size // 10) == 0:
            result.kept.append(held(rig))
    rig.close()
    while not core.session.ended:
        rig.run(CHUNK)
        for send in rig.sent:
            wire.take(send)
        rig.sent.clear()
    result.text, result.expected = core.speech.assembler.text, written(words)
    result.seconds = time.perf_counter() - began
    return result


def held(rig: Rig) -> int:
    """Bytes of audio and numbers that the session holds beside its transcript."""
    box = rig.core.outbox
    log = box._unanswered._log
    return (
        box.buffered_bytes
        + sum(len(sent.data) for sent in log)
        + 100 * len(log)
        + 100 * len(box.timeline._starts)
        + 8 * len(rig.core.speech.seam._said)
    )


# Real minutes of many calls


def service(pipe: Connection, streams: int) -> None:
    """A scripted server in a process of its own.

    It says two words a second in the first half minute: a transcript is kept, and
    would hide what else might grow.
    """
    script = [(0.5 * n, f" {n}") for n in range(1, 60)]
    with LocalServer(script=script, max_streams=streams) as server:
        pipe.send(server.base_url)
        pipe.recv()


@attrs.define
class Look:
    """The process at one moment."""

    rss: int
    descriptors: int
    threads: int
    cpu: float

    @classmethod
    def now(cls) -> Look:
        """Look at this process."""
        with open("/proc/self/statm") as file:
            pages = int(file.read().split()[1])
        used = resource.getrusage(resource.RUSAGE_SELF)
        return cls(
            pages * resource.getpagesize(),
            len(os.listdir("/proc/self/fd")),
            threading.active_count(),
            used.ru_utime + used.ru_stime,
        )


def calls(streams: int, minutes: float) -> dict[str, Any]:
    """Hold so many calls for so long, fed as by microphones; tell what was seen."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=service, args=(theirs, streams))
    server.start()
    url = ours.recv()
    made = [Transcriber(api_key="any", base_url=url) for _ in range(streams)]
    for t in made:
        t.open()
    piece = bytes(range(250)) * 128
    piece = piece[: round(CHUNK * RATE) * 2]
    looks, lags, late = [Look.now()], [], []
    began = time.monotonic()
    beats = round(minutes * 60 / CHUNK)
    for beat in range(beats):
        # All streams on one absolute beat; each call is as long as its audio.
        time.sleep(max(0.0, began + beat * CHUNK - time.monotonic()))
        for number, t in enumerate(made):
            t.feed(piece)
            if (beat + number) % 100 == 99:
                t.finalize()
        late.append(time.monotonic() - began - beat * CHUNK)
        if beat % 600 == 599:
            looks.append(Look.now())
            lags.append(max(t.stats.lag_seconds for t in made))
    fed = time.monotonic() - began
    behind = [beats * CHUNK - t.stats.sent_seconds for t in made]
    for t in made:
        t.close(wait=False)
    for t in made:
        t.close()
    took = time.monotonic() - began
    ours.send(None)
    server.join()
    stages = [t.stats.stages for t in made]
    return {
        "streams": streams,
        "minutes": round(fed / 60, 2),
        "feeding a beat took, seconds": round(statistics.median(late), 4),
        "buffered at the end, seconds: most": round(max(behind), 3),
        "lag at each minute, seconds: most": [round(lag, 4) for lag in lags],
        "drained after, seconds": round(took - fed, 3),
        "finalizes": sum(t.stats.finalizes for t in made),
        "answered, seconds: mean": mean(stage.answered.mean for stage in stages),
        "answered, seconds: longest": most(stage.answered.longest for stage in stages),
        "sent, seconds: mean": mean(stage.sent.mean for stage in stages),
        "sessions": sum(t.stats.sessions for t in made),
        "findings": sorted({f.code for t in made for f in t.findings}),
        "same text": len({t.text for t in made}) == 1,
        "words": made[0].text.count(" "),
        "CPU, of one core": round((looks[-1].cpu - looks[0].cpu) / fed, 3),
        "RSS at each minute, MB": [round(look.rss / 1e6, 1) for look in looks],
        "descriptors at each minute": [look.descriptors for look in looks],
        "threads at each minute": [look.threads for look in looks],
    }


def mean(values: Iterable[float | None]) -> float:
    """Of what there is, to the microsecond."""
    return round(statistics.fmean(v for v in values if v is not None), 6)


def most(values: Iterable[float | None]) -> float:
    """Of what there is, to the microsecond."""
    return round(max(v for v in values if v is not None), 6)


def main() -> None:
    """Run what the command line asks for, and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="what", required=True)
    commands.add_parser("hour")
    many = commands.add_parser("calls")
    many.add_argument("--streams", type=int, default=50)
    many.add_argument("--minutes", type=float, default=10.0)
    options = parser.parse_args()
    if options.what == "hour":
        seen = hour()
        print(
            json.dumps(
                {
                    "chunks": sum(map(len, seen.late)),
                    "text as said": seen.text == seen.expected,
                    "words": seen.text.count(" "),
                    "losses": seen.losses,
                    "drift on a connection, seconds: most": seen.drift(),
                    "held, bytes, at each tenth": seen.kept,
                    "took, seconds": round(seen.seconds, 1),
                },
                indent=1,
            )
        )
    else:
        print(json.dumps(calls(options.streams, options.minutes), indent=1))


if __name__ == "__main__":
    main()
