"""When a turn begins and ends: the four settings, and how long a pause each means.

Decides which settings are possible, together, and turns them into seconds. Values
in, values out: touches no clock, audio or socket.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import attrs

__all__ = ["Thresholds", "changed"]

_HALVED_BY_SILENCE = 0.5
"""Seconds of silence that halve the chance that the speaker goes on."""

_HALVED_BY_SPEECH = 0.1
"""Seconds of speech that halve the chance that it is none."""

_RANGES: dict[str, tuple[float, float]] = {
    "start_threshold": (0.5, 0.9),
    "eager_end_threshold": (0.3, 0.6),
    "end_threshold": (0.05, 0.5),
    "end_timeout_ms": (640, 11200),
}


@attrs.frozen(kw_only=True)
class Thresholds:
    """What decides where a turn begins and ends.

    The service's thresholds are chances that somebody speaks, as its model sees
    them. Here the chance follows from the audio alone: while a voice is heard, what
    is missing to 1 halves each 0.1 s; from its end on, the chance itself halves each
    0.5 s. So a higher `start_threshold` asks for more speech, and a lower
    `eager_end_threshold` or `end_threshold` for a longer pause. With the defaults
    that is 0.23 s of speech, 0.66 s and 1.16 s of pause.

    Attributes:
        start_threshold: The chance at which a turn begins.
        eager_end_threshold: The chance below which it is perhaps over.
        end_threshold: The chance below which it is over.
        end_timeout_ms: The longest pause in it, in milliseconds.
    """

    start_threshold: float = 0.8
    eager_end_threshold: float = 0.4
    end_threshold: float = 0.2
    end_timeout_ms: float = 5600

    @property
    def start(self) -> float:
        """Seconds of speech that begin a turn: 0.1 to 0.33."""
        return _HALVED_BY_SPEECH * -math.log2(1 - self.start_threshold)

    @property
    def eager_end(self) -> float:
        """Seconds of pause after which it is perhaps over: 0.37 to 0.87."""
        return _HALVED_BY_SILENCE * -math.log2(self.eager_end_threshold)

    @property
    def end(self) -> float:
        """Seconds of pause after which it is over: 0.5 to 2.16, or the timeout."""
        by_chance = _HALVED_BY_SILENCE * -math.log2(self.end_threshold)
        return min(by_chance, self.end_timeout_ms / 1000)


def changed(
    before: Thresholds, values: Mapping[str, object], prefix: str = ""
) -> Thresholds | str:
    """Change some of the settings.

    Args:
        before: Those in force.
        values: The new ones by their names.
        prefix: What the names have before them where they are told.

    Returns:
        All of them; or what is wrong, where a value, or all of them together, are
        not possible.
    """
    numbers = {}
    for name, value in values.items():
        if name not in _RANGES:
            return f"{prefix}{str(name)[:40]}: one of {', '.join(_RANGES)}"
        least, most = _RANGES[name]
        number = _number(value)
        if number is None or not least <= number <= most:
            got = repr(value)[:40]
            return f"{prefix}{name}: a number from {least} to {most}, got {got}"
        numbers[name] = number
    after = attrs.evolve(before, **numbers)
    start, eager = after.start_threshold, after.eager_end_threshold
    if start > eager > after.end_threshold:
        return after
    return (
        f"{prefix}start_threshold, {prefix}eager_end_threshold, {prefix}end_threshold: "
        f"each above the next, got {start:g}, {eager:g}, {after.end_threshold:g}"
    )


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)  # what is not finite is in no range
    except OverflowError:  # an integer beyond all floats
        return None
