"""The fault matrix on the local server: what a user's own tests would see.

The server is the real one, websocket library and all; its engine hears numbers, so
that a word lost or said twice shows. Plain and over TLS.
"""

from __future__ import annotations

import itertools
from typing import Any

import attrs
import numpy as np
import pytest
from numpy.typing import NDArray

from cartesia_stt_sync import (
    AuthenticationError,
    CartesiaSTTError,
    ConnectError,
    ConnectionLost,
    DrainTimeout,
    ProtocolError,
    RateLimitError,
    Reconnect,
    ServerError,
    Transcriber,
)
from cartesia_stt_sync.events import Transcript
from cartesia_stt_sync.server import Fault, LocalServer, Piece

from .conftest import Tls
from .hearing import Hearer, spoken, written

KEY = "sk_test"
LENGTH = 160
WORDS = 8
PATIENT: dict[str, Any] = {"chunk": 0.02, "reconnect": None}
QUICK: dict[str, Any] = {
    "open_timeout": 0.5,
    "close_timeout": 0.5,
    "io_timeout": 0.5,
}
"""For what ends by a limit only."""

AGAIN = Reconnect(attempts=3, first_delay=0.01, max_delay=0.05)


class Numbers:
    """An engine that hears numbers."""

    name = "numbers"
    language: str | None = None

    def load(self) -> None:
        """Nothing to fetch."""

    def open(self, sample_rate: int) -> Ear:
        """One stream's."""
        return Ear()


class Ear:
    """A `Hearer` with the methods of a listener."""

    def __init__(self) -> None:
        self._hearer = Hearer("both", length=LENGTH)
        self._end = 0.0

    def feed(self, samples: NDArray[np.float32]) -> list[Piece]:
        """Hear words."""
        data = np.rint(samples * 32768).astype("<i2").tobytes()
        return self._pieces(self._hearer.feed(data))

    def finalize(self) -> list[Piece]:
        """Say the rest."""
        return self._pieces(self._hearer.finalize())

    def close(self) -> None:
        """Nothing to let go of."""

    def _pieces(self, events: list[Any]) -> list[Piece]:
        pieces = []
        for event in events:
            if isinstance(event, Transcript):
                assert event.words is not None
                start, self._end = self._end, event.words[-1].end
                pieces.append(
                    Piece(
                        text=event.text,
                        is_final=True,
                        start=start,
                        end=self._end,
                        words=event.words,
                    )
                )
        return pieces


@attrs.frozen
class Row:
    """A fault, the error that it is (``None``: a clean end), and whether it heals."""

    fault: Fault
    kind: type[CartesiaSTTError] | None
    heals: bool = False


def rows() -> list[Row]:
    """Every fault that there is, at its moments."""
    table = []
    for at in (0.0, 0.03, "finalize", "close", "done"):
        # A close that has been read by the server counts as asked for.
        asked = at in ("close", "done")
        table += [
            Row(Fault.reset(at=at), ConnectionLost, heals=True),
            Row(Fault.vanish(at=at), ConnectionLost, heals=True),
            Row(Fault.half_frame(at=at), ConnectionLost, heals=True),
            Row(Fault.close(1012, at=at), ConnectionLost, heals=True),
            Row(Fault.close(None, at=at), ConnectionLost, heals=True),
            Row(Fault.close(4000, at=at), ConnectionLost),
            Row(Fault.close(1000, at=at), None if asked else ConnectionLost),
            Row(Fault.done(at=at), None if asked else ConnectionLost),
            Row(Fault.error("current", at=at), ServerError),
            Row(Fault.garbage(at=at), None),
            Row(Fault.huge_frame(at=at), ProtocolError),
            Row(Fault.stop_answering(at=at), DrainTimeout),
        ]
    return [
        *table,
        Row(Fault.error("older", at=0.03), ServerError),
        Row(Fault.error("oldest", at=0.03), ServerError),
        Row(Fault.flush_done(at=0.03), None),
        Row(Fault.invalid_utf8(at=0.03), None),
        Row(Fault.deep_json(at=0.03), None),
        Row(Fault.flood(4_000, at=0.03), None),
        Row(Fault.slow(0.1, at=0.03), None),
        Row(Fault.endless_fragments(at=0.03), ProtocolError),
        Row(Fault.endless_pings(at=0.03), DrainTimeout),
        Row(Fault.stop_reading(at=0.03), DrainTimeout),
        Row(Fault.slow_handshake(0.1), None),
        Row(Fault.no_handshake(), ConnectError),
        Row(Fault.half_handshake(), ConnectError),
        Row(Fault.reset_handshake(), ConnectError),
        Row(Fault.redirect("https://example.invalid/"), ConnectError),
        Row(Fault.refuse(401), AuthenticationError),
        Row(Fault.refuse(429, retry_after=0), RateLimitError),
        Row(Fault.refuse(503, body="busy"), ConnectError),
    ]


def call(server: LocalServer, **options: Any) -> tuple[Transcriber, Exception | None]:
    """Say four words, finalize, say four more, close."""
    t = Transcriber(api_key=KEY, base_url=server.base_url, **PATIENT | options)
    error: Exception | None = None
    future = None
    try:
        t.feed(spoken(1, WORDS // 2, LENGTH))
        future = t.finalize()
        t.feed(spoken(WORDS // 2 + 1, WORDS, LENGTH))
        t.close()
    except CartesiaSTTError as exc:
        error = exc
    t.abort()
    assert future is None or future.done()
    assert written(WORDS).startswith(t.text.replace("x", "")), "none lost, none twice"
    return t, error


@pytest.mark.parametrize("row", rows(), ids=lambda row: repr(row.fault)[6:])
def test_each(row: Row) -> None:
    """Once on its own, and once with a reconnect to the same server, then well."""
    with LocalServer(engine=Numbers(), faults=[row.fault, None, row.fault]) as server:
        limits = QUICK if row.kind in (ConnectError, DrainTimeout) else {}
        t, error = call(server, **limits)
        assert type(error) is (row.kind or type(None)), repr(error)
        t, error = call(server)
        assert error is None, "the second connection is served well"
        assert t.text == written(WORDS)
        t, error = call(server, reconnect=AGAIN, **limits)
        kind = None if row.heals else row.kind
        assert type(error) is (kind or type(None)), repr(error)
        if kind is None:
            assert t.text.replace("x", "") == written(WORDS)
            assert t.stats.sessions == (2 if row.heals else 1)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_refused_again_and_again(status: int) -> None:
    """A server that is down after a loss is given up on, in the refusal's words."""
    faults = itertools.chain(
        [Fault.reset(at=0.03)], itertools.repeat(Fault.refuse(status))
    )
    with LocalServer(engine=Numbers(), faults=faults) as server:
        t, error = call(server, reconnect=AGAIN)
    assert isinstance(error, ConnectionLost)
    assert f"({status})" in str(error)
    assert t.stats.sessions == 1


def test_lost_at_every_word(tls: Tls) -> None:
    """A connection that breaks nine times in a row, over TLS, loses no word."""
    faults = [Fault.reset(at=0.015) for _ in range(9)]
    with LocalServer(engine=Numbers(), faults=faults, ssl_context=tls.server) as server:
        url = server.base_url.replace("127.0.0.1", "localhost")
        t = Transcriber(
            api_key=KEY,
            base_url=url,
            ssl_context=tls.client,
            chunk=0.02,
            reconnect=attrs.evolve(AGAIN, attempts=10),
        )
        t.feed(spoken(1, 24, LENGTH))
        future = t.finalize()
        t.close()
    assert t.text == future.result() == written(24)
    assert t.stats.sessions == 10
