"""Speech to text with Cartesia, for code that blocks.

::

    from cartesia_stt_sync import Transcriber

    with Transcriber(sample_rate=16000) as t:
        t.feed(pcm)
        print(t.finalize().result(timeout=5))

The local server to try it on is in `cartesia_stt_sync.server`.
"""

from ._backoff import Reconnect
from ._stats import Latency, Stages, Stats
from ._version import __version__
from .audio import AudioFormat
from .checks import Finding
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
    Done,
    ErrorEvent,
    Event,
    FlushDone,
    Malformed,
    Reconnecting,
    Transcript,
    Unknown,
    Word,
)
from .transcriber import Transcriber
from .wav import WavReader

__all__ = [
    "AudioFormat",
    "AuthenticationError",
    "BufferFull",
    "CartesiaSTTError",
    "Closed",
    "ClosedError",
    "ConfigError",
    "ConnectError",
    "ConnectionLost",
    "Done",
    "DrainTimeout",
    "ErrorEvent",
    "Event",
    "Finding",
    "FlushDone",
    "Latency",
    "Malformed",
    "ProtocolError",
    "QuotaError",
    "RateLimitError",
    "Reconnect",
    "Reconnecting",
    "ServerError",
    "Stages",
    "Stats",
    "Transcriber",
    "Transcript",
    "Unknown",
    "WavReader",
    "Word",
    "WouldDeadlock",
    "__version__",
]
