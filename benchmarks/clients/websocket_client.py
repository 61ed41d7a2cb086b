"""websocket-client, as its README tells its users to write it, with a thread to read.

Every default is kept: it validates UTF-8 in Python, reads a frame in three system
calls, masks in Python, and builds an SSL context for each connection.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import websocket

from .base import HEADERS, ThreadPairs, Wire


class Connection:
    """One connection."""

    def __init__(self, url: str, **options: Any) -> None:
        self.ws = websocket.create_connection(url, header=HEADERS, **options)

    def send_audio(self, chunk: bytes) -> None:
        """See `Wire`."""
        self.ws.send_binary(chunk)

    def send_text(self, text: str) -> None:
        """See `Wire`."""
        self.ws.send(text)

    def messages(self) -> Iterator[str | bytes]:
        """Each message until none comes any more."""
        while message := self.ws.recv():
            yield message

    def events(self) -> Iterator[tuple[str, str]]:
        """See `Wire`."""
        for message in self.messages():
            event = json.loads(message)
            if event["type"] == "done":
                return
            yield event["type"], event.get("text", "")

    def release(self) -> None:
        """See `Wire`."""
        self.ws.close()


class WebsocketClient(ThreadPairs):
    """websocket-client."""

    about = "websocket-client, thread pair, its defaults"
    needs = ("websocket",)

    def open(self, number: int) -> Wire:
        """See `ThreadPairs`."""
        return Connection(self.target.url(number))
