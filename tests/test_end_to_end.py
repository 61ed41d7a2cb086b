"""Human speech through the real threads, a real websocket and a real recogniser."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import attrs
import numpy as np
import pytest
import soxr
import websocket

from cartesia_stt_sync import (
    AudioFormat,
    AuthenticationError,
    RateLimitError,
    Reconnect,
    Transcriber,
)
from cartesia_stt_sync.audio import decode, encode
from cartesia_stt_sync.server import LocalServer

from .conftest import Tls
from .peer import Connection, Peer
from .speech import clips, samples, word_errors, words

WAIT = 20.0
KEY = "sk_test"


@pytest.fixture(scope="module")
def recogniser() -> Iterator[LocalServer]:
    """One server with the real recogniser for all tests of this file."""
    with LocalServer() as server:
        assert server.engine_name == "moonshine", "the real one, not a fallback"
        yield server


def test_word_error_rate(
    recogniser: LocalServer, figure: Callable[[str], None]
) -> None:
    """Five clips at once, in real time: at most one word in five is wrong."""

    def transcribe(name: str) -> tuple[str, float | None]:
        with Transcriber(api_key=KEY, base_url=recogniser.base_url) as t:
            t.feed(samples(name))
            utterance = t.finalize().result(WAIT)
        assert t.text == utterance
        assert t.text == "".join(delta.text for delta in t.finals())
        return t.text, t.stats.finalize_seconds

    said = clips()
    with ThreadPoolExecutor(len(said)) as pool:
        heard = dict(zip(said, pool.map(transcribe, said), strict=True))
    errors = {name: word_errors(said[name], heard[name][0]) for name in said}
    count = sum(len(words(text)) for text in said.values())
    rate = sum(errors.values()) / count
    latency = max(seconds or 0 for _, seconds in heard.values())
    figure(
        f"word error rate {rate:.1%} ({sum(errors.values())} of {count} words, five "
        f"clips at once); slowest finalize {latency:.2f} s"
    )
    assert rate <= 0.2, heard


@attrs.frozen
class Variant:
    """How one session went.

    Attributes:
        t: The transcriber, closed.
        early: Whether provisional text came while audio still waited.
        by_itself: The text before anything asked for it.
    """

    t: Transcriber
    early: bool = False
    by_itself: str = ""


class Variants:
    """The shortest clip in every way; all at once, because it is real time."""

    def __init__(self, url: str, secure_url: str, tls: Tls) -> None:
        self.name, self.said = min(clips().items(), key=lambda it: len(it[1]))
        self.audio = samples(self.name)
        self.speech = decode(self.audio, "pcm_s16le")
        self.url, self.secure_url, self.tls = url, secure_url, tls

    def live(self) -> Variant:
        came, early = threading.Event(), False
        t = Transcriber(
            api_key=KEY, base_url=self.url, on_partial=lambda event: came.set()
        )
        with t:
            t.feed(self.audio)
            assert came.wait(WAIT)
            early = t.stats.buffered_seconds > 0
            t.finalize().result(WAIT)
        return Variant(t, early=early)

    def tail(self) -> Variant:
        t = Transcriber(api_key=KEY, base_url=self.url)
        t.feed(self.audio)
        t.close()
        return Variant(t)

    def starved(self) -> Variant:
        heard = threading.Event()
        t = Transcriber(
            api_key=KEY, base_url=self.url, on_final=lambda event: heard.set()
        )
        with t:
            t.feed(self.audio)
            assert heard.wait(WAIT)
            text = t.text
        return Variant(t, by_itself=text)

    def telephone(self) -> Variant:
        narrow = soxr.resample(self.speech, 16000, 8000)
        with Transcriber(
            api_key=KEY, base_url=self.url, encoding="pcm_mulaw", sample_rate=8000
        ) as t:
            t.feed(encode(narrow, "pcm_mulaw"))
        return Variant(t)

    def studio(self) -> Variant:
        wide = soxr.resample(self.speech, 16000, 48000)
        source = AudioFormat("pcm_f32le", 48000, 2)
        with Transcriber(api_key=KEY, base_url=self.url, source=source) as t:
            t.feed(np.stack([wide, np.zeros_like(wide)], axis=1) * 2)
        return Variant(t)

    def secure(self) -> Variant:
        with Transcriber(
            api_key=KEY, base_url=self.secure_url, ssl_context=self.tls.client
        ) as t:
            t.feed(self.audio)
        return Variant(t)


WAYS = ("live", "tail", "starved", "telephone", "studio", "secure")


@pytest.fixture(scope="module")
def variants(recogniser: LocalServer, tls: Tls) -> dict[str, Variant]:
    """Every way's outcome."""
    with LocalServer(ssl_context=tls.server) as secure, ThreadPoolExecutor(6) as pool:
        ways = Variants(recogniser.base_url, secure.base_url, tls)
        running = {way: pool.submit(getattr(ways, way)) for way in WAYS}
        return {way: future.result() for way, future in running.items()}


@pytest.mark.parametrize("way", WAYS)
def test_the_words(way: str, variants: dict[str, Variant]) -> None:
    """Mu-law at 8 kHz, stereo floats at 48 kHz and wss carry the same words."""
    said = min(clips().values(), key=len)
    t = variants[way].t
    assert word_errors(said, t.text) <= len(words(said)) / 5, t.text
    assert words(t.text)[-1] == words(said)[-1], "the tail is never lost"
    assert t.stats.fed_seconds == pytest.approx(47840 / 16000, abs=0.001)
    # Where the machine is busy, audio that comes live comes late.
    assert {finding.code for finding in t.findings} <= {"starved"}


def test_live_text_and_words(variants: dict[str, Variant]) -> None:
    """Text arrives while the speaker still speaks, and words have their times."""
    assert variants["live"].early
    t = variants["live"].t
    times = t.transcript.words
    assert times is not None
    assert [word.word for word in times] == t.text.split()
    assert all(word.start < word.end for word in times)
    assert all(a.end <= b.start + 0.011 for a, b in pairwise(times))
    assert times[-1].end <= 47840 / 16000


def test_muted_speaker_gets_the_last_words(variants: dict[str, Variant]) -> None:
    """Audio that just stops is finished by silence, without a finalize."""
    starved = variants["starved"]
    assert words(starved.by_itself)[-1] == words(min(clips().values(), key=len))[-1]
    # How long the server takes depends on the machine; silence_limit does not.
    assert 0 < starved.t.stats.silence_seconds <= 10


class TestAgainstTheScript:
    """What the recogniser does not decide."""

    def test_a_whole_file_at_once_does_not_overflow(self) -> None:
        """What overflows the buffer when it is pushed is fine when it is fed."""
        audio = bytes(32000 * 3)
        with LocalServer(script=[(2.5, "all of it")], max_ahead=1.0) as server:
            pushed = websocket.create_connection(
                f"{server.base_url}/stt/websocket"
                "?model=ink-2&encoding=pcm_s16le&sample_rate=16000",
                header=[f"Authorization: Bearer {KEY}", "Cartesia-Version: 2026-03-01"],
            )
            for begin in range(0, len(audio), 3200):
                pushed.send_binary(audio[begin : begin + 3200])
            assert json.loads(pushed.recv())["status_code"] == 500
            pushed.shutdown()  # type: ignore[no-untyped-call]  # theirs
            with Transcriber(api_key=KEY, base_url=server.base_url) as t:
                t.feed(audio)
            assert t.text == "all of it"

    def test_refusals(self) -> None:
        """A wrong key and one stream too many have their types."""
        with LocalServer(script=[], api_key="right", max_streams=1) as server:
            url = server.base_url
            with pytest.raises(AuthenticationError):
                Transcriber(api_key="wrong", base_url=url).open()
            with Transcriber(api_key="right", base_url=url):
                with pytest.raises(RateLimitError) as caught:
                    Transcriber(api_key="right", base_url=url).open()
            assert caught.value.error_code == "concurrency_limited"
            assert caught.value.request_id

    def test_push_to_talk(self) -> None:
        """Utterance by utterance, each finalize has its own text."""
        script = [(0.2, "One."), (0.3, " And"), (0.4, " two."), (0.6, " Three.")]
        with LocalServer(script=script) as server:
            with Transcriber(api_key=KEY, base_url=server.base_url) as t:
                texts = []
                for seconds in (0.2, 0.2, 0.1, 0.1):
                    t.feed(bytes(int(32000 * seconds)))
                    texts.append(t.finalize().result(WAIT))
        assert texts == ["One.", " And two.", "", " Three."]
        assert t.text == "".join(texts)

    def test_many_at_once(self) -> None:
        """Twenty streams in one process do not get into each other's way."""
        with LocalServer(script=[(0.5, "text")], max_streams=None) as server:

            def session(_: int) -> str:
                with Transcriber(api_key=KEY, base_url=server.base_url) as t:
                    t.feed(bytes(32000))
                return t.text

            with ThreadPoolExecutor(20) as pool:
                assert set(pool.map(session, range(20))) == {"text"}


def test_a_cut_cable_loses_nothing() -> None:
    """The connection is reset in mid-stream; every byte arrives on one or the other."""
    got: list[bytes] = []

    def first(peer: Connection) -> None:
        peer.accept()
        for _ in range(3):
            peer.read()
        peer.sock.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER: a reset

    def second(peer: Connection) -> None:
        peer.accept()
        got.extend(peer.read_until("close"))
        peer.send('{"type":"transcript","is_final":true,"text":"whole"}')
        peer.send('{"type":"done"}')
        peer.send_close(1000)
        assert peer.read()[0] == 8

    audio = np.random.default_rng(7).integers(0, 255, 32000, np.uint8).tobytes()
    with Peer(first, second) as server:
        with Transcriber(
            api_key=KEY,
            base_url=server.url,
            reconnect=Reconnect(first_delay=0.01),
        ) as t:
            t.feed(audio)
        assert t.text == "whole"
    assert b"".join(got) == audio
    assert t.stats.sessions == 2
