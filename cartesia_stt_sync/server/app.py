"""The web application: which address is answered by what.

Decides which handler a path has, how many streams run at once, and how a refusal
looks on the wire. Never decides what a message of a stream means (`session`) nor
who is let in (`handshake`). Everything here runs on the server's event loop.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import uuid
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Executor
from contextvars import ContextVar
from typing import TYPE_CHECKING

import attrs
from aiohttp import web

from ..endpoints import BATCH, MANUAL, TURNS, Endpoint
from ..wire import dump
from .batch import answer
from .choice import warn_of_language
from .engine import Engine
from .faults import Fault
from .form import check_address
from .handshake import Refusal, Request, check
from .openings import Openings, dropped
from .session import End, Limits, Session
from .stream import StreamDriver

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

__all__ = ["Server", "Settings"]

_log = logging.getLogger("cartesia_stt_sync.server")

_STREAMED = {MANUAL: "Manual", TURNS: "Auto"}
"""The websocket endpoints, with the service's names of them."""

_SHUTDOWN = End(1001, "the server is shutting down", patience=0.2)

_RETRY_AFTER = 1
"""Seconds after which a client that was one too many may try again."""

_request_id: ContextVar[str] = ContextVar("request_id")
"""Of the request that the current task answers."""


@attrs.frozen(kw_only=True)
class Settings:
    """What the caller of `LocalServer` chose.

    Attributes:
        engine: What turns sound into text.
        api_key: The only good key, or ``None`` where any will do.
        max_streams: How many streams may run at once, or ``None`` for no limit.
        max_file: Bytes of a file, or ``None`` for no limit.
        limits: What each of them may do.
        faults: What goes wrong, one for each of them.
    """

    engine: Engine
    api_key: str | None = attrs.field(default=None, repr=False)
    max_streams: int | None = 20
    max_file: int | None = None
    limits: Limits = attrs.field(factory=Limits)
    faults: Iterator[Fault | None] = attrs.field(factory=lambda: iter(()))


class Server:
    """The application and the streams that it runs.

    Args:
        settings: What was chosen.
        executor: Where engines work; its threads are the only ones they see.
    """

    def __init__(self, settings: Settings, executor: Executor) -> None:
        self._settings = settings
        self._executor = executor
        self._streams: set[StreamDriver] = set()
        self._openings = Openings(settings.faults, self._check_room)
        self._files = 0  # on their way, or being heard

    def application(self) -> web.Application:
        """Build the application; one for each start of the server."""
        app = web.Application(middlewares=[_refuse_politely])
        # A new endpoint is a new line here.
        routes: list[tuple[str, Callable[[web.Request], Awaitable[web.StreamResponse]]]]
        routes = [("/", self._front_page)]
        for endpoint in _STREAMED:
            routes.append((endpoint.path, functools.partial(self._stream, endpoint)))
        for path, handler in routes:
            app.router.add_get(path, handler)
        app.router.add_post(BATCH.path, self._file)
        app.on_shutdown.append(self._end_streams)
        return app

    async def _end_streams(self, app: web.Application) -> None:
        self._openings.stop()
        streams = list(self._streams)
        for stream in streams:
            stream.end(_SHUTDOWN)
        for stream in streams:
            await stream.finished.wait()

    async def _front_page(self, request: web.Request) -> web.Response:
        scheme = "wss" if request.secure else "ws"
        endpoints = "".join(
            f"endpoint: {scheme}://{request.host}{endpoint.path} ({name})\n"
            for endpoint, name in _STREAMED.items()
        )
        endpoints += (
            f"endpoint: {request.scheme}://{request.host}{BATCH.path} (Batch)\n"
        )
        return web.Response(
            text=(
                "The local speech-to-text server of cartesia-stt-sync is up.\n\n"
                f"engine:   {self._settings.engine.name}\n"
                f"streams:  {self._open_streams()} of "
                f"{self._settings.max_streams or 'any number'}\n"
                f"{endpoints}\n"
                "Use it with: Transcriber(api_key='any', "
                f"base_url='{scheme}://{request.host}')\n"
            )
        )

    async def _stream(
        self, endpoint: Endpoint, request: web.Request
    ) -> web.StreamResponse:
        request_id = _request_id.get()
        agreed = check(endpoint, _values(request), self._settings.api_key)
        socket = _socket(request)
        fault, spoilt = await self._openings.enter(request, _request_id.get())
        if spoilt is not None:
            return spoilt
        engine = self._settings.engine
        session = Session(
            agreed,
            self._settings.limits,
            request_id=request_id,
            language=engine.language or agreed.language or "en",
            now=asyncio.get_running_loop().time(),
            endpoint=endpoint,
        )
        warn_of_language(engine, agreed.language)
        transport = request.transport
        assert transport is not None  # nothing was awaited since it was there
        stream = StreamDriver(session, engine, socket, transport, self._executor, fault)
        # Counted before the first await, so that two at once are not both the
        # last one that fits.
        self._streams.add(stream)
        try:
            await socket.prepare(request)
            await stream.run()
        finally:
            self._streams.discard(stream)
            stream.finished.set()
        return socket

    async def _file(self, request: web.Request) -> web.StreamResponse:
        """Answer a Batch request."""
        raw = check_address(_values(request), self._settings.api_key)
        fault, spoilt = await self._openings.enter(request, _request_id.get())
        if spoilt is not None:
            return spoilt
        self._files += 1
        try:
            return await self._openings.unless_stopped(
                answer(
                    request,
                    self._settings.engine,
                    self._executor,
                    fault=fault,
                    raw=raw,
                    most=self._settings.max_file,
                    request_id=_request_id.get(),
                    take_over=self._openings.take_over,
                )
            ) or dropped(request)
        finally:
            self._files -= 1

    def _open_streams(self) -> int:
        return sum(stream.counts for stream in self._streams) + self._files

    def _check_room(self) -> None:
        most = self._settings.max_streams
        if most is not None and self._open_streams() >= most:
            raise Refusal(
                429,
                "Too many concurrent streams",
                f"{most} streams are open, which is all this server takes",
                error_code="concurrency_limited",
                retry_after=_RETRY_AFTER,
            )


def _socket(request: web.Request) -> web.WebSocketResponse:
    # Uncompressed: samples do not shrink.
    socket = web.WebSocketResponse(autoclose=False, compress=False, timeout=5.0)
    socket.headers["X-Request-Id"] = _request_id.get()
    if not socket.can_prepare(request).ok:
        raise Refusal(400, "Not a websocket", "this endpoint wants an upgrade")
    return socket


def _values(request: web.Request) -> Request:
    query = request.query
    return Request(
        headers={name.lower(): value for name, value in request.headers.items()},
        query={name: query.getall(name) for name in query},
    )


@web.middleware
async def _refuse_politely(
    request: web.Request, handler: Handler
) -> web.StreamResponse:
    """Give every answer a request id, and every refusal its body."""
    request_id = str(uuid.uuid4())
    _request_id.set(request_id)
    try:
        response = await handler(request)
    except Refusal as refusal:
        response = _refused(refusal, request_id)
    except web.HTTPException as exc:
        message = f"{request.method} {request.path[:80]}: {exc.reason.lower()}"
        response = _refused(Refusal(exc.status, exc.reason, message), request_id)
    if not response.prepared:
        response.headers["X-Request-Id"] = request_id
    return response


def _refused(refusal: Refusal, request_id: str) -> web.Response:
    response = web.Response(
        status=refusal.status,
        text=dump(refusal.event(request_id)),
        content_type="application/json",
    )
    if refusal.retry_after is not None:
        response.headers["Retry-After"] = str(refusal.retry_after)
    return response
