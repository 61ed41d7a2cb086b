"""What a person sees while a recording is transcribed.

Decides how progress and text are shown on a terminal, and as plain lines where
there is none or ``rich`` is missing. Never writes a transcript: that is
`outputs`.
"""

from __future__ import annotations

import importlib.util
import os
from typing import TYPE_CHECKING, Protocol, TextIO

import attrs

from .inputs import Input
from .say import printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

__all__ = [
    "Display",
    "Lines",
    "Live",
    "Silent",
    "Upload",
    "clock",
    "has_rich",
    "is_terminal",
]

_EVERY = 10.0
"""Seconds of audio between two plain lines of progress."""

_BAR = 40


def clock(seconds: float) -> str:
    """Seconds of audio as a player shows them."""
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


@attrs.frozen
class Upload:
    """A file that is sent as it is: it has bytes, and no seconds that are known.

    Attributes:
        name: What it is called in messages.
        size: Its bytes.
    """

    name: str
    size: int


Shown = Input | Upload


def _total(shown: Shown) -> float | None:
    return shown.size if isinstance(shown, Upload) else shown.duration


def _amount(shown: Shown, amount: float) -> str:
    """So many seconds of a recording, or bytes of a file."""
    if not isinstance(shown, Upload):
        return clock(amount)
    small = shown.size < 1e6
    return f"{amount / 1e3:.0f} kB" if small else f"{amount / 1e6:.1f} MB"


def _every(shown: Shown) -> float:
    """How much goes between two plain lines of progress."""
    return max(shown.size / 10, 1e6) if isinstance(shown, Upload) else _EVERY


class Display(Protocol):
    """What shows a recording's way.

    Threads: `text` is called on the receiver's, the others on the main one.
    """

    def start(self, recording: Shown) -> None:
        """A recording begins."""

    def text(self, text: str, partial: str, at: float) -> None:
        """The text is this now, with a provisional tail, ``at`` seconds are sent."""

    def progress(self, amount: float) -> None:
        """So much has been sent: seconds of a recording, or bytes of an upload."""

    def note(self, message: str) -> None:
        """Something is worth a line."""

    def stop(self) -> None:
        """The recording has ended."""


class Silent:
    """Shows nothing."""

    def start(self, recording: Shown) -> None:
        """Nothing."""

    def text(self, text: str, partial: str, at: float) -> None:
        """Nothing."""

    def progress(self, amount: float) -> None:
        """Nothing."""

    def note(self, message: str) -> None:
        """Nothing."""

    def stop(self) -> None:
        """Nothing."""


class Lines:
    """Plain lines.

    Args:
        stream: Where to.
        progress: Whether to tell how far the audio is.
        text: Whether to show the text, each state of it on a line.
    """

    def __init__(self, stream: TextIO, *, progress: bool, text: bool = False) -> None:
        self._stream = stream
        self._progress = progress
        self._text = text
        self._said = 0
        self._next = _EVERY
        self._shown: Shown | None = None

    def start(self, recording: Shown) -> None:
        """Tell what begins."""
        self._said, self._shown = 0, recording
        self._next = _every(recording)
        if self._progress:
            total = _total(recording)
            about = [] if total is None else [_amount(recording, total)]
            if isinstance(recording, Input):
                about.append(_format_of(recording))
            self.note(f"{recording.name}: {' of '.join(about)}")

    def text(self, text: str, partial: str, at: float) -> None:
        """Say what is new."""
        if not self._text:
            return
        new, self._said = text[self._said :], len(text)
        kind, words = ("provisional", partial) if partial else ("final", new)
        self.note(f"{at:5.1f} s  {kind:11}  {words.strip()}")

    def progress(self, amount: float) -> None:
        """Say how far it is, now and then."""
        shown = self._shown
        if self._progress and shown is not None and amount >= self._next:
            every, total = _every(shown), _total(shown)
            self._next = amount - amount % every + every
            end = "" if total is None else f" of {_amount(shown, total)}"
            self.note(f"{shown.name}: {_amount(shown, amount)}{end}")

    def note(self, message: str) -> None:
        """Say it."""
        print(printable(message), file=self._stream, flush=True)

    def stop(self) -> None:
        """Nothing: every line is out."""


def _format_of(recording: Input) -> str:
    found = recording.format
    width = {1: "mono", 2: "stereo"}.get(found.channels, f"{found.channels} channels")
    return f"{found.encoding}, {found.sample_rate} Hz, {width}"


class Live:
    """The last lines of the text and a progress bar, replaced in place by rich.

    Args:
        stream: A terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.live import Live as RichLive

        self._console: Console = Console(file=stream)
        self._make = RichLive
        self._live: RichLive | None = None
        self._reset(None)

    def _reset(self, recording: Shown | None) -> None:
        # The receiver's thread writes the text, the main one the seconds; rich
        # draws under a lock of its own.
        self._recording = recording
        self._text = self._partial = ""
        self._amount = 0.0
        self._base = 0

    def start(self, recording: Shown) -> None:
        """Open the region."""
        self._reset(recording)
        self._live = self._make(
            console=self._console,
            # Drawn when there is something new, not by a thread that looks.
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()
        self._draw()

    def text(self, text: str, partial: str, at: float) -> None:
        """Draw the text."""
        if len(text) < self._base:  # another one
            self._base = 0
        self._text, self._partial = text, partial
        if isinstance(self._recording, Input):
            self._amount = at
        self._draw()

    def progress(self, amount: float) -> None:
        """Draw the bar."""
        self._amount = amount
        self._draw()

    def say(self, line: str) -> None:
        """Leave a line of the text above the region."""
        self._console.print(printable(line), markup=False, highlight=False)

    def note(self, message: str) -> None:
        """Print it above the region."""
        self._console.print(
            printable(message), style="yellow", markup=False, highlight=False
        )

    def stop(self) -> None:
        """Take the region away."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def _draw(self) -> None:
        live = self._live
        if live is not None:
            live.update(self._render(), refresh=True)

    def _render(self) -> RenderableType:
        from rich.console import Group

        return Group(*self._last_lines(), self._bar())

    def _last_lines(self) -> list[Text]:
        """The end of the text, wrapped here, so that no more than fits is drawn."""
        from rich.text import Text

        width, height = self._console.size
        room = max(height - 2, 1)
        # An hour's text need not be wrapped for each word. The place to begin is
        # moved seldom, because the lines are broken anew with it.
        if len(self._text) - self._base > 2 * width * room:
            begin = len(self._text) - width * room
            self._base = max(self._text.find(" ", begin), begin)
        text = Text(printable(self._text[self._base :]))
        text.append(printable(self._partial), style="dim")
        return list(text.wrap(self._console, width))[-room:] if text else []

    def _bar(self) -> RenderableType:
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        recording = self._recording
        assert recording is not None
        name, total = recording.name, _total(recording)
        done = _amount(recording, self._amount)
        row = Table.grid(padding=(0, 1))
        shown = Text(
            printable(os.path.basename(name)), no_wrap=True, overflow="ellipsis"
        )
        if total is None:
            row.add_row(shown, done)
        else:
            bar = ProgressBar(
                total=total, completed=min(self._amount, total), width=_BAR
            )
            row.add_row(shown, bar, f"{done} / {_amount(recording, total)}")
        return row


def is_terminal(stream: TextIO) -> bool:
    """Whether text can be replaced in place there."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def has_rich() -> bool:
    """Whether the extra ``[cli]`` is installed."""
    return importlib.util.find_spec("rich") is not None
