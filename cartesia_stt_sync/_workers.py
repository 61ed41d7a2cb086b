"""A few threads that do what must not hold up the threads that all streams share.

Decides which job is next: the one that has waited longest; and how many threads are
at it: one as long as that is enough, for more get into each other's way, and one more
whenever a job has waited for `PATIENCE`. Knows nothing of streams; whoever wants jobs
of its own in order hands in the next when the last is done.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from ._driving import log

__all__ = ["Workers"]

Job = Callable[[], None]

PATIENCE = 0.001
"""Seconds in which the threads at work are expected to come to the next job."""


class Workers:
    """Threads that are started when there is a job, up to a number of them.

    Args:
        name: What they are called, but for a number.
        most: How many there may be.
        stay: Whether they wait for further jobs, until `stop`; else each ends when
            there is none.

    Threads: any.
    """

    def __init__(self, name: str, most: int, *, stay: bool) -> None:
        self._name = name
        self._most = most
        self._stay = stay
        self._lock = threading.Lock()  # a leaf; guards all below
        self._changed = threading.Condition(self._lock)
        self._jobs: deque[Job] = deque()
        self._numbers: list[int] = list(range(most, 0, -1))  # of no thread
        self._threads: dict[int, threading.Thread] = {}
        self._idle = 0
        self._taken = 0.0  # when a job was last taken
        self._over = False

    def start(self) -> None:
        """Start the first, so that there is one for sure.

        Raises:
            RuntimeError: There are no more threads to be had.
        """
        with self._lock:
            self._start_one()

    def submit(self, job: Job) -> None:
        """Have a job done soon. What it raises is logged.

        Raises:
            RuntimeError: There is no thread to do it, and none to be had.
        """
        with self._lock:
            self._jobs.append(job)
            try:
                self._one_more()
            except RuntimeError:
                self._jobs.remove(job)
                raise

    def put(self, job: Job) -> None:
        """Have a job done, by who is at work or at the next `look`."""
        self._jobs.append(job)  # atomic

    def look(self) -> float | None:
        """See to it that what was `put` is done.

        Returns:
            In how many seconds to look again; ``None``: not before more is put.
        """
        if not self._jobs:
            return None
        with self._lock:
            working = len(self._threads) - self._idle
            if not working or time.monotonic() - self._taken >= PATIENCE:
                self._one_more()
            if not working and len(self._jobs) == 1:
                return None  # as mostly: it is taken at once, and none waits behind it
        return PATIENCE

    def stop(self) -> None:
        """Let all end once there is nothing more to do."""
        with self._lock:
            self._over = True
            self._changed.notify_all()

    @property
    def threads(self) -> list[threading.Thread]:
        """Those that run now."""
        with self._lock:
            return list(self._threads.values())

    def _one_more(self) -> None:
        """Have one more thread at work, if there is one."""
        if self._idle:
            self._changed.notify()
        elif self._numbers:
            try:
                self._start_one()
            except RuntimeError:
                if not self._threads:
                    raise
                # Else one of those that there are will come to it.

    def _start_one(self) -> None:
        number = self._numbers[-1]
        # A daemon, as all threads of a driver are; see `ThreadPair.start`.
        thread = threading.Thread(
            target=self._work,
            args=(number,),
            name=f"{self._name}-{number}",
            daemon=True,
        )
        thread.start()
        self._threads[self._numbers.pop()] = thread

    def _work(self, number: int) -> None:
        while (job := self._next(number)) is not None:
            try:
                job()
            except BaseException:  # a bug: jobs see to their own failures
                log.exception("a job of %s failed", self._name)
            del job  # it would be kept until the next one

    def _next(self, number: int) -> Job | None:
        with self._lock:
            while not self._jobs:
                if self._over or not self._stay:
                    self._numbers.append(number)
                    del self._threads[number]
                    return None
                self._idle += 1
                self._changed.wait()
                self._idle -= 1
            self._taken = time.monotonic()
            return self._jobs.popleft()
