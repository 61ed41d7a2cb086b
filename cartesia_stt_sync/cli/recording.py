"""A session that a transcriber wrote down (``record=``), read back.

Decides which of a folder's recordings is meant, what its lines look like to a
person, and what would have to be sent to say the same once more. Sends nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import attrs

from cartesia_stt_sync import AudioFormat, ConfigError, WavReader

from .exits import FileError

__all__ = ["Recording", "find", "load"]

_REPEATED = {"keyterm": "keyterms", "language_hint": "language_hints"}
_PLAIN = {"model": str, "encoding": str, "sample_rate": int}
_MANUAL = {"language": str, "min_volume": float, "max_silence_duration_secs": float}
_AUTO = {
    "turn_start_threshold": float,
    "turn_eager_end_threshold": float,
    "turn_end_threshold": float,
    "turn_end_timeout_ms": int,
}

_TURNS = "/stt/turns/websocket"
"""Where a `TurnTranscriber` connects to."""

_WIDE = 400
"""How much of a message is shown, in characters."""


@attrs.frozen
class Recording:
    """What the two files of a session hold.

    Attributes:
        path: The lines' file.
        lines: One object for each thing that happened, in order.
        audio: All samples that were sent.
        format: What they are.
    """

    path: Path
    lines: tuple[dict[str, Any], ...]
    audio: bytes
    format: AudioFormat

    @property
    def about(self) -> dict[str, Any]:
        """The first line: where to, when, and how to play it."""
        return self.lines[0]

    @property
    def turns(self) -> bool:
        """Whether it was made by a `TurnTranscriber`."""
        return urlsplit(str(self.about["url"])).path.endswith(_TURNS)

    def options(self) -> dict[str, Any]:
        """The arguments of a transcriber of its kind that asks for the same."""
        found: dict[str, Any] = {} if self.turns else {"language": None}
        known: dict[str, type] = _PLAIN | (_AUTO if self.turns else _MANUAL)
        for name, values in parse_qs(urlsplit(str(self.about["url"])).query).items():
            if name in _REPEATED:
                found[_REPEATED[name]] = tuple(values)
            elif name in known:
                found[name] = known[name](values[0])
            else:
                found.setdefault("extra_query", {})[name] = values[0]
        return found

    def text(self) -> str:
        """What was final, joined; with what a replay made come twice."""
        texts: list[object] = []
        for event in map(_event, self.lines):
            if event.get("type") == "transcript" and event.get("is_final") is True:
                texts.append(event.get("text"))
            elif event.get("type") == "turn.end":
                texts.append(event.get("transcript"))
        return "".join(text for text in texts if isinstance(text, str))

    def steps(self) -> list[bytes | str | dict[str, Any]]:
        """Audio and commands as they were sent, each once.

        What a reconnect sent again stands where it was sent last, or, if it never was,
        at the end; and quiet that it left out where it was sent first. A dict has the
        arguments of a ``config()``.
        """
        steps: list[_Step] = []
        owed: list[_Step] = []  # what goes again, behind what has gone again already
        joint, unanswered, filler, stands = 0, 0, False, True
        for line in _in_order(self.lines):
            event = line.get("event")
            if event == "reconnect" and stands:  # else it is one more try
                seconds = float(line["replay_seconds"])
                owed[:0] = _take_back(steps, seconds, unanswered, self.rate)
                joint, unanswered, stands = len(steps), 0, False
            elif event == "connected":
                stands = True
                # All that configs came to goes first, and silence where it is due.
                owed = [step for step in owed if not step.is_made_anew]
            elif event == "skipped":
                size = round(float(line["seconds"]) * self.rate)
                steps[joint:joint] = _take_off(owed, size)
            elif event == "silence":
                filler = True
            elif event == "sent" and "audio" in line:
                at, size = int(line["at"]), int(line["audio"])
                steps.append(_Step(self.audio[at : at + size], filler))
                _take_off(owed, 0 if filler else size)
                filler = False
            elif event == "sent":
                what = _command(str(line["text"]))
                steps.append(_Step(what))
                if owed and owed[0].what == what:
                    del owed[0]
                unanswered += what == "finalize"
            elif _event(line).get("type") == "flush_done":
                unanswered = max(0, unanswered - 1)
        return [step.what for step in steps + owed]

    @property
    def rate(self) -> int:
        """Bytes a second."""
        return self.format.frame_bytes * self.format.sample_rate

    def shown(self) -> Iterator[str]:
        """The time line, a line of text each; what is fed and sent in a row is one."""
        rows: dict[str, _Row] = {}
        filler = False
        for line in (*self.lines, {"event": "", "t": 0.0}):
            event = line["event"]
            if event == "silence":
                filler = True
                continue
            kind, seconds = "", 0.0
            if event == "sent" and "audio" in line:
                kind = "->  {} x silence" if filler else "->  {} x audio"
                seconds = int(line["audio"]) / self.rate
            elif event == "feed":
                muted = ", muted" if line.get("muted") else ""
                kind = "    {} x feed" + muted
                seconds = float(line["seconds"])
            filler = False
            # Live each chunk is fed and sent in turn; all else ends both rows.
            ends = not kind or any(kind[:4] == k[:4] and kind != k for k in rows)
            for name in [*rows] if ends else ():
                yield rows.pop(name).shown(name)
            if kind:
                rows.setdefault(kind, _Row(float(line["t"]))).add(seconds)
            elif event:
                yield f"{float(line['t']):9.3f}  {_shown(line)}"


@attrs.define
class _Row:
    """Pieces of audio one after the other."""

    since: float
    count: int = 0
    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        self.count += 1
        self.seconds += seconds

    def shown(self, kind: str) -> str:
        return f"{self.since:9.3f}  {kind.format(self.count)}, {self.seconds:.2f} s"


@attrs.frozen
class _Step:
    what: bytes | str | dict[str, Any]
    filler: bool = False  # silence that the library put in

    @property
    def is_made_anew(self) -> bool:
        """Whether the next connection does not take it as it is."""
        return self.filler or isinstance(self.what, dict)


def _in_order(lines: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines, with what a connection skipped before what was sent over it.

    It is written down without a lock, so a message may be quicker.
    """
    ordered: list[dict[str, Any]] = []
    at = 0
    for line in lines:
        if line.get("event") == "skipped":
            ordered.insert(at, line)
            continue
        ordered.append(line)
        if line.get("event") == "connected":
            at = len(ordered)
    return ordered


def _take_back(
    steps: list[_Step], seconds: float, finalizes: int, rate: int
) -> list[_Step]:
    """Take out what was to be sent again on the next connection; return it."""
    size = round(seconds * rate)
    taken: list[_Step] = []
    while steps and (size > 0 or finalizes > 0 or steps[-1].what == "close"):
        step = steps[-1]
        if not isinstance(step.what, bytes):
            finalizes -= step.what == "finalize"
        elif size <= 0 and not step.filler:
            break
        elif not step.filler and len(step.what) > size:
            at = len(step.what) - size
            steps[-1] = _Step(step.what[:at])
            taken.append(_Step(step.what[at:]))
            break
        elif not step.filler:
            size -= len(step.what)
        taken.append(steps.pop())
    return taken[::-1]


def _take_off(steps: list[_Step], size: int) -> list[_Step]:
    """Take so many bytes of audio off the front, at most; return them."""
    taken = []
    while size > 0 and steps and isinstance(data := steps[0].what, bytes):
        taken.append(_Step(data[:size]))
        steps[:1] = [_Step(data[size:])] if len(data) > size else []
        size -= len(data)
    return taken


def _event(line: dict[str, Any]) -> dict[str, Any]:
    """The message that a line holds; empty where it is none."""
    return _object(str(line["text"])) if line.get("event") == "received" else {}


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _command(text: str) -> str | dict[str, Any]:
    """What a message asks for, in the words of a transcriber's methods."""
    message = _object(text)  # empty for Manual's bare words
    if message.get("type") != "config":
        return str(message.get("type", text))
    turn = message.get("turn") or {}
    said = {f"turn_{name}": value for name, value in turn.items()} | message
    return {
        name: said[name]
        for name in (*_REPEATED.values(), *_AUTO)
        if said.get(name) is not None
    }


def _shown(line: dict[str, Any]) -> str:
    event = str(line["event"])
    if event == "received":
        return f"<-  {str(line['text'])[:_WIDE]}"
    if event == "sent":
        return f"->  {line['text']}"
    rest = {k: v for k, v in line.items() if k not in ("t", "event") and v is not None}
    said = ", ".join(f"{name} {_value(value)}" for name, value in rest.items())
    return f"    {event}{': ' if said else ''}{said}"


def _value(value: object) -> str:
    if not isinstance(value, dict):
        return str(value)
    if value.keys() == {"type", "message"}:  # an error's
        return f"{value['type']}: {value['message']}"
    return json.dumps(value, ensure_ascii=False)


def find(place: str) -> tuple[Path, int]:
    """Find the recording that is meant.

    Args:
        place: A folder, of which it is the latest; or the ``.jsonl`` itself.

    Returns:
        Its path, and how many others the folder has.

    Raises:
        FileError: There is none.
    """
    path = Path(place)
    if path.is_file():
        return path, 0
    found = sorted(path.glob("*.jsonl"), key=lambda file: file.stat().st_mtime)
    if not found:
        raise FileError(
            f"{place}: a folder given as Transcriber(record=...), or a .jsonl in one; "
            "there is no recording here"
        )
    return found[-1], len(found) - 1


def load(path: Path) -> Recording:
    """Read a recording; one that was cut short gives what it has.

    Raises:
        FileError: It is none.
        OSError: It cannot be read.
    """
    lines = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            found = json.loads(line)
        except ValueError:
            break  # the last of a process that was killed while it wrote
        if not isinstance(found, dict) or not {"t", "event"} <= found.keys():
            raise FileError(
                f"{path}: an object with t and event on each line, got another thing "
                f"on line {number}; not a recording made by Transcriber(record=...)"
            )
        lines.append(found)
    if not lines or lines[0]["event"] != "begin" or "url" not in lines[0]:
        raise FileError(f"{path}: not a recording made by Transcriber(record=...)")
    try:
        with WavReader(path.with_suffix(".wav")) as wav:
            return Recording(path, tuple(lines), b"".join(wav), wav.format)
    except ConfigError as exc:
        raise FileError(str(exc)) from None  # which names it
