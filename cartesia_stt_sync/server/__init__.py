"""A local server that speaks the service's streaming endpoints, for tests and demos.

Re-exports what is public; needs the extra ``[local]``.
"""

from __future__ import annotations

try:
    import aiohttp as _aiohttp  # noqa: F401  # only to say clearly that it is missing
except ImportError as exc:
    raise ImportError(
        "the local server needs aiohttp; install it with "
        "pip install 'cartesia-stt-sync[local]'"
    ) from exc

from .engine import Engine, Listener, Piece, ScriptedEngine
from .faults import Fault
from .local import LocalServer

__all__ = ["Engine", "Fault", "Listener", "LocalServer", "Piece", "ScriptedEngine"]
