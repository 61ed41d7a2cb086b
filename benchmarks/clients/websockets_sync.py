"""websockets' threading face, as its documentation shows it.

It has a thread of its own a connection to receive, and one for keep-alive pings, beside
the two of the user's. It offers compression, which the server does not take.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from websockets.sync.client import ClientConnection, connect

from .base import HEADERS, ThreadPairs, Wire


class Connection:
    """One connection."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    def send_audio(self, chunk: bytes) -> None:
        """See `Wire`."""
        self._connection.send(chunk)

    def send_text(self, text: str) -> None:
        """See `Wire`."""
        self._connection.send(text)

    def events(self) -> Iterator[tuple[str, str]]:
        """See `Wire`."""
        for message in self._connection:
            event = json.loads(message)
            yield event["type"], event.get("text", "")

    def release(self) -> None:
        """See `Wire`."""
        self._connection.close()


class WebsocketsSync(ThreadPairs):
    """websockets.sync."""

    about = "websockets.sync, its defaults"
    needs = ("websockets",)

    def open(self, number: int) -> Wire:
        """See `ThreadPairs`."""
        return Connection(
            connect(self.target.url(number), additional_headers=HEADERS, proxy=None)
        )
