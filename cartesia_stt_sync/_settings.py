"""The options of a transcriber, checked; and a stream put together from them.

Decides which part gets which option. All checks are done before any I/O.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Mapping
from functools import partial

import attrs

from . import _validate as check
from . import checks
from ._backoff import Attempts, Reconnect
from ._clock import Clock
from ._core import Core
from ._dial import Dialer
from ._ears import Ears, Endpointer
from ._gate import Driver, Gate
from ._handlers import Handlers
from ._member import Member
from ._outbox import Outbox
from ._pacing import Pacing
from ._pair import ThreadPair
from ._pool import Pool
from ._proxy import check_proxy
from ._recorder import Recorder, RecordingTransport
from ._split import Split
from ._stages import Meters
from ._stream import Stream
from ._tls import check_ssl_context
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


@attrs.frozen(kw_only=True, eq=False, repr=False)
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
    channels: str = "mix"
    endpointers: tuple[Endpointer, ...] = ()
    checks: bool = attrs.field(default=True, validator=check.field(check.flag))
    record: str | None = attrs.field(default=None, converter=_as_folder)
    pool: Pool | None = None
    budget: float | None = attrs.field(
        default=None, validator=check.field(check.seconds, none=True, positive=True)
    )

    def __attrs_post_init__(self) -> None:
        for name, value, kind in (
            ("source", self.source, AudioFormat),
            ("reconnect", self.reconnect, Reconnect),
            ("pool", self.pool, Pool),
        ):
            if value is not None and not isinstance(value, kind):
                raise ConfigError(
                    f"{name}: {kind.__name__}(...) or None, got {value!r}"
                )
        if self.channels not in ("mix", "split"):
            raise ConfigError(f'channels: "mix" or "split", got {self.channels!r}')
        if self.split and (self.source is None or self.source.channels < 2):
            raise ConfigError(
                'channels: "split" needs source=AudioFormat(...) with two channels or '
                f"more, got source={self.source!r}"
            )
        wanted = self.source.channels if self.split and self.source else 1
        if self.endpointers and len(self.endpointers) != wanted:
            raise ConfigError(
                f"endpointer: {wanted}, one for each channel that has a session, got "
                f"{len(self.endpointers)}"
            )
        check_proxy(self.proxy)
        check_ssl_context(self.ssl_context, self.account.base_url)

    @property
    def split(self) -> bool:
        """Whether each channel of the source has a session of its own."""
        return self.channels == "split"

    def of_channel(self, channel: int) -> Settings:
        """The options of one channel's session: its share of what all are given."""
        source = self.source
        assert source is not None  # checked above
        return attrs.evolve(
            self,
            source=AudioFormat(source.encoding, source.sample_rate),
            channels="mix",
            endpointers=self.endpointers[channel : channel + 1],
            budget=None if self.budget is None else self.budget / source.channels,
        )

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


def as_endpointers(value: object) -> tuple[Endpointer, ...]:
    """What came as ``endpointer=``, one or several.

    Raises:
        ConfigError: One is none.
    """
    found = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    if found == (None,):
        return ()
    for one in found:
        if not all(hasattr(one, name) for name in ("start", "hear", "reset")):
            raise ConfigError(
                "endpointer: an object with start, hear and reset, or None, got "
                f"{one!r}"
            )
        if isinstance(one, type):
            raise ConfigError(
                "endpointer: an object, got the class itself; call it: "
                f"endpointer={one.__name__}()"
            )
    return found


def build(
    settings: Settings,
    *,
    handlers: Handlers,
    make_transport: Callable[[], Transport],
    clock: Clock,
    jitter: Callable[[], float],
) -> Stream | Split:
    """Put a stream and its driver together, or one for each channel.

    Nothing is started yet.

    Args:
        settings: The options.
        handlers: Whom to tell.
        make_transport: Makes connections.
        clock: The time.
        jitter: Numbers from 0 to 1, for the delays of a reconnect.
    """
    make = partial(_stream, make_transport=make_transport, clock=clock, jitter=jitter)
    if not settings.split or settings.source is None:
        return make(settings, None, None, handlers)

    def make_one(channel: int, gate: Gate, own: Handlers) -> Stream:
        return make(settings.of_channel(channel), channel, gate, own)

    return Split(settings.source, handlers, clock, make_one)


def _stream(
    settings: Settings,
    channel: int | None,
    gate: Gate | None,
    handlers: Handlers,
    *,
    make_transport: Callable[[], Transport],
    clock: Clock,
    jitter: Callable[[], float],
) -> Stream:
    converter = Converter(settings.wire, settings.source)
    policy = settings.reconnect
    max_replay = policy.max_replay if policy is not None else 0.0
    meters = Meters()
    core = Core(
        endpoint=settings.endpoint,
        watch=_watch(settings) if settings.checks else None,
        outbox=Outbox(
            settings.wire,
            settings.pacing.within(settings.max_buffer),
            meters=meters,
            max_replay=max_replay,
            budget=settings.budget,
        ),
        meters=meters,
        attempts=Attempts(policy, jitter),
        close_timeout=settings.close_timeout,
        max_replay=max_replay,
        channel=channel,
    )
    if _lacks_language(settings) and settings.checks:
        core.findings.note(checks.no_language(str(settings.query["model"])))
    stream = Stream(
        core=core,
        converter=converter,
        ears=Ears(
            settings.source or settings.wire,
            settings.wire,
            endpointer=next(iter(settings.endpointers), None),
            checks=settings.checks,
        ),
        max_buffer=settings.max_buffer,
        clock=clock,
        gate=gate,
        clean=settings.account.credential.taken_out_of,
    )
    recorder = settings.make_recorder(clock)
    if recorder is not None:
        make_transport = _recorded(make_transport, recorder, stream, handlers)
    driver: Callable[..., Driver] = partial(ThreadPair, stream)
    if (pool := settings.pool) is not None:
        driver = partial(Member, pool, stream, io_timeout=settings.io_timeout)
    stream.driver = driver(
        endpoint=settings.endpoint, handlers=handlers, make_transport=make_transport
    )
    return stream


def _watch(settings: Settings) -> checks.Watch:
    source = settings.source or settings.wire
    return checks.Watch(
        source.sample_rate,
        finalizes=settings.endpoint.finalize is not None,
        by_itself=bool(settings.endpointers),
    )


def _lacks_language(settings: Settings) -> bool:
    """Whether the model has to be told the language, and is not."""
    takes_one = "language" in settings.endpoint.optional
    told = "language" in settings.query
    whisper = str(settings.query["model"]).startswith("ink-whisper")
    return takes_one and whisper and not told


def _recorded(
    make_transport: Callable[[], Transport],
    recorder: Recorder,
    stream: Stream,
    handlers: Handlers,
) -> Callable[[], Transport]:
    """Let a recorder see all that the stream does."""

    def stopped(reason: str) -> None:
        finding = checks.recording_stopped(reason)
        stream.change(lambda core: core.findings.note(finding))

    recorder.broken = stopped
    recorder.listen(handlers)
    stream.journal = recorder.note
    return lambda: RecordingTransport(make_transport(), recorder)
