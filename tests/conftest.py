"""What every test must leave behind: nothing but its figures."""

from __future__ import annotations

import gc
import ssl
import threading
from collections.abc import Callable, Iterator

import attrs
import pytest
import trustme

GRACE = 5.0
"""Seconds in which a thread that was told to end has to."""

_FIGURES = pytest.StashKey[list[str]]()


@attrs.frozen
class Tls:
    """Both ends of a connection that trusts a certificate of this run's own."""

    server: ssl.SSLContext
    client: ssl.SSLContext


@pytest.fixture(scope="session")
def tls() -> Tls:
    """The one authority of all tests: making keys takes time."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return Tls(server, client)


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Note something measured: it is shown at the end of the run, passed or not."""
    return request.config.stash.setdefault(_FIGURES, []).append


def pytest_collection_finish() -> None:
    """Keep what was imported out of the collections below: there are thousands."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Show what was measured."""
    figures = config.stash.get(_FIGURES, [])
    if figures:
        terminalreporter.section("measured")
        for line in figures:
            terminalreporter.write_line(line)


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    """Fail a test that leaves a thread; sockets left are warnings, and so errors."""
    before = set(threading.enumerate())
    yield
    gc.collect()
    left = [thread for thread in threading.enumerate() if thread not in before]
    if any(thread.name == "cartesia-stt-server" for thread in before):
        # A server that several tests share keeps its pool for the next one.
        left = [t for t in left if not t.name.startswith("cartesia-stt-engine")]
    for thread in left:
        thread.join(GRACE)
    alive = [thread.name for thread in left if thread.is_alive()]
    assert not alive, f"threads left: {alive}"


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the account and proxy of whoever runs the tests out of them."""
    for name in (
        "CARTESIA_API_KEY",
        "CARTESIA_BASE_URL",
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "NO_PROXY",
        "https_proxy",
        "http_proxy",
        "no_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
