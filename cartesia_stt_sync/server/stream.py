"""One websocket: reads its messages, has the work done, sends the answers.

Does what `session` decides, with three tasks: one reads, one works and sends, one
waits for the stream to have been idle for too long. So while the engine is busy,
messages and pings are still read. Never decides what a message means.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import Any

from aiohttp import WSMsgType, web

from ..audio import decode
from ..events import Event, dump
from .engine import Engine, Listener, Piece
from .session import Command, End, Session

__all__ = ["StreamDriver"]

_log = logging.getLogger("cartesia_stt_sync.server")


class StreamDriver:
    """Run a stream over its websocket.

    Args:
        session: What decides.
        engine: What hears.
        socket: The websocket, prepared before `run` is called.
        transport: Its connection, to drop a peer that does not take its last
            messages.
        executor: Where the engine works.

    Attributes:
        finished: Set once the stream is over and its listener closed.
    """

    def __init__(
        self,
        session: Session,
        engine: Engine,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport,
        executor: Executor,
    ) -> None:
        self._session = session
        self._engine = engine
        self._socket = socket
        self._executor = executor
        self._transport = transport
        self.finished = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[End | None] = self._loop.create_future()
        self._sending = asyncio.Lock()  # held in every send
        self._changed = asyncio.Event()  # there is work, or room for more of it
        self._busy: asyncio.Future[Any] | None = None
        self._listener: Listener | None = None

    @property
    def counts(self) -> bool:
        """Whether the stream still runs; false before the peer can know it ended.

        So a client that connects again as soon as it sees the end finds room.
        """
        return not self._ended.done()

    def end(self, end: End | None) -> None:
        """Have the stream end; the first call decides how.

        Args:
            end: What to say, or ``None`` where the peer has gone.
        """
        if not self._ended.done():
            self._ended.set_result(end)

    async def run(self) -> None:
        """Serve the stream until its end."""
        tasks: list[asyncio.Task[None]] = []
        refused = self._session.begin()
        if refused is not None:
            self.end(refused)
        else:
            tasks = [
                asyncio.ensure_future(self._guard(part()))
                for part in (self._read, self._work, self._watch)
            ]
        end: End | None = None
        try:
            end = await self._ended
        finally:
            end = end or End(1000)  # the answer to the peer's own close frame
            await self._interrupt(tasks, end.patience)
            await self._let_go()
        await self._say_goodbye(end)

    async def _interrupt(
        self, tasks: list[asyncio.Task[None]], patience: float
    ) -> None:
        """Stop the tasks, but none of them in the middle of a send.

        aiohttp keeps one future for all who wait for a full connection to drain. A
        task cancelled there cancels it for whoever sends next, too.
        """
        try:
            await asyncio.wait_for(self._sending.acquire(), patience)
        except asyncio.TimeoutError:
            self._transport.abort()  # it takes nothing, so there is no goodbye
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _guard(self, part: Awaitable[None]) -> None:
        """Let no half of the stream die without the other."""
        try:
            await part
        except ConnectionError:
            self.end(None)  # the peer has vanished between two sends
        except Exception:
            _log.exception("stream %s failed", self._session.request_id)
            self.end(self._session.failure())

    async def _read(self) -> None:
        session = self._session
        while not self._ended.done():
            message = await self._socket.receive()
            if message.type is WSMsgType.BINARY:
                end = session.receive_audio(message.data, self._loop.time())
                if end is not None:
                    return self.end(end)
            elif message.type is WSMsgType.TEXT:
                error = session.receive_text(message.data)
                if error is not None:
                    await self._send(error)
            else:
                return self.end(None)  # a close frame, or a broken connection
            self._changed.set()
            while session.is_full:
                # Not reading is what slows the peer down: TCP tells it.
                await self._wait_for_change()

    async def _watch(self) -> None:
        session = self._session
        while (deadline := session.idle_deadline) is not None:
            left = deadline - self._loop.time()
            if left <= 0:
                return self.end(session.idle_end())
            await asyncio.sleep(left)

    async def _work(self) -> None:
        await self._in_thread(self._open)
        while True:
            job = self._session.next_job()
            if job is None:
                await self._wait_for_change()
                continue
            self._changed.set()
            pieces = await self._in_thread(self._hear, job)
            for event in self._session.answer(job, pieces):
                await self._send(event)
            if job is Command.CLOSE:
                return self.end(self._session.clean_end())

    def _open(self) -> None:
        """Begin to listen; on a thread of the executor, as the next two."""
        self._listener = self._engine.open(self._session.stream.sample_rate)

    def _hear(self, job: bytes | Command) -> list[Piece]:
        """Have the listener do a job."""
        listener = self._listener
        assert listener is not None  # opened first
        if isinstance(job, Command):
            return list(listener.finalize())
        return list(listener.feed(decode(job, self._session.stream.encoding)))

    def _close_listener(self) -> None:
        if self._listener is not None:
            self._listener.close()

    async def _in_thread(self, call: Callable[..., Any], *args: Any) -> Any:
        # Shielded: a thread cannot be cancelled, and the listener must not be
        # closed under its hands.
        self._busy = self._loop.run_in_executor(self._executor, call, *args)
        return await asyncio.shield(self._busy)

    async def _wait_for_change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    async def _send(self, event: Event) -> None:
        async with self._sending:
            await self._socket.send_str(dump(event))

    async def _let_go(self) -> None:
        """Close the listener, once it is not at work any more."""
        if self._busy is not None:
            await asyncio.wait({self._busy})
        await self._guard(self._in_thread(self._close_listener))

    async def _say_goodbye(self, end: End) -> None:
        """Send the last messages; the lock on sending is held by now."""
        try:
            await asyncio.wait_for(self._close(end), end.patience)
        except (ConnectionError, asyncio.TimeoutError):
            pass  # it went first, or did not answer
        if self._transport.get_write_buffer_size():
            # From here on aiohttp closes gently, which for a peer that reads nothing
            # means never.
            self._transport.abort()

    async def _close(self, end: End) -> None:
        if end.event is not None:
            await self._socket.send_str(dump(end.event))
        await self._socket.close(code=end.code, message=end.reason.encode())
