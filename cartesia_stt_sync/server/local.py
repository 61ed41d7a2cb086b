"""The local server as an object: a thread with an event loop of its own.

Decides what may be asked for and brings the server up and down. Never decides
what is said on the wire: that is `app` and below.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import ssl
import threading
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from aiohttp import web

from ..errors import ConfigError
from .app import Server, Settings
from .arguments import check_limit, check_place, check_whole
from .choice import choose, loaded
from .engine import Engine, Script
from .faults import Fault, check_faults
from .session import Limits

__all__ = ["LocalServer"]

_log = logging.getLogger("cartesia_stt_sync.server")

_SHUTDOWN = 1.0
"""Seconds for plain requests under way when the server stops; streams are over."""


class LocalServer:
    """A speech-to-text server on this machine, with the service's own wire format.

    ::

        with LocalServer() as server:
            with Transcriber(api_key="any", base_url=server.base_url) as t:
                ...

    Without arguments it transcribes English speech with a recogniser that ships
    in the extra ``[local]``; with ``script=`` it says what the script says, which
    makes a program's tests repeatable. It serves Manual and Auto. On Auto a turn's
    text is made of what the recogniser will not take back, so updates come at pauses.
    It serves Batch, too: of WAV, FLAC, Ogg and MP3 files, and of raw samples.

    Args:
        script: ``(seconds, text)`` pairs, said as finals on Manual and as turns on
            Auto once the stream has received so many seconds of audio. Of
            ``(seconds, text, "update")`` the turn goes on with the next entry; after
            ``(seconds, text, "eager_end")`` the next entry resumes it. See
            `ScriptedEngine`. To a Batch request all of it is said, whatever the file.
            Default ``None``: a recogniser.
        engine: ``"auto"`` (default): the script if there is one, else the best
            recogniser that is installed. ``"recogniser"``: moonshine.
            ``"pocketsphinx"``: smaller, much worse, runs everywhere.
            ``"scripted"``. Or an `Engine` of your own.
        api_key: The only key that is let in. Default ``None``: any is, as long as
            there is one.
        host: The address to listen on. Default ``"127.0.0.1"``: this machine only.
        port: The port to listen on. Default ``0``: one that is free.
        ssl_context: Serve ``wss://`` and ``https://`` with it. Default ``None``:
            in the clear.
        max_streams: Streams and files at once; one more is refused with 429. Default
            20; ``None`` for no limit.
        max_file: Bytes that the file of a Batch request may have; more is refused with
            413. Default 2 GiB; ``None`` for no limit.
        max_ahead: Seconds of audio ahead of real time that the buffer takes; more
            is an internal server error and the end. Default 2; ``None`` for no
            limit.
        idle_timeout: Seconds without audio after which a stream is ended. Default
            180; ``None`` for no limit.
        faults: What goes wrong, to test a program against: the first connection
            that asks for a stream gets the first `Fault`, the second one the next,
            over stop and start. ``None``, and every connection past the last, is
            served well; one that is refused anyway takes none. Any iterable, such
            as ``itertools.repeat(Fault.refuse(503))``; it is asked for the next on
            the server's thread. Default ``()``: nothing.

    Raises:
        ConfigError: An argument breaks its rule. Nothing was opened or loaded.

    Threads: every method may be called from any thread but the server's own.
    """

    def __init__(
        self,
        *,
        # what is said
        script: Script | None = None,
        engine: str | Engine = "auto",
        # who may connect, and where
        api_key: str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        ssl_context: ssl.SSLContext | None = None,
        # what a stream may do
        max_streams: int | None = 20,
        max_file: int | None = 1 << 31,
        max_ahead: float | None = 2.0,
        idle_timeout: float | None = 180.0,
        # what goes wrong
        faults: Iterable[Fault | None] = (),
    ) -> None:
        self._candidates = choose(script, engine)
        check_place(api_key, host, ssl_context)
        self._api_key = api_key
        self._host = host
        self._port = check_whole("port", port, least=0, most=65535)
        self._ssl_context = ssl_context
        self._max_streams = (
            None if max_streams is None else check_whole("max_streams", max_streams)
        )
        self._max_file = (
            None
            if max_file is None
            else check_whole("max_file", max_file, most=1 << 50)
        )
        self._limits = Limits(
            max_ahead=check_limit("max_ahead", max_ahead),
            idle_timeout=check_limit("idle_timeout", idle_timeout),
        )
        self._faults = check_faults(faults)
        # Held while starting and stopping, so that two callers cannot do half of
        # each. The server's own thread never takes it: what it writes below, it
        # writes before start() has returned.
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self._address: tuple[str, int] | None = None
        self._engine: Engine | None = None

    def start(self) -> LocalServer:
        """Load the engine and open the port.

        Returns:
            The server itself.

        Raises:
            ConfigError: It is running already, or what the engine needs is not
                installed; the message says how to install it.
            OSError: The port cannot be opened.
        """
        with self._lock:
            if self._thread is not None:
                raise ConfigError("start: the server is running already")
            engine = self._engine = loaded(self._candidates)
            settings = Settings(
                engine=engine,
                api_key=self._api_key,
                max_streams=self._max_streams,
                max_file=self._max_file,
                limits=self._limits,
                faults=self._faults,
            )
            self._thread = self._launch(settings)
            _log.info("listening on %s with the %s engine", self.base_url, engine.name)
        return self

    def _launch(self, settings: Settings) -> threading.Thread:
        """Start the thread and wait for its port to be open."""
        started: Future[None] = Future()
        thread = threading.Thread(
            target=self._run,
            args=(settings, started),
            name="cartesia-stt-server",
            daemon=True,  # a program that forgets stop() shall still exit
        )
        thread.start()
        try:
            started.result()
        except BaseException:
            # A failed start, or a Ctrl-C that came while it was under way.
            if not started.cancel():
                self._signal()
            thread.join()
            raise
        return thread

    def stop(self) -> None:
        """End every stream with close code 1001, and free the port. Idempotent."""
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is not None:
                self._signal()
                thread.join()

    def _signal(self) -> None:
        if self._stop is not None:
            loop, event = self._stop
            self._stop = self._address = None
            loop.call_soon_threadsafe(event.set)

    def __enter__(self) -> LocalServer:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def base_url(self) -> str:
        """``ws://host:port``, or ``wss://`` with an ``ssl_context``.

        Raises:
            ConfigError: The server is not running, so it has no port yet.
        """
        return f"{'ws' if self._ssl_context is None else 'wss'}://{self._netloc()}"

    @property
    def http_url(self) -> str:
        """The same address as ``http://`` or ``https://``."""
        return f"{'http' if self._ssl_context is None else 'https'}://{self._netloc()}"

    @property
    def engine_name(self) -> str:
        """What hears: ``"moonshine"``, ``"pocketsphinx"``, ``"scripted"`` or yours."""
        return self._engine.name if self._engine is not None else "not started"

    def _netloc(self) -> str:
        if self._address is None:
            raise ConfigError("base_url: known once the server runs; call start()")
        host, port = self._address
        # An address that means "every interface" is no address to connect to.
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def _run(self, settings: Settings, started: Future[None]) -> None:
        """The thread: a loop from the first to the last moment of the server."""
        with ThreadPoolExecutor(thread_name_prefix="cartesia-stt-engine") as executor:
            try:
                asyncio.run(self._serve(Server(settings, executor), started))
            except Exception as exc:
                if started.done():
                    _log.exception("the server's thread has died")
                else:
                    started.set_exception(exc)

    async def _serve(self, server: Server, started: Future[None]) -> None:
        stop = asyncio.Event()
        # No access log: its lines hold URLs, and a browser's URL holds its key.
        runner = web.AppRunner(
            server.application(), access_log=None, shutdown_timeout=_SHUTDOWN
        )
        await runner.setup()
        try:
            port = await self._listen(runner)
            if started.set_running_or_notify_cancel():
                self._address = self._host, port
                self._stop = asyncio.get_running_loop(), stop
                started.set_result(None)
                await stop.wait()
        finally:
            await runner.cleanup()

    async def _listen(self, runner: web.AppRunner) -> int:
        site = web.TCPSite(
            runner, self._host, self._port, ssl_context=self._ssl_context
        )
        try:
            await site.start()
        except OSError as exc:
            where = f"{self._host}:{self._port}"
            hint = (
                "; another program listens there, port=0 takes a free one"
                if exc.errno == errno.EADDRINUSE
                else ""
            )
            # Those of a name that is not known have numbers of their own, below 0.
            number = exc.errno or 0
            reason = os.strerror(number) if number > 0 else exc.strerror or str(exc)
            raise OSError(
                exc.errno, f"cannot listen on {where}: {reason}{hint}"
            ) from exc
        port: int = runner.addresses[0][1]
        return port
