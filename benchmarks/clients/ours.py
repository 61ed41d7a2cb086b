"""This library, with everything on that is on by default.

The audio is in hand, as for the peers, and each stream's sender paces it: one thread
feeds all streams, a second of audio at a time, half a second before it is due.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from cartesia_stt_sync import Transcriber, Transcript

from ..wire import CHUNK, audio, own
from .base import PATIENCE, Client, Hear, Target

AHEAD = 0.5
"""Seconds before its turn at which a piece is fed; the first comes at its turn."""

PIECE = 10
"""Chunks in a piece."""


class Ours(Client):
    """This library."""

    about = "this library, all on; fed a second at a time, and paces"
    piece = PIECE
    ahead = AHEAD

    def __init__(self, target: Target, hear: Hear) -> None:
        super().__init__(target, hear)
        self.streams: dict[int, Transcriber] = {}
        self._feeders: list[threading.Thread] = []
        self.failures: list[Exception] = []

    def options(self) -> dict[str, Any]:
        """More arguments for each transcriber."""
        return {}

    def connect(self, number: int) -> None:
        """See `Client`."""

        def heard(transcript: Transcript) -> None:
            self.hear(number, transcript.text)

        t = Transcriber(
            api_key="any",
            base_url=self.target.base_url,
            extra_query={"stream": number},
            on_final=heard,
            on_error=self.failures.append,
            **self.options(),
        )
        t.open()
        self.streams[number] = t

    def start(self, begins: Mapping[int, float], count: int) -> None:
        """See `Client`."""
        # Stable: a stream's pieces stay in order.
        feeds = sorted(self._feeds(begins, count), key=lambda feed: feed[:2])
        feeder = threading.Thread(target=self._feed, args=(feeds,), daemon=True)
        self._feeders.append(feeder)
        feeder.start()

    def _feeds(
        self, begins: Mapping[int, float], count: int
    ) -> Iterator[tuple[float, int, bytes]]:
        """When which stream is fed what."""
        chunks = audio(count)
        cuts = [0, *range(1, count, self.piece), count]
        pieces = [
            (first, b"".join(chunks[first:last])) for first, last in pairwise(cuts)
        ]
        for number, begin in begins.items():
            for first, piece in pieces:
                yield max(begin, begin + first * CHUNK - self.ahead), number, piece

    def _feed(self, feeds: list[tuple[float, int, bytes]]) -> None:
        for at, number, piece in feeds:
            delay = at - time.monotonic()
            if delay > 0:
                time.sleep(delay)
            self.streams[number].feed(own(piece))

    def wait(self) -> None:
        """See `Client`."""
        for feeder in self._feeders:
            feeder.join()

    def finalize(self, number: int) -> None:
        """See `Client`."""
        self.streams[number].finalize().result(PATIENCE)

    def close(self) -> None:
        """See `Client`."""
        for t in self.streams.values():
            t.close(wait=False)
        for t in self.streams.values():
            t.close()
        if self.failures:
            raise self.failures[0]
