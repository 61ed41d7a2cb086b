"""What one message takes between the socket and the callback, and on its way out.

The work is the same 305-byte event and 3,200-byte chunk as everywhere, in memory.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from typing import Any

from cartesia_stt_sync._frames import BINARY, TEXT, FrameReader, build
from cartesia_stt_sync.wire import parse

from .audio import time_of
from .entries import Entry, Scale
from .wire import chunks, event, now

__all__ = ["measure"]


def measure(scale: Scale) -> Iterator[Entry]:
    """Read an event, read a frame, write a frame."""
    for case, ways in _cases().items():
        for client, way in ways.items():
            for number in range(scale.rounds):
                yield Entry(
                    bench="parsing, a message",
                    case=case,
                    client=client,
                    round=number,
                    figures={"call": time_of(way, scale.times)},
                )


def _cases() -> dict[str, dict[str, Callable[[], Any]]]:
    data, chunk = event(now()), chunks()[0]
    frame = bytes([0x80 | TEXT, 126]) + len(data).to_bytes(2, "big") + data
    reader = FrameReader(1 << 20)

    def read() -> Any:
        reader.feed(frame)
        return reader.next()

    return {
        "event": {
            "ours": lambda: parse(data),
            "json alone": lambda: json.loads(data),
            **_sdk_event(data),
        },
        "frame in": {
            "ours": read,
            **_websocket_client_in(frame),
            **_websockets_in(frame),
        },
        "frame out": {
            "ours": lambda: build(BINARY, chunk, os.urandom(4)),
            **_out(chunk),
        },
    }


def _sdk_event(data: bytes) -> dict[str, Callable[[], Any]]:
    try:
        from cartesia.resources.stt.manual_finalize import (
            ManualFinalizeResourceConnection,
        )
    except ImportError:
        return {}
    connection: Any = object.__new__(ManualFinalizeResourceConnection)
    return {"sdk": lambda: connection.parse_event(data)}


def _websocket_client_in(frame: bytes) -> dict[str, Callable[[], Any]]:
    import websocket

    def reading(skip: bool) -> Callable[[], Any]:
        position = 0

        def recv(size: int) -> bytes:
            nonlocal position
            piece = frame[position : position + size]
            position = (position + size) % len(frame)
            return piece

        ws = websocket.WebSocket(skip_utf8_validation=skip)
        buffer = websocket._abnf.frame_buffer(recv, skip)

        def read() -> Any:
            received = buffer.recv_frame()
            ws.cont_frame.validate(received)
            ws.cont_frame.add(received)
            return ws.cont_frame.extract(received)

        return read

    return {
        "websocket-client": reading(False),
        "websocket-client-tuned": reading(True),
    }


def _websockets_in(frame: bytes) -> dict[str, Callable[[], Any]]:
    try:
        from websockets.client import ClientProtocol
        from websockets.protocol import State
        from websockets.uri import parse_uri
    except ImportError:
        return {}
    protocol = ClientProtocol(parse_uri("ws://127.0.0.1/"), state=State.OPEN)

    def read() -> Any:
        protocol.receive_data(frame)
        return protocol.events_received()

    return {"websockets": read}


def _out(chunk: bytes) -> dict[str, Callable[[], Any]]:
    from websocket import ABNF

    ways: dict[str, Callable[[], Any]] = {
        "websocket-client": lambda: ABNF.create_frame(chunk, BINARY).format()
    }
    try:
        from websockets.frames import Frame, Opcode
    except ImportError:
        return ways
    ways["websockets"] = lambda: Frame(Opcode.BINARY, chunk).serialize(mask=True)
    return ways
