"""What a client is to the benchmarks, and what all thread pairs have in common.

A client holds many streams of one library. `ThreadPairs` gives each stream the two
threads that its user would write: one sends on an absolute schedule, one reads to the
end. So a peer is one small module that says how to connect, send and read.
"""

from __future__ import annotations

import abc
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import ClassVar, Protocol

import attrs

from ..wire import CHUNK, audio, own

__all__ = ["Client", "Hear", "Target", "ThreadPairs", "Wire"]

Hear = Callable[[int, str], None]
"""Called with the stream's number and the text of each transcript."""

PATIENCE = 30.0
"""Seconds after which something never comes."""

QUERY = "model=ink-2&language=en&encoding=pcm_s16le&sample_rate=16000"
PATH = "/stt/websocket"


@attrs.frozen
class Target:
    """Where the server is."""

    scheme: str
    port: int

    @property
    def base_url(self) -> str:
        """Without a path."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def secure(self) -> bool:
        """Whether by TLS."""
        return self.scheme == "wss"

    def url(self, number: int) -> str:
        """A stream's."""
        return f"{self.base_url}{PATH}?{QUERY}&stream={number}"


HEADERS: dict[str, str] = {
    "Authorization": "Bearer any",
    "Cartesia-Version": "2026-03-01",
}


class Client(abc.ABC):
    """Many streams of one library.

    Args:
        target: The server.
        hear: Called on whatever thread a transcript comes.
    """

    about: ClassVar[str]
    """What it is, in a line."""

    needs: ClassVar[tuple[str, ...]] = ()
    """Modules that have to be there."""

    def __init__(self, target: Target, hear: Hear) -> None:
        self.target = target
        self.hear = hear

    @classmethod
    def missing(cls) -> str | None:
        """Why it cannot run here, if so."""
        from importlib.util import find_spec

        gone = [name for name in cls.needs if find_spec(name) is None]
        return f"not installed: {', '.join(gone)}" if gone else None

    @abc.abstractmethod
    def connect(self, number: int) -> None:
        """Open a stream; returns when it stands."""

    @abc.abstractmethod
    def start(self, begins: Mapping[int, float], count: int) -> None:
        """Have streams send so many chunks, each stream from its moment on."""

    @abc.abstractmethod
    def wait(self) -> None:
        """Wait until all that was started is sent."""

    @abc.abstractmethod
    def finalize(self, number: int) -> None:
        """Send ``finalize`` on a stream that is idle; return at its ``flush_done``."""

    @abc.abstractmethod
    def close(self) -> None:
        """Say ``close`` on each stream, read to ``done``, and end all threads."""


class Wire(Protocol):
    """One connection of a peer's, for one thread that writes and one that reads."""

    def send_audio(self, chunk: bytes) -> None:
        """Send a binary message."""

    def send_text(self, text: str) -> None:
        """Send a text message."""

    def events(self) -> Iterator[tuple[str, str]]:
        """Read to the end: each event's type, and its text or ''."""

    def release(self) -> None:
        """Give the socket back."""


class Pair:
    """One stream, with the two threads of a user's program."""

    def __init__(self, wire: Wire, number: int, hear: Hear) -> None:
        self.wire = wire
        self.number = number
        self.hear = hear
        self.flushed = threading.Semaphore(0)
        self.sender: threading.Thread | None = None
        self.receiver = threading.Thread(target=self._read, daemon=True)
        self.receiver.start()

    def start(self, begin: float, chunks: list[bytes]) -> None:
        """Begin to send."""
        self.sender = threading.Thread(
            target=self._send, args=(begin, chunks), daemon=True
        )
        self.sender.start()

    def _send(self, begin: float, chunks: list[bytes]) -> None:
        due = begin
        for chunk in chunks:
            delay = due - time.monotonic()
            if delay > 0:
                time.sleep(delay)
            self.wire.send_audio(own(chunk))
            due += CHUNK

    def _read(self) -> None:
        for kind, text in self.wire.events():
            if kind == "transcript":
                self.hear(self.number, text)
            elif kind == "flush_done":
                self.flushed.release()


class ThreadPairs(Client):
    """A client that is a thread pair a stream."""

    def __init__(self, target: Target, hear: Hear) -> None:
        super().__init__(target, hear)
        self._pairs: dict[int, Pair] = {}

    @abc.abstractmethod
    def open(self, number: int) -> Wire:
        """Make one connection."""

    @cached_property
    def context(self) -> ssl.SSLContext:
        """One for all streams, for libraries that leave it to their users."""
        return ssl.create_default_context()

    def connect(self, number: int) -> None:
        """See `Client`."""
        self._pairs[number] = Pair(self.open(number), number, self.hear)

    def start(self, begins: Mapping[int, float], count: int) -> None:
        """See `Client`."""
        chunks = audio(count)
        for number, begin in begins.items():
            self._pairs[number].start(begin, chunks)

    def wait(self) -> None:
        """See `Client`."""
        for pair in self._pairs.values():
            if pair.sender is not None:
                pair.sender.join()

    def finalize(self, number: int) -> None:
        """See `Client`."""
        pair = self._pairs[number]
        pair.wire.send_text("finalize")
        if not pair.flushed.acquire(timeout=PATIENCE):
            raise TimeoutError("no flush_done")

    def close(self) -> None:
        """See `Client`."""
        for pair in self._pairs.values():
            pair.wire.send_text("close")
        for pair in self._pairs.values():
            pair.receiver.join(PATIENCE)
            if pair.receiver.is_alive():
                raise TimeoutError("no done")
            pair.wire.release()
