"""A connection taken from the web framework, to do with it what no server should.

Does on the wire what `acts` decided, with backpressure: what the client does not
take is not written. Everything here runs on the server's event loop.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from typing import cast

from .acts import Fate, Takeover

__all__ = ["Seized"]

_PATIENCE = 5.0
"""Seconds that the client gets to take what was written, or to see the end."""


class Seized(asyncio.Protocol):
    """Stand between a connection and the protocol that had it.

    What the client sends is dropped. The protocol before is told of the
    connection's end, and of the flow of what it had written itself.

    Args:
        transport: The connection.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._before = cast(asyncio.Protocol, transport.get_protocol())
        self._lost = False  # whether the connection is over
        self._left = asyncio.Event()  # the client has
        self._room = asyncio.Event()  # all that was written is on its way
        if not transport.get_write_buffer_size():
            self._room.set()
        transport.set_protocol(self)
        # So that room means an empty buffer. Not zero: TLS would never be below it.
        transport.set_write_buffer_limits(high=1, low=0)
        transport.resume_reading()

    async def carry_out(self, takeover: Takeover) -> None:
        """Do it; return when the client has left, or has had its time to."""
        if takeover.fate is Fate.DEAF:
            self._transport.pause_reading()
        self._transport.write(takeover.first)
        while takeover.again and not self._transport.is_closing():
            self._transport.write(takeover.again)
            await asyncio.sleep(0)  # others have their turn, also if there is room
            await self._room.wait()
        if takeover.fate is Fate.RESET:
            await self._within(self._room)
            self._reset()
        elif takeover.fate is Fate.FIN:
            await self._within(self._room)
            self._finish()
            await self._within(self._left)
        else:
            await self._left.wait()

    def drop(self) -> None:
        """End the connection now, if it has not ended."""
        if not self._lost:  # else asyncio may have taken it apart, and would raise
            self._transport.abort()

    async def _within(self, event: asyncio.Event) -> None:
        try:
            await asyncio.wait_for(event.wait(), _PATIENCE)
        except asyncio.TimeoutError:
            pass

    def _reset(self) -> None:
        if self._lost:
            return
        sock = self._transport.get_extra_info("socket")
        # Not to linger at all is what makes closing a reset.
        never = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, never)
        self._transport.abort()

    def _finish(self) -> None:
        if self._lost:
            return
        # Not transport.close(): closed with anything unread, the socket would send
        # a reset; and TLS would say goodbye.
        try:
            self._transport.get_extra_info("socket").shutdown(socket.SHUT_WR)
        except OSError:
            self._left.set()  # there is no connection any more

    # What the transport calls

    def data_received(self, data: bytes) -> None:
        """Drop it."""

    def eof_received(self) -> None:
        """The client has left; the transport closes itself."""
        self._left.set()

    def pause_writing(self) -> None:
        """The client is behind."""
        self._room.clear()
        self._before.pause_writing()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._room.set()
        self._before.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """There is no connection any more."""
        self._lost = True
        self._left.set()
        self._room.set()
        self._before.connection_lost(exc)
