"""The rules that a `Fault` keeps: which kinds there are, and what each of them takes.

Decides which arguments make sense. Values in, errors out; touches nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import ConfigError
from .arguments import check_seconds, check_text, check_whole

__all__ = ["HANDSHAKE", "RULES", "STREAM", "check_at"]

_MOMENTS = ("finalize", "close", "done")
_SHAPES = ("current", "older", "oldest")
_REASON = 123
"""Bytes that fit in a close frame beside its code."""

# Each kind with its options.
HANDSHAKE: dict[str, tuple[str, ...]] = {
    "refuse": ("status", "body", "retry_after"),
    "redirect": ("url",),
    "slow_handshake": ("seconds",),
    "no_handshake": (),
    "half_handshake": (),
    "reset_handshake": (),
}
STREAM: dict[str, tuple[str, ...]] = {
    "reset": (),
    "vanish": (),
    "close": ("code", "reason"),
    "half_frame": (),
    "stop_reading": (),
    "stop_answering": (),
    "done": (),
    "flush_done": (),
    "error": ("shape", "status", "message", "error_code"),
    "garbage": (),
    "invalid_utf8": (),
    "deep_json": ("depth",),
    "huge_frame": (),
    "endless_fragments": (),
    "endless_pings": (),
    "flood": ("events",),
    "slow": ("seconds",),
}


def check_at(at: object) -> None:
    """Check a moment.

    Raises:
        ConfigError: It is none.
    """
    if isinstance(at, str) and at in _MOMENTS:
        return
    try:
        check_seconds("at", at)
    except ConfigError:
        raise ConfigError(
            f"at: seconds of at least 0, or one of {', '.join(_MOMENTS)}, got {at!r}"
        ) from None


def _check_body(name: str, body: object) -> None:
    if body is None or isinstance(body, str):
        return
    try:
        if isinstance(body, Mapping):
            json.dumps(dict(body))
            return
    except (TypeError, ValueError):
        pass
    raise ConfigError(f"{name}: a string, a mapping for JSON, or None, got {body!r}")


def _check_reason(name: str, reason: object) -> None:
    try:
        if isinstance(reason, str) and len(reason.encode()) <= _REASON:
            return
    except UnicodeEncodeError:  # half a surrogate pair
        pass
    raise ConfigError(f"{name}: a string of at most {_REASON} bytes, got {reason!r}")


def _check_shape(name: str, shape: object) -> None:
    if shape not in _SHAPES:
        raise ConfigError(f"{name}: one of {', '.join(_SHAPES)}, got {shape!r}")


def _check_retry(name: str, value: object) -> None:
    if isinstance(value, str):
        check_text(name, value)
    else:
        check_seconds(name, value)


def _optional(check: Callable[[str, Any], object]) -> Callable[[str, Any], object]:
    return lambda name, value: None if value is None else check(name, value)


def _from(least: int, most: int) -> Callable[[str, Any], object]:
    return lambda name, value: check_whole(name, value, least=least, most=most)


RULES: dict[str, Callable[[str, Any], object]] = {
    "status": _from(200, 599),
    "body": _check_body,
    "retry_after": _optional(_check_retry),
    "url": check_text,
    "seconds": check_seconds,
    "code": _optional(_from(0, 65535)),
    "reason": _check_reason,
    "shape": _check_shape,
    "message": check_text,
    "error_code": _optional(check_text),
    "depth": _from(1, 10**6),
    "events": _from(1, 10**6),
}
