"""All clients, by name. One more is one more module and one more line here."""

from __future__ import annotations

from importlib import import_module

from .base import Client

__all__ = ["NAMES", "OURS", "SDK", "WEBSOCKET_CLIENT", "load"]

WEBSOCKET_CLIENT = "websocket-client"
SDK = "sdk"
OURS = "ours"

_CLASSES = {
    "bare": ("bare", "Bare"),
    WEBSOCKET_CLIENT: ("websocket_client", "WebsocketClient"),
    "websocket-client-tuned": ("websocket_client_tuned", "WebsocketClientTuned"),
    "websockets": ("websockets_sync", "WebsocketsSync"),
    SDK: ("sdk", "Sdk"),
    "picows": ("picows_asyncio", "PicowsAsyncio"),
    OURS: ("ours", "Ours"),
    "ours-live": ("ours_live", "OursLive"),
    "ours-pool": ("ours_pool", "OursPool"),
    "ours-pool-live": ("ours_pool_live", "OursPoolLive"),
}

NAMES = tuple(_CLASSES)
"""In the order of the table."""


def load(name: str) -> type[Client]:
    """Import a client, and with it what it needs and nothing of the others.

    Raises:
        ImportError: What it needs is not installed.
    """
    module, kind = _CLASSES[name]
    found: type[Client] = getattr(import_module(f".{module}", __package__), kind)
    return found
