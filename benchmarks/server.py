"""The other side: a fast server in a process of its own, that notes when what comes.

Run by `processes.Server`; it is told what to do by lines on its standard input:
``reset`` forgets what came so far, ``report`` writes what came and what that cost as
a line of JSON. Its websocket is picows, which is C, so that it never is what a client
waits for; its share of its own processor is in the report.

Answers each chunk with one event, ``finalize`` with ``flush_done``, and ``close`` with
``done`` and a close frame. Decides nothing about speech.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import ssl
import sys
from array import array
from typing import Any
from urllib.parse import parse_qs, urlsplit

from picows import (
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    ws_create_server,
)

from .wire import event, now

_BACKLOG = 4096

FLUSH_DONE = b'{"type":"flush_done","request_id":"9f1c6d1e"}'
DONE = b'{"type":"done","request_id":"9f1c6d1e"}'


class Arrivals:
    """When one stream's messages came, in nanoseconds."""

    def __init__(self) -> None:
        self.chunks = array("q")
        self.finalizes = array("q")
        self.wrong = 0  # messages of another size


class Stream(WSListener):
    """One connection."""

    def __init__(self, arrivals: Arrivals, size: int) -> None:
        self._arrivals = arrivals
        self._size = size

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Note the time, and answer."""
        came = now()
        kind = frame.msg_type
        if kind == WSMsgType.BINARY:
            if frame.payload_size != self._size:
                self._arrivals.wrong += 1
            self._arrivals.chunks.append(came)
            transport.send(WSMsgType.TEXT, event(now()))
        elif kind == WSMsgType.TEXT:
            if frame.get_payload_as_bytes() == b"finalize":
                self._arrivals.finalizes.append(came)
                transport.send(WSMsgType.TEXT, FLUSH_DONE)
            else:
                transport.send(WSMsgType.TEXT, DONE)
                transport.send_close(WSCloseCode.OK)
        elif kind == WSMsgType.CLOSE:
            transport.disconnect()


class Service:
    """All connections since the last reset."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.reset()

    def reset(self) -> None:
        """Forget what came."""
        self._streams: dict[str, Arrivals] = {}
        self._cpu, self._since = _cpu(), now()

    def accept(self, request: WSUpgradeRequest) -> WSListener:
        """Take a connection, which says in its query which stream it is."""
        query = parse_qs(urlsplit(request.path.decode()).query)
        arrivals = self._streams.setdefault(query["stream"][0], Arrivals())
        return Stream(arrivals, self._size)

    def report(self) -> dict[str, Any]:
        """What came since the last reset."""
        return {
            "cpu": _cpu() - self._cpu,
            "seconds": (now() - self._since) / 1e9,
            "streams": {
                number: {
                    "chunks": arrivals.chunks.tolist(),
                    "finalizes": arrivals.finalizes.tolist(),
                    "wrong": arrivals.wrong,
                }
                for number, arrivals in self._streams.items()
            },
        }


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def serve(certificate: str | None, size: int) -> None:
    """Serve until standard input ends."""
    service, ended = Service(size), asyncio.Event()
    ports = {}
    contexts: dict[str, ssl.SSLContext | None] = {"ws": None}
    if certificate is not None:
        contexts["wss"] = secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        secure.load_cert_chain(certificate)
    servers = []
    for scheme, context in contexts.items():
        server = await ws_create_server(
            service.accept,
            "127.0.0.1",
            0,
            ssl=context,
            backlog=_BACKLOG,
            websocket_handshake_timeout=None,
        )
        servers.append(server)
        ports[scheme] = server.sockets[0].getsockname()[1]
    print(json.dumps(ports), flush=True)

    def command() -> None:
        line = sys.stdin.readline().strip()
        if line == "report":
            print(json.dumps(service.report()), flush=True)
        elif line == "reset":
            service.reset()
            print("{}", flush=True)
        else:
            ended.set()

    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), command)
    await ended.wait()
    for server in servers:
        server.close()


if __name__ == "__main__":
    # Certificate (or nothing), and bytes in a chunk.
    asyncio.run(serve(sys.argv[1] or None, int(sys.argv[2])))
    os._exit(0)  # connections that a killed client left are of no interest
