"""Taking a connection over from the protocol that had it."""

from __future__ import annotations

import asyncio
from typing import cast

from cartesia_stt_sync.server.seized import Seized


class Transport:
    """As much of a connection as is needed to let it go."""

    def __init__(self) -> None:
        self.aborted = 0

    def get_protocol(self) -> asyncio.Protocol:
        """Whose it was."""
        return asyncio.Protocol()

    def get_write_buffer_size(self) -> int:
        """Nothing waits."""
        return 0

    def set_protocol(self, protocol: asyncio.Protocol) -> None:
        """Whose it is now."""

    def set_write_buffer_limits(self, high: int, low: int) -> None:
        """When it is full."""

    def resume_reading(self) -> None:
        """Go on."""

    def abort(self) -> None:
        """End it. Where it has ended by itself, asyncio's own raises here."""
        self.aborted += 1


def test_drop() -> None:
    """A connection that is over is left alone."""
    transport = Transport()
    seized = Seized(cast(asyncio.Transport, transport))
    seized.drop()
    assert transport.aborted == 1
    seized.connection_lost(None)
    seized.drop()
    assert transport.aborted == 1
