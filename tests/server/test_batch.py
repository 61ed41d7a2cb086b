"""The Batch endpoint of the local server, as strangers see it."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import socket
import sys
import threading
import wave
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import cartesia
import numpy as np
import pytest
import soundfile

from cartesia_stt_sync.endpoints import VERSION
from cartesia_stt_sync.errors import ConfigError
from cartesia_stt_sync.server import Fault, LocalServer, Piece
from cartesia_stt_sync.server.acts import answer_of
from cartesia_stt_sync.server.rules import STREAM

from .helpers import HEADERS, TIMEOUT, Client, FakeEngine, get
from .test_faults import until_struck

SCRIPT = [(0.5, "Hello"), (1.0, ", world.")]
FIELDS = (("model", "ink-whisper"), ("language", "en"))
WORDS = ("timestamp_granularities[]", "word")
BOUNDARY = "a-boundary"


def wav(seconds: float = 1.0, *, rate: int = 16000, channels: int = 1) -> bytes:
    """A WAV file of ones, which a fake takes for speech."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((channels, 2, rate, 0, "NONE", ""))
        out.writeframes(b"\xff\x7f" * round(seconds * rate) * channels)
    return file.getvalue()


def form(
    data: bytes | None, fields: Sequence[tuple[str, str]] = FIELDS, name: str = "a.wav"
) -> bytes:
    """A form, written by hand."""
    parts = [
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; "
        f'name="{key}"\r\n\r\n{value}\r\n'
        for key, value in fields
    ]
    whole = "".join(parts).encode()
    if data is not None:
        head = f'form-data; name="file"; filename="{name}"'
        whole += f"--{BOUNDARY}\r\nContent-Disposition: {head}\r\n\r\n".encode()
        whole += data + b"\r\n"
    return whole + f"--{BOUNDARY}--\r\n".encode()


def post(
    server: LocalServer,
    body: bytes,
    query: str = "",
    *,
    headers: dict[str, str] = HEADERS,
    kind: str = f"multipart/form-data; boundary={BOUNDARY}",
) -> tuple[int, Any]:
    """The status of an answer, and its body: JSON, as a value."""
    host, port = server.base_url.split("//")[1].split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=TIMEOUT)
    try:
        connection.request(
            "POST", f"/stt{query}", body, {**headers, "Content-Type": kind}
        )
        answer = connection.getresponse()
        said = json.loads(answer.read())
        assert said["request_id"] == answer.headers["X-Request-Id"]
        return answer.status, said
    finally:
        connection.close()


class Counting(FakeEngine):
    """Says how many seconds it heard, and how loud they were."""

    def __init__(self) -> None:
        super().__init__()
        self.loudest = 0.0
        self.rate = 0

    def open(self, sample_rate: int) -> Counting:
        self.rate = sample_rate
        self.fed = 0
        return self

    def feed(self, samples: Any) -> list[Piece]:
        self.fed += len(samples)
        self.loudest = float(np.abs(samples).max())
        return [Piece(text="interim", is_final=False, start=0.0, end=0.0)]

    def finalize(self) -> list[Piece]:
        text = f"{self.fed / self.rate:.2f} s"
        return [Piece(text=text, is_final=True, start=0.0, end=1.0)]


@pytest.fixture
def server() -> Iterator[LocalServer]:
    """A scripted server."""
    with LocalServer(script=SCRIPT) as server:
        yield server


@pytest.fixture
def counting() -> Iterator[tuple[Counting, LocalServer]]:
    """A server whose engine counts."""
    engine = Counting()
    with LocalServer(engine=engine) as server:
        yield engine, server


class TestAnswer:
    """What is said."""

    def test_a_script(self, server: LocalServer) -> None:
        """All of it, whatever the file's length; words only when asked for."""
        status, said = post(server, form(wav(0.1)))
        del said["request_id"]
        assert (status, said) == (
            200,
            {
                "type": "transcript",
                "text": "Hello, world.",
                "duration": 0.1,
                "language": "en",
            },
        )
        _, said = post(server, form(wav(0.1), [*FIELDS, WORDS]))
        assert [word["word"] for word in said["words"]] == ["Hello", ",", "world."]
        assert said["words"][0] == {"word": "Hello", "start": 0.0, "end": 0.5}

    def test_a_script_for_no_recording(self, server: LocalServer) -> None:
        """A program's test needs no real file."""
        _, said = post(server, form(b"not a recording"))
        assert (said["text"], said["duration"]) == ("Hello, world.", 1.0)

    def test_a_script_without_lines(self) -> None:
        """Nothing was said, which is no error."""
        with LocalServer(script=[]) as server:
            _, said = post(server, form(b"not a recording", [*FIELDS, WORDS]))
        assert (said["text"], said["duration"], said["words"]) == ("", 0.0, [])

    def test_doubled_granularities(self, server: LocalServer) -> None:
        """Asking twice for the same is asking for it."""
        status, said = post(server, form(wav(0.1), [*FIELDS, WORDS, WORDS]))
        assert (status, len(said["words"])) == (200, 3)

    def test_language(self, server: LocalServer) -> None:
        """It is what was asked for, or English."""
        _, said = post(server, form(wav(), [FIELDS[0], ("language", "fr")]))
        assert said["language"] == "fr"
        _, said = post(server, form(wav(), FIELDS[:1]))
        assert said["language"] == "en"

    def test_front_page(self, server: LocalServer) -> None:
        """It names the endpoint."""
        _, _, page = get(server, "/")
        assert f"endpoint: {server.http_url}/stt (Batch)\n" in page.decode()

    def test_the_official_client(self, server: LocalServer) -> None:
        """The official SDK sends a file and reads the answer, and the refusals."""
        with cartesia.Cartesia(api_key="any", base_url=server.http_url) as client:
            said = client.stt.transcribe(
                file=("call.wav", wav()),
                model="ink-whisper",
                language="en",
                timestamp_granularities=["word"],
            )
            assert said.text == "Hello, world."
            assert said.words is not None
            assert [word.word for word in said.words] == ["Hello", ",", "world."]
            raw = client.stt.transcribe(
                file=bytes(8000),
                model="ink-whisper",
                encoding="pcm_mulaw",
                sample_rate=8000,
            )
            assert raw.duration == 1.0
            with pytest.raises(cartesia.NotFoundError, match="ink-whisper"):
                client.stt.transcribe(file=b"x", model="ink-2")


class TestFiles:
    """What can be decoded."""

    @pytest.mark.parametrize(
        ("rate", "channels"), [(16000, 1), (8000, 1), (44100, 2), (48000, 6)]
    )
    def test_wav(
        self, counting: tuple[Counting, LocalServer], rate: int, channels: int
    ) -> None:
        """Any rate and channels; these are mixed."""
        engine, server = counting
        status, said = post(server, form(wav(0.25, rate=rate, channels=channels)))
        assert (status, said["text"], said["duration"]) == (200, "0.25 s", 0.25)
        assert engine.rate == rate
        assert engine.loudest == pytest.approx(1.0, abs=1e-3)

    @pytest.mark.parametrize(
        ("form_", "subtype", "exact"),
        [
            ("FLAC", "PCM_16", True),
            ("OGG", "VORBIS", True),
            ("MP3", "MPEG_LAYER_III", False),
        ],
    )
    def test_compressed(
        self,
        counting: tuple[Counting, LocalServer],
        form_: str,
        subtype: str,
        exact: bool,
    ) -> None:
        """What libsndfile reads, by what is in the file and not by its name."""
        engine, server = counting
        file = io.BytesIO()
        tone = np.sin(np.arange(24000 * 12) / 10) / 2
        soundfile.write(
            file, np.stack([tone, tone], 1), 24000, format=form_, subtype=subtype
        )
        _, said = post(server, form(file.getvalue(), name="call.xyz"))
        assert said["duration"] == pytest.approx(12, abs=0 if exact else 0.1)
        assert float(said["text"].split()[0]) == pytest.approx(12, abs=0.1)
        assert engine.loudest == pytest.approx(0.5, abs=0.05)

    def test_raw(self, counting: tuple[Counting, LocalServer]) -> None:
        """Declared in the address; longer than one block, and half a sample over."""
        engine, server = counting
        data = b"\xff\x7f" * 16000 * 11 + b"\0"
        query = "?encoding=pcm_s16le&sample_rate=16000"
        _, said = post(server, form(data), query)
        assert (said["text"], said["duration"]) == ("11.00 s", 11.0)
        assert engine.closed.is_set()

    @pytest.mark.parametrize(
        ("data", "status", "message"),
        [
            (b"", 400, "got no byte"),
            (b"RIFF\0\0\0\0WAVEfmt ", 400, "'fmt ' and 'data' chunks"),
            (b"\0\0\0\x20ftypM4A " + bytes(100), 415, "takes wav, flac, ogg"),
            (b"no audio at all", 415, "takes wav, flac, ogg"),
        ],
    )
    def test_what_cannot_be_read(
        self,
        counting: tuple[Counting, LocalServer],
        data: bytes,
        status: int,
        message: str,
    ) -> None:
        """The refusal says what can."""
        found, said = post(counting[1], form(data))
        assert (found, said["status_code"]) == (status, status)
        assert message in said["message"]

    def test_broken_in_the_middle(
        self, counting: tuple[Counting, LocalServer], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A file whose second half libsndfile gives up on is refused, too."""

        def blocks(*_: object, **__: object) -> Iterator[Any]:
            yield np.ones((10, 1), np.float32)
            raise soundfile.LibsndfileError(1, "broken: ")

        monkeypatch.setattr(soundfile.SoundFile, "blocks", blocks)
        file = io.BytesIO()
        soundfile.write(file, np.zeros(100), 8000, format="FLAC")
        status, said = post(counting[1], form(file.getvalue()))
        assert (status, said["title"]) == (400, "Invalid audio")

    def test_without_soundfile(
        self, counting: tuple[Counting, LocalServer], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """WAV goes without it; the rest is refused with what to install."""
        monkeypatch.setitem(sys.modules, "soundfile", None)
        assert post(counting[1], form(wav()))[0] == 200
        status, said = post(counting[1], form(b"fLaC"))
        assert status == 415
        assert "pip install 'cartesia-stt-sync[local]'" in said["message"]


class TestRefused:
    """What is not let in."""

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({"Cartesia-Version": VERSION}, 401),
            ({"Authorization": "Bearer wrong", "Cartesia-Version": VERSION}, 401),
            ({"Authorization": "Bearer good"}, 400),
            ({"X-API-Key": "good", "Cartesia-Version": "new"}, 400),
            ({"X-API-Key": "good", "Cartesia-Version": VERSION}, 200),
        ],
    )
    def test_headers(self, headers: dict[str, str], status: int) -> None:
        """The same as of any other endpoint."""
        with LocalServer(script=SCRIPT, api_key="good") as server:
            assert post(server, form(wav()), headers=headers)[0] == status

    @pytest.mark.parametrize(
        ("query", "message"),
        [
            ("?model=ink-whisper", "'model' is not a parameter of /stt"),
            ("?encoding=pcm_s16le", "both of them, or none"),
            ("?encoding=mp3&sample_rate=8000", "encoding: one of"),
            ("?encoding=pcm_s16le&sample_rate=8", "sample_rate: a whole number"),
        ],
    )
    def test_addresses(self, server: LocalServer, query: str, message: str) -> None:
        """What stands in the address is checked before the file is read."""
        status, said = post(server, form(wav()), query)
        assert status == 400
        assert message in said["message"]

    @pytest.mark.parametrize(
        ("fields", "status", "message"),
        [
            ((), 400, "model: needed"),
            ((("model", "ink-2"),), 404, "takes ink-whisper"),
            ((*FIELDS, ("mood", "good")), 400, "'mood' is not a field"),
            ((*FIELDS, FIELDS[0]), 400, "model: given more than once"),
            ((*FIELDS, (WORDS[0], "letter")), 400, "'word', got 'letter'"),
            ((*FIELDS, ("file", "twice")), 400, "one recording a request"),
            ((("model", "x" * 5000),), 400, "model: 4096 bytes"),
        ],
    )
    def test_fields(
        self,
        server: LocalServer,
        fields: tuple[tuple[str, str], ...],
        status: int,
        message: str,
    ) -> None:
        """Each field has its rule."""
        found, said = post(server, form(wav(), fields))
        assert (found, said["status_code"]) == (status, status)
        assert message in said["message"]

    def test_no_file(self, server: LocalServer) -> None:
        """A form without a recording is not enough."""
        assert post(server, form(None))[1]["message"] == "file: needed, but not given"

    @pytest.mark.parametrize(
        ("body", "kind", "status"),
        [
            (b"{}", "application/json", 415),
            (form(wav()), "multipart/form-data", 400),
            (b"no form", f"multipart/form-data; boundary={BOUNDARY}", 400),
            (form(b"\xff", ())[:-20], f"multipart/form-data; boundary={BOUNDARY}", 400),
            (
                f"--{BOUNDARY}\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
                f"--b\r\n\r\nx\r\n--b--\r\n--{BOUNDARY}--\r\n".encode(),
                f"multipart/form-data; boundary={BOUNDARY}",
                400,
            ),
            (
                f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="mo\0del"'
                f"\r\n\r\nx\r\n--{BOUNDARY}--\r\n".encode(),
                f"multipart/form-data; boundary={BOUNDARY}",
                400,
            ),
        ],
    )
    def test_no_form(
        self, server: LocalServer, body: bytes, kind: str, status: int
    ) -> None:
        """What is no form is refused, not a failure of the server's."""
        assert post(server, body, kind=kind)[0] == status

    def test_get(self, server: LocalServer) -> None:
        """There is nothing to be got."""
        assert get(server, "/stt", HEADERS)[0] == 405

    def test_too_large(self) -> None:
        """A file above the limit is refused; one of just that size is not."""
        size = len(wav())
        with LocalServer(script=SCRIPT, max_file=size) as server:
            assert post(server, form(wav()))[0] == 200
        with LocalServer(script=SCRIPT, max_file=size - 1) as server:
            status, said = post(server, form(wav()))
        assert status == 413
        assert f"at most {size - 1:,} bytes" in said["message"]
        with LocalServer(script=SCRIPT, max_file=None) as server:
            assert post(server, form(wav()))[0] == 200
        with pytest.raises(ConfigError, match="max_file: a whole number"):
            LocalServer(script=SCRIPT, max_file=0)

    def test_one_too_many(self) -> None:
        """Files count as streams do, and streams for files."""
        engine = FakeEngine(waits="feed")
        with LocalServer(engine=engine, max_streams=1) as server:
            first = threading.Thread(target=post, args=(server, form(wav())))
            first.start()
            assert engine.called.wait(TIMEOUT)
            status, said = post(server, form(wav()))
            assert (status, said["error_code"]) == (429, "concurrency_limited")
            engine.go.set()
            first.join()
            with Client(server):
                assert post(server, form(wav()))[0] == 429

    def test_an_engine_that_fails(self, caplog: pytest.LogCaptureFixture) -> None:
        """Is an internal error, and in the log."""
        for call in ("open", "feed", "finalize"):
            with LocalServer(engine=FakeEngine(fails=call)) as server:
                status, said = post(server, form(wav()))
            assert (status, said["message"]) == (500, "the recogniser failed")
        assert "the fake engine has failed" in caplog.text


def until(there: Callable[[], bool]) -> None:
    """Ask until it is so; each asking takes a request's time."""
    for _ in range(10_000):
        if there():
            return
    raise AssertionError("it is never so")


class TestLeaving:
    """Those who do not wait for the answer."""

    def begin(self, server: LocalServer, body: bytes, size: int) -> socket.socket:
        """Send a request up to there, whose body is said to have this size."""
        host, port = server.base_url.split("//")[1].split(":")
        client = socket.create_connection((host, int(port)), TIMEOUT)
        head = "".join(f"{key}: {value}\r\n" for key, value in HEADERS.items())
        kind = f"multipart/form-data; boundary={BOUNDARY}"
        client.sendall(
            f"POST /stt HTTP/1.1\r\nHost: {host}\r\n{head}Content-Length: {size}\r\n"
            f"Content-Type: {kind}\r\n\r\n".encode()
            + body
        )
        return client

    def test_in_the_middle_of_the_file(self) -> None:
        """Room is made for the next one, and nothing is heard."""
        engine = FakeEngine()
        body = form(wav())
        with LocalServer(engine=engine, max_streams=1) as server:
            with self.begin(server, body[:-2000], len(body)):
                until(lambda: post(server, body)[0] == 429)  # it has come in
                engine.fed = 0
            until(lambda: post(server, body)[0] == 200)  # it was seen to leave
        assert engine.fed == 16000

    def test_while_it_is_heard(self) -> None:
        """What is left of a long file is not heard for nobody."""
        engine = FakeEngine(waits="feed")
        body = form(wav(60, rate=1000))
        with LocalServer(engine=engine) as server:
            with self.begin(server, body, len(body)):
                assert engine.called.wait(TIMEOUT)
            # Another request tells that the loop has seen the first one's end.
            assert get(server, "/")[0] == 200
            engine.go.set()
            assert engine.closed.wait(TIMEOUT)
        assert engine.fed < 60_000

    def test_the_server_stops(self) -> None:
        """It waits for the call that is under way, and closes what it opened."""
        engine = FakeEngine(waits="feed")
        body = form(wav(60, rate=1000))
        with LocalServer(engine=engine) as server:
            with self.begin(server, body, len(body)) as client:
                assert engine.called.wait(TIMEOUT)
                stopping = threading.Thread(target=server.stop)
                stopping.start()
                engine.go.set()
                stopping.join()
                with contextlib.suppress(ConnectionResetError):
                    assert client.recv(1) == b""
        assert engine.closed.is_set()
        assert engine.most_at_once == 1


class TestFaults:
    """What goes wrong on purpose."""

    def outcome(self, fault: Fault) -> str:
        """How a request ends."""
        with LocalServer(script=SCRIPT, faults=[fault]) as server:
            try:
                status, said = post(server, form(wav()))
            except (ConnectionResetError, http.client.RemoteDisconnected) as exc:
                return type(exc).__name__
            except ValueError:
                return "no JSON"
        return f"{status} {said.get('text') or said.get('message') or said['type']}"

    @pytest.mark.parametrize(
        ("fault", "outcome"),
        [
            (Fault.slow_handshake(0.01), "200 Hello, world."),
            (Fault.reset_handshake(), "ConnectionResetError"),
            (Fault.reset(), "ConnectionResetError"),
            (Fault.vanish(at="done"), "RemoteDisconnected"),
            (Fault.slow(0.01), "200 Hello, world."),
            (Fault.garbage(), "no JSON"),
            (Fault.invalid_utf8(), "no JSON"),
            (Fault.huge_frame(), "200 Hello, world."),
            (Fault.close(1011), "200 Hello, world."),
        ],
    )
    def test_outcomes(self, fault: Fault, outcome: str) -> None:
        """Those that are not of websockets do here what they do there."""
        assert self.outcome(fault) == outcome

    def test_refusals(self) -> None:
        """Before the file, and behind it."""
        for fault in (Fault.refuse(503), Fault.error(status=502, message="no")):
            with LocalServer(script=SCRIPT, faults=[fault]) as server:
                client = cartesia.Cartesia(
                    api_key="any", base_url=server.http_url, max_retries=0
                )
                with client, pytest.raises(cartesia.InternalServerError):
                    client.stt.transcribe(file=("a.wav", wav()), model="ink-whisper")

    @pytest.mark.parametrize(
        "fault", [Fault.stop_reading(), Fault.stop_answering(), Fault.no_handshake()]
    )
    def test_silence(self, fault: Fault) -> None:
        """No answer comes, until the server stops."""
        with LocalServer(script=SCRIPT, faults=[fault]) as server:
            body = form(wav())
            with until_struck(fault):
                client = TestLeaving().begin(server, body, len(body))
            with client:
                client.settimeout(0.05)
                with pytest.raises(TimeoutError):
                    client.recv(1)
                client.settimeout(TIMEOUT)
                server.stop()
                with contextlib.suppress(ConnectionResetError):
                    assert client.recv(1) == b""

    @pytest.mark.parametrize("kind", STREAM)
    def test_each_has_a_meaning(self, kind: str) -> None:
        """Every fault of a stream is either for Batch as well, or of no effect."""
        options: dict[str, float] = {"code": 1000} if kind == "close" else {}
        options |= {"seconds": 0.5} if kind == "slow" else {}
        fault = getattr(Fault, kind)(**options)
        made = answer_of(fault, "id")
        assert (made is None) == (
            kind
            in {
                "close",
                "half_frame",
                "done",
                "flood",
                "huge_frame",
                "endless_fragments",
                "endless_pings",
            }
        )
