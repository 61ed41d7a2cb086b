"""An hour of audio: nothing drifts, nothing grows, nothing is lost."""

from __future__ import annotations

from collections.abc import Callable

from .soak import hour


def test_an_hour(figure: Callable[[str], None]) -> None:
    """36,000 chunks, five losses, 14,400 words by way of bytes, frames and JSON."""
    seen = hour()
    assert seen.losses == 5
    assert seen.text == seen.expected
    assert seen.drift() < 0.002
    # A chunk and its record, or what the last answer has not covered yet.
    assert max(seen.kept) < 100_000
    figure(
        f"an hour in {seen.seconds:.1f} s: drift {seen.drift() * 1000:.2f} ms, at most "
        f"{max(seen.kept):,} bytes held beside the transcript"
    )
