"""Threads for many transcribers: one that sends, and a few that receive and call back.

Decides who is asked next what there is to send: whoever has changed, and whoever's time
has come. What that is, the stream's `Member` asks its core. Never waits for a socket.

Who wakes whom: a stream's change puts its member into ``ready``, under the lock of the
stream and then the pool's; whoever holds the pool's never takes a stream's. The thread
that sends waits for a bell; how the others wait, `_crew` says.
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
from ._clock import Bell, Clock
from ._crew import Crew
from ._watch import Watch
from ._workers import Workers
from .errors import ClosedError

__all__ = ["Pool"]

_DIALLING = 16
"""How many connections are made anew at once: that blocks, in looking up names."""

_TICK = 0.0005
"""Seconds that the sender sleeps at least, so that many streams share a wake-up."""

_numbers = itertools.count(1)


class Asked(Protocol):
    """What the pool needs of a member.

    Attributes:
        queued: Whether it is in ``ready``; guarded by the pool's lock, as `due` is.
        due: When it wants to be asked; ``None``: not before it changes.
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
        self._engine: Engine | None = None  # guarded by the lock

    def __repr__(self) -> str:
        engine = self._engine
        return f"<Pool of {0 if engine is None else len(engine.members)} streams>"

    def _refuse_fork(self) -> None:
        """Raise `ClosedError` in a forked child: the threads stayed in its parent."""
        if self._pid != os.getpid():
            raise ClosedError(
                "this pool was inherited over a fork, and its threads were not; make "
                "a new one in the child process"
            )

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
        workers: How many.

    Attributes:
        members: All; guarded by the pool's lock.
        bell: What the thread that sends waits for.
        watch: The connections that are read from.
        crew: The threads that do that, and run callbacks.
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
        self._times: list[tuple[float, int, Asked]] = []  # a heap; see `_next`
        self._order = itertools.count()
        self._over = False
        self._left: list[threading.Thread] = []  # once it is over
        self.members: set[Asked] = set()
        self.bell = Bell(lock)
        self.watch = Watch()
        self.crew = Crew(
            f"{name}-worker", workers, read=self.watch.read, close=self.watch.close
        )
        self.diallers = Workers(f"{name}-dial", _DIALLING)
        # A daemon, as all threads of a driver are; see `ThreadPair.start`.
        self._sender = threading.Thread(
            target=self._send, name=f"{name}-sender", daemon=True
        )

    def start(self) -> None:
        """Start the threads. Requires the pool's lock.

        Raises:
            RuntimeError: There are no more threads to be had; none is left.
        """
        try:
            self.crew.start()
            self._sender.start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Let the threads end. Requires the pool's lock."""
        self._over = True
        self.bell.notify()
        self._left = [self._sender, *self.crew.threads]
        self.crew.stop()
        self.watch.wake()

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

    # The sender's thread

    def _send(self) -> None:
        turns: list[tuple[Asked, float | None]] = []
        while batch := self._next(turns):
            turns = [(member, self._ask(member)) for member in batch]

    def _ask(self, member: Asked) -> float | None:
        try:
            return member.turn()
        except BaseException as exc:
            member.broke(exc)
            return None

    def _next(self, turns: list[tuple[Asked, float | None]]) -> list[Asked]:
        """Note who wants to be asked when; wait until somebody is to be asked.

        A member has one time, the latest it has named. The heap may still hold others
        of its; they are passed over.
        """
        with self._lock:
            for member, when in turns:
                if when is not None and when != member.due:
                    heapq.heappush(self._times, (when, next(self._order), member))
                member.due = when
            if len(self._times) > 4 * len(self.members) + 64:
                self._forget()
            while not self._over:
                batch = self._due()
                while self._ready:
                    member = self._ready.popleft()
                    member.queued = False
                    batch.append(member)
                if batch:
                    return batch
                self._sleep()
        return []

    def _due(self) -> list[Asked]:
        times, now, due = self._times, self._clock.now(), []
        while times and (times[0][0] <= now or times[0][2].due != times[0][0]):
            when, _, member = heapq.heappop(times)
            if member.due == when:
                member.due = None
                due.append(member)
        return due

    def _forget(self) -> None:
        """Let go of times that nobody wants any more, and whoever they belong to."""
        self._times = [time for time in self._times if time[2].due == time[0]]
        heapq.heapify(self._times)

    def _sleep(self) -> None:
        seconds = self._times[0][0] - self._clock.now() if self._times else None
        if seconds is not None:
            if seconds <= 0:
                return
            seconds = max(seconds, _TICK)
        self._clock.wait(self.bell, seconds)
