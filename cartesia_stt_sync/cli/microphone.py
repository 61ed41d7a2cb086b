"""The microphone: the only module that imports sounddevice.

Decides which device is meant, and how its sound comes from PortAudio's thread, which
must not wait, to the one that sends it. Never sends.
"""

from __future__ import annotations

import enum
import queue
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from cartesia_stt_sync import AudioFormat, ConfigError

from .exits import FileError

__all__ = ["Inbox", "Key", "Microphone", "list_devices"]

_BLOCK = 0.05
"""Seconds of sound that come at once."""

_WAITING = 10.0
"""Seconds of sound that may wait to be sent: a lost connection is mended in that."""

_STALL = 3.0
"""Seconds without sound after which a microphone is gone: a quiet one gives zeros."""

_SEE = "cartesia-stt listen --list-devices shows what there is"


class Key(enum.Enum):
    """What the speaker does, in its place in the sound."""

    PRESSED = enum.auto()
    END = enum.auto()


class _Gone(enum.Enum):
    """What PortAudio's thread says last."""

    GONE = enum.auto()


class Inbox:
    """What has come in: blocks of sound, and keys between them.

    Attributes:
        lost: Blocks that had no room, because nobody took them out.
        overflows: How often the system lost sound before it came here.

    Threads: `put` from any, never waits; iterated on one.
    """

    def __init__(self) -> None:
        self._items: queue.SimpleQueue[bytes | Key | _Gone] = queue.SimpleQueue()
        self.lost = self.overflows = 0

    def put(self, item: bytes | Key | _Gone) -> None:
        """Put something in; sound is lost if there is too much already."""
        if isinstance(item, bytes) and self._items.qsize() >= _WAITING / _BLOCK:
            self.lost += 1
        else:
            self._items.put(item)

    @property
    def lost_seconds(self) -> float:
        """Seconds of sound that had no room."""
        return self.lost * _BLOCK

    def __iter__(self) -> Iterator[bytes | Key]:
        """Wait for what comes, up to `Key.END`.

        Raises:
            OSError: The microphone has gone.
        """
        while True:
            try:
                item = self._items.get(timeout=_STALL)
            except queue.Empty:
                raise OSError(
                    f"no sound for {_STALL:g} s: the microphone has gone"
                ) from None
            if isinstance(item, _Gone):
                raise OSError("the microphone has gone")
            if item is Key.END:
                return
            yield item


class Microphone:
    """A device, open until `close` or the end of a ``with`` block.

    Args:
        inbox: Where its sound goes.
        device: Its number, or a part of its name; ``None``: the system's choice.
        rate: In Hz; ``None``: the device's own.

    Attributes:
        name: What the system calls it.
        format: What its sound is.

    Raises:
        ConfigError: There is none such, or an extra is not installed.
        FileError: There is none at all, or it cannot be opened.

    Threads: `Inbox.put` is called on one of PortAudio's.
    """

    def __init__(
        self, inbox: Inbox, device: str | None = None, rate: int | None = None
    ) -> None:
        sd = _sounddevice()
        which = int(device) if device is not None and device.isdecimal() else device
        try:
            found = sd.query_devices(which, "input")
        except (sd.PortAudioError, ValueError) as exc:
            if device is not None:
                told = f"--device: {device!r}: no microphone: {exc}; {_SEE}"
                raise ConfigError(told) from None
            raise FileError(f"no microphone: {exc}; {_SEE}") from None
        try:
            rate = round(found["default_samplerate"]) if rate is None else rate
            # One channel is what is sent; some devices only give all they have.
            channels = 1
            options = {"device": found["index"], "samplerate": rate, "dtype": "int16"}
            try:
                sd.check_input_settings(channels=1, **options)
            except sd.PortAudioError:
                channels = found["max_input_channels"]
            self._stream: Any = sd.RawInputStream(
                channels=channels,
                blocksize=round(rate * _BLOCK),
                callback=self._hear,
                finished_callback=lambda: inbox.put(_Gone.GONE),
                **options,
            )
        except (sd.PortAudioError, ValueError) as exc:
            raise FileError(
                f"{found['name']}: the microphone does not open at {rate} Hz: {exc}"
            ) from None
        self.name: str = found["name"]
        self.format = AudioFormat("pcm_s16le", rate, channels)
        self._inbox, self._error = inbox, sd.PortAudioError

    def _hear(self, sound: Any, frames: int, time: Any, status: Any) -> None:
        """Take a block; on PortAudio's thread."""
        if status.input_overflow:
            self._inbox.overflows += 1
        self._inbox.put(bytes(sound))

    def start(self) -> None:
        """Begin to listen.

        Raises:
            OSError: It does not.
        """
        try:
            self._stream.start()
        except self._error as exc:
            raise OSError(f"the microphone does not start: {exc}") from None

    def close(self) -> None:
        """Stop, and let go of the device; idempotent."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def __enter__(self) -> Microphone:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def list_devices() -> list[str]:
    """What there is to listen with, a line each.

    Raises:
        ConfigError: sounddevice is not installed.
    """
    sd = _sounddevice()
    try:
        chosen = sd.query_devices(None, "input")["index"]
    except (sd.PortAudioError, ValueError):
        chosen = None
    return [
        f"{'*' if found['index'] == chosen else ' '} {found['index']:3}  "
        f"{found['name']}, {round(found['default_samplerate'])} Hz"
        for found in sd.query_devices()
        if found["max_input_channels"]
    ]


def _sounddevice() -> Any:
    try:
        import sounddevice
    except ImportError as exc:
        raise ConfigError(
            "listen: the microphone needs sounddevice; pip install "
            f"'cartesia-stt-sync[mic]' does it ({exc})"
        ) from None
    except OSError as exc:
        raise ConfigError(
            "listen: sounddevice needs PortAudio; apt install libportaudio2, dnf "
            f"install portaudio or brew install portaudio does it ({exc})"
        ) from None
    return sounddevice
