"""picows, which is C, on asyncio: all streams on one thread.

Not a blocking client: it is there to show what an event loop does with the same work.
One task a stream sends on an absolute schedule; events are parsed as they come.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future
from functools import cached_property
from typing import Any, TypeVar

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from ..wire import CHUNK, audio, own
from .base import HEADERS, PATIENCE, Client, Hear, Target

T = TypeVar("T")


class Stream(WSListener):
    """One connection."""

    def __init__(self, number: int, hear: Hear) -> None:
        self._number = number
        self._hear = hear
        self.flushed = asyncio.Semaphore(0)
        self.ended = asyncio.Event()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Parse, and tell."""
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
            return
        event = json.loads(frame.get_payload_as_utf8_text())
        if event["type"] == "transcript":
            self._hear(self._number, event["text"])
        elif event["type"] == "flush_done":
            self.flushed.release()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Note the end."""
        self.ended.set()


class PicowsAsyncio(Client):
    """picows on asyncio."""

    about = "picows on asyncio, one thread for all streams"
    needs = ("picows",)

    def __init__(self, target: Target, hear: Hear) -> None:
        super().__init__(target, hear)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._streams: dict[int, tuple[WSTransport, Stream]] = {}
        self._sending: list[Future[None]] = []

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    @cached_property
    def context(self) -> ssl.SSLContext:
        """One for all streams, as its documentation shows."""
        return ssl.create_default_context()

    def connect(self, number: int) -> None:
        """See `Client`."""

        async def connect() -> None:
            transport, stream = await ws_connect(
                lambda: Stream(number, self.hear),
                self.target.url(number),
                ssl_context=self.context if self.target.secure else None,
                extra_headers=HEADERS,
            )
            assert isinstance(stream, Stream)
            self._streams[number] = transport, stream

        self._run(connect())

    def start(self, begins: Mapping[int, float], count: int) -> None:
        """See `Client`."""
        chunks = audio(count)
        self._sending += [
            asyncio.run_coroutine_threadsafe(
                self._send(self._streams[number][0], begin, chunks), self._loop
            )
            for number, begin in begins.items()
        ]

    async def _send(
        self, transport: WSTransport, begin: float, chunks: list[bytes]
    ) -> None:
        # The loop's clock is the monotonic one.
        due = begin
        for chunk in chunks:
            delay = due - self._loop.time()
            if delay > 0:
                await asyncio.sleep(delay)
            transport.send(WSMsgType.BINARY, own(chunk))
            due += CHUNK

    def wait(self) -> None:
        """See `Client`."""
        for sending in self._sending:
            sending.result()

    def finalize(self, number: int) -> None:
        """See `Client`."""
        transport, stream = self._streams[number]

        async def finalize() -> None:
            transport.send(WSMsgType.TEXT, b"finalize")
            await stream.flushed.acquire()

        self._run(finalize())

    def close(self) -> None:
        """See `Client`."""

        async def close() -> None:
            for transport, _ in self._streams.values():
                transport.send(WSMsgType.TEXT, b"close")
            for _, stream in self._streams.values():
                await stream.ended.wait()

        self._run(close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
