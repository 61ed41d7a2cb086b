"""What every test must leave behind: nothing but its figures."""

from __future__ import annotations

import gc
import signal
import ssl
import threading
from collections.abc import Callable, Generator, Iterator

import attrs
import pytest
import trustme

from .pooled import install, uninstall

GRACE = 5.0
"""Seconds in which a thread that was told to end has to."""

_FIGURES = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """A second way to run every test of the threads."""
    parser.addoption(
        "--pooled",
        action="store_true",
        help="give each transcriber a Pool; leave tests of the pair out",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Say what marks mean."""
    config.addinivalue_line("markers", "pair: about the thread pair itself")


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Leave out what is not about a pool."""
    if config.getoption("--pooled"):
        left_out = [item for item in items if item.get_closest_marker("pair")]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


@pytest.fixture
def pooled(request: pytest.FixtureRequest) -> bool:
    """Whether each transcriber has a pool."""
    return bool(request.config.getoption("--pooled"))


@pytest.fixture(autouse=True)
def _in_a_pool(pooled: bool) -> Iterator[None]:
    if pooled:
        install()
    yield
    uninstall()


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


def pytest_sessionstart() -> None:
    """Let programs that tests start have a Ctrl-C.

    A shell ignores it for what it runs in the background, and so would they.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Keep what was imported out of the collections below: there are thousands."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, object, object]:
    """Keep what a module's tests have imported out of them, too.

    Between two modules, where nothing is under way, and all that the last test left
    has been looked for.
    """
    result = yield
    if nextitem is None or nextitem.path != item.path:
        gc.collect()
        gc.freeze()
    return result


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
