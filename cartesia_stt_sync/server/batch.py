"""One Batch request: reads the form, has the recording heard, words the answer.

Does what `form` and `decoder` decide. The form is taken in as it comes, the file into
a temporary one; it is decoded and heard a block at a time, off the loop. Everything
here but that runs on the server's event loop.
"""

from __future__ import annotations

import asyncio
import json
import logging
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Executor
from typing import IO, TYPE_CHECKING, TypeVar

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from ..audio import AudioFormat
from ..endpoints import BATCH
from ..events import Transcript
from ..wire import dump
from .acts import Answer, Fate, Takeover, answer_of
from .choice import warn_of_language
from .decoder import Recording, open_recording
from .engine import Engine, Listener, Piece, ScriptedEngine
from .faults import Fault
from .form import Order, check_field, check_fields
from .handshake import Refusal
from .openings import dropped, has_left, plain

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["answer"]

_log = logging.getLogger("cartesia_stt_sync.server")

_MOST_FIELD = 1 << 12
"""Bytes that a field may have which is no file."""

T = TypeVar("T")


async def answer(
    request: web.Request,
    engine: Engine,
    executor: Executor,
    *,
    fault: Fault | None,
    raw: AudioFormat | None,
    most: int | None,
    request_id: str,
    take_over: Callable[[web.Request, Takeover], Awaitable[web.Response]],
) -> web.Response:
    """Answer a request whose headers and address are good.

    Args:
        request: The request.
        engine: What hears.
        executor: Where it works.
        fault: What goes wrong, if anything does; not one of the handshake.
        raw: What the samples of a file without a header are.
        most: Bytes that the file may have; ``None``: any number.
        request_id: What stands in the answer.
        take_over: Carries out what a fault does to the connection.

    Raises:
        Refusal: The form or the file is not right, or the engine has failed.
    """
    spoilt = None if fault is None else answer_of(fault, request_id)
    if fault is not None:
        _log.info("request %s: %r", request_id, fault)
    if isinstance(spoilt, Takeover) and spoilt.fate is Fate.DEAF:
        return await take_over(request, spoilt)
    with tempfile.TemporaryFile() as file:
        try:
            order = await _read_form(request, file, most)
        except ConnectionError:
            return dropped(request)
        hearing = _Hearing(engine, executor, file, raw)
        pieces, seconds = await hearing.run(lambda: has_left(request))
    if isinstance(spoilt, Takeover):
        return await take_over(request, spoilt)
    if isinstance(spoilt, Answer):
        return plain(spoilt)
    await asyncio.sleep(spoilt or 0)
    warn_of_language(engine, order.language)
    language = engine.language or order.language or "en"
    text = _to_json(pieces, seconds, order, language=language, request_id=request_id)
    return web.Response(text=text, content_type="application/json")


async def _read_form(request: web.Request, file: IO[bytes], most: int | None) -> Order:
    """Read the form, and the file in it into ``file``.

    Args:
        request: What asks.
        file: Where to put the recording.
        most: Bytes that it may have; ``None``: any number.

    Raises:
        Refusal: It is no form, or not a right one.
        ConnectionError: The client has left.
    """
    if request.content_type != "multipart/form-data":
        raise Refusal(
            415,
            "No form",
            f"a form (multipart/form-data), got {request.content_type[:40]!r}",
        )
    try:
        return await _read(request, file, most)
    except (ValueError, web.HTTPException, HttpProcessingError) as exc:
        raise Refusal(400, "Broken form", f"the form cannot be read: {exc}") from None


async def _read(request: web.Request, file: IO[bytes], most: int | None) -> Order:
    reader = await request.multipart()
    fields: list[tuple[str, str]] = []
    found = False
    while (part := await reader.next()) is not None:
        if not isinstance(part, BodyPartReader):
            raise Refusal(400, "Broken form", "a form within the form")
        name = check_field(part.name)
        if name != BATCH.file:
            fields.append((name, await _text(part)))
        elif found:
            raise Refusal(400, "Repeated field", "file: one recording a request")
        else:
            found = True
            await _save(part, file, most)
    if not found:
        raise Refusal(400, "Missing field", "file: needed, but not given")
    return check_fields(fields)


async def _text(part: BodyPartReader) -> str:
    data = b""
    while chunk := await part.read_chunk():
        data += chunk
        if len(data) > _MOST_FIELD:
            raise Refusal(400, "Field too long", f"{part.name}: {_MOST_FIELD} bytes")
    return data.decode()


async def _save(part: BodyPartReader, file: IO[bytes], most: int | None) -> None:
    size = 0
    while chunk := await part.read_chunk(1 << 16):
        size += len(chunk)
        if most is not None and size > most:
            raise Refusal(
                413, "File too large", f"file: at most {most:,} bytes on this server"
            )
        file.write(chunk)


class _Hearing:
    """Have one recording heard, a block at a time.

    Args:
        engine: What hears.
        executor: Where it works.
        file: The recording.
        raw: What its samples are, where it has no header.
    """

    def __init__(
        self,
        engine: Engine,
        executor: Executor,
        file: IO[bytes],
        raw: AudioFormat | None,
    ) -> None:
        self._engine = engine
        self._executor = executor
        self._file = file
        self._raw = raw
        self._listener: Listener | None = None
        self._pieces: list[Piece] = []

    async def run(self, gone: Callable[[], bool]) -> tuple[list[Piece], float]:
        """Hear it.

        Args:
            gone: Whether nobody waits for the answer any more.

        Returns:
            The final pieces, and the seconds of audio.

        Raises:
            Refusal: It cannot be decoded, or the engine has failed.
        """
        if isinstance(self._engine, ScriptedEngine):
            return await self._scripted(self._engine)
        try:
            found = await self._in_thread(self._open)
            blocks = iter(found.blocks)
            while not gone() and await self._in_thread(lambda: self._hear(blocks)):
                pass
        except Refusal:
            raise
        except Exception:
            _log.exception("the %s engine has failed", self._engine.name)
            raise Refusal(
                500, "Internal server error", "the recogniser failed"
            ) from None
        finally:
            await self._in_thread(self._close)
        return [piece for piece in self._pieces if piece.is_final], found.duration

    async def _scripted(self, engine: ScriptedEngine) -> tuple[list[Piece], float]:
        """The script, all of it: what there is to hear makes no difference to it."""
        pieces = engine.whole()
        try:
            seconds = open_recording(self._file, self._raw).duration
        except Refusal:
            seconds = pieces[-1].end if pieces else 0.0
        return pieces, seconds

    def _open(self) -> Recording:
        recording = open_recording(self._file, self._raw)
        self._listener = self._engine.open(recording.sample_rate)
        return recording

    def _hear(self, blocks: Iterator[NDArray[np.float32]]) -> bool:
        """Hear the next block; whether there was one."""
        assert self._listener is not None
        block = next(blocks, None)
        if block is None:
            self._pieces += self._listener.finalize()
        else:
            self._pieces += self._listener.feed(block)
        return block is not None

    def _close(self) -> None:
        if self._listener is not None:
            self._listener.close()

    async def _in_thread(self, call: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        busy = loop.run_in_executor(self._executor, call)
        try:
            return await asyncio.shield(busy)
        finally:
            # Also where nobody waits any more: its calls never overlap.
            await asyncio.wait({busy})


def _to_json(
    pieces: list[Piece], seconds: float, order: Order, *, language: str, request_id: str
) -> str:
    """Word the answer.

    Args:
        pieces: What was heard.
        seconds: The audio's length.
        order: What was asked for.
        language: The language that the text is said to be in.
        request_id: The request's.
    """
    whole = Transcript(
        text="".join(piece.text for piece in pieces),
        is_final=True,
        duration=round(seconds, 3),
        language=language,
        words=tuple(word for piece in pieces for word in piece.words)
        if order.words
        else None,
        request_id=request_id,
    )
    fields = json.loads(dump(whole))
    del fields["is_final"]  # which the service does not say of a whole
    return json.dumps(fields)
