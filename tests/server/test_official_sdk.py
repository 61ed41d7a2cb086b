"""The official SDK's own client, unchanged, against the local server."""

from __future__ import annotations

from typing import Any

import cartesia

from cartesia_stt_sync.server import LocalServer

from .helpers import SECOND


def test_the_official_client() -> None:
    """It connects, is told its errors, and reads a session to its end."""
    with LocalServer(script=[(0.5, "Hello"), (1.0, ", world.")]) as server:
        client = cartesia.Cartesia(api_key="any", base_url=server.http_url)
        with (
            client,
            client.stt.manual_finalize.websocket(
                model="ink-2",
                encoding="pcm_s16le",
                sample_rate=16000,
                language="en",
                keyterm=["Cartesia Sonic"],
            ) as connection,
        ):
            connection.send_raw(SECOND)
            connection.send("finalize")
            connection.send("close")
            events: list[Any] = list(connection)  # a union, which mypy cannot narrow
    finals = [e for e in events if e.type == "transcript" and e.is_final]
    assert "".join(event.text for event in finals) == "Hello, world."
    assert [word.word for word in finals[1].words] == [",", "world."]
    assert [event.type for event in events[-2:]] == ["flush_done", "done"]


def test_the_official_client_reads_an_error() -> None:
    """An error event is one for it, too."""
    with LocalServer(script=[(1, "a")], max_ahead=0.5) as server:
        client = cartesia.Cartesia(api_key="any", base_url=server.http_url)
        with (
            client,
            client.stt.manual_finalize.websocket(
                model="ink-2", encoding="pcm_s16le", sample_rate=16000
            ) as connection,
        ):
            connection.send_raw(SECOND)
            event: Any = connection.recv()  # likewise
    assert type(event).__name__ == "STTErrorResponse"
    assert event.status_code == 500
