"""What the tests of the server share: a plain client, engines made to fail."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Any
from urllib.parse import urlencode

import numpy as np
import websocket
from numpy.typing import NDArray

from cartesia_stt_sync.endpoints import MANUAL, VERSION, Endpoint
from cartesia_stt_sync.events import Word
from cartesia_stt_sync.server import LocalServer, Piece
from cartesia_stt_sync.server.segments import RATE, Detector

TIMEOUT = 10.0
"""Seconds after which a test has failed; none of them waits for it."""

QUERY: dict[str, object] = {
    "model": "ink-2",
    "encoding": "pcm_s16le",
    "sample_rate": 16000,
    "language": "en",
}

HEADERS = {"Authorization": "Bearer a-key", "Cartesia-Version": VERSION}

SECOND = bytes(32000)
"""A second of silence."""


class Client:
    """A stranger's websocket client: nothing of this library's own is in it."""

    def __init__(
        self,
        server: LocalServer,
        query: dict[str, object] | None = None,
        endpoint: Endpoint = MANUAL,
        **options: Any,
    ) -> None:
        asked = urlencode(query or QUERY, doseq=True)
        self.ws = websocket.create_connection(
            f"{server.base_url}{endpoint.path}?{asked}",
            header=HEADERS,
            timeout=TIMEOUT,
            **options,
        )

    def audio(self, data: bytes) -> None:
        self.ws.send_binary(data)

    def text(self, word: str) -> None:
        self.ws.send(word)

    def event(self) -> dict[str, Any]:
        """The next event."""
        event: dict[str, Any] = json.loads(self.ws.recv())
        return event

    def rest(self) -> tuple[list[dict[str, Any]], int | None]:
        """Every event up to the close frame, and its code."""
        events: list[dict[str, Any]] = []
        while True:
            opcode, data = self.ws.recv_data()
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                return events, int.from_bytes(data[:2], "big") if data else None
            events.append(json.loads(data))

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.ws.shutdown()  # type: ignore[no-untyped-call]  # websocket-client's


def get(
    server: LocalServer,
    path: str,
    headers: dict[str, str] | None = None,
    method: str = "GET",
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers in lower case and body of a plain HTTP request."""
    host, port = server.base_url.split("//")[1].split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=TIMEOUT)
    try:
        connection.request(method, path, headers=headers or {})
        answer = connection.getresponse()
        names = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, names, answer.read()
    finally:
        connection.close()


def shapes(events: Iterable[dict[str, Any]]) -> list[str]:
    """Events as short strings.

    Transcripts as their text, in brackets if it is provisional; those of turns as
    ``"turn.start"`` or ``"turn.update Hello"``.
    """
    return [
        f"{event['type']} {event['transcript']}"
        if "transcript" in event
        else event["type"]
        if event["type"] != "transcript"
        else event["text"]
        if event["is_final"]
        else f"({event['text']})"
        for event in events
    ]


class FakeRecogniser:
    """Takes ones for speech, and says how many seconds of it there were."""

    def __init__(self) -> None:
        self.now = 0.0
        self.cost = 0.0

    def clock(self) -> float:
        return self.now

    def decode(self, samples: NDArray[np.float32]) -> str:
        self.now += self.cost
        return f" {samples.sum() / RATE:.1f} " if samples.sum() < 9 * RATE else " "

    def words(self, samples: NDArray[np.float32], text: str) -> tuple[Word, ...]:
        return (Word(text, 0.25, 0.5),)

    def detector(self) -> Detector:
        return Detector(160, lambda window, before: bool(window[0] > 0.5))


class FakeEngine:
    """An engine whose calls fail, or wait to be let go, as a test wants it."""

    name = "fake"
    language: str | None = "en"

    def __init__(self, *, fails: str = "", waits: str = "") -> None:
        self.fails = fails
        self.waits = waits
        self.called = threading.Event()  # the call that waits has begun
        self.go = threading.Event()
        self.closed = threading.Event()
        self.fed = 0
        self.most_at_once = 0
        self._at_once = 0

    def load(self) -> None:
        self._do("load")

    def open(self, sample_rate: int) -> FakeEngine:
        self._do("open")
        return self

    def feed(self, samples: NDArray[np.float32]) -> Iterable[Piece]:
        self.fed += len(samples)
        self._do("feed")
        return []

    def finalize(self) -> Iterable[Piece]:
        self._do("finalize")
        end = self.fed / 16000
        return [Piece(text=f"{self.fed}", is_final=True, start=0.0, end=end)]

    def close(self) -> None:
        self.closed.set()
        self._do("close")

    def _do(self, call: str) -> None:
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        if call == self.waits:
            self.called.set()
            assert self.go.wait(TIMEOUT)
        self._at_once -= 1
        if call == self.fails:
            raise RuntimeError(f"the fake engine fails in {call}")
