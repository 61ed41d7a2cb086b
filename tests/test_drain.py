"""How long the end of the transcript is awaited, with the time as an argument."""

from __future__ import annotations

from cartesia_stt_sync._drain import Drain


def test_from_close_on() -> None:
    """The limit counts from close, and anew from a close that is sent again."""
    drain = Drain(10.0)
    assert not drain.begun
    drain.begin(100.0)
    assert drain.begun
    assert drain.until() == 110.0
    drain.begin(105.0)
    assert drain.until() == 115.0
    drain.give_up()
    assert not drain.begun


def test_no_limit() -> None:
    """None is never."""
    drain = Drain(None)
    drain.begin(100.0)
    assert drain.until() is None


def test_callbacks_have_their_own_time() -> None:
    """What a callback took is added; what it took before close is not."""
    drain = Drain(10.0)
    drain.telling(95.0)
    drain.begin(100.0)
    drain.told(103.0)
    assert drain.until() == 113.0
    drain.telling(104.0)
    drain.told(105.0)
    drain.told(109.0)
    assert drain.until() == 114.0


def test_one_that_hangs_ends_it() -> None:
    """It has as long again from when it began."""
    drain = Drain(10.0)
    drain.begin(100.0)
    drain.telling(108.0)
    assert drain.until() == 118.0


def test_before_close_nothing_counts() -> None:
    """Callbacks of an open session move no deadline."""
    drain = Drain(10.0)
    drain.telling(1.0)
    drain.told(2.0)
    drain.begin(100.0)
    assert drain.until() == 110.0
