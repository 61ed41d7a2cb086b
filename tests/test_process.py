"""What a process around the threads may do: exit, fork, be interrupted, forget."""

from __future__ import annotations

import os

import pytest

from cartesia_stt_sync.server import LocalServer

from .peer import Peer, silent
from .programs import python


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
