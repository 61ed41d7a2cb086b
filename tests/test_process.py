"""What a process around the threads may do: exit, fork, be interrupted, forget."""

from __future__ import annotations

import os
import threading

import pytest

from cartesia_stt_sync.server import Fault, LocalServer

from .peer import Connection, Peer, silent
from .programs import LIMIT, Program, python


def test_a_script_that_forgets_close_is_drained() -> None:
    """It exits by itself, and its last words were said."""
    with LocalServer(script=[(0.2, "Hello"), (0.4, " world")]) as server:
        code, out, err = python(
            """
            from cartesia_stt_sync import Transcriber
            t = Transcriber(on_final=lambda d: print(d.text, end="", flush=True))
            t.feed(b"\\1\\2" * 6400)
            """,
            server.base_url,
        )
    assert (code, out) == (0, "Hello world"), err


def test_a_forgotten_local_is_drained_and_warned_about() -> None:
    """So is one that went out of scope before the script's end."""
    with LocalServer(script=[(0.2, "Hello"), (0.4, " world")]) as server:
        code, out, err = python(
            """
            from cartesia_stt_sync import Transcriber
            def main():
                t = Transcriber(on_final=lambda d: print(d.text, end="", flush=True))
                t.feed(b"\\1\\2" * 6400)
            main()
            """,
            server.base_url,
        )
    assert (code, out) == (0, "Hello world"), err
    assert "ResourceWarning" in err
    assert "never closed" in err


def test_an_error_at_exit_is_logged() -> None:
    """A forgotten session that cannot be drained says so, and still exits."""
    with Peer(silent) as peer:
        code, _, err = python(
            """
            from cartesia_stt_sync import Transcriber
            t = Transcriber(close_timeout=0.1)
            t.feed(bytes(3200))
            """,
            peer.url,
        )
    assert code == 0
    assert "left open at exit" in err
    assert "close_timeout=0.1 s" in err


@pytest.mark.parametrize("pool", ["None", "Pool()"])
def test_close_ends_a_block_that_feeds(pool: str) -> None:
    """Who closes from outside gets every last word, and so does who leaves the block.

    The call in the block fails, but that is no reason to abort what is being drained.
    """
    script = [(0.2, "Hello"), (0.9, " world")]
    with LocalServer(script=script, faults=[Fault.slow(0.5)]) as server:
        code, out, err = python(
            f"""
            import threading, time
            from cartesia_stt_sync import ClosedError, Pool, Transcriber
            t = Transcriber(max_buffer=1.0, pool={pool})
            left = []
            def microphone():
                try:
                    with t:
                        while True:
                            t.feed(bytes(range(250)) * 13)
                except ClosedError as exc:
                    left.append(t.text)
            thread = threading.Thread(target=microphone)
            thread.start()
            time.sleep(1.0)
            t.close()
            print(t.text)
            thread.join()
            print(*left)
            """,
            server.base_url,
        )
    assert (code, out, err) == (0, "Hello world\nHello world\n", "")


def test_an_abort_while_the_interpreter_goes() -> None:
    """By what is collected last, when a new thread would never run."""
    with LocalServer(script=[(0.1, "Hello")]) as server:
        code, out, err = python(
            """
            from cartesia_stt_sync import Transcriber

            class Microphone:
                def __init__(self):
                    self.t = Transcriber()
                    self.other = Transcriber()
                    self.t.feed(b"\1\2" * 3200)

                def __del__(self):
                    self.t.abort()
                    self.other.abort()
                    print(self.t.text)

            microphone = Microphone()
            microphone.t.close()
            """,
            server.base_url,
        )
    assert (code, out, err) == (0, "Hello\n", "")


def test_an_exception_in_the_script_does_not_hang_it() -> None:
    """Its exit code is the exception's."""
    with LocalServer(script=[(0.2, "Hello")]) as server:
        code, _, err = python(
            """
            from cartesia_stt_sync import Transcriber
            with Transcriber() as t:
                t.feed(bytes(320000))
                raise RuntimeError("mine")
            """,
            server.base_url,
        )
    assert code == 1
    assert err.rstrip().endswith("RuntimeError: mine")


@pytest.mark.parametrize(
    "blocked",
    [
        "t.feed(bytes(320000))",
        "t.finalize().result()",
        "list(t.finals())",
        "list(t.events())",
        "t.close()",
        "t.close(timeout=60)",
        "t.finalize().exception()",
        "next(t.events())",
    ],
)
def test_ctrl_c_frees_a_blocked_call(blocked: str) -> None:
    """KeyboardInterrupt comes out of each blocking call, and the script ends."""
    with LocalServer(script=[]) as server:
        code, _, err = python(
            f"""
            from cartesia_stt_sync import Transcriber
            t = Transcriber(max_buffer=20)
            try:
                t.feed(bytes(32000 * 20))
                print("blocking", flush=True)
                {blocked}
            except KeyboardInterrupt:
                t.abort()
                raise SystemExit(42)
            """,
            server.base_url,
            interrupt_at="blocking",
        )
    assert code == 42, err
    assert "Traceback" not in err


@pytest.mark.parametrize("scheme", ["ws", "wss"])
@pytest.mark.parametrize("call", ["t.open()", "t.feed(bytes(3200))", "t.__enter__()"])
def test_ctrl_c_frees_a_handshake(call: str, scheme: str) -> None:
    """Also where the server takes the connection and never says a word."""
    taken = threading.Event()

    def mute(peer: Connection) -> None:
        taken.set()
        peer.until_gone()

    program = f"""
        from cartesia_stt_sync import ClosedError, Transcriber
        t = Transcriber(open_timeout=None)
        try:
            {call}
        except KeyboardInterrupt:
            t.abort()
            try:
                t.feed(bytes(3200))
            except ClosedError:
                raise SystemExit(42)
        """
    with Peer(mute) as peer:
        with Program(program, peer.url.replace("ws:", f"{scheme}:")) as running:
            # Not sooner: Python loses an interrupt that falls into certain moments of
            # an import ("Exception ignored in ... _get_module_lock").
            assert taken.wait(LIMIT)
            running.interrupt()
            code, _, err = running.finish()
    assert code == 42, err
    assert "Traceback" not in err


def test_ctrl_c_at_the_end_of_with() -> None:
    """It frees the drain; the text so far is there."""
    with LocalServer(script=[(0.1, "Hello")]) as server:
        code, out, err = python(
            """
            from cartesia_stt_sync import Transcriber
            try:
                with Transcriber(max_buffer=30) as t:
                    t.feed(bytes(32000 * 20))
                    next(t.finals())
                    print("blocking", flush=True)
            except KeyboardInterrupt:
                t.abort()
                print(t.text, t.state)
                raise SystemExit(42)
            """,
            server.base_url,
            interrupt_at="blocking",
        )
    assert (code, out) == (42, "blocking\nHello CLOSED\n"), err


def test_ctrl_c_while_a_callback_holds_up_abort() -> None:
    """abort() waits for a callback, but not against Ctrl-C; no lock is left held."""
    with LocalServer(script=[(0.1, "Hello")]) as server:
        code, _, err = python(
            """
            import threading
            from cartesia_stt_sync import Transcriber
            entered, leave = threading.Event(), threading.Event()
            def hang(delta):
                entered.set()
                leave.wait()
            t = Transcriber(on_final=hang)
            t.feed(bytes(6400))
            entered.wait()
            def tell():  # once abort() has ended the session
                for _ in t.finals():
                    pass
                print("blocking", flush=True)
            threading.Thread(target=tell).start()
            try:
                t.abort()
            except KeyboardInterrupt:
                assert t.text == "Hello" and t.state == "CLOSED"
                leave.set()
                raise SystemExit(42)
            """,
            server.base_url,
            interrupt_at="blocking",
        )
    assert code == 42, err


def test_exit_with_several_open() -> None:
    """All are drained together, a callback's last words included."""
    script = [(0.2, "Hello"), (0.4, " world")]
    with LocalServer(script=script) as server:
        code, out, err = python(
            """
            from cartesia_stt_sync import Transcriber
            kept = []
            def show(delta):  # in one call: another thread may come between two
                print(delta.text + "\\n", end="", flush=True)
            for _ in range(3):
                t = Transcriber(on_final=show)
                t.feed(bytes(12800 + 3200))
                kept.append(t)
            """,
            server.base_url,
        )
    assert code == 0, err
    assert sorted(out.split()) == ["Hello"] * 3 + ["world"] * 3


def test_exit_in_mid_reconnect() -> None:
    """The attempts that are left are made; then it says what was lost."""

    def reset(peer: Connection) -> None:
        peer.accept()
        peer.read()

    with Peer(reset) as peer:
        code, _, err = python(
            """
            import threading
            from cartesia_stt_sync import Reconnect, Transcriber
            lost = threading.Event()
            t = Transcriber(
                reconnect=Reconnect(attempts=3, first_delay=0.05), open_timeout=0.2
            )
            t.on("reconnect", lambda plan: lost.set())
            t.feed(bytes(3200))
            lost.wait()
            """,
            peer.url,
        )
    assert code == 0
    assert "left open at exit ended with: connecting again did not help" in err


def test_exit_from_inside_with_and_from_a_thread() -> None:
    """sys.exit leaves a with block by abort; one in a thread ends that thread only."""
    with LocalServer(script=[(0.1, "Hello")]) as server:
        code, out, err = python(
            """
            import sys, threading
            from cartesia_stt_sync import Transcriber

            def work():
                with Transcriber(max_buffer=30, checks=False) as t:
                    t.feed(bytes(32000 * 20))
                    sys.exit(5)

            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
            print("on", flush=True)
            with Transcriber(max_buffer=30, checks=False) as t:
                t.feed(bytes(32000 * 20))
                sys.exit(7)
            """,
            server.base_url,
        )
    assert (code, out, err) == (7, "on\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.parametrize("end", ["sys.exit(3)", "os.close(-1)", "pass"])
@pytest.mark.parametrize("channels", ["mix", "split"])
def test_a_forked_child_leaves_a_block(end: str, channels: str) -> None:
    """As if it were none: with its own exit or error, and the parent drains."""
    with LocalServer(script=[(0.1, "Hello")]) as server:
        code, out, err = python(
            f"""
            import os, sys, warnings
            from cartesia_stt_sync import AudioFormat, Transcriber
            warnings.simplefilter("ignore", DeprecationWarning)  # fork with threads
            source = AudioFormat("pcm_s16le", 16000, 2)
            pid = None
            try:
                with Transcriber(source=source, channels="{channels}") as t:
                    t.feed(bytes(12800))
                    pid = os.fork()
                    if not pid:
                        {end}
            except OSError:
                assert not pid
                os._exit(4)
            if not pid:
                os._exit(5)
            _, status = os.waitpid(pid, 0)
            print(os.waitstatus_to_exitcode(status), t.text)
            """,
            server.base_url,
        )
    text = "Hello\nHello" if channels == "split" else "Hello"
    child = {"sys.exit(3)": 3, "os.close(-1)": 4, "pass": 5}[end]
    assert (code, out, err) == (0, f"{child} {text}\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_gets_closed_error() -> None:
    """At once, from every call; and the parent goes on."""
    with LocalServer(script=[(0.1, "Hello")]) as server:
        code, out, err = python(
            """
            import os, sys, warnings
            from cartesia_stt_sync import ClosedError, Transcriber
            warnings.simplefilter("ignore", DeprecationWarning)  # fork with threads
            t = Transcriber()
            t.feed(bytes(6400))
            future, events, finals = t.finalize(), t.events(), t.finals()
            # The child's copy of the lock may be held for ever; that must not show.
            with t._stream.lock:
                pid = os.fork()
            if not pid:
                calls = [
                    t.open, t.close, t.abort, t.mute, t.finalize, t.finals, t.events,
                    lambda: t.feed(b""), lambda: t.text, lambda: t.stats,
                    lambda: t.state, lambda: t.on("final", print), t.__enter__,
                    future.result, future.exception,
                    lambda: next(events), lambda: next(finals),
                ]
                for call in calls:
                    try:
                        call()
                    except ClosedError as exc:
                        assert "fork" in str(exc)
                    else:
                        os._exit(1)
                del t, calls, call, future, events, finals
                sys.exit(7)  # through the exit hooks
            _, status = os.waitpid(pid, 0)
            assert os.waitstatus_to_exitcode(status) == 7, status
            t.close()
            print(t.text)
            """,
            server.base_url,
        )
    assert (code, out) == (0, "Hello\n"), err
    assert "ResourceWarning" not in err


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_may_make_its_own() -> None:
    """A prefork server's worker has its own transcriber, drained at its exit."""
    with LocalServer(script=[(0.1, "Hello")]) as server:
        code, out, err = python(
            """
            import os, sys
            from cartesia_stt_sync import Transcriber
            pid = os.fork()
            if not pid:
                t = Transcriber(on_final=lambda d: print(d.text, flush=True))
                t.feed(bytes(6400))
                sys.exit()
            _, status = os.waitpid(pid, 0)
            sys.exit(os.waitstatus_to_exitcode(status))
            """,
            server.base_url,
        )
    assert (code, out) == (0, "Hello\n"), err


def test_callbacks_see_the_openers_context() -> None:
    """Context variables, such as a request's id in a log, go along."""
    with LocalServer(script=[(0.1, "Hello")]) as server:
        code, out, err = python(
            """
            from contextvars import ContextVar
            from cartesia_stt_sync import Transcriber
            request = ContextVar("request")
            request.set("r-1")
            with Transcriber(on_final=lambda d: print(request.get(), d)) as t:
                t.feed(bytes(6400))
            """,
            server.base_url,
        )
    assert (code, out) == (0, "r-1 Hello\n"), err


def test_importing_is_light() -> None:
    """Neither NumPy nor the server comes along with the client."""
    code, out, err = python(
        """
        import sys
        import cartesia_stt_sync
        heavy = {"numpy", "soxr", "aiohttp", "rich", "asyncio"} & set(sys.modules)
        print(sorted(heavy))
        """
    )
    assert (code, out) == (0, "[]\n"), err
