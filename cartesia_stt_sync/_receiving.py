"""The part of a pooled stream that receives, and has callbacks run.

Does what the thread pair's receiver does. One thread at a time is at it, and hands it
on: whoever leads the pool, which takes messages in as long as no handler is to be told
of them; else who does that as a job, and goes on with what comes meanwhile, in order;
between two connections the sending part's timer, and then a thread that dials. So
here, too, nothing is taken in while a callback runs, and callbacks come one at a time
and in order.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from ._core import Core
from ._driving import Teller, log, running, whose
from ._news import Call
from ._pool import Pool
from ._sending import Sending, Stage
from ._stream import Stream
from ._transport import ServerClosed, Taken, Transport
from .errors import ConnectError, ConnectionLost, ProtocolError

__all__ = ["Receiving"]

_QUICK = 0.001
"""Seconds that a stream's callbacks may take for the next to run on who leads."""

_MOST_AT_ONCE = 64
"""Messages that who leads takes in before others have their turn; the rest is a job."""

_MOST_MESSAGES = 500
_MOST_BYTES = 8 << 20
"""What may wait behind a callback before its connection is not read any more. Once
again as much may be on its way through the callbacks."""


class Receiving(Sending):
    """What receives, beside what sends.

    Args:
        pool: Whose threads it uses.
        stream: Whose messages to receive.
        teller: Who tells of them.
        make_transport, io_timeout: See `Sending`.
    """

    __slots__ = (
        *("_alive", "_busy", "_calls", "_failure", "_full", "_gone", "_hand"),
        *("_inbox", "_pool", "_quick", "_size"),
    )

    def __init__(
        self,
        pool: Pool,
        stream: Stream,
        teller: Teller,
        *,
        make_transport: Callable[[], Transport],
        io_timeout: float | None,
    ) -> None:
        super().__init__(
            stream, teller, make_transport=make_transport, io_timeout=io_timeout
        )
        self._pool = pool
        self._alive = threading.Lock()  # held from start() to the end, for join()
        self._gone = False  # whether that end has come

        # What has come and waits for whoever is busy with what came before.
        self._hand = threading.Lock()  # a leaf; guards the four below
        self._busy = False
        self._inbox: list[Taken | Exception] = []
        self._size = 0
        self._full = False
        # Of whoever is busy:
        self._calls: list[Call] = []  # to be told next; somebody wants each
        self._failure: BaseException | None = None  # what it has failed of
        self._quick = True  # whether its last callbacks were

    # Who leads the pool

    def take_in(self, taken: Sequence[Taken | Exception]) -> bool:
        """Take what has come; tell whether there is room for more.

        By who leads the pool, and does no more than it must: only what no handler
        is to be told of is done here.
        """
        with self._hand:
            if self._busy:
                self._inbox += taken
                self._size += sum(len(one) for one in taken if isinstance(one, bytes))
                full = len(self._inbox) >= _MOST_MESSAGES or self._size >= _MOST_BYTES
                self._full = full
                return not full
        # Nobody else is at it, and nothing waits: until a job is handed in, all that
        # the lock guards is this thread's.
        done = 0
        try:
            for message in taken:
                if not isinstance(message, bytes):
                    break
                done += 1
                self._calls = self._teller.wanted(self._stream.received(message))
                if self._calls or self._stream.unsettled or done == _MOST_AT_ONCE:
                    break
            else:
                return True  # as where nobody is to be told
        except Exception as exc:
            self._failure = exc
        self._busy = True
        if done < len(taken):
            self._inbox = [*taken[done:]]
        crew = self._threads.crew
        (crew.put if self._quick else crew.submit)(self._go_on)
        return True

    # As a job

    def _go_on(self) -> None:
        """Do `_work` as a `_job`, of which there are ten a second and stream."""
        me = threading.get_ident()
        self._inside.add(me)
        try:
            with self._entered:
                self._context.run(self._work)
        finally:
            self._inside.discard(me)

    def _work(self) -> None:
        """Tell what is to be told, and go on with what has come meanwhile."""
        failure, self._failure = self._failure, None
        if failure is not None:
            self._died(failure)
        self._tell(self._calls)
        self._calls = []
        with self._hand:
            batch, self._inbox, self._size = self._inbox, [], 0
            full, self._full = self._full, False
            self._busy = bool(batch)
        if full:
            self._resume()
        for one in batch:
            if not isinstance(one, bytes):
                self._connection_over(one)
                return
            try:
                calls = self._stream.received(one)
            except BaseException as exc:
                self._died(exc)
            else:
                self._tell(self._teller.wanted(calls))
        if batch:
            with self._hand:
                self._busy = more = bool(self._inbox)
            if more:  # others first
                self._pass_on(self._work)

    def _resume(self) -> None:
        with self._stream.lock:
            transport = self._transport
        assert transport is not None
        self._threads.watch.resume(transport)

    def _tell(self, calls: list[Call]) -> None:
        """Answer futures and run handlers, and note whether that was quick."""
        unsettled = self._stream.unsettled
        if not calls and not unsettled:
            return
        began = time.monotonic()
        try:
            if unsettled:
                self._stream.settle()
            self._teller.run(calls)
        except BaseException as exc:
            self._died(exc)
        self._quick = time.monotonic() - began < _QUICK

    def _connection_over(self, end: ServerClosed | Exception) -> None:
        """Note how a connection ended, which is not watched any more."""
        with self._stream.lock:
            transport = self._transport
            if self._stage is Stage.BROKEN and isinstance(end, ConnectionLost):
                end = self._loss or end  # why this end was cut says more
        assert transport is not None
        try:
            if isinstance(end, ServerClosed):
                calls = self._stream.received(end)
                self._stream.settle()
                self._teller.tell(calls)
            elif isinstance(end, (ConnectionLost, ProtocolError)):
                transport.abort()
                self._stream.change(Core.lost, end, self._stream.now())
            else:
                raise end
        except BaseException as exc:
            self._died(exc)
        transport.close()
        self._connect_again()

    def _connect_again(self) -> None:
        """Have another connection made when it is time to; or that was it."""
        plan = None
        try:
            plan = self._stream.change(Core.next_attempt)
            if plan is not None:
                self._teller.reconnects(plan, self._stream.core.loss)
        except BaseException as exc:
            self._died(exc)
        if plan is None:
            self._over()
            return
        with self._stream.lock:
            self._enter(Stage.WAITING, self._stream.now() + plan.delay)
            self._stream.wake()

    def _refused(self, error: ConnectError) -> None:
        """Note that connecting again was refused."""
        try:
            self._stream.change(Core.refused, error)
        except BaseException as exc:
            self._died(exc)
        self._connect_again()

    def _over(self) -> None:
        """The last that happens."""
        with self._stream.lock:
            transport = self._transport
            calls = self._stream.core.farewell()
            self._enter(Stage.OVER)
            self._stream.wake()
        if transport is not None:
            transport.close()
        self._log()
        try:
            self._teller.part(calls)
        except BaseException as exc:
            log.error("a callback for the end raised", exc_info=exc)
        self._teller.keep(None)
        running.remove(self._stream)
        self._pool._leave(self)
        self._gone = True
        self._alive.release()

    # On a thread that dials

    def _dial(self) -> None:
        """Make another connection."""
        stream, transport = self._stream, None
        try:
            transport = self._replace(self._make_transport())
            request_id = transport.open()
            with stream.lock:
                wanted = stream.core.connected(request_id, stream.now())
                if wanted:
                    self._enter(Stage.CONNECTED)
                    with self._hand:
                        self._busy = False
                    # Before anybody sends: what there is no room for, it finishes.
                    self._threads.watch.watch(self, transport)
                stream.wake()
            if wanted:
                log.info("connected again", extra=whose(stream))
                stream.journal_skipped()
        except ConnectError as exc:
            if transport is not None:
                transport.close()
            self._pass_on(partial(self._refused, exc))
        except BaseException as exc:
            self._pass_on(partial(self._dial_died, exc))
        else:
            if not wanted:
                self._pass_on(self._over)

    def _dial_died(self, exc: BaseException) -> None:
        self._died(exc)
        self._over()
