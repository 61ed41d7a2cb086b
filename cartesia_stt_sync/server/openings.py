"""The way into the server: which request is spoilt, and what becomes of it.

Decides which fault is a request's own. Does on the wire what `acts` decided of it,
and ends all that waits when the server stops. Everything here runs on the server's
event loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from typing import TypeVar

from aiohttp import web

from .acts import Answer, Takeover, opening_of
from .faults import Fault
from .handshake import Refusal
from .seized import Seized

__all__ = ["Openings", "dropped", "has_left", "plain"]

_log = logging.getLogger("cartesia_stt_sync.server")

T = TypeVar("T")


class Openings:
    """What waits and is no stream: spoilt handshakes, files that are heard.

    Args:
        faults: What goes wrong, one for each request.
        check_room: Raises a `Refusal` where there is none for one more.
    """

    def __init__(
        self, faults: Iterator[Fault | None], check_room: Callable[[], None]
    ) -> None:
        self._faults = faults
        self._check_room = check_room
        self._waiting: set[asyncio.Task[object]] = set()
        self._stopping = False

    def stop(self) -> None:
        """End all that waits, and whatever would come."""
        self._stopping = True
        for task in self._waiting:
            task.cancel()

    async def enter(
        self, request: web.Request, request_id: str
    ) -> tuple[Fault | None, web.Response | None]:
        """Let a checked request in.

        Returns:
            The fault that is to come, if one is; and the answer, if that is spoilt.

        Raises:
            Refusal: There is no room.
        """
        self._check_room()
        fault = self._next_fault()
        if fault is None or not fault.in_handshake:
            return fault, None
        spoilt = await self._spoil(fault, request, request_id)
        if spoilt is None:
            self._check_room()
        return None, spoilt

    async def take_over(self, request: web.Request, takeover: Takeover) -> web.Response:
        """Take the connection from the web framework, to its end."""
        if request.transport is not None:
            seized = Seized(request.transport)
            await self.unless_stopped(seized.carry_out(takeover))
            seized.drop()
        return web.Response()  # which cannot be sent any more

    async def unless_stopped(self, part: Coroutine[None, None, T]) -> T | None:
        """Wait for it, or for the server to stop, which gives ``None``."""
        task = asyncio.ensure_future(part)
        self._waiting.add(task)
        try:
            await asyncio.wait({task})
        finally:
            self._waiting.discard(task)
        return None if task.cancelled() else task.result()

    def _next_fault(self) -> Fault | None:
        try:
            return next(self._faults, None)
        except Exception:
            _log.exception("faults: there is no next one")
            raise Refusal(
                500, "Internal server error", "no fault is to be had; see the log"
            ) from None

    async def _spoil(
        self, fault: Fault, request: web.Request, request_id: str
    ) -> web.Response | None:
        """Spoil the handshake; ``None``: only its time was spoilt."""
        _log.info("request %s: %r", request_id, fault)
        opening = opening_of(fault, request_id)
        if isinstance(opening, Answer):
            return plain(opening)
        if opening is not None:
            return await self.take_over(request, opening)
        await self.unless_stopped(asyncio.sleep(fault.options["seconds"]))
        if has_left(request) or self._stopping:
            return dropped(request)
        return None


def plain(answer: Answer) -> web.Response:
    """An answer as the web framework's own."""
    return web.Response(
        status=answer.status,
        body=answer.text,
        content_type=answer.content_type,
        headers=answer.headers,
    )


def has_left(request: web.Request) -> bool:
    """Whether nobody waits for the answer any more."""
    return request.transport is None or request.transport.is_closing()


def dropped(request: web.Request) -> web.Response:
    """End a connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()  # which cannot be sent any more
