"""Where transcripts go: the standard output, a file, or a folder of files.

Decides what is written when, and in which format. A file has the text as it came. The
standard output has it `printable`, for even behind a pipe there is often a terminal.
Never touches the terminal's other half, the standard error: that is `display`.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Protocol, TextIO, TypeVar

from cartesia_stt_sync import (
    ConfigError,
    Transcript,
    to_paragraphs,
    to_srt,
    to_webvtt,
)

from .drafts import called, open_draft
from .inputs import STDIN
from .result import Result
from .say import printable

__all__ = [
    "CAPTIONS",
    "FORMATS",
    "Folder",
    "Output",
    "Sink",
    "check_output",
    "is_folder",
    "open_output",
]

FORMATS = ("txt", "paragraphs", "srt", "vtt", "json")

CAPTIONS = ("srt", "vtt")
"""Formats with times, which hold one recording: a second one's would begin anew."""


class Sink(Protocol):
    """What takes transcripts.

    Threads: `delta` on the receiver's, `end` when that has ended.
    """

    def delta(self, text: str) -> None:
        """Take in the next piece of a recording's text."""

    def end(self, result: Result) -> None:
        """Take in what became of the recording, whose pieces have all come."""


class Output:
    """A stream of transcripts: for each recording a line, paragraphs, or the like.

    Args:
        stream: Where to write.
        form: One of `FORMATS`.
        live: Whether to write text as it comes, not only at a recording's end.
        name: What errors call it; ``None`` for the standard output.

    Attributes:
        came: Whether anything came of any recording.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        form: str = "txt",
        live: bool,
        name: str | None = None,
    ) -> None:
        self._stream = stream
        self._form = form
        self._live = live and form == "txt"
        self._name = name
        self.came = False
        self._written = 0
        self._first = True

    def delta(self, text: str) -> None:
        """Write the next piece of text, if it is wanted live.

        Raises:
            OSError: It cannot be written.
        """
        if self._live:
            self._write(text)
            self._written += len(text)

    def end(self, result: Result) -> None:
        """Write what has not been written of a recording, and its end.

        Raises:
            OSError: It cannot be written.
        """
        self._write(self._rest(result))
        self._written = 0
        self._first = False
        self.came = self.came or result.came

    def _write(self, text: str) -> None:
        if self._name is None:
            text = printable(text)  # as long as before
        with called(self._name):
            self._stream.write(text)
            self._stream.flush()

    def _rest(self, result: Result) -> str:
        if self._form == "srt":
            return to_srt(result.captions())
        if self._form == "vtt":
            return to_webvtt(result.captions())
        if self._form == "paragraphs":
            text = "\n\n".join(to_paragraphs(result.deltas))
            return ("" if self._first else "\n") + text + "\n"
        if self._form == "json":
            # In ASCII, which every locale can write, and a name that is no UTF-8.
            return json.dumps(result.as_dict()) + "\n"
        if result.apart:
            return _dialogue(result.deltas)
        return result.transcript.text[self._written :] + "\n"


def _dialogue(deltas: Sequence[Transcript]) -> str:
    """Who said what: a line for each change of the channel, from 1."""
    lines = []
    for channel, run in groupby(deltas, key=lambda delta: delta.channel or 0):
        lines.append(f"{channel + 1}: {''.join(delta.text for delta in run).strip()}\n")
    return "".join(lines)


class Folder:
    """A folder of transcripts: a file for each recording, named after it.

    Args:
        place: The folder.
        form: One of `FORMATS`.
    """

    def __init__(self, place: str, *, form: str) -> None:
        self._place = place
        self._form = form

    def delta(self, text: str) -> None:
        """Nothing: a file is written when its recording is whole."""

    def end(self, result: Result) -> None:
        """Write the file; where nothing came of a recording, leave an older one.

        Raises:
            OSError: It cannot be written.
        """
        if result.came:
            path = _path_in(self._place, result.name, self._form)
            if result.error is not None:  # else it would be taken for all of it
                path = path.with_name(f"{path.stem}.partial{path.suffix}")
            with open_draft(path) as draft:
                output = Output(
                    draft.stream, form=self._form, live=False, name=str(path)
                )
                output.end(result)


OutputT = TypeVar("OutputT", bound=Output)


def check_output(path: str | None, names: Sequence[str], form: str) -> None:
    """Check that each recording has a place of its own to go to.

    Args:
        path: The output's; ``None`` is the standard output.
        names: The recordings'.
        form: One of `FORMATS`.

    Raises:
        ConfigError: One would overwrite another, or be no valid file with it.
    """
    places = [] if path is None else [Path(path)]
    if path is not None and is_folder(path):
        places = [_path_in(path, name, form) for name in names]
        for place, count in Counter(places).items():
            if count > 1:
                raise ConfigError(f"--output: two files would both become {place}")
    elif form in CAPTIONS and len(names) > 1:
        raise ConfigError(
            f"--format: {form} holds one recording, got {len(names)}; "
            "-o DIR/, a folder, takes a file for each"
        )
    # What is no file, such as /dev/null, is not replaced.
    taken = {_identity(place) for place in places if place.is_file()}
    for name in names:
        if name != STDIN and os.path.exists(name) and _identity(name) in taken:
            raise ConfigError(f"--output: {name} would be overwritten")


def is_folder(path: str) -> bool:
    """Whether a path is a folder's: it is there, or ends as only a folder's can."""
    return os.path.isdir(path) or path.endswith(("/", os.sep))


def _identity(path: str | Path) -> tuple[int, int]:
    """What two names of one file have in common."""
    found = os.stat(path)
    return found.st_dev, found.st_ino


def _path_in(folder: str, name: str, form: str) -> Path:
    stem = "stdin" if name == STDIN else Path(name).stem
    end = "txt" if form == "paragraphs" else form
    return Path(folder) / f"{stem}.{end}"


@contextmanager
def open_output(
    path: str | None,
    *,
    form: str = "txt",
    live: bool = False,
    kind: type[OutputT] = Output,  # type: ignore[assignment]  # python/mypy#3737
) -> Iterator[OutputT | Folder]:
    """Open the output.

    Args:
        path: A file's, or a folder's for a file of each recording; ``None`` is the
            standard output. A folder that is not there is made, if the path ends as
            one. A file is left as it is where nothing came of any recording.
        form: See `Output`.
        live: See `Output`; for the standard output only.
        kind: Makes the stream of transcripts.

    Raises:
        OSError: Nothing can be written there.
    """
    if path is None:
        yield kind(sys.stdout, form=form, live=live)
    elif is_folder(path):
        os.makedirs(path, exist_ok=True)
        # Whether a file can be made there is asked before anything is sent.
        tempfile.TemporaryFile(dir=path).close()
        yield Folder(path, form=form)
    else:
        with open_draft(Path(path)) as draft:
            output = kind(draft.stream, form=form, live=False, name=path)
            yield output
            draft.wanted = output.came
