"""One request over a connection of `_dial`'s, and its answer, whole.

Decides how long each part may take and how large the answer may be, and that an
answer counts also while the request still goes out. The socket, proxy and TLS are
`_dial`'s, HTTP is urllib3's; no exception of its own leaves here.

The loop that sends is here and not urllib3's: below it no frame of a traceback
holds the key, whoever interrupts it.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import attrs

from ._dial import Dialer
from ._http_socket import HttpSocket, Limits, TooLarge
from ._upload import Form, Upload
from ._version import __version__
from .errors import CartesiaSTTError, ConnectionLost, DrainTimeout, ProtocolError

if TYPE_CHECKING:
    from urllib3.connection import HTTPConnection

__all__ = ["Answer", "post"]

_LAST_WORDS = 5.0
"""Seconds that a server has to say why it takes no more."""

_UNTOLD = "whether it was transcribed, and billed, is not known"


@attrs.frozen
class Answer:
    """What came back.

    Attributes:
        status: The HTTP status.
        headers: With names in lower case.
        body: All of it.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


def post(
    url: str,
    upload: Upload,
    form: Form,
    *,
    dialer: Dialer,
    headers: Callable[[], Mapping[str, str]],
    limits: Limits,
    progress: Callable[[int, int], object] | None,
) -> Answer:
    """Send a recording, and wait for the answer.

    Args:
        url: Where to; the dialer's own.
        upload: What to send.
        form: What to put around it.
        dialer: Makes the connection.
        headers: Gives the headers that hold the key.
        limits: What it may take.
        progress: Told the file's bytes that are out, and its size.

    Raises:
        ConnectError: There was no connection: nothing was sent.
        ConnectionLost: It ended too early.
        DrainTimeout: The answer did not come in time.
        ProtocolError: The answer is none, or too large.
        OSError: The file cannot be read.
    """
    from urllib3.connection import HTTPConnection

    parts = urlsplit(url)
    sock = dialer.reach()
    try:
        wire = HttpSocket(sock, limits)
        connection = HTTPConnection(parts.hostname or "", parts.port or 443)
        connection.sock = wire
        # Whoever debugs all of http.client would have it print the key.
        connection.set_debuglevel(0)
        size = len(form.head) + upload.size + len(form.tail)
        about = {
            "Host": parts.netloc,
            "User-Agent": f"cartesia-stt-sync/{__version__}",
            "Accept-Encoding": "identity",
            "Content-Type": form.content_type,
            "Content-Length": str(size),
        }
        broken = _begin(connection, url, lambda: about | dict(headers()))
        if broken is None:
            broken = _send(wire, upload, form, progress)
        return _read(connection, wire, parts.netloc, limits, broken)
    finally:
        sock.close()


@attrs.frozen
class _Broken:
    """Sending came to an end before that of the file."""

    at: str
    reason: str


def _begin(
    connection: HTTPConnection, url: str, headers: Callable[[], Mapping[str, str]]
) -> _Broken | None:
    """Send the request line and the headers."""
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("POST", target, headers=headers(), preload_content=False)
    except OSError as exc:
        return _Broken("before the file", _reason(exc))
    return None


def _send(
    wire: HttpSocket,
    upload: Upload,
    form: Form,
    progress: Callable[[int, int], object] | None,
) -> _Broken | None:
    """Send the form, until it is out or the server has its say."""
    sent = 0

    def out(data: bytes) -> _Broken | None:
        at = f"after {sent:,} of {upload.size:,} bytes of the file"
        try:
            if wire.answered():
                return _Broken(at, "the server takes no more")
            wire.sendall(data)
        except OSError as exc:
            return _Broken(at, _reason(exc))
        return None

    broken = out(form.head)
    if progress is not None and broken is None:
        progress(0, upload.size)
    for block in upload.blocks():
        broken = broken or out(block)
        if broken is not None:
            return broken
        sent += len(block)
        if progress is not None:
            progress(sent, upload.size)
    return out(form.tail)


def _read(
    connection: HTTPConnection,
    wire: HttpSocket,
    where: str,
    limits: Limits,
    broken: _Broken | None,
) -> Answer:
    """Read the answer."""
    import urllib3.exceptions

    patience = limits.answer_timeout
    if broken is not None:
        patience = _LAST_WORDS if patience is None else min(patience, _LAST_WORDS)
    wire.wait_until(None if patience is None else time.monotonic() + patience)
    try:
        answer = connection.getresponse()
        body = answer.read(limits.max_answer + 1)
        if len(body) > limits.max_answer:
            raise TooLarge
        names = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(answer.status, names, body)
    except (
        OSError,
        ValueError,
        http.client.HTTPException,
        urllib3.exceptions.HTTPError,
    ) as exc:
        error = _explain(exc, where, limits, broken)
    # Outside that block, for what urllib3 says quotes what a server said.
    raise error


def _explain(
    exc: BaseException, where: str, limits: Limits, broken: _Broken | None
) -> CartesiaSTTError:
    if broken is not None:
        return ConnectionLost(
            f"the connection to {where} was lost {broken.at}: {broken.reason}; it was "
            "not transcribed, and not sent again by itself"
        )
    if exc.__cause__ is not None:  # what urllib3 made its own error of
        return _explain(exc.__cause__, where, limits, None)
    if isinstance(exc, TooLarge):
        return ProtocolError(
            f"the answer of {where} has more than max_answer={limits.max_answer:,} "
            f"bytes; {_UNTOLD}"
        )
    if isinstance(exc, TimeoutError):
        return DrainTimeout(
            f"no whole answer of {where} within answer_timeout="
            f"{limits.answer_timeout:g} s after the file was sent; {_UNTOLD}"
        )
    if isinstance(exc, (OSError, http.client.IncompleteRead)):
        return ConnectionLost(
            f"the connection to {where} was lost after the file was sent: "
            f"{_reason(exc)}; {_UNTOLD}"
        )
    return ProtocolError(f"the answer of {where} is no HTTP; {_UNTOLD}")


def _reason(exc: BaseException) -> str:
    if isinstance(exc, TimeoutError):
        return "it took nothing for io_timeout"
    if isinstance(exc, http.client.HTTPException):
        return "it ended before the answer did"
    return (exc.strerror if isinstance(exc, OSError) else None) or type(exc).__name__
