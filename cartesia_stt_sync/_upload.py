"""What goes to the Batch endpoint: a recording, and the form around it.

Decides what can be sent at all, what it is called and how large it is. Gives it out
in blocks, so that no file is too large for the memory. Never touches the network.

A pipe is copied into a temporary file first, and not sent while it is read: so its
size stands in the request, which every server takes, and it can be sent again when
the service asks to try later. Nothing is lost by it, for the answer to a recording
does not begin before its end.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import IO, Any, TypeAlias, cast

import attrs

from .checks.container import container_of
from .endpoints import BATCH
from .errors import ConfigError

__all__ = ["Form", "RecordingFile", "Upload", "open_recording"]

RecordingFile: TypeAlias = "str | os.PathLike[str] | IO[bytes]"

_BLOCK = 1 << 16
"""Bytes that are read and sent at once."""

_HEAD = 1024
"""Bytes that are looked at to tell what a file is."""

_IN_MEMORY = 1 << 20
"""Bytes of a pipe that are kept in memory; more go to the disk."""

_RAW = frozenset(".pcm .raw .s16 .s16le .ulaw .mulaw .ul .alaw .al .sw".split())
"""How files are called that have no header."""

_SUFFIXES = {"FLAC": "flac", "MP3": "mp3", "MP4": "m4a", "Ogg": "ogg", "WAV": "wav"}
_SUFFIXES |= {"WebM": "webm", "AIFF": "aiff", "AU": "au"}


@attrs.frozen
class Form:
    """What stands before and behind the recording.

    Attributes:
        head: Boundary, fields, and the recording's own headers.
        tail: The last boundary.
        content_type: Of the whole.
    """

    head: bytes
    tail: bytes
    content_type: str


@attrs.frozen
class Upload:
    """A recording that is ready to be sent, as often as need be.

    Attributes:
        name: What it is called on the wire.
        size: Its bytes.
    """

    name: str
    size: int
    _file: Any
    _begin: int

    def form(self, fields: Sequence[tuple[str, str]]) -> Form:
        """Put a form around it, in which the recording comes last."""
        from urllib3.fields import guess_content_type
        from urllib3.filepost import encode_multipart_formdata

        # urllib3 knows how a quote or a line break in a name is written.
        file = (BATCH.file, (self.name, b"", guess_content_type(self.name)))
        whole, content_type = encode_multipart_formdata([*fields, file])
        boundary = content_type.partition("boundary=")[2]
        tail = f"\r\n--{boundary}--\r\n".encode()
        return Form(whole.removesuffix(tail), tail, content_type)

    def blocks(self) -> Iterator[bytes]:
        """Iterate over its bytes, from the first.

        Raises:
            OSError: It cannot be read, or has become shorter.
        """
        self._file.seek(self._begin)
        left = self.size
        while left:
            block = self._file.read(min(left, _BLOCK))
            if not block:
                raise OSError(
                    f"{self.name}: {self.size:,} bytes when it was opened, got "
                    f"{self.size - left:,}: it was cut while it was sent"
                )
            left -= len(block)
            yield block


@contextmanager
def open_recording(path: RecordingFile, *, raw: bool) -> Iterator[Upload]:
    """Open what shall be sent.

    Args:
        path: A path, or a binary file, which is sent from where it stands and left
            open.
        raw: Whether it was said what its samples are, since they have no header.

    Raises:
        ConfigError: It is clear that the service can do nothing with it.
        OSError: It cannot be opened or read.
    """
    with ExitStack() as stack:
        if isinstance(path, (str, os.PathLike)):
            file: Any = stack.enter_context(open(path, "rb"))
            name = os.path.basename(os.fsdecode(path))  # it may give bytes
        else:
            file = _checked(path)
            name = _name_of(file)
        if not (hasattr(file, "seekable") and file.seekable()):
            file = stack.enter_context(_copy(file))  # a path may be a pipe's, too
        begin = file.tell()
        size = file.seek(0, os.SEEK_END) - begin
        file.seek(begin)
        if begin and size <= 0:
            raise ConfigError(
                "path: a recording, got a file that stands at its end; call its seek(0)"
            )
        head = _read(file, _HEAD)
        kind = container_of(head)
        _check(name, size, kind, raw)
        yield Upload(_wire_name(name, kind), size, file, begin)


def _checked(file: object) -> Any:
    if isinstance(file, (bytes, bytearray, memoryview)):
        raise ConfigError(
            "path: a path or a binary file, got bytes; wrap a recording in io.BytesIO()"
        )
    if not callable(getattr(file, "read", None)):
        raise ConfigError(f"path: a path or a binary file, got {type(file).__name__}")
    if getattr(file, "closed", False):
        raise ConfigError("path: an open file, got one that is closed")
    return file


def _name_of(file: object) -> str:
    name = getattr(file, "name", None)
    # A pipe's is a number, the standard input's "<stdin>".
    known = isinstance(name, str) and not name.startswith("<")
    return os.path.basename(cast(str, name)) if known else ""


@contextmanager
def _copy(pipe: Any) -> Iterator[IO[bytes]]:
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as file:
        while block := _read(pipe, _BLOCK):
            file.write(block)
        file.seek(0)
        # It is one in all but name before Python 3.11.
        yield cast(IO[bytes], file)


def _read(file: Any, size: int) -> bytes:
    """Read at most so many bytes; none only at the end."""
    try:
        data = file.read(size)
    except UnicodeDecodeError:  # it is one of text, and this is none
        data = ""
    if isinstance(data, str):
        raise ConfigError("path: a file opened with 'rb', got one of text")
    if data is None:  # no end, but nothing yet
        raise ConfigError("path: a blocking binary file, got a non-blocking one")
    return cast(bytes, data)


def _check(name: str, size: int, kind: str | None, raw: bool) -> None:
    shown = repr(name) if name else "the file"
    if size <= 0:
        raise ConfigError(f"path: a recording, got nothing: {shown} is empty")
    if raw and kind not in (None, "text"):
        raise ConfigError(
            f"path: samples without a header, got {shown} of the kind {kind}, whose "
            "header says what they are; leave out encoding and sample_rate"
        )
    if not raw and kind == "text":
        raise ConfigError(f"path: a recording, got text in {shown}")
    if not raw and kind is None and os.path.splitext(name)[1].lower() in _RAW:
        raise ConfigError(
            f"path: {shown} has no header to say what its samples are; pass encoding= "
            "and sample_rate="
        )


def _wire_name(name: str, kind: str | None) -> str:
    """A name that can stand in a header, with an ending if the file shows it.

    What is not printed, half a surrogate pair too, is replaced.
    """
    name = "".join(char if char.isprintable() else "_" for char in name) or "audio"
    known = _SUFFIXES.get(kind or "")
    return f"{name}.{known}" if known and not os.path.splitext(name)[1] else name
