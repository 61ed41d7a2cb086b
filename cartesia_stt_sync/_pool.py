"""Many streams on one thread at a time, which sends for all of them and reads from all.

Decides whose turn it is: whoever has changed, whoever's time has come, and whoever has
been sent something. What there is to send, the stream's `Member` asks its core; what
came, it takes in. Each step is taken for all whose turn it is before the next: a
processor that does the same thing ten times over is done in two thirds of the time.
Never waits but for all of them at once. Whose thread it is, `_crew` says.

Who wakes whom: a stream's change puts its member into ``ready``, under the lock of the
stream and then the pool's; whoever holds the pool's never takes a stream's. Who waits,
for all connections and for the time, is woken by a byte in a socket of its own.
"""

from __future__ import annotations

import heapq
import itertools
import os
import threading
import time
from collections import deque
from typing import Protocol

from . import _validate as check
from ._clock import Clock
from ._crew import Crew
from ._watch import Watch, WatchBell
from ._workers import Workers
from .errors import ClosedError

__all__ = ["Pool"]

_DIALLING = 16
"""How many connections are made anew at once: that blocks, in looking up names."""

_TICK = 0.0005
"""Seconds that are slept at least, so that many streams share a wake-up."""

_BREATH = 0.1
"""Seconds to wait after a failure that nobody foresaw."""

_numbers = itertools.count(1)


class Asked(Protocol):
    """What the pool needs of a member.

    Attributes:
        queued: Whether it is in ``ready``; guarded by the pool's lock.
        due: When it wants to be asked; ``None``: not before it changes. Of who asks.
    """

    queued: bool
    due: float | None

    def turn(self) -> float | None:
        """Do what is to be done now; return when to be asked again."""

    def broke(self, exc: BaseException) -> None:
        """Hear that `turn` has failed in a way that nobody foresaw."""


class Pool:
    """A few threads that many transcribers share, in place of a pair for each.

    ::

        pool = Pool()
        ...
        with Transcriber(pool=pool) as t:   # one of hundreds
            t.feed(pcm)

    For a server with a hundred live calls or more. The threads start with the first
    open transcriber and end with the last, so there is nothing to close. Everything
    else is as without a pool, but for the threads that callbacks run on: several,
    so that a slow one delays its own transcriber and no other.

    Args:
        workers: How many callbacks run at the same time, at most (4). Those of one
            transcriber still run one at a time, in order.

    Raises:
        ConfigError: ``workers`` is no whole number of at least 1.

    Threads: any may use it. A child that inherits it over a fork gets `ClosedError`.
    """

    def __init__(self, *, workers: int = 4) -> None:
        self._workers = check.count("workers", workers, least=1)
        self._pid = os.getpid()
        self._clock = Clock()  # tests put one of their own in its place
        self._lock = threading.Lock()
        self._locks: dict[int, threading.Lock] = {}  # of forked children
        self._engine: Engine | None = None  # guarded by the lock

    def __repr__(self) -> str:
        engine = self._engine
        return f"<Pool of {0 if engine is None else len(engine.members)} streams>"

    def _refuse_fork(self) -> None:
        """Raise `ClosedError` in a forked child: the threads stayed in its parent."""
        pid = os.getpid()
        if self._pid == pid:
            return
        # In this order: another thread of the child may just have begun to use it.
        if self._engine is not None and self._pid != pid:
            raise ClosedError(
                "this pool was inherited over a fork, and its threads were not; make "
                "a new one in the child process"
            )
        # There were none, so it is as good as new, but for a lock that may be held.
        self._lock = self._locks.setdefault(pid, threading.Lock())
        self._pid = pid

    def _join(self, member: Asked) -> Engine:
        """Take a member, for which threads run from here on.

        Raises:
            RuntimeError: There are no more threads to be had.
        """
        self._refuse_fork()
        with self._lock:
            engine = self._engine
            if engine is None:
                engine = Engine(self._clock, self._lock, self._workers)
                engine.start()
                self._engine = engine
            engine.members.add(member)
        return engine

    def _leave(self, member: Asked) -> None:
        """Let go of a member; with the last one the threads end."""
        with self._lock:
            engine = self._engine
            assert engine is not None
            engine.members.discard(member)
            if not engine.members:
                self._engine = None
                engine.stop()


class Engine:
    """The threads, from the first member to the last.

    Args:
        clock: The time.
        lock: The pool's.
        workers: How many callbacks run at the same time.

    Attributes:
        members: All; guarded by the pool's lock.
        watch: The connections that are read from.
        bell: What is waited for; see there.
        crew: The threads; one of them at a time sends and reads.
        diallers: Those that connect anew.
    """

    def __init__(
        self,
        clock: Clock,
        lock: threading.Lock,
        workers: int,
    ) -> None:
        name = f"cartesia-stt-pool-{next(_numbers)}"
        self._clock = clock
        self._lock = lock
        self._ready: deque[Asked] = deque()
        self._left: list[threading.Thread] = []  # once it is over
        self.members: set[Asked] = set()
        self.watch = Watch()
        self.bell = WatchBell(lock, self.watch)
        self.crew = Crew(
            f"{name}-worker",
            workers,
            lead=self._lead,
            wake=self.watch.wake,
            close=self.watch.close,
        )
        self.diallers = Workers(f"{name}-dial", _DIALLING)
        # Of who leads:
        self._times: list[tuple[float, int, Asked]] = []  # a heap; see `_ask`
        self._order = itertools.count()

    def start(self) -> None:
        """Start the threads. Requires the pool's lock.

        Raises:
            RuntimeError: There are no more threads to be had; none is left.
        """
        try:
            self.crew.start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Let the threads end. Requires the pool's lock."""
        self._left = self.crew.threads
        self.crew.stop()

    def join(self, seconds: float) -> None:
        """If the last member has left, wait for the threads, or until time is up."""
        deadline = time.monotonic() + seconds
        me = threading.current_thread()
        for thread in self._left:
            if thread is not me and thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))

    def woken(self, member: Asked) -> None:
        """Ask a member soon; called with the lock of its stream."""
        with self._lock:
            if not member.queued:
                # In this order, for a Ctrl-C may come in between.
                self._ready.append(member)
                member.queued = True
            self.bell.notify()

    # On the thread that leads

    def _lead(self) -> None:
        """Have all their turns once; a failure here is everybody's, and ends them."""
        try:
            self._have_turns()
        except Exception as exc:
            self.watch.fail(exc)
            time.sleep(_BREATH)  # it may fail again until they have left

    def _have_turns(self) -> None:
        """Send what is due, wait if nothing is, and take in what has come."""
        watch = self.watch
        with self._lock:
            batch = self._batch()
            idle = not batch and not watch.behind
            if idle:
                self._clock.wait(self.bell, self._seconds())
                batch = self._batch()
        for member in batch:
            self._ask(member)
        if not idle and not watch.behind:
            watch.select(0)
        watch.read()

    def _batch(self) -> list[Asked]:
        """Who is to be asked now. Requires the pool's lock."""
        times, now, batch = self._times, self._clock.now(), []
        if len(times) > 4 * len(self.members) + 64:
            self._forget()
        while times and (times[0][0] <= now or times[0][2].due != times[0][0]):
            when, _, member = heapq.heappop(times)
            if member.due == when:
                member.due = None
                batch.append(member)
        ready = self._ready
        while ready:
            member = ready.popleft()
            member.queued = False
            batch.append(member)
        return batch

    def _ask(self, member: Asked) -> None:
        """Have a member do what is due, and note when it wants to be asked again.

        It has one time, the latest it has named. The heap may still hold others of its;
        they are passed over.
        """
        try:
            when = member.turn()
        except BaseException as exc:
            member.broke(exc)
            when = None
        if when is not None and when != member.due:
            heapq.heappush(self._times, (when, next(self._order), member))
        member.due = when

    def _forget(self) -> None:
        """Let go of times that nobody wants any more, and whoever they belong to."""
        self._times[:] = [time for time in self._times if time[2].due == time[0]]
        heapq.heapify(self._times)

    def _seconds(self) -> float | None:
        """How long nothing is due; ``None``: until something happens."""
        if not self._times:
            return None
        return max(self._times[0][0] - self._clock.now(), _TICK)
