"""Mask keys: random, and nobody's twice."""

from __future__ import annotations

import os
import threading
import warnings

import pytest

from cartesia_stt_sync import _keys
from cartesia_stt_sync._keys import mask_key


def test_four_bytes_never_twice() -> None:
    """Far more keys than are fetched at once; of 2^32, two alike would be a wonder."""
    keys = [mask_key() for _ in range(3000)]
    assert {len(key) for key in keys} == {4}
    assert len(set(keys)) > 2990


def test_from_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are the system's random bytes, each used once, and asked for seldom."""
    asked: list[int] = []

    def urandom(size: int) -> bytes:
        asked.append(size)
        first = 1000 * len(asked)
        return b"".join(n.to_bytes(4, "big") for n in range(first, first + size // 4))

    monkeypatch.setattr(os, "urandom", urandom)
    monkeypatch.setattr(_keys, "_keys", type(_keys._keys)())
    count = 2 * _keys._AT_ONCE
    keys = {int.from_bytes(mask_key(), "big") for _ in range(count)}
    assert keys == {*range(1000, 1000 + count // 2), *range(2000, 2000 + count // 2)}
    assert len(asked) == 2


def test_among_threads() -> None:
    """Threads that ask at once get keys of their own."""
    found: list[list[bytes]] = [[] for _ in range(8)]
    start = threading.Barrier(len(found))

    def take(mine: list[bytes]) -> None:
        start.wait(10)
        mine.extend(mask_key() for _ in range(2000))

    threads = [threading.Thread(target=take, args=(mine,)) for mine in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    keys = [key for mine in found for key in mine]
    assert len(keys) == 16_000
    # Of 16,000 random ones two are alike once in thirty runs, five never.
    assert len(keys) - len(set(keys)) < 5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_after_a_fork() -> None:
    """A forked child does not mask with its parent's keys."""
    mask_key()  # so that some wait
    waiting = set(_keys._keys)
    assert waiting
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork with threads
        child = os.fork()
    if not child:  # pragma: no cover  # in another process
        try:
            os.write(writing, b"".join(mask_key() for _ in range(50)))
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        theirs = pipe.read()
    os.waitpid(child, 0)
    keys = [theirs[at : at + 4] for at in range(0, len(theirs), 4)]
    assert len(keys) == 50
    assert len(waiting.intersection(keys)) <= 1
