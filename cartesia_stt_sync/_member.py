"""A stream in a pool: a driver that does in turns what the pair does by waiting.

Moves messages between a stream and its connection, and has callbacks run. Decides
nothing: what to send, what a message means and whether to connect again, it asks the
core; when it is asked itself, the pool decides. Two parts of it may go on at the same
time, as in the pair: `Sending`, and, while a callback runs, `Receiving`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextvars import copy_context

from ._driving import Teller, log, running
from ._gate import uninterrupted
from ._handlers import Handlers
from ._pool import Pool
from ._receiving import Receiving
from ._stream import Stream
from ._transport import Transport
from .endpoints import Endpoint

__all__ = ["Member"]


class Member(Receiving):
    """The `Driver` of one stream.

    Args:
        pool: Whose threads it uses.
        stream: Whose messages to move.
        endpoint: How the commands are spelled.
        handlers: Whom to tell; see `Teller`.
        make_transport: Makes a connection, not open yet.
        io_timeout: Seconds that sending one message may take; ``None``: no limit.

    Threads: callers' here; those of the pool in its parts.
    """

    __slots__ = ()

    def __init__(
        self,
        pool: Pool,
        stream: Stream,
        *,
        endpoint: Endpoint,
        handlers: Handlers,
        make_transport: Callable[[], Transport],
        io_timeout: float | None,
    ) -> None:
        super().__init__(
            pool,
            stream,
            Teller(stream, endpoint=endpoint, handlers=handlers),
            make_transport=make_transport,
            io_timeout=io_timeout,
        )

    def connect(self) -> str | None:
        """Make the first connection; see `Transport.open`."""
        self._pool._refuse_fork()
        return super().connect()

    def keep(self, handlers: Handlers) -> None:
        """Hold the handlers to the end."""
        self._teller.keep(handlers)

    def start(self) -> None:
        """Have the pool move the messages.

        Raises:
            RuntimeError: There are no more threads to be had.
        """
        self._context = copy_context()
        uninterrupted(self._start)

    def _start(self) -> None:
        running.add(self._stream)
        self._alive.acquire()
        try:
            engine = self._pool._join(self)
        except BaseException:
            self._alive.release()
            running.remove(self._stream)
            self.discard()
            raise
        with self._stream.lock:
            self._engine = engine
            transport = self._transport
            assert transport is not None
            # Before anybody sends: what there is no room for, it finishes.
            engine.watch.watch(self, transport)
            engine.woken(self)

    def join(self, seconds: float) -> None:
        """Wait until nothing moves any more, or the time is up.

        Only a callback that does not return can outlast it.
        """
        deadline = time.monotonic() + seconds
        if not self._gone:  # else who was interrupted below may hold it for ever
            if not self._alive.acquire(timeout=seconds):
                log.warning("a callback still runs after the end of its session")
                return
            self._alive.release()
        if self._engine is not None:
            self._engine.join(max(0.0, deadline - time.monotonic()))

    def is_current_thread(self) -> bool:
        """Whether the caller is in a callback of this stream's."""
        return threading.get_ident() in self._inside
