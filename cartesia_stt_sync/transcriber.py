"""The public face of the Manual endpoint: transcript deltas, and `finalize`.

Decides what its arguments are called and default to; `_settings` checks them,
the stream does the rest.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future

from . import endpoints
from ._arguments import settings_of
from ._backoff import Reconnect
from ._channels import Merger
from ._ears import Endpointer
from ._face import Face
from ._news import MANUAL_TYPES
from ._pool import Pool
from ._snapshots import copies_of, lanes_of, partial_of, transcript_of
from ._waiting import iterate_all
from .audio import AudioFormat
from .events import Event, Transcript

__all__ = ["Transcriber"]


class Transcriber(Face):
    """Speech in, text out, over Cartesia's Manual endpoint, for code that blocks.

    ::

        with Transcriber(sample_rate=16000) as t:
            t.feed(pcm)
            print(t.finalize().result(timeout=5))

    The constructor checks its arguments and does no I/O. One transcriber serves
    one session.

    Endpoint:
        model: ``"ink-2"``, or any other the service knows.
        language: ISO 639-1 code (default ``"en"``); ``None`` is not sent.
        encoding: What goes over the wire: ``pcm_s16le`` (default), ``pcm_s32le``,
            ``pcm_f16le``, ``pcm_f32le``, ``pcm_mulaw`` or ``pcm_alaw``. The
            service does not notice a wrong one.
        sample_rate: In Hz (16000), of what goes over the wire.
        keyterms: Words to listen for: at most 100, with 1,200 characters.
        language_hints: Base codes, for ``ink-preview``; at most 6.
        min_volume, max_silence_duration_secs: For ``ink-whisper`` models only.
        extra_query: Further query parameters, for what this version does not know.

    Account:
        api_key: Else ``CARTESIA_API_KEY`` from the environment.
        access_token: In place of a key.
        base_url: Else ``CARTESIA_BASE_URL``, else ``wss://api.cartesia.ai``.
            Unencrypted only to this machine.
        version: The service's version, a date (``"2026-03-01"``).

    Audio in:
        source: An `AudioFormat` of what is fed, where it differs from the wire:
            it is mixed down, resampled (extra ``[audio]``) and re-encoded.
        channels: ``"mix"`` (default), or ``"split"`` for a source of two channels or
            more, say the two ends of a telephone call: each channel has a session of
            its own, which counts and is billed as one, and their texts are put in
            order of time. Each delta says whose it is (``channel``, from 0), `text`
            has a line for each change of the channel, and `finalize` ends the
            utterances of all.
        endpointer: Who hears where an utterance is over, so that nobody needs to
            call `finalize`: an `EnergyEndpointer`, a `SileroEndpointer` or any
            `Endpointer`; ``None`` (default): nobody. One serves one transcriber, and
            one channel: for ``"split"`` a sequence, one for each.

    Pacing, in seconds; ``None`` switches one off:
        chunk: Length of a message (0.1); ``None``: each as it was fed.
        catch_up: At most so much goes at once after a stall (0.5).
        max_buffer: At most so much waits before `feed` blocks (10). Where it holds less
            than two chunks, they are shorter.
        silence_after: A gap in the audio of this length is filled with silence
            while the service has speech to answer (0.3).
        silence_limit: At most so much silence a gap: it is billed (10).
        keep_alive: An idle session sends one chunk of silence this often (60).

    Timeouts, in seconds; ``None`` is no limit:
        open_timeout: For connecting (10).
        close_timeout: From ``close`` on the wire to ``done`` (10).
        io_timeout: For sending one message (20).

    Connection:
        reconnect: A `Reconnect`, or ``None`` to give up at the first loss.
        proxy: ``"env"`` (``HTTPS_PROXY``, ``NO_PROXY``), a URL, or ``None``.
        ssl_context: In place of the shared default one, say for a private
            authority.
        max_message: Bytes above which an incoming message is refused (1 MiB).
        pool: A `Pool` whose threads it shares with others; ``None``: two of its own.

    Cost and diagnosis:
        budget: Seconds of audio that may be sent at all, silence and what a reconnect
            sends again included, for all of it is billed. When they are spent, the
            session ends as by `close`: what was sent is transcribed.
        checks: Whether to listen for mistakes in the audio and in its use (``True``);
            see `findings`.
        record: A folder for a recording of the session: a WAV of the exact bytes
            sent, and a line of JSON for all that went out and came in. Never a
            key; but what was said, so mind who may read it.

    Callbacks; each gets one argument and runs on the receiver's thread, one at a
    time, in order; see `on`:
        on_final: Each final `Transcript`.
        on_partial: Each provisional one.
        on_event: Every event.
        on_error: The session's error, and whatever a callback raises; not what
            `open` raises.

    Raises:
        ConfigError: An argument breaks a rule; the message names it, the rule and
            what came.

    Threads: any may call any method; each says what is special about it.
    """

    _types = MANUAL_TYPES

    def __init__(
        self,
        *,
        # endpoint
        model: str = "ink-2",
        language: str | None = "en",
        encoding: str = "pcm_s16le",
        sample_rate: int = 16000,
        keyterms: Sequence[str] = (),
        language_hints: Sequence[str] = (),
        min_volume: float | None = None,
        max_silence_duration_secs: float | None = None,
        extra_query: Mapping[str, object] = {},  # never changed
        # account
        api_key: str | None = None,
        access_token: str | None = None,
        base_url: str | None = None,
        version: str = endpoints.VERSION,
        # audio in
        source: AudioFormat | None = None,
        channels: str = "mix",
        endpointer: Endpointer | Sequence[Endpointer] | None = None,
        # pacing
        chunk: float | None = 0.1,
        catch_up: float | None = 0.5,
        max_buffer: float | None = 10.0,
        silence_after: float | None = 0.3,
        silence_limit: float | None = 10.0,
        keep_alive: float | None = 60.0,
        # timeouts
        open_timeout: float | None = 10.0,
        close_timeout: float | None = 10.0,
        io_timeout: float | None = 20.0,
        # connection
        reconnect: Reconnect | None = Reconnect(),  # frozen
        proxy: str | None = "env",
        ssl_context: ssl.SSLContext | None = None,
        max_message: int = 1 << 20,
        pool: Pool | None = None,
        # cost and diagnosis
        budget: float | None = None,
        checks: bool = True,
        record: str | os.PathLike[str] | None = None,
        # callbacks
        on_final: Callable[[Transcript], object] | None = None,
        on_partial: Callable[[Transcript], object] | None = None,
        on_event: Callable[[Event], object] | None = None,
        on_error: Callable[[Exception], object] | None = None,
    ) -> None:
        try:
            secret = endpoints.find_credential(api_key, access_token)
        finally:
            # So that no error's traceback has a key among this frame's locals.
            api_key = access_token = None
        query = endpoints.manual_query(
            model=model,
            encoding=encoding,
            sample_rate=sample_rate,
            language=language,
            keyterms=keyterms,
            language_hints=language_hints,
            min_volume=min_volume,
            max_silence_duration_secs=max_silence_duration_secs,
            extra_query=extra_query,
        )
        settings = settings_of(
            endpoints.MANUAL,
            query,
            secret,
            encoding=encoding,
            sample_rate=sample_rate,
            base_url=base_url,
            version=version,
            source=source,
            channels=channels,
            chunk=chunk,
            catch_up=catch_up,
            max_buffer=max_buffer,
            silence_after=silence_after,
            silence_limit=silence_limit,
            keep_alive=keep_alive,
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
            endpointer=endpointer,
        )
        super().__init__(
            settings, final=on_final, partial=on_partial, event=on_event, error=on_error
        )

    def finalize(self) -> Future[str]:
        """End the utterance: ask for its text now.

        Queued behind the audio fed before it, and sent the moment that is out.
        Call it when the speaker has finished; in mid-speech it damages the text.

        Returns:
            A future of the text of all finals since the last ``flush_done``. A
            final that comes a little later is in `text`, `finals` and the next
            utterance. Wait for it with a limit: whether an empty utterance is
            answered is not documented.

        Raises:
            ClosedError: After `close` or `abort`.
            CartesiaSTTError: What the session ended with.

        Threads: any. Waiting for the future in a callback of this transcriber
        raises `WouldDeadlock`; `concurrent.futures.wait` there waits in vain, until
        its own timeout. Its own ``add_done_callback`` runs on the receiver's
        thread when the answer comes, and on whichever thread ended the session
        when it does not.
        """
        return self._stream.finalize()

    def config(
        self,
        *,
        keyterms: Sequence[str] | None = None,
        language_hints: Sequence[str] | None = None,
    ) -> None:
        """Change what the service listens for, from the audio fed next on.

        Args:
            keyterms: Words to listen for, in place of those before; ``[]`` for
                none, ``None`` (default) to leave them.
            language_hints: Likewise.

        Raises:
            ConfigError: They break a rule. What the service has against them is a
                finding and an ``error``; the session goes on.
            ClosedError: After `close` or `abort`.
            CartesiaSTTError: What the session ended with.

        Threads: any.
        """
        self._stream.config(
            endpoints.changes(keyterms=keyterms, language_hints=language_hints)
        )

    def finals(self) -> Iterator[Transcript]:
        """Iterate over the final deltas, from the session's first on.

        However late it is called and however many iterate, each sees all. Print
        ``delta.text`` with nothing in between: the blanks are in it.

        Raises:
            CartesiaSTTError: While iterating, after the last delta that came:
                what the session ended with.
            WouldDeadlock: Iterated in a callback, to which deltas come anyway.

        Threads: any; one iterator is for one thread.
        """
        stream = self._stream
        merge = Merger(len(stream.streams)).merge
        return iterate_all(stream, lanes_of(stream.streams), self, merge)

    @property
    def text(self) -> str:
        """All final text so far, byte for byte as the service sent it."""
        stream = self._stream
        with stream.lock:
            if len(stream.streams) == 1:  # which has it at hand
                return stream.streams[0].core.speech.assembler.text
            lanes = copies_of(stream.streams)
        return transcript_of(lanes).text

    @property
    def partial(self) -> str:
        """The provisional text behind `text`, which the next transcript replaces."""
        stream = self._stream
        with stream.lock:
            return partial_of(stream.streams)

    @property
    def transcript(self) -> Transcript:
        """Everything final so far as one `Transcript`, with all words."""
        stream = self._stream
        with stream.lock:
            lanes = copies_of(stream.streams)
        # Without it: that takes a while, and whoever sends and receives needs it.
        return transcript_of(lanes)
