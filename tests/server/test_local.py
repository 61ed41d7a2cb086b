"""The local server as an object."""

from __future__ import annotations

import importlib
import logging
import socket
import ssl
import subprocess
import sys
import threading
from concurrent.futures import Future
from typing import Any

import pytest

import cartesia_stt_sync.server
from cartesia_stt_sync.errors import ConfigError
from cartesia_stt_sync.server import LocalServer
from cartesia_stt_sync.server.app import Settings

from .helpers import QUERY, SECOND, TIMEOUT, Client, FakeEngine, get, shapes

SCRIPT = [(0.5, "Hello")]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"script": 7}, "script: "),
        ({"engine": "whisper"}, "engine: "),
        ({"api_key": ""}, "api_key: "),
        ({"api_key": b"k"}, "api_key: "),
        ({"host": ""}, "host: "),
        ({"port": -1}, "port: a whole number from 0 to 65535, got -1"),
        ({"port": 65536}, "port: "),
        ({"port": "80"}, "port: "),
        ({"port": True}, "port: "),
        ({"ssl_context": True}, "ssl_context: "),
        ({"max_streams": 0}, "max_streams: "),
        ({"max_ahead": 0}, "max_ahead: seconds above 0, or None"),
        ({"max_ahead": float("inf")}, "max_ahead: "),
        ({"idle_timeout": "3"}, "idle_timeout: "),
        ({"idle_timeout": True}, "idle_timeout: "),
    ],
)
def test_refuses_bad_arguments(arguments: dict[str, Any], problem: str) -> None:
    """The message names the argument, the rule and what came."""
    with pytest.raises(ConfigError, match=f"^{problem}"):
        LocalServer(**{"script": SCRIPT} | arguments)


def test_arguments_are_keywords() -> None:
    """So that later versions may reorder them."""
    with pytest.raises(TypeError):
        LocalServer(SCRIPT)  # type: ignore[call-arg]  # wrong on purpose


def test_no_address_before_start() -> None:
    """There is no port yet, and the message says what to do."""
    server = LocalServer(script=SCRIPT)
    with pytest.raises(ConfigError, match="start"):
        server.base_url  # noqa: B018  # the property raises
    assert server.engine_name == "not started"
    server.stop()


def test_starts_once_stops_often() -> None:
    """A second start is refused, a second stop does nothing."""
    server = LocalServer(script=SCRIPT)
    assert server.start() is server
    try:
        assert server.engine_name == "scripted"
        with pytest.raises(ConfigError, match="running already"):
            server.start()
    finally:
        server.stop()
    server.stop()


def test_a_port_of_ones_own() -> None:
    """The port is the one asked for; a second server there is refused clearly."""
    with LocalServer(script=SCRIPT) as first:
        port = int(first.base_url.rsplit(":", 1)[1])
        with pytest.raises(OSError, match=f"127.0.0.1:{port}.*port=0 takes a free one"):
            LocalServer(script=SCRIPT, port=port).start()
    with LocalServer(script=SCRIPT, port=port) as second:
        assert second.base_url == f"ws://127.0.0.1:{port}"


def test_a_host_that_is_not_here() -> None:
    """Whatever keeps it from listening is an OSError with the address in it."""
    with pytest.raises(OSError, match="cannot listen on 192.0.2.1:0"):
        LocalServer(script=SCRIPT, host="192.0.2.1").start()
    with pytest.raises(OSError, match="cannot listen on nope.invalid:0") as caught:
        LocalServer(script=SCRIPT, host="nope.invalid").start()
    assert "Unknown error" not in str(caught.value)
    with pytest.raises(OSError, match="cannot listen on"):
        LocalServer(script=SCRIPT, host="no such host").start()


def test_every_interface_is_reached_by_loopback() -> None:
    """The address to connect to is one that can be connected to."""
    with LocalServer(script=SCRIPT, host="0.0.0.0") as server:
        assert server.base_url.startswith("ws://127.0.0.1:")
        assert get(server, "/")[0] == 200


@pytest.mark.skipif(not socket.has_ipv6, reason="this Python has no IPv6")
def test_ipv6() -> None:
    """An IPv6 address stands in brackets."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with LocalServer(script=SCRIPT, host="::1") as server:
        assert server.base_url.startswith("ws://[::1]:")


def test_an_engine_that_does_not_load() -> None:
    """Its error comes out of start(), and nothing is left running."""
    server = LocalServer(engine=FakeEngine(fails="load"))
    with pytest.raises(RuntimeError, match="fails in load"):
        server.start()
    with pytest.raises(ConfigError):
        server.base_url  # noqa: B018  # the property raises


def test_a_start_that_was_given_up() -> None:
    """A Ctrl-C in start() leaves neither a thread nor a port behind."""
    server = LocalServer(script=SCRIPT)
    started: Future[None] = Future()
    started.cancel()
    server._run(Settings(engine=FakeEngine()), started)  # what the thread runs
    with pytest.raises(ConfigError):
        server.base_url  # noqa: B018  # the property raises


def test_stop_waits_for_the_engine() -> None:
    """A decode under way is waited for: its thread must not outlive the server."""
    engine = FakeEngine(waits="feed")
    server = LocalServer(engine=engine).start()
    with Client(server) as client:
        client.audio(SECOND)
        assert engine.called.wait(TIMEOUT)
        stopper = threading.Thread(target=server.stop)
        stopper.start()
        engine.go.set()
        stopper.join(TIMEOUT)
        assert not stopper.is_alive()
        assert client.rest() == ([], 1001)
    assert engine.closed.is_set()


def test_a_language_that_the_engine_does_not_know(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is served all the same, with a warning in the server's log."""
    with caplog.at_level(logging.WARNING), LocalServer(engine=FakeEngine()) as server:
        for language in ("en-US", "fr"):
            with Client(server, QUERY | {"language": language}) as client:
                client.text("finalize")
                assert client.event()["language"] == "en"
    assert [r.getMessage() for r in caplog.records] == [
        "a client asked for 'fr'; fake knows 'en'"
    ]


def test_tls(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    """With a context the same is served as wss and https."""
    ours, theirs = contexts
    with LocalServer(script=SCRIPT, ssl_context=ours) as server:
        assert server.base_url.startswith("wss://127.0.0.1:")
        assert server.http_url.startswith("https://127.0.0.1:")
        with Client(server, sslopt={"context": theirs}) as client:
            client.audio(SECOND)
            client.text("close")
            assert shapes(client.rest()[0]) == ["(Hello)", "Hello", "done"]


def test_a_program_that_forgets_to_stop_exits() -> None:
    """The thread is a daemon, and goes quietly."""
    program = (
        "from cartesia_stt_sync.server import LocalServer\n"
        "server = LocalServer(script=[(1, 'a')]).start()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_without_aiohttp(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the extra to install."""
    monkeypatch.delitem(sys.modules, cartesia_stt_sync.server.__name__)
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(ImportError, match=r"pip install 'cartesia-stt-sync\[local\]'"):
        importlib.import_module("cartesia_stt_sync.server")
