"""Messages that come too late, each by the same time.

Keeps their order and bounds their number; never decides what they say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

__all__ = ["Late"]

_WAITING = 1000
"""Messages that may wait; whoever has one more waits with it."""


class Late:
    """Send each message so many seconds after it came.

    Args:
        seconds: How many.
        send: Sends one.
    """

    def __init__(self, seconds: float, send: Callable[[str], Awaitable[None]]) -> None:
        self._seconds = seconds
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[tuple[float, str]] = asyncio.Queue(_WAITING)

    async def put(self, text: str) -> None:
        """Take a message."""
        await self._queue.put((self._loop.time() + self._seconds, text))

    async def run(self) -> None:
        """Send what was taken, until cancelled."""
        while True:
            due, text = await self._queue.get()
            await asyncio.sleep(due - self._loop.time())
            await self._send(text)
            self._queue.task_done()

    async def finish(self) -> None:
        """Wait as a message would that is taken now."""
        await asyncio.sleep(self._seconds)
        await self._queue.join()
