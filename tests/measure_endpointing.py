"""How often an endpointer cuts somebody off, and how long it waits.

    python -m tests.measure_endpointing

prints the table of docs/endpointing.rst. The streams are the clips of ``data``, three
times over in seeded orders. The reader makes no pause in them that is longer than 0.2
s, so each is given two of 0.1 to 0.9 s, at its quietest places: somebody who thinks. In
the stream "as read" it is not. Behind each are 1.5 to 2 s in which nobody speaks: that
is where the utterance ends, and an end that is heard anywhere else is a cut. The truth
comes from how the streams are made: an utterance is over with the last 20 ms of its
clip that are within 35 dB of its loudest.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator

import attrs
import numpy as np

from cartesia_stt_sync import EnergyEndpointer, SileroEndpointer
from cartesia_stt_sync.audio import decode, encode

from .noises import NOISES, Samples, speech, telephone
from .speech import clips

_LATE = 1.5
"""Seconds after an utterance in which its end counts as heard."""


@attrs.frozen
class Stream:
    """Audio, and where in it somebody has finished, in seconds."""

    samples: Samples
    rate: int
    ends: tuple[float, ...]


@attrs.frozen
class Result:
    """What became of a stream's utterances.

    Attributes:
        utterances: How many there are.
        cuts: How many of them were ended before, too.
        missed: How many were not ended in time.
        delays: Of the others, seconds from the end to when it was heard.
        cpu: Milliseconds a second of audio.
    """

    utterances: int
    cuts: int
    missed: int
    delays: tuple[float, ...]
    cpu: float


def stream(
    seed: int,
    rate: int = 16000,
    *,
    behind: Samples | None = None,
    as_read: bool = False,
) -> Stream:
    """Make a stream.

    Args:
        seed: Of its orders and pauses.
        rate: In Hz.
        behind: What else is heard, over and over; ``None``: next to nothing.
        as_read: Whether nobody stops to think.
    """
    chance = np.random.default_rng(seed)
    parts = [np.zeros(rate, np.float32)]
    ends, at = [], rate
    for name in [name for _ in range(3) for name in chance.permutation(list(clips()))]:
        clip = speech(str(name), rate)
        clip = clip if as_read else hesitating(clip, rate, chance)
        pause = round(rate * chance.uniform(1.5, 2.0))
        ends.append((at + _last_loud(clip, rate)) / rate)
        parts += [clip, np.zeros(pause, np.float32)]
        at += len(clip) + pause
    whole = np.concatenate(parts)
    if behind is None:
        behind = np.asarray(chance.normal(0, 1e-4, rate), np.float32)
    return Stream(whole + np.resize(behind, len(whole)), rate, tuple(ends))


def hesitating(clip: Samples, rate: int, chance: np.random.Generator) -> Samples:
    """A clip whose speaker stops to think, in its first half and in its second."""
    size, half = rate // 50, len(clip) // 2
    parts = []
    for part in (clip[:half], clip[half:]):
        power = _power(part, size)
        lull = np.convolve(power, np.ones(5), "same")  # between words, not in one
        edge = len(power) // 4
        at = (int(np.argmin(lull[edge:-edge])) + edge) * size + size // 2
        pause = np.zeros(round(rate * chance.uniform(0.1, 0.9)), np.float32)
        parts += [part[:at], pause, part[at:]]
    return np.concatenate(parts)


def _power(clip: Samples, size: int) -> Samples:
    whole = clip[: len(clip) // size * size].reshape(-1, size)
    return np.asarray((whole**2).mean(axis=1))


def _last_loud(clip: Samples, rate: int) -> int:
    power = _power(clip, rate // 50)
    return int(np.nonzero(power > power.max() * 10**-3.5)[0][-1] + 1) * (rate // 50)


def below(noise: Samples, decibels: float) -> Samples:
    """Noise that is so much weaker than the clips are on the whole."""
    spoken = np.concatenate([speech(name, 16000) for name in clips()])
    level = np.sqrt(np.mean(spoken**2) / np.mean(noise**2)) / 10 ** (decibels / 20)
    return np.asarray(noise * level, np.float32)


def over_telephone(made: Stream) -> Stream:
    """The same stream, through a telephone."""
    narrow = telephone(made.samples, made.rate)
    heard = decode(encode(narrow, "pcm_mulaw"), "pcm_mulaw")
    return attrs.evolve(made, samples=heard)


def judge(endpointer: EnergyEndpointer | SileroEndpointer, made: Stream) -> Result:
    """Let an endpointer hear a stream in pieces of 0.1 s."""
    began = time.process_time()
    endpointer.start(made.rate)
    piece, found = made.rate // 10, []
    for at in range(0, len(made.samples), piece):
        ends = endpointer.hear(made.samples[at : at + piece])
        found += [(at + end) / made.rate for end in ends]
    cpu = (time.process_time() - began) * 1000 / (len(made.samples) / made.rate)
    delays, cuts, before = [], 0, 0.0
    for end in made.ends:
        cuts += any(before < one < end for one in found)
        heard = [one for one in found if end <= one <= end + _LATE]
        delays += [heard[0] - end] if heard else []
        before = end + _LATE
    missed = len(made.ends) - len(delays)
    return Result(len(made.ends), cuts, missed, tuple(delays), cpu)


def conditions() -> Iterator[tuple[str, list[Stream]]]:
    """The streams, by what is done to them."""
    seeds = range(2)
    yield "as read", [stream(seed, as_read=True) for seed in seeds]
    clean = [stream(seed) for seed in seeds]
    yield "quiet room", clean
    faint = [attrs.evolve(made, samples=made.samples * 0.0316) for made in clean]
    yield "faint, -30 dB", faint
    for noise, decibels in (
        ("pink noise", 20.0),
        ("pink noise", 10.0),
        ("music", 15.0),
        ("babble", 15.0),
    ):
        behind = below(np.asarray(NOISES[noise](16000), np.float32), decibels)
        yield (
            f"{noise}, {decibels:.0f} dB",
            [stream(seed, behind=behind) for seed in seeds],
        )
    yield "telephone", [over_telephone(stream(seed, 8000)) for seed in seeds]
    yield "48 kHz", [stream(seed, 48000) for seed in seeds]


ENDPOINTERS: dict[str, Callable[[], EnergyEndpointer | SileroEndpointer]] = {
    "energy, 0.4 s": lambda: EnergyEndpointer(silence=0.4),
    "energy, 0.7 s (default)": EnergyEndpointer,
    "energy, 1.0 s": lambda: EnergyEndpointer(silence=1.0),
    "silero, 0.4 s": lambda: SileroEndpointer(silence=0.4),
    "silero, 0.7 s (default)": SileroEndpointer,
    "silero, 1.0 s": lambda: SileroEndpointer(silence=1.0),
}


def main() -> None:
    """Print the table."""
    print("stream | endpointer | cut | missed | delay p50, p95 s | CPU ms a second")
    for name, streams in conditions():
        for label, make in ENDPOINTERS.items():
            results = [judge(make(), made) for made in streams]
            count = sum(result.utterances for result in results)
            cuts = sum(result.cuts for result in results)
            missed = sum(result.missed for result in results)
            delays = sorted(d for result in results for d in result.delays)
            late = delays[int(0.95 * (len(delays) - 1))] if delays else float("nan")
            middle = statistics.median(delays) if delays else float("nan")
            cpu = statistics.mean(result.cpu for result in results)
            print(
                f"{name:17} {label:24} {cuts:3} of {count}  {missed:3} of {count}  "
                f"{middle:.2f} {late:.2f}  {cpu:.2f}"
            )


if __name__ == "__main__":
    main()
