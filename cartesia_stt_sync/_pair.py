"""The thread pair: one thread that sends, one that receives.

Moves messages between a stream and its connection, and runs callbacks. Decides
nothing: what to send, what a message means and whether to connect again, it asks
the core.

A thread blocked in the socket is woken by `Transport.abort`, the sender that has
nothing to send by a condition of its own, and all other waits end with any change of
the stream. The sender outlives the session by a moment: it
watches that the receiver does not wait for a close frame for ever.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from contextvars import copy_context

from ._clock import Bell
from ._core import Core
from ._driving import GRACE, LINGER, Line, Teller, Unsent, log, report, running, whose
from ._handlers import Handlers
from ._outbox import Wait
from ._queue import Send
from ._stream import Stream
from ._transport import ServerClosed, Transport
from .endpoints import Endpoint
from .errors import ConnectError, ConnectionLost, ProtocolError

__all__ = ["ThreadPair"]

_numbers = itertools.count(1)


class ThreadPair(Line):
    """The `Driver` of one stream.

    Args:
        stream: Whose messages to move.
        endpoint: How the commands are spelled.
        handlers: Whom to tell; see `Teller`.
        make_transport: Makes a connection, not open yet.

    Threads: its two own; each method says who may call it.
    """

    __slots__ = ("_bell", "_receiving", "_starting", "_threads", "_woken")

    def __init__(
        self,
        stream: Stream,
        *,
        endpoint: Endpoint,
        handlers: Handlers,
        make_transport: Callable[[], Transport],
    ) -> None:
        teller = Teller(stream, endpoint=endpoint, handlers=handlers)
        super().__init__(stream, teller, make_transport)
        self._bell = Bell(stream.lock)  # the sender's own
        # Guarded by the stream's lock:
        self._woken = False  # since the sender has last looked
        self._receiving = True
        self._starting = threading.Lock()  # held by start(), so that join() waits
        self._threads: tuple[threading.Thread, ...] = ()

    # Callers' threads

    def keep(self, handlers: Handlers) -> None:
        """Hold the handlers to the end."""
        self._teller.keep(handlers)

    def start(self) -> None:
        """Start both threads.

        Raises:
            RuntimeError: There are no more threads to be had.
        """
        number = next(_numbers)
        # Callbacks, and who writes the log, see the context variables of whoever opened
        # the session.
        context = copy_context()
        # Daemons, so that a script that forgets close() can exit: the exit hook of
        # `running` drains it, and a server that is silent holds nobody up for ever.
        receiver, sender = (
            threading.Thread(
                target=target, name=f"cartesia-stt-{number}-{name}", daemon=True
            )
            for target, name in (
                (lambda: context.run(self._receive), "receiver"),
                (lambda: context.copy().run(self._send), "sender"),
            )
        )
        with self._starting:
            self._threads = (receiver, sender)
            try:
                running.add(self._stream)
                receiver.start()
                sender.start()
            except BaseException:
                if receiver.ident is None:
                    running.remove(self._stream)
                    self.discard()
                # Else the receiver ends by the failure that the caller will note.
                raise

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
            log.warning("a callback still runs after the end of its session")

    def is_current_thread(self) -> bool:
        """Whether the caller runs on one of the two, in a callback."""
        return threading.current_thread() in self._threads

    def woken(self) -> None:
        """Have the sender look; requires the stream's lock."""
        self._woken = True
        self._bell.notify()

    # The sender's thread

    def _send(self) -> None:
        lock, core = self._stream.lock, self._stream.core
        due: float | None = None
        try:
            while True:
                with lock:
                    step, due = self._next(due), None
                    transport = self._transport
                    findings = core.findings.unlogged() if core.findings.to_log else ()
                if findings:
                    report(self._stream, findings)
                if step is None:
                    break
                if isinstance(step, Wait):
                    continue  # it was woken for the findings
                if isinstance(step, Unsent):
                    transport = step.transport
                assert transport is not None
                try:
                    due = self._write(step, transport)
                except ConnectionLost as exc:
                    self._send_failed(transport, exc)
                del step  # it would be kept until the next one
            self._stream.settle()
        except BaseException as exc:
            self._died(exc)
        self._watch_farewell()

    def _next(self, due: float | None) -> Send | Unsent | Wait | None:
        """Wait until something is to be sent, or logged; ``None``: it is over.

        Args:
            due: When that is, if nobody wakes the sender; see `_rest`.
        """
        stream, findings = self._stream, self._stream.core.findings
        if due is not None and not self._woken:
            until_then = due - self._rest(due)
            if until_then > 0:
                stream.clock.wait(self._bell, until_then)
        while True:
            self._woken = False
            step = self._step()
            if not isinstance(step, Wait) or findings.to_log:
                return step
            left = None if step.until is None else step.until - stream.now()
            if left is None or left > 0:
                stream.clock.wait(self._bell, left)

    def _write(self, step: Send | Unsent, transport: Transport) -> float | None:
        """Send; return when what follows is due, if that is known."""
        if isinstance(step, Send):
            transport.send(self._teller.spell(step))
            return step.following
        if step.loss is not None:
            raise step.loss
        transport.finish()
        return None

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
            self._stream.change(
                lambda core: core.lost(error, self._stream.now()) if current() else None
            )

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
        stream = self._stream
        try:
            while True:
                message = transport.recv()
                calls = stream.received(message)
                if stream.unsettled:
                    stream.settle()
                self._teller.tell(calls)
                if isinstance(message, ServerClosed):
                    return
                del message, calls  # they would be kept until the next ones
        except (ConnectionLost, ProtocolError) as exc:
            transport.abort()  # which wakes the sender, too
            self._stream.change(Core.lost, exc, stream.now())

    def _connect_again(self) -> Transport | None:
        """Make another connection; ``None``: it is over."""
        stream = self._stream
        while True:
            plan = stream.change(Core.next_attempt)
            if plan is None:
                return None
            self._teller.reconnects(plan, stream.core.loss)
            if not stream.wait_while(lambda: not stream.ended, plan.delay):
                return None
            transport = self._replace(self._make_transport())
            try:
                request_id = transport.open()
            except ConnectError as exc:
                transport.close()
                stream.change(Core.refused, exc)
                continue
            wanted = stream.change(Core.connected, request_id, stream.now())
            if wanted:
                log.info("connected again", extra=whose(stream))
                stream.journal_skipped()
                return transport
            transport.close()
            return None

    def _over(self) -> None:
        """The last that happens on this thread."""
        with self._stream.lock:
            transport = self._transport
            calls = self._stream.core.farewell()
            findings = self._stream.core.findings.unlogged()
            self._receiving = False
            self._stream.wake()
        if transport is not None:
            transport.close()
        report(self._stream, findings)
        try:
            self._teller.part(calls)
        finally:
            self._teller.keep(None)
            running.remove(self._stream)
