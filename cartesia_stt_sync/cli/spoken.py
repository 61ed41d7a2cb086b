"""Where the text of somebody who speaks goes: a line for each utterance.

Decides where a line ends. Opening and closing is that of `outputs`.
"""

from __future__ import annotations

from typing import TextIO

from .outputs import Output
from .result import Result

__all__ = ["Spoken"]


class Spoken(Output):
    """A stream of what somebody says: as text, a line for each utterance.

    Args:
        stream: Where to write.
        form: One of `FORMATS`.
        live: Whether to write each line as it comes, not only at the end.
        name: What errors call it; ``None`` for the standard output.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        form: str = "txt",
        live: bool,
        name: str | None = None,
    ) -> None:
        super().__init__(stream, form=form, live=live, name=name)
        self._line = ""
        self._lines: list[str] = []

    def delta(self, text: str) -> None:
        """Take in the next piece of the utterance."""
        self._line += text

    def utterance(self) -> str:
        """End the utterance; return its line, empty if nothing was said.

        Raises:
            OSError: It cannot be written.
        """
        line, self._line = self._line.strip(), ""
        if line and self._live:
            self._write(line + "\n")
        elif line:
            self._lines.append(line)
        return line

    def _rest(self, result: Result) -> str:
        if self._form != "txt":
            return super()._rest(result)
        self.utterance()
        return "".join(f"{line}\n" for line in self._lines)
