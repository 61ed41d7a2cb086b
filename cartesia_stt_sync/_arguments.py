"""What the constructors of all transcribers have in common.

Decides the defaults, and which part gets which argument. Does no I/O.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping, Sequence
from typing import TypedDict

from . import endpoints
from ._backoff import Reconnect
from ._ears import Endpointer
from ._pacing import Pacing
from ._pool import Pool
from ._settings import Settings, as_endpointers
from .audio import AudioFormat, check_rate, encoding_of

__all__ = ["Common", "settings_of"]


class Common(TypedDict, total=False):
    """The arguments; `Transcriber` explains them."""

    # account, but for the credential
    base_url: str | None
    version: str
    # audio in
    source: AudioFormat | None
    # pacing
    chunk: float | None
    catch_up: float | None
    max_buffer: float | None
    silence_after: float | None
    silence_limit: float | None
    keep_alive: float | None
    # timeouts
    open_timeout: float | None
    close_timeout: float | None
    io_timeout: float | None
    # connection
    reconnect: Reconnect | None
    proxy: str | None
    ssl_context: ssl.SSLContext | None
    max_message: int
    pool: Pool | None
    # cost and diagnosis
    budget: float | None
    checks: bool
    record: str | os.PathLike[str] | None


def settings_of(
    endpoint: endpoints.Endpoint,
    query: Mapping[str, object],
    credential: endpoints.Secret,
    *,
    encoding: str,
    sample_rate: int,
    base_url: str | None = None,
    version: str = endpoints.VERSION,
    source: AudioFormat | None = None,
    channels: str = "mix",
    chunk: float | None = 0.1,
    catch_up: float | None = 0.5,
    max_buffer: float | None = 10.0,
    silence_after: float | None = 0.3,
    silence_limit: float | None = 10.0,
    keep_alive: float | None = 60.0,
    open_timeout: float | None = 10.0,
    close_timeout: float | None = 10.0,
    io_timeout: float | None = 20.0,
    reconnect: Reconnect | None = Reconnect(),  # frozen
    proxy: str | None = "env",
    ssl_context: ssl.SSLContext | None = None,
    max_message: int = 1 << 20,
    pool: Pool | None = None,
    budget: float | None = None,
    checks: bool = True,
    record: str | os.PathLike[str] | None = None,
    endpointer: Endpointer | Sequence[Endpointer] | None = None,
) -> Settings:
    """Put the settings together.

    Args:
        endpoint: Whom to talk to.
        query: What stands in the address.
        credential: As whom.
        encoding: What goes over the wire.
        sample_rate: In Hz.
        base_url: And all the rest: see `Transcriber`.

    Raises:
        ConfigError: A value breaks its rule.
    """
    return Settings(
        account=endpoints.Account(
            base_url=endpoints.find_base_url(base_url),
            credential=credential,
            version=endpoints.check_version(version),
        ),
        endpoint=endpoint,
        query=query,
        wire=AudioFormat(
            encoding_of(encoding).name, check_rate("sample_rate", sample_rate)
        ),
        source=source,
        channels=channels,
        pacing=Pacing(
            chunk=chunk,
            catch_up=catch_up,
            silence_after=silence_after,
            silence_limit=silence_limit,
            keep_alive=keep_alive,
        ),
        max_buffer=max_buffer,
        open_timeout=open_timeout,
        close_timeout=close_timeout,
        io_timeout=io_timeout,
        reconnect=reconnect,
        proxy=proxy,
        ssl_context=ssl_context,
        max_message=max_message,
        pool=pool,
        budget=budget,
        checks=checks,
        record=record,
        endpointers=as_endpointers(endpointer),
    )
