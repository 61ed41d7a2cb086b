"""The bell: a condition for one."""

from __future__ import annotations

import threading

from cartesia_stt_sync._clock import Bell

from .fakes import LIMIT


def test_a_ring_wakes() -> None:
    """Once; the lock is free while it is waited for, and held again after."""
    lock = threading.Lock()
    bell, woken = Bell(lock), []

    def wait() -> None:
        with lock:
            woken.append(bell.wait(LIMIT))

    thread = threading.Thread(target=wait)
    with lock:
        thread.start()
        bell.notify()  # nobody waits yet: it is not kept
    while True:
        with lock:
            if bell._waited_for:
                break
    with lock:
        bell.notify()
        bell.notify()
    thread.join(LIMIT)
    assert woken == [True]
    with lock:
        assert not bell.wait(0.001), "neither of the others was kept"


def test_a_ring_just_after_the_time_is_up() -> None:
    """It counts, and is not kept for the next wait."""
    lock = threading.Lock()
    bell = Bell(lock)

    class Late:
        """What times out, and rings before the lock is had again."""

        rung = 0

        def acquire(self, timeout: float | None = None) -> bool:
            if timeout is None:
                self.rung -= 1
                return True
            with lock:
                bell.notify()
            return False

        def release(self) -> None:
            self.rung += 1

    late = Late()
    bell._rung = late  # type: ignore[assignment]  # for the test
    with lock:
        assert bell.wait(1.0)
    assert late.rung == 0
