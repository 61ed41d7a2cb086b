"""What is done to 100 ms of audio before it goes on the wire, without any wire.

Beside ours stands what the arithmetic alone takes, where there is some.
"""

from __future__ import annotations

import statistics
import timeit
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from cartesia_stt_sync import AudioFormat, Listener
from cartesia_stt_sync.audio import Converter, decode, encode

from .entries import Entry, Scale
from .wire import chunks

__all__ = ["measure", "time_of"]

_REPEAT = 5

WIRE = AudioFormat("pcm_s16le", 16000)
STUDIO = AudioFormat("pcm_s16le", 48000, 2)
PHONE = AudioFormat("pcm_mulaw", 8000)


def measure(scale: Scale) -> Iterator[Entry]:
    """Convert a chunk of a voice in each way."""
    for case, ways in _cases().items():
        for client, way in ways.items():
            for number in range(scale.rounds):
                yield Entry(
                    bench="audio, a chunk",
                    case=case,
                    client=client,
                    round=number,
                    figures={"call": time_of(way, scale.times)},
                )


def time_of(call: Callable[[], Any], times: int) -> float:
    """Seconds that a call takes: the median of some series."""
    call()  # what is imported or made late
    series = timeit.repeat(call, number=times, repeat=_REPEAT)
    return statistics.median(series) / times


def _cases() -> dict[str, dict[str, Callable[[], Any]]]:
    voice = chunks()[20]
    floats: NDArray[np.float32] = decode(voice, "pcm_s16le")
    stereo: NDArray[np.float32] = floats.repeat(6).reshape(-1, 2)
    studio = encode(stereo.reshape(-1), "pcm_s16le")
    phone = encode(floats[::2], "pcm_mulaw")

    def ours(data: Any, source: AudioFormat | None, wire: AudioFormat = WIRE) -> Any:
        converter = Converter(wire, source)
        return lambda: converter.convert(data)

    down = soxr.ResampleStream(48000, 16000, 1, dtype="float32")
    mono = stereo.mean(axis=1)
    listener = Listener(WIRE)
    voices = cycle(chunks())

    return {
        "as it is": {"ours": ours(voice, None)},
        "array of float to pcm_s16le": {
            "ours": ours(floats, None),
            "NumPy alone": lambda: (floats * 32767).astype("<i2").tobytes(),
        },
        "48 kHz stereo to 16 kHz": {
            "ours": ours(studio, STUDIO),
            "soxr alone": lambda: down.resample_chunk(mono),
        },
        "pcm_mulaw at 8 kHz to pcm_s16le at 16 kHz": {"ours": ours(phone, PHONE)},
        "pcm_s16le to pcm_mulaw": {
            "ours": ours(voice, WIRE, AudioFormat("pcm_mulaw", 16000))
        },
        "listening for mistakes": {"ours": lambda: listener.hear(next(voices))},
    }
