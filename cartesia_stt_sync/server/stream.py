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

from ..audio import ENCODINGS, decode
from ..events import Event
from ..wire import dump
from .acts import Act, act_of
from .engine import Engine, Listener
from .faults import Fault
from .late import Late
from .moment import Moment, Step, Steps
from .seized import Seized
from .session import End, Job, Session

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
        fault: What goes wrong, if anything does; not one of the handshake.

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
        fault: Fault | None = None,
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
        self._fault = fault
        agreed = session.stream
        self._moment = Moment(
            fault.at if fault is not None else None,
            rate=agreed.sample_rate,
            width=ENCODINGS[agreed.encoding].width,
        )
        self._seized: Seized | None = None  # once a fault has the connection
        self._late: Late | None = None  # once a fault makes answers late
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def counts(self) -> bool:
        """Whether the stream still runs; false before the peer can know it ended.

        So a client that connects again as soon as it sees the end finds room.
        """
        return not self._ended.done() and self._seized is None

    def end(self, end: End | None) -> None:
        """Have the stream end; the first call decides how.

        A later one can only cut the goodbye short.

        Args:
            end: What to say, or ``None`` where the peer has gone.
        """
        if not self._ended.done():
            self._ended.set_result(end)
        elif end is not None:
            self._loop.call_later(end.patience, self._transport.abort)

    async def run(self) -> None:
        """Serve the stream until its end."""
        refused = self._session.begin()
        if refused is not None:
            self.end(refused)
        else:
            # The work first: a fault may come before anything is read.
            for part in (self._work, self._read, self._watch):
                self._begin(part())
        end: End | None = None
        try:
            end = await self._ended
        finally:
            end = end or End(1000)  # the answer to the peer's own close frame
            await self._interrupt(end.patience)
            await self._let_go()
        if self._seized is not None:
            self._seized.drop()
        else:
            await self._say_goodbye(end)

    def _begin(self, part: Awaitable[None]) -> None:
        self._tasks.append(asyncio.ensure_future(self._guard(part)))

    async def _interrupt(self, patience: float) -> None:
        """Stop the tasks, but none of them in the middle of a send.

        aiohttp keeps one future for all who wait for a full connection to drain. A
        task cancelled there cancels it for whoever sends next, too.
        """
        try:
            await asyncio.wait_for(self._sending.acquire(), patience)
        except asyncio.TimeoutError:
            self._transport.abort()  # it takes nothing, so there is no goodbye
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

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
        while not self._ended.done() and self._seized is None:
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
            if self._seized is not None:
                return
            if left <= 0:
                return self.end(session.idle_end())
            await asyncio.sleep(left)

    async def _work(self) -> None:
        # Before any fault: the upgrade was accepted, and this says no more.
        for event in self._session.replies.greeting():
            await self._send(event)
        await self._follow(self._moment.begin())
        if not self._ended.done():
            await self._in_thread(self._open)
        while not self._ended.done():
            job = self._session.next_job()
            if job is None:
                await self._wait_for_change()
                continue
            self._changed.set()
            await self._follow(self._moment.steps(job))

    async def _follow(self, steps: Steps) -> None:
        """Do one after the other, until one of them has ended the stream."""
        for step in steps:
            if self._ended.done():
                return
            if step is Step.FAULT:
                await self._misbehave()
            elif step is Step.END:
                if self._late is not None:
                    await self._late.finish()
                self.end(self._session.clean_end())
            else:
                for event in await self._in_thread(self._answer, step):
                    await self._send(event)

    async def _misbehave(self) -> None:
        assert self._fault is not None  # its moment has come
        _log.info("stream %s: %r", self._session.request_id, self._fault)
        act = act_of(self._fault, self._session.replies)
        if isinstance(act, Act):
            return await self._say_wrong(act)
        async with self._sending:  # not in the middle of a message
            self._seized = Seized(self._transport)
        await self._seized.carry_out(act)
        self.end(None)

    async def _say_wrong(self, act: Act) -> None:
        for _ in range(act.times):
            async with self._sending:
                await self._socket.send_frame(act.payload, WSMsgType.TEXT)
            await asyncio.sleep(0)  # others have their turn
        if act.delay:
            self._late = Late(act.delay, self._send_text)
            self._begin(self._late.run())
        if act.end is not None:
            self.end(act.end)

    def _open(self) -> None:
        """Begin to listen; on a thread of the executor, as the next two."""
        self._listener = self._engine.open(self._session.stream.sample_rate)

    def _answer(self, job: Job) -> list[Event]:
        """Do a job, and say what is to be sent."""
        listener, replies = self._listener, self._session.replies
        assert listener is not None  # opened first
        if isinstance(job, bytes):
            samples = decode(job, self._session.stream.encoding)
            return replies.hear(listener, samples)
        return replies.obey(listener, job)

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
        if self._late is not None:
            await self._late.put(dump(event))
        else:
            await self._send_text(dump(event))

    async def _send_text(self, text: str) -> None:
        async with self._sending:
            if self._seized is None:
                await self._socket.send_str(text)

    async def _let_go(self) -> None:
        """Close the listener, once it is not at work any more."""
        if self._busy is not None:
            await asyncio.wait({self._busy})
        await self._guard(self._in_thread(self._close_listener))

    async def _say_goodbye(self, end: End) -> None:
        """Send the last messages; the lock on sending is held by now."""
        try:
            await asyncio.wait_for(self._close(end), end.patience)
        except ConnectionError:
            pass  # it went first
        except asyncio.TimeoutError:
            # It did not answer. Nor would it answer the goodbye of TLS, for which
            # closing gently waits.
            self._transport.abort()
        if self._transport.get_write_buffer_size():
            # From here on aiohttp closes gently, which for a peer that reads nothing
            # means never.
            self._transport.abort()

    async def _close(self, end: End) -> None:
        if end.event is not None:
            await self._socket.send_str(dump(end.event))
        await self._socket.close(code=end.code, message=end.reason.encode())
