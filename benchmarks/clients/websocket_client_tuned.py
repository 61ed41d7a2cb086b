"""websocket-client by somebody who has read its source.

``skip_utf8_validation`` and ``recv_data()``: the decoding for JSON refuses bad UTF-8
anyway. One SSL context for all connections.
"""

from __future__ import annotations

from collections.abc import Iterator

import websocket

from .base import ThreadPairs, Wire
from .websocket_client import Connection


class Tuned(Connection):
    """One connection."""

    def messages(self) -> Iterator[str | bytes]:
        """Each message until the close frame."""
        while True:
            opcode, data = self.ws.recv_data()
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                return
            yield data


class WebsocketClientTuned(ThreadPairs):
    """websocket-client, tuned."""

    about = "the same with skip_utf8_validation, recv_data() and one SSL context"
    needs = ("websocket",)

    def open(self, number: int) -> Wire:
        """See `ThreadPairs`."""
        tls = {"sslopt": {"context": self.context}} if self.target.secure else {}
        url = self.target.url(number)
        return Tuned(url, skip_utf8_validation=True, **tls)
