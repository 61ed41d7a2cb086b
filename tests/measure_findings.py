"""How often the checks are wrong, and how soon they are right: docs/findings.rst.

python -m tests.measure_findings
"""

from __future__ import annotations

import statistics
from collections import Counter

import numpy as np

from cartesia_stt_sync.audio import AudioFormat, encode
from cartesia_stt_sync.checks import Finding, Listener, Watch
from cartesia_stt_sync.checks.behaviour import BLOCK

from .noises import MISTAKES, RATES, WIRE, Samples, corpus, speech
from .speech import clips


def listen(audio: AudioFormat, data: bytes) -> list[tuple[float, Finding]]:
    """What is found in some audio, fed in pieces of 0.1 s, and after how long."""
    listener = Listener(audio)
    piece = audio.sample_rate // 10 * audio.frame_bytes
    found = []
    for at in range(0, len(data), piece):
        seconds = (at + piece) / audio.sample_rate / audio.frame_bytes
        found += [(seconds, one) for one in listener.hear(data[at : at + piece])]
    return found


def false_positives(rates: tuple[int, ...] = RATES) -> tuple[int, Counter[str]]:
    """How many streams of correct audio were listened to, and what was found."""
    count, found = 0, Counter[str]()
    for rate in rates:
        for _, clip in corpus(rate):
            for encoding in WIRE:
                count += 1
                heard = listen(AudioFormat(encoding, rate), encode(clip, encoding))
                found.update(finding.code for _, finding in heard)
    return count, found


def short_false_positives(rates: tuple[int, ...] = RATES) -> tuple[int, Counter[str]]:
    """The same of a second of each, as ``cartesia-stt check`` hears a short file.

    That a second of silence is silent, and one that is hardly heard is quiet, is true.
    """
    count, found = 0, Counter[str]()
    for rate in rates:
        for _, clip in corpus(rate):
            for encoding in WIRE:
                count += 1
                listener = Listener(AudioFormat(encoding, rate))
                listener.hear(encode(clip[rate : 2 * rate], encoding))
                found.update(one.code for one in listener.end())
    return count, Counter({k: n for k, n in found.items() if k not in _TRUE})


_TRUE = ("silent", "quiet")


def short_detections(mistake: str, rates: tuple[int, ...] = RATES) -> tuple[int, int]:
    """How many seconds of clips had a mistake, and how many were noticed at the end."""
    code, declared, make = MISTAKES[mistake]
    count = noticed = 0
    for rate in rates:
        for name in clips():
            count += 1
            listener = Listener(AudioFormat(declared, rate))
            found = listener.hear(make(speech(name, rate)[rate : 2 * rate]))
            found += listener.end()
            noticed += any(finding.code == code for finding in found)
    return count, noticed


def detections(
    mistake: str, rates: tuple[int, ...] = RATES
) -> tuple[int, int, list[float]]:
    """How many streams had a mistake, how many were noticed, and when.

    Each clip is repeated to 24 s: some checks wait for 10.
    """
    code, declared, make = MISTAKES[mistake]
    count, times = 0, []
    for rate in rates:
        for name in clips():
            count += 1
            clip = np.resize(speech(name, rate), 24 * rate)
            heard = listen(AudioFormat(declared, rate), make(clip))
            times += [at for at, finding in heard if finding.code == code][:1]
    return count, len(times), times


def levels(clip: Samples, rate: int) -> list[float]:
    """The levels that a `Watch` is given."""
    size = round(rate * BLOCK)
    whole = clip[: len(clip) // size * size].reshape(-1, size)
    return [float(level) for level in np.sqrt((whole**2).mean(axis=1))]


def finalized_at_ends(pad: float, *, trimmed: bool) -> int:
    """How often a finalize between two clips is taken for one in speech.

    Args:
        pad: Seconds of quiet behind each clip.
        trimmed: Whether what is quiet at the clips' ends is cut off first.
    """
    wrong = 0
    names = list(clips())
    for first in names:
        for second in names:
            watch, now = Watch(16000, finalizes=True, by_itself=False), 0.0
            one, two = (
                levels(speech(first, 16000), 16000),
                levels(speech(second, 16000), 16000),
            )
            if trimmed:
                one, two = _trimmed(one), _trimmed(two)
            found = _feed(watch, [*one, *[0.0005] * round(pad / BLOCK)], now)
            found += watch.finalized(now)
            found += _feed(watch, two, now)
            wrong += any(finding.code == "finalize-in-speech" for finding in found)
    return wrong


def finalized_in_speech() -> tuple[int, int]:
    """How many finalizes in the middle of words there were, and how many were found.

    The middle is a block that is loud with two loud ones on either side.
    """
    count = found = 0
    for name in clips():
        all_levels = levels(speech(name, 16000), 16000)
        loud = 0.25 * max(all_levels)
        for cut in range(40, len(all_levels) - 5):
            if min(all_levels[cut - 3 : cut + 3]) < loud:
                continue
            count += 1
            watch = Watch(16000, finalizes=True, by_itself=False)
            _feed(watch, all_levels[:cut], 0.0)
            watch.finalized(0.0)
            noticed = _feed(watch, all_levels[cut:], 0.0)
            found += any(one.code == "finalize-in-speech" for one in noticed)
    return count, found


def _trimmed(values: list[float]) -> list[float]:
    loud = [index for index, value in enumerate(values) if value > 0.02]
    return values[loud[0] : loud[-1] + 1]


def _feed(watch: Watch, values: list[float], now: float) -> list[Finding]:
    return [
        finding
        for value in values
        for finding in watch.fed(now, BLOCK, [value], blocked=True)
    ]


def arrivals(times: float, piece: float, jitter: float, seed: int) -> set[str]:
    """What is said of audio that comes so many times as fast as it was declared.

    Args:
        times: Seconds of audio a second.
        piece: Seconds of audio in each piece.
        jitter: How much each piece is early or late, in parts of a piece.
        seed: Of the jitter, and of a stall of a second.
    """
    chance = np.random.default_rng(seed)
    watch = Watch(16000, finalizes=True, by_itself=False)
    found: set[str] = set()
    now, stall = 0.0, chance.integers(20, 60)
    for number in range(round(40 / piece)):
        now = max(now, number * piece / times + jitter * piece * chance.uniform(-1, 1))
        if number == stall:
            now += 1.0
        found |= {one.code for one in watch.fed(now, piece, [], blocked=False)}
    return found


def main() -> None:
    """Print the tables."""
    count, found = false_positives()
    print(f"correct audio: {count} streams, findings: {dict(found) or 'none'}")
    count, found = short_false_positives()
    print(f"a second of it: {count} files, findings: {dict(found) or 'none'}")
    for mistake in MISTAKES:
        total, noticed, times = detections(mistake)
        _, short = short_detections(mistake)
        median = f"{statistics.median(times):.1f} s" if times else "-"
        print(f"{mistake:32} {noticed:3} of {total}  {median:6}  1 s: {short}")
    for pad, trimmed in ((0.3, False), (0.0, False), (0.0, True)):
        wrong = finalized_at_ends(pad, trimmed=trimmed)
        ends = "trimmed" if trimmed else "as they are"
        print(f"finalize between clips {ends}, {pad} s apart: {wrong} of 25")
    count, noticed = finalized_in_speech()
    print(f"finalize in mid-speech: {noticed} of {count}")
    for speed, rates in ((1.0, "as declared"), (3.0, "48 kHz as 16"), (0.5, "8 as 16")):
        sets = [
            arrivals(speed, piece, jitter, seed)
            for piece in (0.01, 0.02, 0.05, 0.1, 0.2)
            for jitter in (0.0, 0.1, 0.5)
            for seed in range(20)
        ]
        codes = Counter(code for found_ in sets for code in found_)
        print(f"arrival {rates}: {dict(codes) or 'none'} of {len(sets)}")


if __name__ == "__main__":
    main()
