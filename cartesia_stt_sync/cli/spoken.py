"""Where the text of somebody who speaks goes: a line for each utterance.

Decides where a line ends. Opening and closing is that of `outputs`.
"""

from __future__ import annotations

from .outputs import Output
from .result import Result

__all__ = ["Spoken"]


class Spoken(Output):
    """A stream of what somebody says: as text, a line for each utterance.

    Live each line is written as it comes, and else all of them at the end.
    """

    _line = ""  # of the utterance under way
    _lines: tuple[str, ...] = ()  # of those before it, where they wait for the end

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
            self._lines += (line,)
        return line

    def _rest(self, result: Result) -> str:
        if self._form != "txt":
            return super()._rest(result)
        self.utterance()
        return "".join(f"{line}\n" for line in self._lines)
