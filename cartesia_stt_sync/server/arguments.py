"""Checks of the server's arguments: each message has the name, the rule and what came.

Decides what a number, a text or a place is. Touches nothing else.
"""

from __future__ import annotations

import math
import ssl

from ..errors import ConfigError

__all__ = ["check_limit", "check_place", "check_seconds", "check_text", "check_whole"]


def check_place(api_key: object, host: object, ssl_context: object) -> None:
    """Check where to listen, and for whom.

    Raises:
        ConfigError: One of them is none.
    """
    if api_key is not None and (not isinstance(api_key, str) or not api_key):
        raise ConfigError("api_key: a non-empty string or None")  # it is not quoted
    if not isinstance(host, str) or not host:
        raise ConfigError(f"host: a non-empty string, got {host!r}")
    if ssl_context is not None and not isinstance(ssl_context, ssl.SSLContext):
        raise ConfigError(f"ssl_context: an ssl.SSLContext, got {ssl_context!r}")


def check_whole(name: str, value: object, *, least: int = 1, most: int = 10**6) -> int:
    """Check a whole number.

    Raises:
        ConfigError: Not one, or out of range.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        if least <= value <= most:
            return value
    raise ConfigError(f"{name}: a whole number from {least} to {most}, got {value!r}")


def check_limit(name: str, value: object) -> float | None:
    """Check a length of time that may be unlimited, but not nothing.

    Raises:
        ConfigError: It is none.
    """
    if value is None:
        return None
    number = _finite(value)
    if number is None or number <= 0:
        raise ConfigError(
            f"{name}: seconds above 0, or None for no limit, got {value!r}"
        )
    return number


def check_seconds(name: str, value: object) -> float:
    """Check a length of time, perhaps none at all.

    Raises:
        ConfigError: It is none.
    """
    number = _finite(value)
    if number is None or number < 0:
        raise ConfigError(f"{name}: seconds of at least 0, got {value!r}")
    return number


def check_text(name: str, value: object) -> str:
    """Check a text that stands in one line and can be sent.

    Raises:
        ConfigError: Not a string, an empty one, or one that does not print.
    """
    # Half a surrogate pair does not print, nor does the end of a line.
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ConfigError(f"{name}: a non-empty printable string, got {value!r}")
    return value


def _finite(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:  # an integer beyond all floats
        return None
    return number if math.isfinite(number) else None
