"""One websocket, where its peer does what no real one can be made to do."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from aiohttp import WSMessage, WSMsgType

from cartesia_stt_sync.server.engine import ScriptedEngine
from cartesia_stt_sync.server.handshake import Stream
from cartesia_stt_sync.server.session import End, Limits, Session
from cartesia_stt_sync.server.stream import StreamDriver


class FakeTransport:
    """A connection that takes nothing more until it is dropped."""

    def __init__(self) -> None:
        self.dropped = asyncio.Event()

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        self.dropped.set()


class FakeSocket:
    """A peer that says one thing and cannot be answered.

    It has vanished; or, given a transport, it reads nothing.
    """

    def __init__(self, says: str, transport: FakeTransport | None = None) -> None:
        self._says = [WSMessage(WSMsgType.TEXT, says, None)]
        self._transport = transport
        self.sending = asyncio.Event()
        self.closed_with: int | None = None

    async def receive(self) -> Any:
        if self._says:
            return self._says.pop()
        return await asyncio.get_running_loop().create_future()

    async def send_str(self, text: str) -> None:
        self.sending.set()
        if self._transport is not None:
            await self._transport.dropped.wait()
        raise ConnectionResetError("Cannot write to closing transport")

    async def close(self, *, code: int, message: bytes) -> None:
        self.closed_with = code
        raise ConnectionResetError("Cannot write to closing transport")


def drive(socket: Any, transport: Any, executor: ThreadPoolExecutor) -> StreamDriver:
    """A driver of a scripted stream over fakes."""
    stream = Stream(model="ink-2", encoding="pcm_s16le", sample_rate=16000)
    now = asyncio.get_running_loop().time()
    session = Session(stream, Limits(), request_id="id", language="en", now=now)
    return StreamDriver(session, ScriptedEngine([]), socket, transport, executor)


@pytest.mark.parametrize(
    ("says", "closed_with"),
    [
        ("finalize", 1000),
        ("nonsense", 1000),
        ("close", None),  # the done itself cannot be sent any more
    ],
)
def test_a_peer_that_vanishes_between_two_messages(
    says: str, closed_with: int | None
) -> None:
    """Nothing is raised and nothing is dropped by force: it is gone already."""

    async def run() -> None:
        socket, transport = FakeSocket(says), FakeTransport()
        with ThreadPoolExecutor() as executor:
            driver = drive(socket, transport, executor)
            assert driver.counts
            await driver.run()
            assert not driver.counts
        assert socket.closed_with == closed_with
        assert not transport.dropped.is_set()

    asyncio.run(run())


def test_a_peer_that_reads_nothing() -> None:
    """It is dropped after a while: a send under way must not be cancelled."""

    async def run() -> None:
        transport = FakeTransport()
        socket = FakeSocket("nonsense", transport)
        with ThreadPoolExecutor() as executor:
            driver = drive(socket, transport, executor)
            running = asyncio.ensure_future(driver.run())
            await socket.sending.wait()
            driver.end(End(1001, patience=0.01))
            driver.end(End(1000))  # the first one stands
            await running
        assert transport.dropped.is_set()
        assert socket.closed_with == 1001

    asyncio.run(run())
