"""Who of a pool's threads reads, and who does which job, without a stream or a socket.

``read`` takes from a queue what the test has put there, and calls it.
"""

from __future__ import annotations

import queue
import random
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from cartesia_stt_sync import _crew
from cartesia_stt_sync._crew import Crew

from .fakes import LIMIT


class Held:
    """A job that lasts until it is let go; it notes on which thread it ran."""

    def __init__(self) -> None:
        self.entered, self.go = threading.Event(), threading.Event()
        self.thread = 0

    def __call__(self) -> None:
        self.thread = threading.get_ident()
        self.entered.set()
        assert self.go.wait(LIMIT)


class Rig:
    """A crew, and what it reads from.

    Attributes:
        readers: The threads that have read, each time.
        closed: How often it was said that nobody reads any more.
    """

    def __init__(self, most: int) -> None:
        self.inbox: queue.Queue[Callable[[], None]] = queue.Queue()
        self.readers: list[int] = []
        self.closed = 0
        self.crew = Crew(
            "crew", most, lead=self._read, wake=lambda: None, close=self._close
        )

    def _read(self) -> None:
        what = self.inbox.get()
        self.readers.append(threading.get_ident())
        what()

    def _close(self) -> None:
        self.closed += 1

    def put(self, job: Callable[[], None]) -> None:
        """Have the one that reads put a job."""
        self.inbox.put(lambda: self.crew.put(job))

    def read_by(self) -> int:
        """Who reads now, and has nothing else to do."""
        read = threading.Event()
        self.inbox.put(read.set)
        assert read.wait(LIMIT)
        return self.readers[-1]

    def stop(self) -> None:
        """End it, and see that nothing is left."""
        threads = self.crew.threads
        self.crew.stop()
        self.inbox.put(lambda: None)
        for thread in threads:
            thread.join(LIMIT)
        assert not any(thread.is_alive() for thread in threads)
        assert self.crew.threads == []
        assert self.closed == 1


@contextmanager
def crew(most: int) -> Iterator[Rig]:
    """One that has started, and ends."""
    rig = Rig(most)
    rig.crew.start()
    try:
        yield rig
    finally:
        rig.stop()


def test_a_quick_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has read does it, at once, as often as there is one."""
    monkeypatch.setattr(_crew, "PATIENCE", LIMIT)  # however busy the machine is
    with crew(4) as rig:
        for _ in range(50):
            job = Held()
            job.go.set()
            rig.put(job)
            assert job.entered.wait(LIMIT)
            assert job.thread == rig.readers[-1]
        assert len(rig.crew.threads) == 2


def test_a_job_that_is_not_quick() -> None:
    """Another reads on; and who comes back from it is one of the others then."""
    with crew(4) as rig:
        slow, later = Held(), Held()
        later.go.set()
        rig.put(slow)
        assert slow.entered.wait(LIMIT)
        reader = rig.read_by()
        assert reader != slow.thread
        rig.put(later)
        assert later.entered.wait(LIMIT)
        slow.go.set()
        assert rig.read_by() == reader


def test_jobs_behind_one_that_is_not_quick() -> None:
    """What was put in the same round is done by others, and reading goes on."""
    with crew(4) as rig:
        slow, behind = Held(), Held()
        behind.go.set()

        def both() -> None:
            rig.crew.put(slow)
            rig.crew.put(behind)

        rig.inbox.put(both)
        assert behind.entered.wait(LIMIT)
        assert slow.entered.is_set()
        assert len({slow.thread, behind.thread, rig.read_by()}) == 3
        slow.go.set()


def test_many_that_are_nearly_quick() -> None:
    """Together they take too long, and another reads on meanwhile."""
    with crew(4) as rig:
        done: list[int] = []

        def job() -> None:
            time.sleep(0.004)
            done.append(threading.get_ident())

        def all_of_them() -> None:
            for _ in range(300):
                rig.crew.put(job)

        rig.inbox.put(all_of_them)
        reader = rig.read_by()
        rig.read_by()
        assert len(done) < 300
        assert reader != rig.readers[0]


def test_slow_jobs_do_not_put_off_who_looks() -> None:
    """Who has waited for the reader and gets a job hands on how long it has waited."""
    with crew(2) as rig:
        away, read = Held(), threading.Event()
        rig.put(away)
        assert away.entered.wait(LIMIT)
        rig.inbox.put(read.set)
        for _ in range(2000):  # four seconds and more
            rig.crew.submit(lambda: None)
            if read.wait(0.002):
                break
        assert read.is_set()
        away.go.set()


def test_many_that_are_not_quick() -> None:
    """As many as there may be, and reading goes on; the next one waits for a thread."""
    with crew(3) as rig:
        jobs = [Held() for _ in range(5)]
        for job in jobs:
            rig.put(job)
        for job in jobs[:3]:
            assert job.entered.wait(LIMIT)
        for _ in range(3):
            assert rig.read_by() not in {job.thread for job in jobs[:3]}
        assert len(rig.crew.threads) == 4
        for done, begun in zip(jobs[:2], jobs[3:], strict=True):
            assert not begun.entered.wait(0.02)
            done.go.set()
            assert begun.entered.wait(LIMIT)
        for job in jobs:
            job.go.set()


def test_a_slow_job() -> None:
    """It does not go to who reads, and needs no patience."""
    with crew(4) as rig:
        reader, slow = rig.read_by(), Held()
        rig.crew.submit(slow)
        assert slow.entered.wait(LIMIT)
        assert slow.thread != reader == rig.read_by()
        slow.go.set()


def test_the_last_one_reads_on() -> None:
    """It takes no job while who has read does one; that one comes to it later."""
    with crew(1) as rig:
        first, second = Held(), Held()
        rig.put(first)
        assert first.entered.wait(LIMIT)
        rig.crew.submit(second)
        assert rig.read_by() != first.thread
        assert not second.entered.wait(0.02)
        first.go.set()
        assert second.entered.wait(LIMIT)
        assert second.thread == first.thread
        second.go.set()


def test_jobs_before_anybody_reads() -> None:
    """One reads first, and the rest do no more jobs than may be at the same time."""
    rig, jobs = Rig(1), [Held(), Held()]
    for job in jobs:
        rig.crew._jobs.append(job)
    rig.crew.start()
    assert jobs[0].entered.wait(LIMIT)
    assert rig.read_by() != jobs[0].thread
    assert not jobs[1].entered.wait(0.02)
    for job in jobs:
        job.go.set()
    assert jobs[1].entered.wait(LIMIT)
    rig.stop()


def test_a_job_with_nobody_to_read_on() -> None:
    """A quick one is left to who has time, and reading goes on."""
    with crew(1) as rig:
        slow, quick = Held(), Held()
        quick.go.set()
        rig.crew.submit(slow)
        assert slow.entered.wait(LIMIT)
        rig.put(quick)
        assert rig.read_by() != slow.thread
        assert not quick.entered.wait(0.02)
        slow.go.set()
        assert quick.entered.wait(LIMIT)


def test_no_more_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then those that there are come to all of it, one job after the other."""
    with crew(4) as rig:

        def fails(thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", fails)
            jobs = [Held() for _ in range(4)]
            rig.crew.submit(jobs[0])
            assert jobs[0].entered.wait(LIMIT)
            rig.crew.submit(jobs[1])
            rig.put(jobs[2])
            rig.put(jobs[3])
            for job in jobs:
                job.go.set()
            for job in jobs:
                assert job.entered.wait(LIMIT)


def test_a_job_that_raises(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and the thread goes on; so it is with reading itself."""

    def fails() -> None:
        raise ZeroDivisionError("a bug")

    with crew(2) as rig:
        rig.put(fails)
        rig.crew.submit(fails)
        rig.inbox.put(fails)
        rig.read_by()
    assert caplog.text.count("ZeroDivisionError: a bug") == 3


def test_over_while_one_is_away() -> None:
    """Who comes back from its job is the last, and closes."""
    rig, slow = Rig(2), Held()
    rig.crew.start()
    rig.put(slow)
    assert slow.entered.wait(LIMIT)
    reader = rig.read_by()
    last = Held()
    rig.put(last)
    assert last.entered.wait(LIMIT)
    assert last.thread == reader
    threading.Timer(0.05, slow.go.set).start()
    threading.Timer(0.05, last.go.set).start()
    rig.stop()


def test_jobs_that_are_left_when_it_is_over() -> None:
    """They are done, and no more at once than ever, though nobody has to read."""
    rig, jobs = Rig(1), [Held() for _ in range(4)]
    rig.crew.start()
    for job in jobs:
        rig.crew.submit(job)
    assert jobs[0].entered.wait(LIMIT)
    threads = rig.crew.threads
    rig.crew.stop()
    rig.inbox.put(lambda: None)
    for job, behind in zip(jobs, [*jobs[1:], None], strict=True):
        assert job.entered.wait(LIMIT)
        assert behind is None or not behind.entered.wait(0.02)
        job.go.set()
    for thread in threads:
        thread.join(LIMIT)
    assert (rig.crew.threads, rig.closed) == ([], 1)


def test_nothing_is_kept_of_a_job() -> None:
    """Who waits for the next one does not hold the last."""

    class Job:
        def __call__(self) -> None:
            pass

    with crew(2) as rig:
        jobs = [Job() for _ in range(6)]
        gone = [weakref.ref(job) for job in jobs]
        for number, job in enumerate(jobs):
            rig.crew.submit(job) if number % 2 else rig.put(job)
        del jobs, job
        deadline = time.monotonic() + LIMIT
        while any(one() for one in gone) and time.monotonic() < deadline:
            rig.read_by()
            time.sleep(0.001)
        assert not any(one() for one in gone)


def test_over_before_it_began(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a thread, too, it is closed; and once."""

    def fails(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fails)
    rig = Rig(2)
    with pytest.raises(RuntimeError, match="new thread"):
        rig.crew.start()
    rig.crew.stop()
    assert rig.closed == 1


@pytest.mark.parametrize("most", [1, 2, 5])
def test_all_at_once(most: int) -> None:
    """Quick, slow and sleeping ones, from all sides: each once, some at a time."""
    dice, lock, count = random.Random(most), threading.Lock(), 600
    done, all_done = list[int](), threading.Event()
    at_once = peak = 0

    def job(number: int, seconds: float) -> Callable[[], None]:
        def run() -> None:
            nonlocal at_once, peak
            with lock:
                at_once += 1
                peak = max(peak, at_once)
            if seconds:
                time.sleep(seconds)
            with lock:
                at_once -= 1
                done.append(number)
                if len(done) == count:
                    all_done.set()

        return run

    with crew(most) as rig:
        for number in range(count):
            seconds = dice.choice([0.0] * 20 + [0.0005, 0.002, 0.008])
            if dice.random() < 0.7:
                rig.put(job(number, seconds))
            else:
                rig.crew.submit(job(number, seconds))
            if dice.random() < 0.02:
                time.sleep(0.004)
        assert all_done.wait(LIMIT)
    assert sorted(done) == list(range(count))
    assert peak <= most
