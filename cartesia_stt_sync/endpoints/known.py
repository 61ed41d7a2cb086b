"""The endpoints themselves: where each is, what it takes, how one speaks to it.

Decides nothing: values, which the client and the local server both read, so that the
two cannot drift apart. An endpoint is no class that a caller derives from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import attrs

__all__ = ["BATCH", "MANUAL", "TURNS", "Endpoint", "Form"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Endpoint:
    """One of the service's websocket endpoints.

    Attributes:
        path: Where it is, below the base URL.
        required: Query parameters without which the handshake is refused.
        optional: Query parameters that it knows besides.
        finalize: The text message that ends an utterance, or ``None`` where the
            endpoint finds the ends by itself.
        close: The text message that asks for the rest and the end.
        answers_close: Whether the end shows as a ``done`` event before the
            server's close frame; else the frame alone is the end.
        configurable: What a ``config`` message may change in mid-session.
    """

    path: str
    required: tuple[str, ...]
    optional: tuple[str, ...]
    finalize: str | None
    close: str
    answers_close: bool
    configurable: tuple[str, ...]

    def config(self, changes: Mapping[str, object]) -> str:
        """The text message that changes the session from here on.

        Args:
            changes: What is to change; a list replaces, what is absent stays.
        """
        return json.dumps({"type": "config", **changes})


MANUAL = Endpoint(
    path="/stt/websocket",
    required=("model", "encoding", "sample_rate"),
    optional=(
        "language",
        "keyterm",
        "language_hint",
        "min_volume",
        "max_silence_duration_secs",
    ),
    # Both commands are bare words, not JSON. "done" is an old name of "close".
    finalize="finalize",
    close="close",
    answers_close=True,
    configurable=("keyterms", "language_hints"),
)


TURNS = Endpoint(
    path="/stt/turns/websocket",
    required=("model", "encoding", "sample_rate"),
    optional=(
        "keyterm",
        "language_hint",
        "turn_start_threshold",
        "turn_eager_end_threshold",
        "turn_end_threshold",
        "turn_end_timeout_ms",
    ),
    finalize=None,
    # Here it is JSON, as all commands of this endpoint.
    close=json.dumps({"type": "close"}),
    answers_close=False,
    configurable=("turn", "keyterms", "language_hints"),
)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Form:
    """The endpoint that takes a whole recording in one request, as a form.

    Attributes:
        path: Where it is, below the base URL.
        query: Parameters of the address, for samples without a header: all or none.
        required: Fields of the form without which it is refused.
        optional: Fields that it knows besides.
        file: The field that holds the recording.
        granularities: The field that asks for times.
        models: What the names of the models that it takes begin with.
        suffixes: What the names of the files that it takes end with.
    """

    path: str
    query: tuple[str, ...]
    required: tuple[str, ...]
    optional: tuple[str, ...]
    file: str
    granularities: str
    models: str
    suffixes: tuple[str, ...]


BATCH = Form(
    path="/stt",
    query=("encoding", "sample_rate"),
    required=("model", "file"),
    optional=("language", "timestamp_granularities[]"),
    file="file",
    granularities="timestamp_granularities[]",
    models="ink-whisper",
    suffixes=tuple("flac m4a mp3 mp4 mpeg mpga oga ogg wav webm".split()),
)
