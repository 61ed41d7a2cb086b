"""The thread pair: one thread that sends, one that receives.

Moves messages between a stream and its connection, and runs callbacks. Decides
nothing: what to send, what a message means and whether to connect again, it asks
the core.

A thread blocked in the socket is woken by `Transport.abort`, one that waits for
the stream by its condition. The sender outlives the session by a moment: it
watches that the receiver does not wait for a close frame for ever.
"""

from __future__ import annotations

import atexit
import itertools
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from contextvars import copy_context

from . import checks
from ._handlers import Handlers
from ._news import Call
from ._outbox import Kind, Send
from ._stream import Stream
from ._transport import ServerClosed, Transport
from .endpoints import Endpoint
from .errors import CartesiaSTTError, ConnectError, ConnectionLost, ProtocolError

__all__ = ["ThreadPair"]

_log = logging.getLogger("cartesia_stt_sync")

LINGER = 1.0
"""Seconds to wait for the server's close frame after its ``done``."""

GRACE = 0.05
"""Seconds in which the receiver may find the server's own word for a loss."""

SLOW = 0.5
"""Seconds from which on a callback is a finding: events wait behind it."""

_numbers = itertools.count(1)


class ThreadPair:
    """The `Driver` of one stream.

    Args:
        stream: Whose messages to move.
        endpoint: How the commands are spelled.
        handlers: Whom to tell, as long as somebody holds them; see `keep`.
        make_transport: Makes a connection, not open yet.

    Threads: its two own; each method says who may call it.
    """

    def __init__(
        self,
        stream: Stream,
        *,
        endpoint: Endpoint,
        handlers: Handlers,
        make_transport: Callable[[], Transport],
    ) -> None:
        self._stream = stream
        self._endpoint = endpoint
        # Weakly, for a handler may refer to its transcriber: these threads would keep
        # alive, and connected, what everybody else has forgotten.
        self._handlers = weakref.ref(handlers)
        self._kept: Handlers | None = None
        self._make_transport = make_transport
        self._transport: Transport | None = None  # guarded by the stream's lock
        self._receiving = True  # likewise
        self._starting = threading.Lock()  # held by start(), so that join() waits
        self._threads: tuple[threading.Thread, ...] = ()
        self.pid = os.getpid()

    # Callers' threads

    def connect(self) -> str | None:
        """Make the first connection; see `Transport.open`."""
        transport = self._replace(self._make_transport())
        try:
            return transport.open()
        except BaseException:
            transport.close()
            raise

    def keep(self, handlers: Handlers) -> None:
        """Hold the handlers to the end: it is coming, whoever else forgets them."""
        self._kept = handlers

    def discard(self) -> None:
        """Release a connection that no thread reads."""
        with self._stream.lock:
            transport = self._transport
        if transport is not None:
            transport.close()

    def start(self) -> None:
        """Start both threads.

        Raises:
            RuntimeError: There are no more threads to be had.
        """
        number = next(_numbers)
        # Callbacks see the context variables of whoever opened the session.
        context = copy_context()
        # Daemons, so that a script that forgets close() can exit: the exit hook
        # below drains it, and a server that is silent holds nobody up for ever.
        receiver, sender = (
            threading.Thread(
                target=target, name=f"cartesia-stt-{number}-{name}", daemon=True
            )
            for target, name in (
                (lambda: context.run(self._receive), "receiver"),
                (self._send, "sender"),
            )
        )
        with self._starting:
            _running[id(self)] = self
            self._threads = (receiver, sender)
            try:
                receiver.start()
                sender.start()
            except BaseException:
                if receiver.ident is None:
                    _running.pop(id(self), None)
                    self.discard()
                # Else the receiver ends by the failure that the caller will note.
                raise

    def cut(self) -> None:
        """Wake whoever is blocked in the connection; from any thread."""
        with self._stream.lock:
            transport = self._transport
        if transport is not None:
            transport.abort()

    def join(self, seconds: float) -> None:
        """Wait until both threads have ended, or the time is up.

        Only a callback that does not return can outlast it.
        """
        deadline = time.monotonic() + seconds
        with self._starting:
            threads = [thread for thread in self._threads if thread.ident is not None]
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if any(thread.is_alive() for thread in threads):
            _log.warning("a callback still runs after the end of its session")

    def is_current_thread(self) -> bool:
        """Whether the caller runs on one of the two, in a callback."""
        return threading.current_thread() in self._threads

    # The sender's thread

    def _send(self) -> None:
        try:
            while True:
                with self._stream.lock:
                    step = self._next()
                    transport = self._transport
                if step is None:
                    break
                assert transport is not None
                if step.kind is Kind.SILENCE:
                    self._stream.journal("silence")
                try:
                    transport.send(self._spell(step))
                except ConnectionLost as exc:
                    self._send_failed(transport, exc)
            self._stream.settle()
        except BaseException as exc:
            self._died(exc)
        self._watch_farewell()

    def _next(self) -> Send | None:
        """Wait until something is to be sent; ``None``: it is over."""
        stream = self._stream
        while True:
            step = stream.step()
            if step is None or isinstance(step, Send):
                return step
            left = None if step.until is None else max(0.0, step.until - stream.now())
            stream.wait(left)

    def _spell(self, step: Send) -> bytes | str:
        if step.kind is Kind.FINALIZE:
            assert self._endpoint.finalize is not None
            return self._endpoint.finalize
        return self._endpoint.close if step.kind is Kind.CLOSE else step.data

    def _send_failed(self, transport: Transport, error: ConnectionLost) -> None:
        """Leave it to the receiver to say what became of the connection.

        It may have the server's own words in hand: an error, a close code. Only
        where a loss is the end anyway, and the receiver is held up by a callback,
        are waiting callers told from here.
        """
        transport.abort()
        core = self._stream.core
        seconds = None if core.may_reconnect(error) else GRACE

        def current() -> bool:
            return transport is self._transport and core.connected_now

        if self._stream.wait_while(current, seconds):
            with self._stream.changing():
                if current():
                    core.lost(error)

    def _watch_farewell(self) -> None:
        """Cut the connection if the server does not close it after its ``done``."""
        self._stream.wait_while(lambda: self._receiving, LINGER)
        self.cut()

    # The receiver's thread

    def _receive(self) -> None:
        transport: Transport | None
        with self._stream.lock:
            transport = self._transport
        try:
            while transport is not None:
                self._receive_all(transport)
                transport.close()
                transport = self._connect_again()
        except BaseException as exc:
            self._died(exc)
        self._over()

    def _receive_all(self, transport: Transport) -> None:
        """Take in everything from one connection, to its end."""
        try:
            while True:
                message = transport.recv()
                calls = self._stream.received(message)
                if isinstance(message, ServerClosed):
                    return
                self._tell(calls)
        except (ConnectionLost, ProtocolError) as exc:
            transport.abort()  # which wakes the sender, too
            with self._stream.changing() as core:
                core.lost(exc)

    def _connect_again(self) -> Transport | None:
        """Make another connection; ``None``: it is over."""
        stream = self._stream
        while True:
            with stream.changing() as core:
                plan = core.next_attempt()
            if plan is None:
                return None
            self._tell([("reconnect", plan)])
            if not stream.wait_while(lambda: not stream.ended, plan.delay):
                return None
            transport = self._replace(self._make_transport())
            try:
                request_id = transport.open()
            except ConnectError as exc:
                transport.close()
                with stream.changing() as core:
                    core.refused(exc)
                continue
            with stream.changing() as core:
                wanted = core.connected(request_id, stream.now())
            if wanted:
                return transport
            transport.close()
            return None

    def _tell(self, calls: list[Call]) -> None:
        """Run handlers; a finding is also logged, the once that it is told."""
        core = self._stream.core
        handlers = self._kept or self._handlers()
        for kind, argument in calls:
            if isinstance(argument, checks.Finding):
                _log.warning("%s", argument)
            if handlers is None or not handlers.has(kind):
                continue
            with self._stream.lock:
                core.telling(kind, self._stream.now())
            try:
                seconds = handlers.run(kind, argument)
            finally:
                with self._stream.lock:
                    core.told(self._stream.now())
            if seconds > SLOW:
                with self._stream.lock:
                    core.note(checks.slow_callback(kind, seconds))

    def _over(self) -> None:
        """The last that happens on this thread."""
        with self._stream.lock:
            transport = self._transport
            calls = self._stream.core.farewell()
            self._receiving = False
            self._stream.changed.notify_all()
        if transport is not None:
            transport.close()
        try:
            self._tell(calls)
        finally:
            self._kept = None
            _running.pop(id(self), None)

    # Either thread

    def _replace(self, transport: Transport) -> Transport:
        with self._stream.lock:
            self._transport = transport
            gone = self._stream.ended
        if gone:
            transport.abort()
        return transport

    def _died(self, exc: BaseException) -> None:
        """A thread ends by what nobody foresaw: nobody may be left waiting for it."""
        _log.error("a thread of the session died", exc_info=exc)
        error = CartesiaSTTError(f"a thread of the session died of {exc!r}")
        error.__cause__ = exc
        try:
            self._stream.fail(error)
        except BaseException as more:  # once more a future's callback that exits
            _log.error("a callback of a future raised", exc_info=more)
        self.cut()


_running: dict[int, ThreadPair] = {}
"""Pairs whose threads run; a dict, because its calls are atomic."""


@atexit.register
def _drain_at_exit() -> None:
    """Drain what a script forgot to close, so that its last words are not lost."""
    # A forked child inherits the pairs, but not their threads.
    pairs = [pair for pair in list(_running.values()) if pair.pid == os.getpid()]
    for wait in (False, True):  # all are told before any is waited for
        for pair in pairs:
            try:
                pair._stream.close(wait, None)
            except Exception as exc:
                _log.error("a session left open at exit ended with: %s", exc)
