"""The service's own SDK, by its synchronous websocket, from two threads.

One ``Cartesia`` for all streams. Below it are websockets' threads and defaults, and a
pydantic model for each event.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

from cartesia import Cartesia

from .base import Hear, Target, ThreadPairs, Wire


class Connection:
    """One connection."""

    def __init__(self, manager: Any) -> None:
        self._stack = ExitStack()
        self._connection = self._stack.enter_context(manager)

    def send_audio(self, chunk: bytes) -> None:
        """See `Wire`."""
        self._connection.send_raw(chunk)

    def send_text(self, text: str) -> None:
        """See `Wire`."""
        self._connection.send(text)

    def events(self) -> Iterator[tuple[str, str]]:
        """See `Wire`."""
        for event in self._connection:
            yield event.type, getattr(event, "text", "")

    def release(self) -> None:
        """See `Wire`."""
        self._stack.close()


class Sdk(ThreadPairs):
    """The official SDK."""

    about = "the official SDK's synchronous websocket, its defaults"
    needs = ("cartesia", "websockets")

    def __init__(self, target: Target, hear: Hear) -> None:
        super().__init__(target, hear)
        base = target.base_url.replace("ws", "http", 1)
        self._client = Cartesia(api_key="any", base_url=base)

    def open(self, number: int) -> Wire:
        """See `ThreadPairs`."""
        query: Mapping[str, object] = {"stream": str(number)}
        return Connection(
            self._client.stt.manual_finalize.websocket(
                model="ink-2",
                encoding="pcm_s16le",
                sample_rate=16000,
                language="en",
                extra_query=query,
            )
        )

    def close(self) -> None:
        """See `Client`."""
        super().close()
        self._client.close()
