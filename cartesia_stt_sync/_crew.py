"""The threads of a pool: one of them leads, the others do jobs; each can do either.

Decides who leads, one at a time, and who does which job. What it is to lead, the pool
says: to send and to read for all streams. Who leads also does what is `put` before it,
which is expected to be quick, as callbacks mostly are: to hand each event to another
thread costs more than all else that is done for it. Meanwhile another stands by, and
leads on in its place if that takes longer than `PATIENCE`. What is known to be slow is
`submit`-ted, and done by those who do not lead.

Who wakes whom: who leads sleeps in what it is given to do; all others wait for
``changed``, one of them, the guard, with a time limit as long as there are quick jobs.
None is woken for a quick job but where jobs are rare. A thread that comes back from a
job and finds that another leads is one of the others from there on.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial

from ._workers import Job, Workers

__all__ = ["PATIENCE", "Crew"]

PATIENCE = 0.005
"""Seconds after which another thread leads in place of one that does jobs. It looks so
often, so it may also take twice as long."""


class Crew(Workers):
    """The threads.

    Args:
        name: What they are called, but for a number.
        most: How many jobs may be done at the same time. There is one thread more.
        lead: Do once what only one may do, waiting for it; it may `put` what is then
            to be done.
        wake: Have that return.
        close: Called when nobody leads any more.

    Threads: any, where a method does not say otherwise.
    """

    def __init__(
        self,
        name: str,
        most: int,
        *,
        lead: Callable[[], None],
        wake: Callable[[], None],
        close: Callable[[], None],
    ) -> None:
        super().__init__(name, most + 1)
        self._lead_once = lead
        self._wake = wake
        self._close = close
        self._quick: deque[Job] = deque()  # its calls are atomic
        # Guarded by the lock:
        self._changed = threading.Condition(self._lock)
        self._over = False
        self._closed = False
        self._free = 0  # threads that neither lead nor do a job
        self._leader = 0  # the number of the one that leads; 0: none
        self._away = False  # whether that one does jobs
        self._turn = 0  # how often it has gone to do some
        self._seen = 0  # how often it had when another last looked
        self._until = 0.0  # when that one's patience is at its end
        self._guarded = False  # whether another will look then

    def start(self) -> None:
        """Start two, so that one can lead while the other does a job.

        Raises:
            RuntimeError: There are no more threads to be had; see `stop`.
        """
        with self._lock:
            self._start_one()
            self._start_one()

    def stop(self) -> None:
        """Let all end once there is nothing more to do."""
        with self._lock:
            self._over = True
            self._changed.notify_all()
            self._wake()  # under the lock, for who leads will close what it wakes
            self._close_if_unled()

    def submit(self, job: Job) -> None:
        """Have a job done soon, however long it takes. What it raises is logged."""
        with self._lock:
            self._jobs.append(job)
            self._see_to_jobs()

    def put(self, job: Job) -> None:
        """Have a quick job done soon; to be called in ``lead``."""
        self._quick.append(job)

    # All below requires the lock, but for `_work` and `_lead`

    def _start_one(self) -> None:
        super()._start_one()
        self._free += 1

    def _started_one(self) -> bool:
        """Start one more if that is possible; tell whether it was."""
        if not self._numbers:
            return False
        try:
            self._start_one()
        except RuntimeError:  # there are no more threads to be had; perhaps later
            return False
        return True

    def _see_to_jobs(self) -> None:
        """Have somebody come to the jobs that wait."""
        takers = self._free - 1 if self._away else self._free  # one stands by
        if len(self._jobs) <= takers or not self._started_one():
            self._changed.notify()

    def _work(self, number: int) -> None:
        with self._lock:
            job = self._next(number)
        while job is not None:
            self._do(job)
            del job  # it would be kept until the next one
            with self._lock:
                self._free += 1
                job = self._next(number)

    def _next(self, number: int) -> Job | None:
        """Wait for something to do; ``None``: it is over."""
        while True:
            if not self._leader and not self._over:
                return self._take_over(number)  # else all might be at jobs
            if self._over and not (self._jobs and self._numbers):
                # Now that nobody is to lead, there is one too many.
                self._free -= 1
                self._retire(number)
                self._close_if_unled()
                return None
            # Who could lead on, if need be.
            last = self._away and self._free == 1 and not self._over
            if self._jobs and not last:
                self._free -= 1
                if self._away and not self._guarded:
                    self._changed.notify()  # it may have been this one's turn to look
                return self._jobs.popleft()
            # The last one does not take a job, but leads, so that who has led can.
            if self._jobs or self._stand_by():
                return self._take_over(number)

    def _stand_by(self) -> bool:
        """Wait for a change; tell whether who leads has been away for too long."""
        fresh = self._turn != self._seen
        if self._guarded or not (fresh or self._away):
            self._changed.wait()
            return False
        now = time.monotonic()
        if fresh:  # else it is another's watch that goes on, who has got a job
            self._seen, self._until = self._turn, now + PATIENCE
        self._guarded = True
        self._changed.wait(max(0.0, self._until - now))
        self._guarded = False
        late = time.monotonic() >= self._until
        return late and self._away and self._turn == self._seen

    def _take_over(self, number: int) -> Job:
        """Lead from here on; what the last who did had before it, is for the others."""
        self._leader, self._away = number, False
        self._free -= 1
        self._jobs += self._quick
        self._quick.clear()
        for _ in range(min(len(self._jobs), len(self._numbers) + self._free)):
            self._see_to_jobs()
        return partial(self._lead, number)

    def _lead(self, number: int) -> None:
        """Lead, and do what is quick, until it is over or another does."""
        try:
            while self._do_quick(number) and not self._over:
                self._lead_once()
        finally:
            with self._lock:
                if self._leader == number:
                    self._leader, self._away = 0, False

    def _do_quick(self, number: int) -> bool:
        """Do what was `put`; tell whether the thread is still the one that leads."""
        job: Job | None = None
        while job is not None or self._quick:
            with self._lock:
                if self._leader != number:
                    return False
                job = self._leave()
            if job is None:
                break
            self._do(job)
        return True

    def _leave(self) -> Job | None:
        """What the one that leads is to do first; ``None``: to lead."""
        if not self._quick:
            self._away = False
            return None
        if not self._free and not self._started_one():
            # Nobody could lead on; so it is for whoever is the next to have time.
            self._away = False
            self._jobs += self._quick
            self._quick.clear()
            return None
        if not self._away:
            self._away = True
            self._turn += 1
            if not self._guarded:
                self._changed.notify()
        return self._quick.popleft()

    def _close_if_unled(self) -> None:
        if self._over and not self._leader and not self._closed:
            self._closed = True
            self._close()
