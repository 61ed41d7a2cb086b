"""A file in one request: what goes out, what comes back, and all that goes wrong."""

from __future__ import annotations

import email
import gc
import io
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import traceback
import tracemalloc
import wave
from collections.abc import Callable, Iterator
from email.message import Message
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import IO, Any, cast

import pytest

from cartesia_stt_sync import (
    AuthenticationError,
    CartesiaSTTError,
    ConfigError,
    ConnectError,
    ConnectionLost,
    DrainTimeout,
    ProtocolError,
    QuotaError,
    RateLimitError,
    Reconnect,
    ServerError,
    Transcript,
    Word,
    transcribe_file,
)
from cartesia_stt_sync._backoff import Attempts
from cartesia_stt_sync._dial import Dialer
from cartesia_stt_sync._http_socket import HttpSocket, Limits
from cartesia_stt_sync._post import Answer, post
from cartesia_stt_sync._upload import open_recording
from cartesia_stt_sync.batch import _insist
from cartesia_stt_sync.server import Fault, LocalServer

from .conftest import Tls
from .peer import Connection, Handler, Peer
from .programs import python
from .proxy import ConnectProxy
from .speech import DATA, clips, word_errors, words

KEY = "sk_car_0123456789abcdef"
SAID = {"type": "transcript", "text": "Hello."}
RAW = {"encoding": "pcm_mulaw", "sample_rate": 8000}
AT_ONCE = Reconnect(attempts=2, first_delay=0.0)
LARGE = 32 << 20
"""Bytes that no socket's buffers hold."""


def a_wav(data: bytes = bytes(3200)) -> bytes:
    """A WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as wav:
        wav.setparams((1, 2, 16000, 0, "NONE", ""))
        wav.writeframes(data)
    return file.getvalue()


class Request:
    """A request as it came: read here by the standard library's parser of mail."""

    def __init__(self, head: bytes, body: bytes) -> None:
        first, _, rest = head.decode("latin-1").partition("\r\n")
        self.line = first
        self.headers: Message = email.message_from_string(rest)
        kind = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        parts: Any = email.message_from_bytes(kind + body).get_payload()
        self.parts: list[Message] = parts
        self.fields = [
            (part.get_param("name", header="content-disposition"), self.value(part))
            for part in parts
        ]

    @staticmethod
    def value(part: Message) -> bytes:
        value = part.get_payload(decode=True)
        assert isinstance(value, bytes)
        return value

    @property
    def disposition(self) -> bytes:
        """The file's own header, undecoded."""
        raw = self.parts[-1].as_bytes().split(b"\n")
        return next(line for line in raw if line.startswith(b"Content-Disposition"))

    @property
    def file(self) -> bytes:
        return self.value(self.parts[-1])


def head_of(peer: Connection) -> tuple[bytes, bytes, int]:
    """A request's head, what came of its body, and the size of all of that."""
    head, _, body = peer.read_request().partition(b"\r\n\r\n")
    match = re.search(rb"(?i)\r\nContent-Length: (\d+)", head)
    assert match is not None
    return head, body, int(match[1])


def read(peer: Connection) -> Request:
    """Read a whole request."""
    head, body, size = head_of(peer)
    got = bytearray(body)
    while len(got) < size:
        data = peer.sock.recv(1 << 20)
        assert data, "the client left in mid-request"
        got += data
    return Request(head, bytes(got))


def http(status: int, body: bytes, *headers: str) -> bytes:
    """An answer's bytes."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def answering(*answers: bytes, seen: list[Request] | None = None) -> list[Handler]:
    """Handlers that each read a request and give one of these answers."""

    def handler(answer: bytes) -> Handler:
        def handle(peer: Connection) -> None:
            request = read(peer)
            if seen is not None:
                seen.append(request)
            peer.sock.sendall(answer)

        return handle

    return [handler(answer) for answer in answers]


OK = http(200, json.dumps(SAID).encode())


def send(peer: Peer, path: Any = None, **options: Any) -> Transcript:
    """Send a recording there."""
    path = io.BytesIO(a_wav()) if path is None else path
    given = {"api_key": KEY, "base_url": peer.url, "retry": None, **options}
    return transcribe_file(path, **given)


def request_of(path: Any = None, **options: Any) -> Request:
    """What a call sends."""
    seen: list[Request] = []
    with Peer(*answering(OK, seen=seen)) as peer:
        send(peer, path, **options)
    return seen[0]


def failure(*handlers: Handler, path: Any = None, **options: Any) -> CartesiaSTTError:
    """What a call raises."""
    with Peer(*handlers) as peer, pytest.raises(CartesiaSTTError) as caught:
        send(peer, path, **options)
    assert KEY not in everything(caught.value)
    return caught.value


def at_its_end() -> io.BytesIO:
    """A recording that somebody has read already."""
    file = io.BytesIO(a_wav())
    file.read()
    return file


def everything(error: BaseException) -> str:
    """All that an error reporter would show: messages, frames and their locals."""
    shown = []
    todo: list[BaseException | None] = [error]
    while todo:
        exc = todo.pop()
        if exc is not None:
            todo += [exc.__cause__, exc.__context__]
            shown += [*traceback.format_exception(exc), repr(vars(exc))]
            shown += locals_of(exc.__traceback__)
    return "\n".join(shown)


def locals_of(tb: TracebackType | None) -> list[str]:
    """The values in the frames of a traceback, and what is in them."""
    shown = []
    while tb is not None:
        if "/tests/" not in tb.tb_frame.f_code.co_filename:
            for value in tb.tb_frame.f_locals.values():
                shown += [repr(value), repr(getattr(value, "__dict__", None))]
        tb = tb.tb_next
    return shown


class Pipe:
    """Bytes that come once, in small pieces."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._data.read(min(size, 1000))


class TestRequest:
    """What goes over the wire."""

    def test_line_and_headers(self) -> None:
        """The path alone, the key in its header, the size, and who asks."""
        request = request_of()
        assert request.line == "POST /stt HTTP/1.1"
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        assert request.headers["Cartesia-Version"] == "2026-03-01"
        assert request.headers["Host"].startswith("127.0.0.1:")
        assert request.headers["User-Agent"].startswith("cartesia-stt-sync/")
        assert request.headers["Transfer-Encoding"] is None

    def test_fields(self) -> None:
        """The file comes last, so that a server can refuse before it."""
        request = request_of()
        assert request.fields == [
            ("model", b"ink-whisper"),
            ("language", b"en"),
            ("file", a_wav()),
        ]

    def test_other_fields(self) -> None:
        """Words are asked for by their own field; no language is no field."""
        request = request_of(
            words=True,
            model="ink-whisper-2",
            language=None,
            extra_fields={"new": [1, True]},
        )
        assert request.fields[:-1] == [
            ("model", b"ink-whisper-2"),
            ("timestamp_granularities[]", b"word"),
            ("new", b"1"),
            ("new", b"true"),
        ]

    def test_raw(self) -> None:
        """What has no header is declared in the address."""
        request = request_of(io.BytesIO(bytes(80)), **RAW)
        assert request.line == (
            "POST /stt?encoding=pcm_mulaw&sample_rate=8000 HTTP/1.1"
        )
        assert request.file == bytes(80)

    @pytest.mark.parametrize(
        ("name", "wire"),
        [
            ("call.wav", b'filename="call.wav"'),
            ('a"b\nc\r.wav', b'filename="a%22b_c_.wav"'),
            (
                "Gr\u00fc\u00dfe \u4f60.wav",
                'filename="Gr\u00fc\u00dfe \u4f60.wav"'.encode(),
            ),
            ("bad\udcff.wav", b'filename="bad_.wav"'),
            ("call", b'filename="call.wav"'),
        ],
    )
    @pytest.mark.skipif(sys.platform != "linux", reason="names no other system has")
    def test_names(self, tmp_path: Path, name: str, wire: bytes) -> None:
        """No name breaks out of its header, and each has an ending."""
        path = tmp_path / name
        path.write_bytes(a_wav())
        assert wire in request_of(path).disposition

    def test_without_a_name(self) -> None:
        """A file in memory is called after what it is."""
        assert b'filename="audio.wav"' in request_of().disposition
        assert b'filename="audio"' in request_of(io.BytesIO(b"?")).disposition

    def test_content_type(self, tmp_path: Path) -> None:
        """The part says what kind of file it is, as a browser would."""
        path = tmp_path / "call.mp3"
        path.write_bytes(b"ID3\4\0" + bytes(100))
        assert request_of(path).parts[-1].get_content_type() == "audio/mpeg"

    def test_from_where_a_file_stands(self, tmp_path: Path) -> None:
        """What was read before is not sent, and the file is left open."""
        path = tmp_path / "two.bin"
        path.write_bytes(b"before" + a_wav())
        with open(path, "rb") as file:
            file.read(6)
            assert request_of(file).file == a_wav()
            assert not file.closed

    def test_a_pipe(self) -> None:
        """Its size is sent all the same, and it can be sent twice."""
        seen: list[Request] = []
        data = a_wav(os.urandom(20000))
        with Peer(*answering(http(503, b""), OK, seen=seen)) as peer:
            send(peer, Pipe(data), retry=AT_ONCE)
        assert [request.file for request in seen] == [data, data]

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipe has a path here")
    def test_a_pipe_with_a_path(self, tmp_path: Path) -> None:
        """What a shell makes of ``<(command)`` is one."""
        path = tmp_path / "call"
        os.mkfifo(path)
        data = a_wav(os.urandom(20000))
        writer = threading.Thread(target=path.write_bytes, args=(data,))
        writer.start()
        request = request_of(path)
        writer.join()
        assert request.file == data
        assert b'filename="call.wav"' in request.disposition

    def test_progress(self) -> None:
        """It begins at nothing and ends at the file's size."""
        told: list[tuple[int, int]] = []
        data = a_wav(bytes(100_000))
        request_of(io.BytesIO(data), progress=lambda *pair: told.append(pair))
        size = len(data)
        assert told == [(0, size), (65536, size), (size, size)]

    def test_address_of_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The variables that Transcriber reads are read here as well."""
        monkeypatch.setenv("CARTESIA_API_KEY", KEY)
        with Peer(*answering(OK, OK)) as peer:
            monkeypatch.setenv("CARTESIA_BASE_URL", peer.url)
            assert transcribe_file(io.BytesIO(a_wav())).text == "Hello."
            url = peer.url.replace("ws://", "http://")
            assert transcribe_file(io.BytesIO(a_wav()), base_url=url).text == "Hello."

    def test_tls(self, tls: Tls) -> None:
        """By wss or https; and whom one does not trust gets no request."""
        with Peer(*answering(OK, OK, OK), tls=tls.server) as peer:
            assert send(peer, ssl_context=tls.client).text == "Hello."
            url = peer.url.replace("wss", "https")
            assert send(peer, base_url=url, ssl_context=tls.client).text == "Hello."
            with pytest.raises(ConnectError, match="certificate"):
                send(peer)
            assert len(peer.requests) == 2

    def test_proxy(self, tls: Tls) -> None:
        """It relays what it cannot read."""
        with Peer(*answering(OK), tls=tls.server) as peer:
            with ConnectProxy({f"localhost:{peer.port}": peer.port}) as proxy:
                said = send(peer, proxy=proxy.url(), ssl_context=tls.client)
            assert said.text == "Hello."
        assert KEY.encode() not in b"".join(proxy.asked) + bytes(proxy.up[0])


class TestAnswer:
    """What the answer means."""

    def said(self, *headers: str, **fields: object) -> Transcript:
        """What a call returns for an answer with these fields."""
        body = json.dumps(SAID | fields).encode()
        with Peer(*answering(http(200, body, *headers))) as peer:
            return send(peer)

    def test_all_fields(self) -> None:
        """The same value as anywhere in this library; what is new is kept."""
        said = self.said(
            text=" Hello. ",
            request_id="r",
            language="en",
            duration=1.5,
            words=[{"word": "Hello.", "start": 0.5, "end": 1}],
            is_final=None,
            mood="good",
        )
        assert said == Transcript(
            text=" Hello. ",
            is_final=True,
            duration=1.5,
            language="en",
            words=(Word("Hello.", 0.5, 1.0),),
            request_id="r",
            extra={"mood": "good"},
        )

    def test_few_fields(self) -> None:
        """The text will do; the request's id also comes from its header."""
        said = self.said("X-Request-Id: r2")
        assert said == Transcript(text="Hello.", is_final=True, request_id="r2")

    def test_odd_types(self) -> None:
        """What is not what it should be is kept where nobody trips over it."""
        said = self.said(duration="long", words="Hello", language=7)
        assert (said.duration, said.words, said.language) == (None, None, None)
        assert said.extra == {"duration": "long", "words": "Hello", "language": 7}

    def test_chunked(self) -> None:
        """An answer of unknown size is read to its end."""
        body = json.dumps(SAID).encode()
        chunked = b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n"
        chunked += b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
        with Peer(*answering(chunked)) as peer:
            assert send(peer).text == "Hello."

    def test_up_to_the_end(self) -> None:
        """And one that is over when the server hangs up."""
        with Peer(
            *answering(b"HTTP/1.0 200 X\r\n\r\n" + json.dumps(SAID).encode())
        ) as peer:
            assert send(peer).text == "Hello."

    def test_a_key_that_was_said(self) -> None:
        """The text is the service's, byte for byte, whatever the key is."""
        said = json.dumps(SAID | {"text": f"The {KEY} news."}).encode()
        with Peer(*answering(http(200, said))) as peer:
            assert send(peer).text == f"The {KEY} news."

    @pytest.mark.parametrize(
        ("body", "what"),
        [
            (b"", "not JSON"),
            (b"<html>Welcome</html>", "not JSON"),
            (b'{"type": "transcript"', "not JSON"),
            (b"[" * 100_000, "not JSON"),
            (b"[]", "not a JSON object"),
            (b'{"text": "Hello."}', "no type"),
            (b'{"type": "transcript", "text": 5}', "a transcript without text"),
            (b'{"type": "done"}', "the type 'done'"),
            (b'{"type": "%s"}' % KEY.encode(), "the type '\\*\\*\\*'"),
            (
                b'{"type": "%s%s", "request_id": "%s"}'
                % (b"x" * 30, KEY.encode(), KEY.encode()),
                r"the type 'x{30}\*\*\*'",
            ),
        ],
    )
    def test_no_transcript(self, body: bytes, what: str) -> None:
        """What says that all is well and is no transcript is an error."""
        error = failure(*answering(http(200, body)))
        assert isinstance(error, ProtocolError)
        assert error.status_code == 200
        with pytest.raises(ProtocolError, match=f"a transcript, got {what}"):
            raise error

    def test_an_error_that_says_it_is_well(self) -> None:
        """An error event is one, whatever the status."""
        body = {
            "type": "error",
            "message": f"no, {KEY}",
            "status_code": 500,
            "title": f"T of {KEY}",
        }
        error = failure(*answering(http(200, json.dumps(body).encode())))
        assert isinstance(error, ServerError)
        assert (str(error), error.status_code, error.title) == (
            "no, ***",
            500,
            "T of ***",
        )

    @pytest.mark.parametrize(
        ("status", "kind", "hint"),
        [
            (400, ServerError, "check the file, model and language"),
            (401, AuthenticationError, "check the API key"),
            (402, QuotaError, "no credits left"),
            (403, AuthenticationError, "may not do that"),
            (404, ServerError, "check base_url and the model"),
            (413, ServerError, "too large for this endpoint"),
            (415, ServerError, "flac, m4a, mp3"),
            (418, ServerError, "I am a teapot"),
            (429, RateLimitError, "too many requests at once"),
            (500, ServerError, "failed at the request"),
            (502, ServerError, "whether it was transcribed, and billed, is not known"),
            (504, ServerError, "a shorter recording is done sooner"),
            (503, ServerError, "failed at the request"),
        ],
    )
    def test_refusals(self, status: int, kind: type[Exception], hint: str) -> None:
        """Each has its type, the service's words, and what to do."""
        body = {
            "title": "Title",
            "message": f"I am a teapot of {KEY}",
            "status_code": status,
            "error_code": "a_code",
            "request_id": "r",
            "doc_url": "u",
        }
        answer = http(status, json.dumps(body).encode(), "Retry-After: 7")
        error = failure(*answering(answer))
        assert type(error) is kind
        assert f"({status}): I am a teapot of ***" in str(error)
        assert hint in str(error)
        assert (error.status_code, error.title) == (status, "Title")
        assert (error.error_code, error.request_id) == ("a_code", "r")
        assert error.doc_url == "u"
        assert getattr(error, "retry_after", None) == 7

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            (b"just words", "(500): just words"),
            (b"", "(500): no reason given"),
            (
                b"\n<!DOCTYPE html><html><head><title>502 Bad Gateway</title>...",
                "(500): an HTML page, '502 Bad Gateway'",
            ),
            (b"<html>" + b"x" * 100_000, "(500): an HTML page"),
            (b"\xff\xfe", "(500): \ufffd\ufffd"),
        ],
    )
    def test_no_json(self, body: bytes, words: str) -> None:
        """A gateway's page is named, not printed."""
        error = failure(*answering(http(500, body)))
        assert str(error).endswith(words)

    def test_a_redirect(self) -> None:
        """It is not followed: the key would go along."""
        with Peer(*answering(OK)) as other:
            place = f"Location: http://127.0.0.1:{other.port}/"
            error = failure(*answering(http(307, b"", place)))
            assert isinstance(error, ConnectError)
            assert "redirect (307)" in str(error)
            assert not other.requests

    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/1.1 200 X\r\nContent-Length: 1099511627776\r\n\r\n" + bytes(1 << 20),
            b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"10000\r\n"
            + bytes(65536)
            + b"\r\n"
            + b"10000\r\n"
            + bytes(65536),
            b"HTTP/1.1 100 X\r\n\r\n" * 30_000,
        ],
        ids=["content-length", "chunks", "continue"],
    )
    def test_without_end(self, answer: bytes) -> None:
        """No answer takes more memory than it may."""
        error = failure(*answering(answer), max_answer=100_000)
        assert isinstance(error, ProtocolError)
        assert "more than max_answer=100,000 bytes" in str(error)

    @pytest.mark.parametrize(
        "answer",
        [
            b"SSH-2.0-OpenSSH\r\n",
            b"HTTP/1.1 x y\r\n\r\n",
            b"HTTP/1.1 200 X\r\n" + b"a: b\r\n" * 200,
        ],
    )
    def test_no_http(self, answer: bytes) -> None:
        """Whoever speaks something else is told so."""
        error = failure(*answering(answer))
        assert isinstance(error, ProtocolError)
        assert "is no HTTP" in str(error)


class TestBreaks:
    """Connections that end, or do not begin."""

    def large(self) -> IO[bytes]:
        return io.BytesIO(bytes(LARGE))

    @pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
    @pytest.mark.parametrize("after", ["reads on", "hangs up"])
    def test_an_early_answer(self, tls: Tls, secure: bool, after: str) -> None:
        """Who is refused in mid-upload stops sending, and says why, not how."""
        counted: list[int] = []

        def handle(peer: Connection) -> None:
            # Else the answer may wait behind TLS's tickets, and a reset overtake it.
            peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer.read_request()
            peer.sock.sendall(http(413, b'{"message": "at most 25 MB"}'))
            while after == "reads on" and (data := peer.sock.recv(1 << 20)):
                counted.append(len(data))

        with Peer(handle, tls=tls.server if secure else None) as peer:
            with pytest.raises(ServerError, match="at most 25 MB; the file is too"):
                send(peer, self.large(), ssl_context=tls.client, **RAW)
        assert sum(counted) < LARGE / 2

    def test_an_early_answer_of_one_who_does_not_read(self) -> None:
        """Nor does it wait for what will not be taken."""
        let_go = threading.Event()

        def handle(peer: Connection) -> None:
            peer.read_request()
            peer.sock.sendall(http(401, b"{}"))
            assert let_go.wait(10)

        with Peer(handle) as peer:
            with pytest.raises(AuthenticationError):
                send(peer, self.large(), io_timeout=0.2, **RAW)
            let_go.set()

    def test_continue_is_no_answer(self) -> None:
        """A 100 that nobody asked for does not stop the file."""

        def handle(peer: Connection) -> None:
            _, body, size = head_of(peer)
            peer.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            left = size - len(body)
            while left:
                left -= len(peer.sock.recv(min(left, 1 << 20)))
            peer.sock.sendall(OK)

        with Peer(handle) as peer:
            assert send(peer, self.large(), **RAW).text == "Hello."

    def test_lost_in_mid_file(self) -> None:
        """The error says how far it was; it is not sent again."""

        def handle(peer: Connection) -> None:
            peer.read_request()

        error = failure(handle, path=self.large(), retry=AT_ONCE, **RAW)
        assert isinstance(error, ConnectionLost)
        assert f"of {LARGE:,} bytes of the file" in str(error)
        assert "not sent again by itself" in str(error)

    @pytest.mark.parametrize(
        "answer", [b"", b"HTTP/1.1 200 X\r\nContent-Length: 50\r\n\r\nhalf"]
    )
    def test_lost_behind_the_file(self, answer: bytes) -> None:
        """Then it may have been billed, and is not sent again."""
        error = failure(*answering(answer), retry=AT_ONCE)
        assert isinstance(error, ConnectionLost)
        assert "after the file was sent" in str(error)
        assert "whether it was transcribed, and billed, is not known" in str(error)

    def test_nobody_reads(self) -> None:
        """A server that takes nothing is given up."""
        let_go = threading.Event()

        def handle(peer: Connection) -> None:
            peer.read_request()
            assert let_go.wait(10)

        with Peer(handle) as peer:
            with pytest.raises(ConnectionLost, match="took nothing for io_timeout"):
                send(peer, self.large(), io_timeout=0.1, answer_timeout=0.1, **RAW)
            let_go.set()

    def test_an_answer_in_drops(self) -> None:
        """The limit is for all of it, not for each byte."""
        stop = threading.Event()

        def handle(peer: Connection) -> None:
            read(peer)
            peer.sock.sendall(b"HTTP/1.1 200 X\r\nContent-Length: 1000\r\n\r\n")
            for _ in range(1000):
                if stop.wait(0.01):
                    return
                peer.sock.sendall(b" ")

        with Peer(handle) as peer:
            with pytest.raises(DrainTimeout, match=r"answer_timeout=0\.2 s") as caught:
                send(peer, answer_timeout=0.2)
            stop.set()
        assert isinstance(caught.value, TimeoutError)

    def test_nobody_there(self) -> None:
        """Nothing was sent, and the error has no status."""
        with Peer() as peer:
            url = peer.url
        with pytest.raises(ConnectError, match="cannot connect to") as caught:
            transcribe_file(io.BytesIO(b"?"), api_key=KEY, base_url=url)
        assert caught.value.status_code is None

    def test_no_limits(self) -> None:
        """None is no limit."""
        none = dict.fromkeys(["open_timeout", "io_timeout", "answer_timeout"])
        with Peer(*answering(OK)) as peer:
            assert send(peer, **none).text == "Hello."

    def test_what_progress_raises(self) -> None:
        """It ends the call; no frame of its traceback has the key."""

        def progress(sent: int, total: int) -> None:
            if sent:
                raise LookupError("mine")

        def handle(peer: Connection) -> None:
            peer.read_request()
            peer.until_gone()

        with Peer(handle) as peer, pytest.raises(LookupError, match="mine") as caught:
            send(peer, self.large(), progress=progress, **RAW)
        assert KEY not in everything(caught.value)

    def test_no_key_for_who_debugs_http(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """http.client prints all headers for whoever asks it to, but not ours."""
        monkeypatch.setattr(HTTPConnection, "debuglevel", 1)
        with Peer(*answering(OK)) as peer:
            send(peer)
        assert KEY not in capsys.readouterr().out

    def test_a_file_that_is_cut(self, tmp_path: Path) -> None:
        """One that becomes shorter is not passed off as whole."""
        path = tmp_path / "call.pcm"
        path.write_bytes(bytes(1 << 20))

        def handle(peer: Connection) -> None:
            peer.read_request()
            peer.until_gone()

        with (
            Peer(handle) as peer,
            pytest.raises(OSError, match="was cut while") as caught,
        ):
            send(peer, path, progress=lambda *_: os.truncate(path, 65536), **RAW)
        assert not isinstance(caught.value, CartesiaSTTError)

    def test_interrupted(self) -> None:
        """Ctrl-C ends a call that waits, at once, and leaves nothing open."""
        with LocalServer(script=[], faults=[Fault.stop_answering()]) as server:
            code, _, errors = python(
                """
                import io
                from cartesia_stt_sync import transcribe_file
                transcribe_file(
                    io.BytesIO(b"?"),
                    progress=lambda sent, total: sent and print("sent", flush=True),
                )
                """,
                server.base_url,
                interrupt_at="sent",
            )
        assert code != 0
        assert errors.rstrip().endswith("KeyboardInterrupt")
        assert "ResourceWarning" not in errors


class Ends:
    """A connection without a network, in place of a `Dialer`'s."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()

    def reach(self) -> socket.socket:
        return self.ours

    def post(self) -> Answer:
        """Post a small file there."""
        with open_recording(io.BytesIO(b"?"), raw=False) as upload, self.theirs:
            return post(
                "ws://speech.example/stt",
                upload,
                upload.form([]),
                dialer=cast(Dialer, self),
                headers=dict,
                limits=Limits(io_timeout=10, answer_timeout=10, max_answer=1000),
                progress=None,
            )


class TestSocket:
    """What takes two ends that the test has both of."""

    def test_gone_before_the_headers(self) -> None:
        """A connection that ends at once is lost like any other."""
        ends = Ends()
        ends.theirs.close()
        with pytest.raises(ConnectionLost, match="was lost before the file: "):
            ends.post()

    def test_gone_without_a_word(self) -> None:
        """A server that hangs up and yet takes what comes is not sent the file."""
        ends = Ends()
        ends.theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(ConnectionLost, match="the server takes no more"):
            ends.post()
        assert ends.ours.fileno() == -1

    def test_too_late(self) -> None:
        """Nothing is read once the time is up, though it is there."""
        ends = Ends()
        with ends.ours, ends.theirs:
            wire = HttpSocket(
                ends.ours, Limits(io_timeout=1, answer_timeout=1, max_answer=1)
            )
            ends.theirs.sendall(b"late")
            wire.wait_until(time.monotonic())
            with pytest.raises(TimeoutError):
                wire.recv_into(memoryview(bytearray(4)))


class TestAgain:
    """When a request is made again."""

    @pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
    def test_made_again(self, status: int) -> None:
        """Where the service says that nothing came of it."""
        with Peer(*answering(http(status, b""), OK)) as peer:
            assert send(peer, retry=AT_ONCE).text == "Hello."

    def test_up_to_a_number(self) -> None:
        """The last refusal is raised, as it is."""
        error = failure(*answering(*[http(503, b"")] * 3), retry=AT_ONCE)
        assert isinstance(error, ServerError)
        assert error.__context__ is None

    @pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 408, 409, 413, 307])
    def test_not_made_again(self, status: int) -> None:
        """Where the same would come of it; the peer has no second turn to give."""
        assert (
            failure(*answering(http(status, b"")), retry=AT_ONCE).status_code == status
        )

    def test_delays(self) -> None:
        """They double, and the service can ask for more."""
        waited: list[float] = []
        asked = [None, None, 5.0, None]

        def make() -> Transcript:
            if not asked:
                return Transcript(text="", is_final=True)
            error = RateLimitError(status_code=429)
            error.retry_after = asked.pop(0)
            raise error

        policy = Reconnect(attempts=4, first_delay=1.0, max_delay=3.0)
        _insist(make, Attempts(policy, lambda: 1.0), waited.append)
        assert waited == [1.0, 2.0, 5.0, 3.0]


class TestArguments:
    """What is refused before anything is opened or sent."""

    def refused(self, path: Any = None, **options: Any) -> str:
        """The message; nobody listens where it would go."""
        path = io.BytesIO(a_wav()) if path is None else path
        given = {"api_key": KEY, "base_url": "ws://127.0.0.1:1", **options}
        with pytest.raises(ConfigError) as caught:
            transcribe_file(path, **given)
        return str(caught.value)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"api_key": None}, "api_key: none given"),
            ({"access_token": "t"}, "one of the two"),
            ({"base_url": "http://example.com"}, "only to this machine"),
            ({"version": "new"}, "version: a date"),
            ({"model": ""}, "model: a non-empty string"),
            ({"language": 7}, "language: a non-empty string"),
            ({"words": "word"}, "words: True or False"),
            ({"encoding": "pcm_mulaw"}, "encoding, sample_rate: both"),
            ({"sample_rate": 8000}, "encoding, sample_rate: both"),
            ({"encoding": "mp3", "sample_rate": 8000}, "encoding: one of pcm_s16le"),
            ({"encoding": "pcm_alaw", "sample_rate": 8}, "sample_rate: a whole number"),
            ({"extra_fields": {"file": "x"}}, "file has an argument of its own"),
            (
                {"words": True, "extra_fields": {"timestamp_granularities": "word"}},
                "timestamp_granularities has an argument of its own",
            ),
            (
                {"extra_fields": {"timestamp_granularities[]": ["word"]}},
                "has an argument of its own",
            ),
            ({"extra_fields": [1]}, "extra_fields: a mapping"),
            ({"open_timeout": 0}, "open_timeout: seconds"),
            ({"io_timeout": "1"}, "io_timeout: seconds"),
            ({"answer_timeout": -1}, "answer_timeout: seconds"),
            ({"retry": 3}, "retry: Reconnect"),
            ({"proxy": "socks5://h"}, "proxy: 'env'"),
            ({"ssl_context": 1}, "ssl_context: an ssl.SSLContext"),
            ({"max_answer": 0}, "max_answer: a whole number"),
            ({"progress": 1}, "progress: a function"),
        ],
    )
    def test_arguments(self, options: dict[str, Any], message: str) -> None:
        """The message names the argument, the rule and what came."""
        assert message in self.refused(**options)

    @pytest.mark.parametrize(
        ("path", "message"),
        [
            (a_wav(), "got bytes; wrap a recording in io.BytesIO"),
            (7, "a path or a binary file, got int"),
            (io.StringIO("text"), "opened with 'rb', got one of text"),
            (io.BytesIO(), "the file is empty"),
            (at_its_end(), "stands at its end; call its seek(0)"),
            (Pipe(b""), "the file is empty"),
        ],
    )
    def test_no_file(self, path: Any, message: str) -> None:
        """Bytes, text and nothing at all are no recordings."""
        assert message in self.refused(path)

    def test_a_pipe_of_text(self) -> None:
        """Neither is one that was opened as text."""
        reader, writer = os.pipe()
        with open(writer, "w") as out:
            out.write("text")
        with open(reader) as file:
            assert "opened with 'rb', got one of text" in self.refused(file)

    def test_opened_as_text(self, tmp_path: Path) -> None:
        """A recording that was opened as text is told from one that is broken."""
        path = tmp_path / "talk.wav"
        path.write_bytes(a_wav() + b"\xff")
        with open(path, encoding="utf-8") as file:
            assert "opened with 'rb', got one of text" in self.refused(file)
        reader, writer = os.pipe()
        with open(writer, "wb") as out:
            out.write(b"\xff" + a_wav())
        with open(reader, encoding="utf-8") as file:
            assert "opened with 'rb', got one of text" in self.refused(file)

    def test_non_blocking(self) -> None:
        """Of one that does not wait nobody knows the end, so no part of it is sent."""

        class Waiting(io.BytesIO):
            def read(self, size: int | None = -1, /) -> Any:
                return None

        class Impatient(Pipe):
            def read(self, size: int = -1) -> Any:
                return super().read(size) or None

        for file in (Waiting(a_wav()), Impatient(a_wav())):
            assert "got a non-blocking one" in self.refused(file)

    @pytest.mark.skipif(sys.platform == "win32", reason="its pipes wait")
    def test_a_pipe_that_does_not_wait(self) -> None:
        """So it is with a real pipe that somebody still writes to."""
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        with open(writer, "wb", buffering=0) as out, open(reader, "rb") as file:
            out.write(a_wav()[:1000])
            assert "got a non-blocking one" in self.refused(file)

    def test_closed(self) -> None:
        """Nor one that was closed."""
        file = io.BytesIO(a_wav())
        file.close()
        assert "got one that is closed" in self.refused(file)

    def test_paths(self, tmp_path: Path) -> None:
        """What the system says of a path stays what every program knows."""
        for path, kind in (
            (tmp_path / "none.wav", FileNotFoundError),
            (tmp_path, OSError),
        ):
            with pytest.raises(kind) as caught:
                transcribe_file(path, api_key=KEY, base_url="ws://127.0.0.1:1")
            assert caught.value.filename == str(path)

    def test_a_path_of_bytes(self, tmp_path: Path) -> None:
        """A folder that is named by bytes has such paths."""
        (tmp_path / "call.wav").write_bytes(a_wav())
        with os.scandir(os.fsencode(tmp_path)) as entries:
            (entry,) = entries
        path: Any = entry
        assert b'filename="call.wav"' in request_of(path).disposition

    def test_empty(self, tmp_path: Path) -> None:
        """An empty file is named."""
        (tmp_path / "call.wav").touch()
        assert "'call.wav' is empty" in self.refused(tmp_path / "call.wav")

    @pytest.mark.parametrize("name", ["call.pcm", "CALL.RAW", "call.ulaw"])
    def test_raw_without_a_declaration(self, tmp_path: Path, name: str) -> None:
        """Nothing in such a file says what it is."""
        (tmp_path / name).write_bytes(bytes(100))
        assert f"'{name}' has no header" in self.refused(tmp_path / name)

    def test_a_declaration_of_what_needs_none(self) -> None:
        """A WAV read as samples begins with a crack, and may be read wrongly."""
        message = self.refused(io.BytesIO(a_wav()), **RAW)
        assert "got the file of the kind WAV, whose header says" in message
        assert "leave out encoding and sample_rate" in message

    def test_text(self, tmp_path: Path) -> None:
        """A page in place of a recording is a mistake that is made."""
        path = tmp_path / "call.mp3"
        path.write_text("<html>" + "Not found, sorry. " * 100)
        assert "a recording, got text in 'call.mp3'" in self.refused(path)

    def test_an_unknown_kind_is_sent(self, tmp_path: Path) -> None:
        """The service may take more than it said when this was written."""
        (tmp_path / "call.amr").write_bytes(b"#!AMR\n" + bytes(100))
        assert request_of(tmp_path / "call.amr").file.startswith(b"#!AMR")


class TestLarge:
    """Files that are larger than the memory."""

    SIZE = 256 << 20

    def test_memory(self, tmp_path: Path, figure: Callable[[str], None]) -> None:
        """They go out in small blocks; no more is held at any time."""
        path = tmp_path / "long.raw"
        with open(path, "wb") as file:
            file.truncate(self.SIZE)  # sparse: it takes no room on the disk
        came: list[int] = []

        def sink(peer: Connection) -> None:
            _, body, size = head_of(peer)
            left = size - len(body)
            buffer = bytearray(1 << 20)
            while left:
                left -= peer.sock.recv_into(buffer)
            came.append(size)
            peer.sock.sendall(OK)

        gc.collect()
        tracemalloc.start()
        try:
            with Peer(sink) as peer:
                assert send(peer, path, **RAW).text == "Hello."
            most = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        figure(f"256 MiB by Batch: at most {most / 1e6:.1f} MB of Python's memory held")
        assert self.SIZE < came[0] < self.SIZE + 2000
        assert most < 8e6  # of which the sink's buffer is one

    def test_five_gigabytes(self, tmp_path: Path) -> None:
        """The size is whole where 32 bits do not hold it, and a refusal is at once."""
        path = tmp_path / "long.raw"
        with open(path, "wb") as file:
            file.truncate(5 << 30)
        sizes: list[int] = []

        def handle(peer: Connection) -> None:
            sizes.append(head_of(peer)[2])
            peer.sock.sendall(http(413, b"{}"))

        with Peer(handle) as peer, pytest.raises(ServerError, match="413"):
            send(peer, path, **RAW)
        assert 5 << 30 < sizes[0] < (5 << 30) + 2000

    def test_blocks(self) -> None:
        """No read asks for more than a block, whatever the size."""
        asked: list[int] = []

        class File(io.BytesIO):
            def read(self, size: int | None = -1, /) -> bytes:
                asked.append(size or 0)
                return super().read(size)

        with open_recording(File(bytes(1 << 20)), raw=True) as upload:
            assert sum(map(len, upload.blocks())) == 1 << 20
        assert max(asked) == 1 << 16


@pytest.fixture(scope="module")
def recogniser() -> Iterator[LocalServer]:
    """A server with the real recogniser."""
    with LocalServer() as server:
        assert server.engine_name == "moonshine", "the real one, not a fallback"
        yield server


class TestEndToEnd:
    """Against the local server."""

    def test_word_errors(
        self, recogniser: LocalServer, figure: Callable[[str], None]
    ) -> None:
        """Human speech comes back as words with their times."""
        name, text = min(clips().items(), key=lambda clip: len(clip[1]))
        said = transcribe_file(
            DATA / f"{name}.wav", api_key=KEY, base_url=recogniser.base_url, words=True
        )
        errors = word_errors(text, said.text)
        figure(f"Batch: {errors} of {len(words(text))} words wrong in {name}")
        assert errors <= len(words(text)) / 5, said.text
        assert said.words is not None
        assert [word.word for word in said.words] == said.text.split()
        assert said.duration == pytest.approx(47840 / 16000, abs=0.001)
        assert said.language == "en"

    def test_busy(self) -> None:
        """One too many waits as long as it is asked to, and is served then."""
        faults = [Fault.refuse(429, retry_after=0)]
        with LocalServer(script=[(1, "Hello.")], faults=faults) as server:
            said = transcribe_file(
                io.BytesIO(a_wav()),
                api_key=KEY,
                base_url=server.base_url,
                retry=AT_ONCE,
            )
        assert said.text == "Hello."


def test_urllib3_only_where_needed() -> None:
    """Importing the package does not import it: it takes a while."""
    program = (
        "import sys, cartesia_stt_sync\n"
        "assert not {'urllib3', 'mimetypes'} & set(sys.modules), 'imported'\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
