"""Speech to text with Cartesia, for code that blocks.

::

    from cartesia_stt_sync import Transcriber

    with Transcriber(sample_rate=16000) as t:
        t.feed(pcm)
        print(t.finalize().result(timeout=5))

The local server to try it on is in `cartesia_stt_sync.server`.
"""

from typing import TYPE_CHECKING, Any

from ._backoff import Reconnect
from ._ears import Endpointer
from ._pool import Pool
from ._stats import Latency, Stages, Stats
from ._version import __version__
from .audio import AudioFormat
from .checks import Declaration, Finding, Listener, diagnose
from .errors import (
    AuthenticationError,
    BufferFull,
    CartesiaSTTError,
    ClosedError,
    ConfigError,
    ConnectError,
    ConnectionLost,
    DrainTimeout,
    ProtocolError,
    QuotaError,
    RateLimitError,
    ServerError,
    WouldDeadlock,
)
from .events import (
    Closed,
    Connected,
    Done,
    ErrorEvent,
    Event,
    FlushDone,
    Language,
    Malformed,
    Reconnecting,
    Transcript,
    TurnEagerEnd,
    TurnEnd,
    TurnEvent,
    TurnResume,
    TurnStart,
    TurnUpdate,
    Unknown,
    Word,
)
from .transcriber import Transcriber
from .turn_transcriber import TurnTranscriber
from .turns import Turn
from .wav import WavReader

if TYPE_CHECKING:
    from .batch import transcribe_file
    from .captions import (
        Caption,
        to_captions,
        to_dict,
        to_paragraphs,
        to_srt,
        to_webvtt,
    )
    from .endpointing import EnergyEndpointer, SileroEndpointer

__all__ = [
    "AudioFormat",
    "AuthenticationError",
    "BufferFull",
    "Caption",
    "CartesiaSTTError",
    "Closed",
    "ClosedError",
    "ConfigError",
    "ConnectError",
    "Connected",
    "ConnectionLost",
    "Declaration",
    "Done",
    "DrainTimeout",
    "Endpointer",
    "EnergyEndpointer",
    "ErrorEvent",
    "Event",
    "Finding",
    "FlushDone",
    "Language",
    "Latency",
    "Listener",
    "Malformed",
    "Pool",
    "ProtocolError",
    "QuotaError",
    "RateLimitError",
    "Reconnect",
    "Reconnecting",
    "ServerError",
    "SileroEndpointer",
    "Stages",
    "Stats",
    "Transcriber",
    "Transcript",
    "Turn",
    "TurnEagerEnd",
    "TurnEnd",
    "TurnEvent",
    "TurnResume",
    "TurnStart",
    "TurnTranscriber",
    "TurnUpdate",
    "Unknown",
    "WavReader",
    "Word",
    "WouldDeadlock",
    "__version__",
    "diagnose",
    "to_captions",
    "to_dict",
    "to_paragraphs",
    "to_srt",
    "to_webvtt",
    "transcribe_file",
]

# What a live session does without is imported when it is first asked for.
_LATER = {
    "Caption": "captions",
    "EnergyEndpointer": "endpointing",
    "SileroEndpointer": "endpointing",
    "to_captions": "captions",
    "to_dict": "captions",
    "to_paragraphs": "captions",
    "to_srt": "captions",
    "to_webvtt": "captions",
    "transcribe_file": "batch",
}


if not TYPE_CHECKING:  # who checks types would take every name for a known one

    def __getattr__(name: str) -> Any:
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
