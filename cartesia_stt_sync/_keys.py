"""Mask keys for what a client sends: four random bytes a frame (RFC 6455, 5.3).

Decides where they come from, and that no two processes share one. `_frames` uses them
and knows nothing of chance.
"""

from __future__ import annotations

import os
from collections import deque

__all__ = ["mask_key"]

_AT_ONCE = 256
"""Keys that are fetched in one call.

A system call for each frame would give the interpreter lock away in the middle of a
send; with a hundred streams it comes back many threads later.
"""

_keys: deque[bytes] = deque()
"""A deque, because its calls are atomic: so threads need no lock, and a fork cannot
catch one held."""


def mask_key() -> bytes:
    """Return four random bytes that nobody else gets.

    Threads: any, and after a fork, too.
    """
    while True:
        try:
            return _keys.pop()
        except IndexError:
            # Two threads may come here at once; then there are twice as many.
            fresh = os.urandom(4 * _AT_ONCE)
            _keys.extend(fresh[at : at + 4] for at in range(0, len(fresh), 4))


if hasattr(os, "register_at_fork"):  # pragma: no branch  # Windows does not fork
    # Else parent and child would mask with the same keys.
    os.register_at_fork(after_in_child=_keys.clear)
