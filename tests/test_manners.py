"""Good manners in any process: green threads, pools, prefork servers, long lives."""

from __future__ import annotations

import contextlib
import copy
import functools
import gc
import http.client
import json
import multiprocessing
import os
import pickle
import ssl
import statistics
import textwrap
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs
import pytest
import trustme

from cartesia_stt_sync import Reconnect, Transcriber
from cartesia_stt_sync.events import Done
from cartesia_stt_sync.server import LocalServer
from cartesia_stt_sync.wire import dump

from .fakes import FLUSHED, final
from .peer import LIMIT, Connection, Peer
from .programs import Program

GREEN = {
    "gevent": """
        from gevent import monkey
        monkey.patch_all()
        from gevent import sleep, spawn
        wait = lambda greenlet: greenlet.get()
        """,
    "eventlet": """
        import warnings
        warnings.simplefilter("ignore")  # it advises against itself
        import eventlet
        eventlet.monkey_patch()
        from eventlet import sleep, spawn
        wait = lambda greenlet: greenlet.wait()
        """,
}
"""What a program begins with that runs on green threads."""

TICKER = """
        import json, os, ssl
        from cartesia_stt_sync import ClosedError, Reconnect, Transcriber

        authority = os.environ["AUTHORITY"]
        trust = ssl.create_default_context(cafile=authority) if authority else None
        ticks = 0

        def tick():
            global ticks
            while True:
                ticks += 1
                sleep(0.001)

        def told(line, call):
            # The other end goes on once it reads the line. That a greenlet prints
            # while this one is blocked: so the hub is not.
            def tell():
                start = ticks
                while ticks < start + 20:
                    sleep(0.001)
                print(line, flush=True)
            spawn(tell)
            return call()

        spawn(tick)
        """


@attrs.frozen
class Wire:
    """Plain or TLS."""

    server: ssl.SSLContext | None
    authority: str
    """The file of the authority's certificate, or empty."""


@pytest.fixture(params=["ws", "wss"])
def wire(request: pytest.FixtureRequest, tmp_path: Path) -> Wire:
    """Both ways."""
    if request.param == "ws":
        return Wire(None, "")
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return Wire(server, str(path))


class Gates:
    """Points at which a peer waits until the test lets it go on."""

    def __init__(self, *names: str) -> None:
        self._events = {name: threading.Event() for name in names}

    def wait(self, name: str) -> None:
        """The peer's side."""
        assert self._events[name].wait(LIMIT), f"{name!r} was never let through"

    def follow(self, program: Program) -> None:
        """Let the peer through each gate when the program has printed its name."""
        for name, event in self._events.items():
            program.until(name)
            event.set()


@pytest.mark.parametrize("green", sorted(GREEN))
class TestGreenThreads:
    """Under a monkey-patched hub all works, and nothing stops the hub."""

    def test_a_whole_session(self, green: str, wire: Wire) -> None:
        """Each call that blocks lets others run; a loss is mended; all text arrives."""
        gates = Gates("open", "finalize", "again", "close")

        def first(peer: Connection) -> None:
            peer.read_request()
            gates.wait("open")
            peer.accept()
            peer.read_until("finalize")
            gates.wait("finalize")
            peer.send(dump(final("one")))
            peer.send(dump(FLUSHED))  # and the connection is lost

        def second(peer: Connection) -> None:
            peer.accept()
            peer.read_until("finalize")
            gates.wait("again")
            peer.send(dump(final(" two")))
            peer.send(dump(FLUSHED))
            peer.read_until("close")
            gates.wait("close")
            peer.send(dump(final(" three")))
            peer.send(dump(Done()))
            peer.send_close(1000)
            peer.until_gone()

        code = (
            GREEN[green]
            + TICKER
            + """
        finals, calls, done = [], [], []
        t = Transcriber(
            ssl_context=trust,
            reconnect=Reconnect(first_delay=0.01),
            max_buffer=0.2,
            on_final=lambda delta: calls.append(delta.text),
        )
        t.on("reconnect", lambda _: calls.append("again"))
        t.on("close", lambda _: calls.append("closed"))

        def read():
            for delta in t.finals():
                finals.append(delta.text)

        def speak():
            before = ticks
            for _ in range(4):  # the first may take its time to import NumPy
                t.feed(bytes(6400))
            assert ticks > before, "a full buffer stopped the hub"
            future = t.finalize()
            future.add_done_callback(lambda future: done.append(future.result()))
            done.append(told("finalize", future.result))
            done.append(told("again", t.finalize().result))

        told("open", t.open)
        reader, speaker = spawn(read), spawn(speak)
        wait(speaker)
        told("close", t.close)
        wait(reader)
        print(json.dumps([finals, calls, done, t.text, t.stats.sessions, t.state]))
        """
        )
        with (
            Peer(first, second, tls=wire.server) as peer,
            Program(
                code, peer.url, environment={"AUTHORITY": wire.authority}
            ) as program,
        ):
            gates.follow(program)
            status, out, err = program.finish()
        assert status == 0, err
        assert "Traceback" not in err
        assert json.loads(out.splitlines()[-1]) == [
            ["one", " two", " three"],
            ["one", "again", " two", " three", "closed"],
            ["one", "one", " two"],
            "one two three",
            2,
            "CLOSED",
        ]

    def test_abort_wakes(self, green: str, wire: Wire) -> None:
        """Greenlets blocked in every call are freed by another one's abort."""

        def silent(peer: Connection) -> None:
            peer.accept()
            peer.until_gone()

        def hanging(peer: Connection) -> None:
            peer.read_request()
            peer.until_gone()

        code = (
            GREEN[green]
            + TICKER
            + """
        def outcome(call):
            try:
                return call()
            except ClosedError:
                return "freed"

        def aborted(t, *calls):
            greenlets = [spawn(outcome, call) for call in calls]
            start = ticks
            while ticks < start + 20:
                sleep(0.001)
            t.abort()
            return [wait(greenlet) for greenlet in greenlets]

        t = Transcriber(ssl_context=trust, max_buffer=2, io_timeout=None)
        t.feed(bytes(64000))
        future = t.finalize()
        print(json.dumps(aborted(
            t,
            lambda: t.feed(bytes(64000)),
            future.result,
            lambda: list(t.finals()),
            lambda: list(t.events()),
            t.close,
        )))
        t = Transcriber(ssl_context=trust, open_timeout=None)
        print(json.dumps(aborted(t, t.open, t.open)))
        """
        )
        with (
            Peer(silent, hanging, tls=wire.server) as peer,
            Program(
                code, peer.url, environment={"AUTHORITY": wire.authority}
            ) as program,
        ):
            status, out, err = program.finish()
        assert status == 0, err
        assert "Traceback" not in err
        assert [json.loads(line) for line in out.splitlines()] == [
            ["freed", "freed", [], [], None],
            ["freed", "freed"],
        ]

    def test_a_server_that_does_not_read(self, green: str, wire: Wire) -> None:
        """A sender that has to wait stops nobody, and is freed like the rest."""
        leave = threading.Event()

        def deaf(peer: Connection) -> None:
            peer.accept()
            assert leave.wait(3 * LIMIT)

        code = (
            GREEN[green]
            + TICKER
            + """
        t = Transcriber(
            ssl_context=trust,
            sample_rate=768000,  # three megabytes a second and a message
            encoding="pcm_s32le",
            chunk=None,
            max_buffer=None,
            io_timeout=None,
        )
        t.feed(bytes(768000 * 4 * 10))  # no socket's buffers take so much
        while t.stats.lag_seconds < 0.2:
            sleep(0.001)
        t.abort()
        print("freed")
        """
        )
        with (
            Peer(deaf, tls=wire.server) as peer,
            Program(
                code, peer.url, environment={"AUTHORITY": wire.authority}
            ) as program,
        ):
            status, out, err = program.finish()
            leave.set()
        assert (status, out) == (0, "freed\n"), err


POOL = """
    import multiprocessing, sys, warnings
    from cartesia_stt_sync import Transcriber

    def transcribe(number):
        with Transcriber() as t:
            t.feed(bytes(3200 * number))
        return t.text

    if __name__ == "__main__":
        warnings.simplefilter("ignore", DeprecationWarning)  # fork with threads
        context = multiprocessing.get_context(sys.argv[1])
        with Transcriber() as t:
            t.feed(bytes(3200))
            with context.Pool(2) as pool:
                print(pool.map(transcribe, [1, 2, 3]))
            t.feed(bytes(3200))
        print(t.text)
    """


class TestProcesses:
    """Workers make their own, and the parent's goes on."""

    @pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
    def test_a_pool(self, method: str, tmp_path: Path) -> None:
        """However its workers come to be, each transcribes; and so does the parent."""
        with LocalServer(script=[(0.1, "Hello"), (0.2, " world")]) as server:
            with Program(
                POOL, server.base_url, file=tmp_path / "pool.py", arguments=(method,)
            ) as program:
                status, out, err = program.finish()
        assert status == 0, err
        assert out == "['Hello', 'Hello world', 'Hello world']\nHello world\n"
        assert "Traceback" not in err
        assert "never closed" not in err

    @pytest.mark.parametrize("send", [pickle.dumps, copy.copy, copy.deepcopy])
    def test_it_is_not_sent(self, send: Callable[[object], object]) -> None:
        """Neither pickled nor copied: a second one would share the first's session."""
        t = Transcriber(api_key="sk_test")
        with pytest.raises(TypeError, match="transcriber"):
            send(t)


APP = """
    from cartesia_stt_sync import ClosedError, Transcriber

    opened = Transcriber()
    opened.open()  # before the fork, which is wrong

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/opened":
            try:
                opened.feed(bytes(3200))
                text = "it was fed"
            except ClosedError as exc:
                text = f"ClosedError: {exc}"
        else:
            with Transcriber() as t:
                while block := environ["wsgi.input"].read(3200):
                    t.feed(block)
            text = t.text
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [text.encode()]
    """

GUNICORN = """
    bind, workers, preload_app, control_socket_disable = "127.0.0.1:0", 2, True, True

    def when_ready(server):
        print(server.LISTENERS[0].getsockname()[1], flush=True)
    """


def post(port: int, path: str, body: bytes) -> str:
    """Upload something to a server on this machine; return what it answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT)
    with contextlib.closing(connection):
        connection.request("POST", path, body)
        response = connection.getresponse()
        assert response.status == 200
        return response.read().decode()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="gunicorn needs fork")
def test_gunicorn(tmp_path: Path) -> None:
    """Preloaded and forked, its workers transcribe uploads, and end when told to."""
    (tmp_path / "app.py").write_text(textwrap.dedent(APP))
    config = tmp_path / "gunicorn.conf.py"
    config.write_text(textwrap.dedent(GUNICORN))
    with (
        LocalServer(script=[(0.1, "Hello"), (0.2, " world")]) as server,
        Program(
            url=server.base_url,
            module="gunicorn",
            arguments=(
                "--config",
                str(config),
                "--chdir",
                str(tmp_path),
                "app:application",
            ),
        ) as program,
        ThreadPoolExecutor(4) as pool,
    ):
        port = int(program.line())
        uploads = [pool.submit(post, port, "/", bytes(9600)) for _ in range(6)]
        assert [u.result() for u in uploads] == ["Hello world"] * 6
        # A fork's copy of an open one says so, from whichever worker, at once.
        for _ in range(4):
            assert "inherited over a fork" in post(port, "/opened", b"")
        began = time.monotonic()
        program.terminate()
        status, _, err = program.finish()
        seconds = time.monotonic() - began
    assert status == 0, err
    assert "Traceback" not in err
    assert seconds < LIMIT / 2


class TestForgotten:
    """One that nobody closed, and nobody has any more, ends by itself."""

    def end(self, peer: Connection) -> None:
        """Answer ``close``, and see the client go."""
        peer.read_until("close")
        peer.send(dump(Done()))
        peer.send_close(1000)
        peer.until_gone()

    def gone(self, t: Callable[[], Transcriber | None]) -> None:
        """Check that nobody holds it, and that its threads end."""
        threads = [x for x in threading.enumerate() if "cartesia-stt" in x.name]
        gc.collect()
        for thread in threads:
            thread.join(LIMIT)
            assert not thread.is_alive(), f"{thread.name} goes on"
        gc.collect()
        assert t() is None

    @pytest.mark.parametrize("handler", ["none", "cycle"])
    def test_while_idle(self, handler: str) -> None:
        """It is warned about and drained, also where its handler refers to it."""
        called: list[str] = []

        def serve(peer: Connection) -> None:
            peer.accept()
            self.end(peer)

        with Peer(serve) as peer:
            t = Transcriber(api_key="sk_test", base_url=peer.url)
            if handler == "cycle":
                t.on("close", functools.partial(self.note, called, t))
            t.open()
            forgotten = weakref.ref(t)
            with pytest.warns(ResourceWarning, match="never closed"):
                del t
                gc.collect()
            self.gone(forgotten)
        assert called == (["CLOSED"] if handler == "cycle" else [])

    def note(self, called: list[str], t: Transcriber, event: object) -> None:
        """A handler that uses its transcriber."""
        called.append(t.state)

    def test_while_feeding(self) -> None:
        """The thread whose feed is under way is the last to have it."""

        def serve(peer: Connection) -> None:
            peer.accept()
            self.end(peer)

        with Peer(serve) as peer:
            t = Transcriber(api_key="sk_test", base_url=peer.url, max_buffer=0.2)
            t.feed(bytes(6400))
            forgotten = weakref.ref(t)
            thread = threading.Thread(target=t.feed, args=[bytes(6400)])
            # The warning comes on the thread that lets go, where pytest.warns does
            # not look before it has ended.
            with pytest.warns(ResourceWarning, match="never closed"):
                thread.start()
                del t
                thread.join(LIMIT)
                del thread
                gc.collect()
            self.gone(forgotten)

    def test_while_reconnecting(self) -> None:
        """It still says its last words on the new connection."""
        again, dropped = threading.Event(), threading.Event()
        heard: list[bytes] = []

        def lose(peer: Connection) -> None:
            peer.accept()
            peer.read()

        def serve(peer: Connection) -> None:
            peer.read_request()
            again.set()
            assert dropped.wait(LIMIT)
            peer.accept()
            heard.extend(peer.read_until("close"))
            peer.send(dump(Done()))
            peer.send_close(1000)
            peer.until_gone()

        with Peer(lose, serve) as peer:
            t = Transcriber(
                api_key="sk_test",
                base_url=peer.url,
                reconnect=Reconnect(first_delay=0.01, max_delay=0.01),
            )
            t.feed(b"\1\2" * 1600)
            forgotten = weakref.ref(t)
            assert again.wait(LIMIT)
            with pytest.warns(ResourceWarning, match="never closed"):
                del t
                gc.collect()
            dropped.set()
            self.gone(forgotten)
        assert b"".join(heard).startswith(b"\1\2" * 1600)


SESSIONS = 1000

MANY = """
    import gc, json, os, sys, threading
    from cartesia_stt_sync import Transcriber

    page = os.sysconf("SC_PAGE_SIZE")

    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * page

    def figures():
        gc.collect()
        return threading.active_count(), len(os.listdir("/proc/self/fd"))

    def session():
        with Transcriber(on_final=lambda delta: None) as t:
            t.feed(bytes(3200))
        assert t.text == "Hello"

    for _ in range(100):
        session()
    before, sizes = figures(), []
    for number in range(int(sys.argv[1])):
        session()
        if number % 10 == 0:
            gc.collect()
        sizes.append(resident())
    print(json.dumps([before, figures(), sizes]))
    """


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="Linux counts so")
def test_a_thousand_sessions(figure: Callable[[str], None]) -> None:
    """One process opens and closes them, and is as large as before."""
    began = time.monotonic()
    with LocalServer(script=[(0.1, "Hello")], max_streams=None) as server:
        with Program(MANY, server.base_url, arguments=(str(SESSIONS),)) as program:
            status, out, err = program.finish()
    assert status == 0, err
    before, after, sizes = json.loads(out)
    quarter = SESSIONS // 4
    early, late = (
        statistics.mean(sizes[first : first + quarter])
        for first in (quarter, SESSIONS - quarter)
    )
    figure(
        f"{SESSIONS} sessions in {time.monotonic() - began:.1f} s: threads {before[0]} "
        f"and {after[0]}, descriptors {before[1]} and {after[1]}, resident "
        f"{early / 1e6:.2f} MB in the second quarter, {late / 1e6:.2f} MB in the last"
    )
    assert after == before
    # Half the sessions lie between the two: this is half a kilobyte for each.
    assert late - early < quarter * 2 * 512
