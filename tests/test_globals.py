"""What belongs to the whole process is left as it was."""

from __future__ import annotations

from cartesia_stt_sync.server import LocalServer

from .programs import python


def test_nothing_global() -> None:
    """Neither importing nor a whole session changes a setting that others share."""
    with LocalServer(script=[(0.1, "Hello")]) as server:
        code, out, err = python(
            """
            import logging, locale, signal, socket, sys, threading, warnings
            import numpy  # which adds filters of its own
            import websocket

            def shared():
                return {
                    "switch interval": sys.getswitchinterval(),
                    "recursion": sys.getrecursionlimit(),
                    "signals": [signal.getsignal(s) for s in signal.valid_signals()],
                    "socket timeout": socket.getdefaulttimeout(),
                    "websocket timeout": websocket.getdefaulttimeout(),
                    "websocket trace": websocket.isEnabledForTrace(),
                    "root handlers": list(logging.getLogger().handlers),
                    "root level": logging.getLogger().level,
                    "our handlers": logging.getLogger("cartesia_stt_sync").handlers,
                    "hooks": (sys.excepthook, threading.excepthook, sys.unraisablehook),
                    "warnings": list(warnings.filters),
                    "locale": locale.setlocale(locale.LC_ALL),
                    "stack size": threading.stack_size(),
                    "tracing": (sys.gettrace(), threading.gettrace()),
                }

            before = shared()
            from cartesia_stt_sync import Transcriber
            with Transcriber() as t:
                t.feed(bytes(6400))
                t.finalize().result(5)
            after = shared()
            print([name for name in before if before[name] != after[name]], t.text)
            """,
            server.base_url,
        )
    assert (code, out) == (0, "[] Hello\n"), err


def test_import_is_light() -> None:
    """What only some sessions need is not imported before they need it."""
    code, out, err = python(
        """
        import sys

        before = set(sys.modules)
        import cartesia_stt_sync

        late = {"numpy", "pathlib", "python_socks", "random", "soxr", "websocket"}
        print(sorted(late & (set(sys.modules) - before)))
        """
    )
    assert (code, out) == (0, "[]\n"), err
