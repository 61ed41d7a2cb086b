"""A few threads that do what must not hold up the threads that all streams share.

Decides which job is next, the one that has waited longest; and how many threads are at
it: one more for each job, up to a number of them. Knows nothing of streams; whoever
wants jobs of its own in order hands in the next when the last is done.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from ._driving import log

__all__ = ["Job", "Workers"]

Job = Callable[[], None]


class Workers:
    """Threads that are started when there is a job, and end when there is none.

    Args:
        name: What they are called, but for a number.
        most: How many there may be.

    Threads: any.
    """

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._lock = threading.Lock()  # a leaf; guards all below
        self._jobs: deque[Job] = deque()
        self._numbers: list[int] = list(range(most, 0, -1))  # of no thread
        self._threads: dict[int, threading.Thread] = {}

    def submit(self, job: Job) -> None:
        """Have a job done soon. What it raises is logged.

        Raises:
            RuntimeError: There is no thread to do it, and none to be had.
        """
        with self._lock:
            self._jobs.append(job)
            if self._numbers:
                try:
                    self._start_one()
                except RuntimeError:
                    if not self._threads:
                        self._jobs.remove(job)
                        raise
                    # Else one of those that there are will come to it.

    @property
    def threads(self) -> list[threading.Thread]:
        """Those that run now."""
        with self._lock:
            return list(self._threads.values())

    def _start_one(self) -> None:
        """Start one more. Requires the lock, and that there is a number left.

        Raises:
            RuntimeError: There are no more threads to be had.
        """
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

    def _retire(self, number: int) -> None:
        """Note that a thread ends. Requires the lock."""
        self._numbers.append(number)
        del self._threads[number]

    def _work(self, number: int) -> None:
        """What each thread does."""
        while True:
            with self._lock:
                if not self._jobs:
                    self._retire(number)
                    return
                job = self._jobs.popleft()
            self._do(job)
            del job  # it would be kept until the next one

    def _do(self, job: Job) -> None:
        try:
            job()
        except BaseException:  # a bug: jobs see to their own failures
            log.exception("a job of %s failed", self._name)
