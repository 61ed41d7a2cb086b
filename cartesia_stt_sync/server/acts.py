"""What a fault is on the wire: its bytes, and what becomes of the connection.

Decides that from a `Fault`; values in, values out. Never sends anything.
"""

from __future__ import annotations

import enum
import http
import json
import struct
from collections.abc import Callable
from typing import Any

import attrs

from ..endpoints import MANUAL
from ..events import Done, ErrorEvent, FlushDone, Transcript
from ..wire import dump
from .faults import Fault
from .handshake import Stream
from .replies import Replies, replies_of
from .session import End

__all__ = ["Act", "Answer", "Fate", "Takeover", "act_of", "answer_of", "opening_of"]

_TEXT, _CLOSE, _PING = 1, 8, 9
_BLOCK = 65536
"""Bytes written at once by what never ends."""


class Fate(enum.Enum):
    """What becomes of a connection that its stream has given up."""

    HOLD = "hold"  # what the client sends is dropped, until it leaves
    DEAF = "deaf"  # nothing is read
    FIN = "fin"
    RESET = "reset"


@attrs.frozen(kw_only=True)
class Act:
    """A fault after which the stream goes on, or ends as streams do.

    Attributes:
        payload: Of a text message to send.
        times: How often.
        delay: Seconds by which every later answer is late.
        end: How the stream ends then; ``None``: it does not.
    """

    payload: bytes = b""
    times: int = 1
    delay: float = 0.0
    end: End | None = None


@attrs.frozen(kw_only=True)
class Takeover:
    """A fault for which the stream, or the handshake, gives up its connection.

    Attributes:
        first: Raw bytes to write.
        again: Raw bytes to write until the client leaves.
        fate: What comes then.
    """

    first: bytes = b""
    again: bytes = b""
    fate: Fate = Fate.HOLD


@attrs.frozen(kw_only=True)
class Answer:
    """A plain HTTP answer to a client that wants an upgrade.

    Attributes:
        status: The HTTP status.
        text: The body.
        content_type: What kind of text it is.
        headers: Further headers.
    """

    status: int
    text: str | bytes = ""
    content_type: str = "text/plain"
    headers: dict[str, str] = attrs.field(factory=dict)


def frame(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    """A frame as a server sends it (RFC 6455, 5.2)."""
    head = bytes([(0x80 if fin else 0) | opcode])
    size = len(payload)
    if size < 126:
        return head + bytes([size]) + payload
    if size < 65536:
        return head + struct.pack("!BH", 126, size) + payload
    return head + struct.pack("!BQ", 127, size) + payload


def act_of(fault: Fault, replies: Replies) -> Act | Takeover:
    """What a fault of a stream does.

    Args:
        fault: One that is not of the handshake.
        replies: What the stream's endpoint says.
    """
    made = _STREAM[fault.kind]
    return made(fault, replies) if callable(made) else made


def opening_of(fault: Fault, request_id: str) -> Answer | Takeover | None:
    """What a fault of the handshake does; ``None``: only take its time.

    Args:
        fault: One that is of the handshake.
        request_id: What stands in an answer's body.
    """
    made = _HANDSHAKE[fault.kind]
    return made(fault, request_id) if callable(made) else made


_OF_BATCH = {"reset", "vanish", "stop_reading", "stop_answering", "slow", "error"}
_OF_BATCH |= {"garbage", "invalid_utf8", "deep_json", "flush_done"}


def answer_of(fault: Fault, request_id: str) -> Answer | Takeover | float | None:
    """What a fault of a stream does to a Batch request, in place of the answer.

    Args:
        fault: One that is not of the handshake; its moment makes no difference.
        request_id: What stands in an answer's body.

    Returns:
        A number is the seconds by which the answer is late; ``None``: the fault is
        one of websockets, and the request is served well.
    """
    if fault.kind not in _OF_BATCH:
        return None
    stream = Stream(model="", encoding="pcm_s16le", sample_rate=16000)
    replies = replies_of(MANUAL, stream, request_id=request_id, language="en")
    made = act_of(fault, replies)
    if isinstance(made, Takeover):
        return made
    if made.delay:
        return made.delay
    return Answer(
        status=fault.options.get("status", 200),
        text=made.payload,
        content_type="application/json",
    )


def _title(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:  # a number that means nothing
        return "Error"


def _refusal(fault: Fault, request_id: str) -> Answer:
    status, body = fault.options["status"], fault.options["body"]
    headers = {}
    if (retry_after := fault.options["retry_after"]) is not None:
        headers["Retry-After"] = str(retry_after)
    if isinstance(body, str):
        return Answer(status=status, text=body, headers=headers)
    if body is None:
        event = ErrorEvent(
            title=_title(status),
            message="the service has refused, on purpose",
            status_code=status,
            request_id=request_id,
        )
        text = dump(event)
    else:
        text = json.dumps(dict(body))
    return Answer(
        status=status, text=text, content_type="application/json", headers=headers
    )


def _redirect(fault: Fault, request_id: str) -> Answer:
    return Answer(status=302, headers={"Location": fault.options["url"]})


def _close(fault: Fault, replies: Replies) -> Act | Takeover:
    code = fault.options["code"]
    if code is None:
        return Takeover(first=frame(_CLOSE, b""), fate=Fate.FIN)
    return Act(times=0, end=End(code, fault.options["reason"]))


def _error(fault: Fault, replies: Replies) -> Act:
    given = fault.options
    title, message, status = _title(given["status"]), given["message"], given["status"]
    fields: dict[str, Any] = {"type": "error", "request_id": replies.request_id}
    if given["shape"] == "oldest":
        fields |= {"error": message}
    elif given["shape"] == "older":
        fields |= {"message": f"{title}: {message}", "code": status}
    else:
        fields |= {"title": title, "message": message, "status_code": status}
        fields |= {"error_code": given["error_code"]}
    end = End(1011, "internal server error")
    return Act(payload=json.dumps(fields).encode(), end=end)


def _flood(fault: Fault, replies: Replies) -> Act:
    event = replies.provisional("a flood of text")
    return Act(payload=dump(event).encode(), times=fault.options["events"])


def _deep_json(fault: Fault, replies: Replies) -> Act:
    depth = fault.options["depth"]
    return Act(payload=b"[" * depth + b"]" * depth)


def _half_frame(fault: Fault, replies: Replies) -> Takeover:
    event = Transcript(text=" half", is_final=True, request_id=replies.request_id)
    payload = dump(event).encode()
    whole = frame(_TEXT, payload)
    return Takeover(first=whole[: -len(payload) // 2], fate=Fate.FIN)


_PINGS = frame(_PING, b"?")

_Made = Act | Takeover | Callable[[Fault, Replies], Act | Takeover]
_STREAM: dict[str, _Made] = {
    "reset": Takeover(fate=Fate.RESET),
    "vanish": Takeover(fate=Fate.FIN),
    "close": _close,
    "half_frame": _half_frame,
    "stop_reading": Takeover(fate=Fate.DEAF),
    "stop_answering": Takeover(),
    "done": lambda _, replies: Act(
        times=0, end=End(1000, event=Done(request_id=replies.request_id))
    ),
    "flush_done": lambda _, replies: Act(
        payload=dump(FlushDone(request_id=replies.request_id)).encode()
    ),
    "error": _error,
    "garbage": Act(payload=b"this is no JSON"),
    "invalid_utf8": Act(payload=b'{"type": "transcript", "text": "\xff\xfe"}'),
    "deep_json": _deep_json,
    "huge_frame": Takeover(
        first=b"\x81\x7f" + (1 << 40).to_bytes(8, "big") + b" " * 1000
    ),
    "endless_fragments": Takeover(
        first=frame(_TEXT, b"{", fin=False),
        again=frame(0, b" " * _BLOCK, fin=False),
    ),
    "endless_pings": Takeover(again=_PINGS * (_BLOCK // len(_PINGS))),
    "flood": _flood,
    "slow": lambda fault, _: Act(times=0, delay=fault.options["seconds"]),
}

_Opening = Answer | Takeover | None
_HANDSHAKE: dict[str, _Opening | Callable[[Fault, str], _Opening]] = {
    "refuse": _refusal,
    "redirect": _redirect,
    "slow_handshake": None,
    "no_handshake": Takeover(),
    "half_handshake": Takeover(first=b"HTTP/1.1 101 Switching Protocols\r\nUpgr"),
    "reset_handshake": Takeover(fate=Fate.RESET),
}
