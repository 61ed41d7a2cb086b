"""Checks of arguments: each message names the argument, the rule and what came.

Decides what a number, a length of time, a count or a text is. Touches nothing else.

NumPy's numbers are numbers, too, and come out as Python's own: a sum of the clock's
time and a float of 32 bits would have 32 bits, which is some milliseconds' worth.
"""

from __future__ import annotations

import math
from typing import Any

import attrs

from .errors import ConfigError

__all__ = ["count", "field", "finite", "flag", "own", "patience", "seconds", "text"]


def own(value: object) -> int | float | None:
    """Any number as Python's own; ``None`` for all else, ``True`` and ``False`` too."""
    kind = type(value)
    if kind is int or kind is float:
        return value  # type: ignore[return-value]  # it is one of the two
    import numbers  # late, for few need it

    if isinstance(value, bool):
        return None
    if isinstance(value, numbers.Integral):
        return int(value)
    try:
        return float(value) if isinstance(value, numbers.Real) else None
    except OverflowError:  # a fraction beyond all floats
        return None


def seconds(
    name: str,
    value: object,
    *,
    none: bool = False,
    positive: bool = False,
    most: float = math.inf,
) -> float | None:
    """Check a length of time.

    Args:
        name: The argument's name.
        value: What came.
        none: Whether ``None``, for "no limit" or "off", is allowed.
        positive: Whether 0 is refused.
        most: The largest allowed.

    Raises:
        ConfigError: It is none.
    """
    if value is None and none:
        return None
    span = finite(value)
    if span is not None and 0 <= span <= most and (span > 0 or not positive):
        return span
    least = "more than 0" if positive else "at least 0"
    limit = f" and at most {most:g}" if most < math.inf else ""
    off = ", or None" if none else ""
    raise ConfigError(f"{name}: seconds, {least}{limit}{off}, got {value!r}")


def patience(name: str, value: object) -> float | None:
    """Check how long a call may wait: seconds, infinite ones too, or ``None``.

    Raises:
        ConfigError: It is neither.
    """
    if value is None:
        return None
    span = own(value)
    if span != math.inf:
        span = finite(span)
    if span is None or span < 0:
        raise ConfigError(f"{name}: seconds, at least 0, or None, got {value!r}")
    return span


def finite(value: object) -> float | None:
    """A finite number as a float; ``None`` for all else, ``True`` and ``False`` too."""
    try:
        number = own(value)
        return None if number is None or not math.isfinite(number) else float(number)
    except OverflowError:  # an integer beyond all floats
        return None


def count(name: str, value: object, *, least: int = 0, most: int | None = None) -> int:
    """Check a whole number.

    Raises:
        ConfigError: Not one, or out of range.
    """
    number = own(value)
    if isinstance(number, int) and number >= least:
        if most is None or number <= most:
            return number
    span = f"of at least {least:,}" if most is None else f"from {least:,} to {most:,}"
    raise ConfigError(f"{name}: a whole number {span}, got {value!r}")


def text(name: str, value: object) -> str:
    """Check a text that must not be empty.

    Raises:
        ConfigError: Not a string, an empty one, or one that cannot be sent.
    """
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{name}: a non-empty string, got {value!r}")
    try:
        value.encode()
    except UnicodeEncodeError:  # half a surrogate pair, say of a file's name
        raise ConfigError(f"{name}: text that UTF-8 can carry, got {value!r}") from None
    return value


def flag(name: str, value: object) -> bool:
    """Check a yes or no.

    Raises:
        ConfigError: Neither ``True`` nor ``False``.
    """
    if isinstance(value, bool):
        return value
    raise ConfigError(f"{name}: True or False, got {value!r}")


def field(check: Any, **rule: Any) -> Any:
    """Make an attrs validator of one of the checks above.

    It puts Python's own number in the place of another.
    """

    def validator(made: object, attribute: attrs.Attribute[Any], value: object) -> None:
        check(attribute.name, value, **rule)
        if (number := own(value)) is not None and number is not value:
            object.__setattr__(made, attribute.name, number)  # it may be frozen

    return validator
