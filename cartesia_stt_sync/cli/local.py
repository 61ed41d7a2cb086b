"""The local server, for the subcommands that start one.

Decides nothing but how its absence is told. Imports it only when it is asked
for, because its packages are an extra.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cartesia_stt_sync import ConfigError

if TYPE_CHECKING:
    from cartesia_stt_sync.server import LocalServer

__all__ = ["local_server"]


def local_server(**options: Any) -> LocalServer:
    """Make a local server.

    Raises:
        ConfigError: The extra is not installed, or an option breaks its rule.
    """
    try:
        from cartesia_stt_sync.server import LocalServer
    except ImportError as exc:
        raise ConfigError(
            "the local server is not installed; "
            "pip install 'cartesia-stt-sync[local,cli]' does it"
        ) from exc
    return LocalServer(**options)
