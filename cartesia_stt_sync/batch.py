"""The public face of the Batch endpoint: a recording in, its text out.

Decides what the arguments are called and default to, when a request is made again,
and what an answer means. `_upload` decides what can be sent, `_post` sends it.
"""

from __future__ import annotations

import logging
import random
import ssl
import time
from collections.abc import Callable, Mapping, Sequence

import attrs

from . import _validate as check
from . import endpoints
from ._backoff import Attempts, Reconnect
from ._dial import Dialer
from ._http_socket import Limits
from ._post import Answer, post
from ._proxy import check_proxy
from ._refusal import refused_request
from ._tls import check_ssl_context
from ._upload import RecordingFile, Upload, open_recording
from .audio import check_rate, encoding_of
from .errors import (
    CartesiaSTTError,
    ConfigError,
    ConnectError,
    ProtocolError,
    ServerError,
)
from .events import ErrorEvent, Malformed, Transcript
from .wire import parse

__all__ = ["transcribe_file"]

_log = logging.getLogger("cartesia_stt_sync")

_MOST_REASON = 1 << 16
"""Bytes of a refusal that are looked at."""


def transcribe_file(
    path: RecordingFile,
    *,
    # endpoint
    words: bool = False,
    model: str = "ink-whisper",
    language: str | None = "en",
    encoding: str | None = None,
    sample_rate: int | None = None,
    extra_fields: Mapping[str, object] = {},  # never changed
    # account
    api_key: str | None = None,
    access_token: str | None = None,
    base_url: str | None = None,
    version: str = endpoints.VERSION,
    # timeouts
    open_timeout: float | None = 10.0,
    io_timeout: float | None = 20.0,
    answer_timeout: float | None = 600.0,
    # connection
    retry: Reconnect | None = Reconnect(attempts=3, first_delay=1.0),  # frozen
    proxy: str | None = "env",
    ssl_context: ssl.SSLContext | None = None,
    max_answer: int = 1 << 26,
    # callback
    progress: Callable[[int, int], object] | None = None,
) -> Transcript:
    """Have a whole recording transcribed, faster than in real time.

    ::

        print(transcribe_file("call.mp3").text)

    The file is read as it is sent, so it may be larger than the memory. It is sent
    as it is: the service takes flac, m4a, mp3, mp4, mpeg, mpga, oga, ogg, wav, webm.

    When it is sent again: if the service has answered with 429 (too much at once) or
    5xx (it failed), for those say that there is no transcript; the delays are those of
    ``retry``, or longer if the service asks for it. Never by itself after a connection
    was lost: the service may have all of the file by then, and what it transcribes it
    bills, whether anybody reads it or not. The error says how far things were. Where
    there was no connection in the first place (`ConnectError` without a
    ``status_code``) nothing was sent, and calling once more costs nothing.

    Args:
        path: A path, or an open binary file, which is sent from where it stands and
            left open. A pipe is first copied into a temporary file: so its size is
            known, and it can be sent again.

    Endpoint:
        words: Whether to ask for the words' times (``False``).
        model: ``"ink-whisper"``, or a dated name of it.
        language: ISO 639-1 code (default ``"en"``); ``None`` is not sent.
        encoding, sample_rate: What the samples of a file without a header are, as for
            `Transcriber`; one channel. For such a file only (``None``).
        extra_fields: Further fields, for what this version does not know.

    Account:
        api_key, access_token, base_url, version: As for `Transcriber`; the same
            ``wss://`` or ``https://`` URL will do.

    Timeouts, in seconds; ``None`` is no limit:
        open_timeout: For connecting (10).
        io_timeout: For 64 KiB of the file to be taken (20).
        answer_timeout: From the file's end to that of the answer (600).

    Connection:
        retry: A `Reconnect`, of which ``max_replay`` has no use here (3 attempts, from
            1 s on); ``None``: one request only.
        proxy, ssl_context: As for `Transcriber`.
        max_answer: Bytes above which an answer is refused (64 MiB).

    Callback:
        progress: Called with the file's bytes sent so far, and its size. Starts anew
            when the file is sent again. What it raises ends the call.

    Returns:
        The transcript, with ``words`` if they were asked for and came.

    Raises:
        ConfigError: An argument breaks a rule, or the file cannot be what it should.
        ConnectError: There was no connection; or, as `AuthenticationError`,
            `QuotaError` and `RateLimitError`, the service refused.
        ServerError: The service refused the request, or failed.
        ConnectionLost: The connection ended too early.
        DrainTimeout: The answer did not come in time.
        ProtocolError: The answer is none, or too large.
        OSError: The file cannot be opened or read.

    Threads: any, as many at once as the plan allows. Blocks; Ctrl-C ends it at once.
    """
    try:
        secret = endpoints.find_credential(api_key, access_token)
    finally:
        # So that no error's traceback has a key among this frame's locals.
        api_key = access_token = None
    request = _Request(
        account=endpoints.Account(
            base_url=endpoints.find_base_url(base_url),
            credential=secret,
            version=endpoints.check_version(version),
        ),
        query=_query(encoding, sample_rate),
        fields=endpoints.batch_fields(
            model=model, language=language, words=words, extra_fields=extra_fields
        ),
        open_timeout=open_timeout,
        io_timeout=io_timeout,
        answer_timeout=answer_timeout,
        proxy=proxy,
        ssl_context=ssl_context,
        max_answer=max_answer,
        progress=progress,
    )
    if retry is not None and not isinstance(retry, Reconnect):
        raise ConfigError(f"retry: Reconnect(...) or None, got {retry!r}")
    with open_recording(path, raw=encoding is not None) as upload:
        attempts = Attempts(retry, random.random)
        return _insist(lambda: request.make(upload), attempts, time.sleep)


def _query(encoding: str | None, sample_rate: int | None) -> dict[str, object]:
    if encoding is None and sample_rate is None:
        return {}
    if encoding is None or sample_rate is None:
        raise ConfigError(
            "encoding, sample_rate: both, for samples without a header, or none; got "
            f"{encoding!r} and {sample_rate!r}"
        )
    return {
        "encoding": encoding_of(encoding).name,
        "sample_rate": check_rate("sample_rate", sample_rate),
    }


def _insist(
    make: Callable[[], Transcript],
    attempts: Attempts,
    sleep: Callable[[float], None],
) -> Transcript:
    """Make a request, and again as long as the service asks for patience."""
    while True:
        try:
            return make()
        except (ConnectError, ServerError) as exc:
            error = exc
        plan = attempts.next_for(error)
        if plan is None:
            raise error
        _log.info("%s; try %d in %.1f s", error, plan[0], plan[1])
        sleep(plan[1])


@attrs.frozen(kw_only=True)
class _Request:
    """A request, checked, that can be made for a file as often as need be."""

    account: endpoints.Account
    query: Mapping[str, object]
    fields: Sequence[tuple[str, str]]
    open_timeout: float | None = attrs.field(
        validator=check.field(check.seconds, none=True, positive=True)
    )
    io_timeout: float | None = attrs.field(
        validator=check.field(check.seconds, none=True, positive=True)
    )
    answer_timeout: float | None = attrs.field(
        validator=check.field(check.seconds, none=True, positive=True)
    )
    proxy: str | None = attrs.field(repr=False)  # it may hold a password
    ssl_context: ssl.SSLContext | None
    max_answer: int = attrs.field(validator=check.field(check.count, least=1))
    progress: Callable[[int, int], object] | None

    def __attrs_post_init__(self) -> None:
        check_proxy(self.proxy)
        check_ssl_context(self.ssl_context, self.account.base_url)
        if self.progress is not None and not callable(self.progress):
            raise ConfigError(f"progress: a function or None, got {self.progress!r}")

    def make(self, upload: Upload) -> Transcript:
        """Send it once, and read what comes of it."""
        url = self.account.url(endpoints.BATCH, self.query)
        dialer = Dialer(
            url=url,
            headers=self.account.headers,
            secret=self.account.credential.reveal,
            timeout=self.open_timeout,
            proxy=self.proxy,
            ssl_context=self.ssl_context,
        )
        limits = Limits(
            io_timeout=self.io_timeout,
            answer_timeout=self.answer_timeout,
            max_answer=self.max_answer,
        )
        # No local of this frame is the answer: one that is no transcript may repeat
        # the key, and the frame is in the error's traceback.
        outcome = self._outcome_of(
            post(
                url,
                upload,
                upload.form(self.fields),
                dialer=dialer,
                headers=self.account.headers,
                limits=limits,
                progress=self.progress,
            )
        )
        if isinstance(outcome, Transcript):
            return outcome
        raise outcome

    def _outcome_of(self, answer: Answer) -> Transcript | CartesiaSTTError:
        if 200 <= answer.status < 300:
            return self._read(answer)
        if 300 <= answer.status < 400:
            return ConnectError(
                f"the service answered with a redirect ({answer.status}), which is "
                "never followed: the key would go along; check base_url",
                status_code=answer.status,
            )
        body = answer.body[:_MOST_REASON].decode("utf-8", "replace")
        return refused_request(answer.status, answer.headers, body, self._clean)

    def _read(self, answer: Answer) -> Transcript | CartesiaSTTError:
        event = parse(answer.body, is_final=True)
        request_id = event.request_id or answer.headers.get("x-request-id")
        if isinstance(event, Transcript):
            # As it came: a key may be a word that was said, on a server of one's own.
            return attrs.evolve(event, request_id=request_id)
        request_id = request_id and self._clean(request_id)
        if isinstance(event, ErrorEvent):
            # It may have the credential in its title or its link, too.
            title, code, url = event.title, event.error_code, event.doc_url
            return ServerError(
                self._clean(event.message),
                status_code=event.status_code,
                title=title and self._clean(title),
                error_code=code and self._clean(code),
                request_id=request_id,
                doc_url=url and self._clean(url),
            )
        what = f"the type {self._clean(event.type)[:40]!r}"
        if isinstance(event, Malformed):
            what = event.reason
        return ProtocolError(
            f"the service's answer ({answer.status}): a transcript, got "
            f"{self._clean(what)}; check base_url",
            status_code=answer.status,
            request_id=request_id,
        )

    def _clean(self, text: str) -> str:
        """Take the credential out of a text that came from outside."""
        return self.account.credential.taken_out_of(text)
