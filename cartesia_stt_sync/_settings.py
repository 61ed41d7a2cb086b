"""The options of a transcriber, checked; and a stream put together from them.

Decides which part gets which option. All checks are done before any I/O.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Mapping

import attrs

from . import _validate as check
from . import checks
from ._backoff import Attempts, Reconnect
from ._clock import Clock
from ._core import Core
from ._dial import Dialer, check_ssl_context
from ._handlers import Handlers
from ._outbox import Outbox
from ._pacing import Pacing
from ._pair import ThreadPair
from ._proxy import check_proxy
from ._recorder import Recorder, RecordingTransport
from ._stages import Meters
from ._stream import Stream
from ._transport import Transport, WebsocketTransport
from .audio import AudioFormat, Converter
from .endpoints import Account, Endpoint
from .errors import ConfigError

__all__ = ["Settings", "build"]


def _as_folder(value: object) -> str | None:
    if value is None:
        return None
    path = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    if not isinstance(path, str) or not path or "\0" in path:
        raise ConfigError(f"record: a folder's path or None, got {value!r}")
    return path


@attrs.frozen(kw_only=True)
class Settings:
    """Everything a stream is made from; see `Transcriber` for what each means.

    Raises:
        ConfigError: A value breaks its rule.
    """

    account: Account
    endpoint: Endpoint
    query: Mapping[str, object]
    wire: AudioFormat
    source: AudioFormat | None
    pacing: Pacing
    max_buffer: float | None = attrs.field(
        validator=check.field(check.seconds, none=True, positive=True)
    )
    open_timeout: float | None = attrs.field(
        validator=check.field(check.seconds, none=True, positive=True)
    )
    close_timeout: float | None = attrs.field(
        validator=check.field(check.seconds, none=True, positive=True)
    )
    io_timeout: float | None = attrs.field(
        validator=check.field(check.seconds, none=True, positive=True)
    )
    reconnect: Reconnect | None
    proxy: str | None = attrs.field(repr=False)  # it may hold a password
    ssl_context: ssl.SSLContext | None
    max_message: int = attrs.field(validator=check.field(check.count, least=125))
    record: str | None = attrs.field(default=None, converter=_as_folder)

    def __attrs_post_init__(self) -> None:
        for name, value, kind in (
            ("source", self.source, AudioFormat),
            ("reconnect", self.reconnect, Reconnect),
        ):
            if value is not None and not isinstance(value, kind):
                raise ConfigError(
                    f"{name}: {kind.__name__}(...) or None, got {value!r}"
                )
        check_proxy(self.proxy)
        check_ssl_context(self.ssl_context, self.account.base_url)

    def make_transport(self) -> Transport:
        """Make a connection, not open yet."""
        dialer = Dialer(
            url=self.account.url(self.endpoint, self.query),
            headers=self.account.headers,
            secret=self.account.credential.reveal,
            timeout=self.open_timeout,
            proxy=self.proxy,
            ssl_context=self.ssl_context,
        )
        return WebsocketTransport(
            dialer, io_timeout=self.io_timeout, max_message=self.max_message
        )

    def make_recorder(self, clock: Clock) -> Recorder | None:
        """Make the one who writes the session down, if that is wanted."""
        if self.record is None:
            return None
        about = {"url": self.account.url(self.endpoint, self.query)}
        if self.source is not None:
            about["source"] = str(self.source)
        return Recorder(
            self.record,
            self.wire,
            about,
            secret=self.account.credential.reveal,
            clock=clock,
        )


def build(
    settings: Settings,
    *,
    handlers: Handlers,
    make_transport: Callable[[], Transport],
    clock: Clock,
    jitter: Callable[[], float],
) -> Stream:
    """Put a stream and its thread pair together; nothing is started yet.

    Args:
        settings: The options.
        handlers: Whom to tell.
        make_transport: Makes connections.
        clock: The time.
        jitter: Numbers from 0 to 1, for the delays of a reconnect.
    """
    converter = Converter(settings.wire, settings.source)
    policy = settings.reconnect
    max_replay = policy.max_replay if policy is not None else 0.0
    meters = Meters()
    core = Core(
        converter=converter,
        outbox=Outbox(
            settings.wire, settings.pacing, meters=meters, max_replay=max_replay
        ),
        meters=meters,
        attempts=Attempts(policy, jitter),
        close_timeout=settings.close_timeout,
        max_replay=max_replay,
    )
    stream = Stream(
        core=core,
        converter=converter,
        max_buffer=settings.max_buffer,
        clock=clock,
    )
    recorder = settings.make_recorder(clock)
    if recorder is not None:
        make_transport = _recorded(make_transport, recorder, stream, handlers)
    stream.driver = ThreadPair(
        stream,
        endpoint=settings.endpoint,
        handlers=handlers,
        make_transport=make_transport,
    )
    return stream


def _recorded(
    make_transport: Callable[[], Transport],
    recorder: Recorder,
    stream: Stream,
    handlers: Handlers,
) -> Callable[[], Transport]:
    """Let a recorder see all that the stream does."""

    def stopped(reason: str) -> None:
        with stream.changing() as core:
            core.note(checks.recording_stopped(reason))

    recorder.broken = stopped
    recorder.listen(handlers)
    stream.journal = recorder.note
    return lambda: RecordingTransport(make_transport(), recorder)
