"""Every transcriber in a pool, for tests and programs that know nothing of one."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

import attrs

import cartesia_stt_sync._face
from cartesia_stt_sync import Pool
from cartesia_stt_sync._clock import Clock

_names = vars(cartesia_stt_sync._face)
_build: Callable[..., Any] = _names["build"]
_pools: dict[int, Pool] = {}


def install() -> None:
    """Have all transcribers of this process share one pool; a fork has its own."""
    _names["build"] = build


def installed() -> bool:
    """Whether they do."""
    return _names["build"] is build


def as_program(code: str) -> str:
    """A program, changed so that it does the same as this process."""
    if not installed():
        return code
    # Where it would import the library anyway: perhaps it patches something first.
    here = re.search(r"^( *)(?=from cartesia_stt_sync import)", code, re.MULTILINE)
    if here is None:
        return code
    line = f"{here[1]}from tests.pooled import install; install()\n"
    return code[: here.start()] + line + code[here.start() :]


def uninstall() -> None:
    """Undo it."""
    _names["build"] = _build
    _pools.clear()


def build(settings: Any, *, clock: Clock, **options: Any) -> Any:
    """Put a stream together as ever, but for its driver."""
    if settings.pool is None:
        # A clock that is moved by hand moves one transcriber's.
        pool = (
            _pools.setdefault(os.getpid(), Pool()) if type(clock) is Clock else Pool()
        )
        settings = attrs.evolve(settings, pool=pool)
    return _build(settings, clock=clock, **options)
