"""Audio formats, and the way from what the caller has to what the wire takes.

Decides how bytes and arrays become samples of another encoding, rate or channel
count. Never touches a clock, a thread or a socket. NumPy is imported only when
an array or a conversion needs it, soxr only when the rate differs.

Words: a *sample* is one number, a *frame* one sample of every channel.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import attrs

from . import _validate as check
from ._ffplay import ffplay
from ._samples import check_kind, decode, encode, finite, normalize
from ._value import Value
from .errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "ENCODINGS",
    "AudioFormat",
    "Converter",
    "Encoding",
    "check_rate",
    "decode",
    "encode",
    "encoding_of",
    "is_array",
    "view_of",
]


class Encoding(NamedTuple):
    """How one sample is written.

    Attributes:
        name: The service's name for it, or one in its manner.
        width: Bytes a sample.
        silence: The bytes of a sample of silence. Zero bytes are silence in PCM
            only: in G.711 they are near full scale.
        wire: Whether the service takes it; the others are for a ``source``.
    """

    name: str
    width: int
    silence: bytes
    wire: bool = True


ENCODINGS = {
    encoding.name: encoding
    for encoding in (
        Encoding("pcm_s16le", 2, b"\0\0"),
        Encoding("pcm_s32le", 4, b"\0\0\0\0"),
        Encoding("pcm_f16le", 2, b"\0\0"),
        Encoding("pcm_f32le", 4, b"\0\0\0\0"),
        Encoding("pcm_mulaw", 1, b"\xff"),
        Encoding("pcm_alaw", 1, b"\xd5"),
        Encoding("pcm_u8", 1, b"\x80", wire=False),
        Encoding("pcm_s24le", 3, b"\0\0\0", wire=False),
        Encoding("pcm_f64le", 8, b"\0\0\0\0\0\0\0\0", wire=False),
    )
}


def encoding_of(
    name: object, *, argument: str = "encoding", wire: bool = True
) -> Encoding:
    """Look an encoding up.

    Raises:
        ConfigError: There is none of that name, or (``wire``) the service does
            not take it.
    """
    found = ENCODINGS.get(name) if isinstance(name, str) else None
    if found is None or (wire and not found.wire):
        known = ", ".join(e.name for e in ENCODINGS.values() if e.wire or not wire)
        raise ConfigError(f"{argument}: one of {known}, got {name!r}")
    return found


def check_rate(argument: str, rate: object) -> int:
    """Check a sample rate in Hz; telephones have 8,000, studios up to 192,000.

    Raises:
        ConfigError: Not a whole number of a plausible size.
    """
    return check.count(argument, rate, least=1_000, most=768_000)


_MOST_CHANNELS = 64
"""Of a source; an array with more has its axes the other way round."""


@attrs.frozen(eq=False, repr=False)
class AudioFormat(Value):
    """What audio is made of.

    Attributes:
        encoding: How a sample is written: ``pcm_s16le`` and the other five the
            service takes, and for a ``source`` also ``pcm_u8``, ``pcm_s24le``
            and ``pcm_f64le``.
        sample_rate: Frames a second, in Hz.
        channels: Samples a frame, interleaved.

    Raises:
        ConfigError: A value breaks its rule.
    """

    encoding: str
    sample_rate: int
    channels: int = 1

    def __attrs_post_init__(self) -> None:
        encoding_of(self.encoding, wire=False)
        rate = check_rate("sample_rate", self.sample_rate)
        channels = check.count("channels", self.channels, least=1, most=_MOST_CHANNELS)
        object.__setattr__(self, "sample_rate", rate)  # they may have been NumPy's
        object.__setattr__(self, "channels", channels)

    @property
    def frame_bytes(self) -> int:
        """Bytes a frame."""
        return ENCODINGS[self.encoding].width * self.channels

    @property
    def silence(self) -> bytes:
        """One frame of silence."""
        return ENCODINGS[self.encoding].silence * self.channels

    def ffplay(self, path: str) -> str | None:
        """The shell's line that plays a file of such samples, or ``-``.

        Returns:
            ``None`` for half floats, which ffplay does not know.
        """
        return ffplay(self.encoding, self.sample_rate, self.channels, path)


class _Resampler(Protocol):
    """The part of ``soxr.ResampleStream`` used here."""

    def resample_chunk(
        self, x: NDArray[np.float32], last: bool = False
    ) -> NDArray[np.float32]: ...


class Converter:
    """Turn what a caller feeds into bytes of the wire's format, piece by piece.

    Keeps a partial frame, and the resampler's memory, from one piece to the
    next, so that any cutting of the same audio gives the same bytes.

    Args:
        wire: What comes out; mono.
        source: What goes in as bytes, or ``None`` for the wire's own format.

    Raises:
        ConfigError: The rates differ and ``soxr`` is not installed.

    Threads: none of its own; the caller holds a lock around each call.
    """

    __slots__ = (
        *("_declared", "_frame", "_partial", "_plain", "_resampler", "_resamples"),
        *("_second", "source", "wire"),
    )

    def __init__(self, wire: AudioFormat, source: AudioFormat | None = None) -> None:
        self.wire = wire
        self.source = source or wire
        self._declared = source is not None
        self._partial = b""
        self._resampler: _Resampler | None = None
        self._resamples = self.source.sample_rate != wire.sample_rate
        self._plain = self.source == wire
        self._second = self.source.sample_rate * self.source.frame_bytes  # in bytes
        self._frame = self.source.frame_bytes
        if self._resamples:
            self._resampler = self._new_resampler()

    @property
    def pending_bytes(self) -> int:
        """Bytes of a partial frame that wait for the rest of it."""
        return len(self._partial)

    def pieces(self, audio: Any) -> tuple[float, Iterator[Any]]:
        """Measure what a caller feeds, and cut it into pieces of at most a second.

        So a whole file in one call is converted without holding up the threads.

        Returns:
            Its length in seconds, and the pieces for `convert`.

        Raises:
            ConfigError: It cannot be audio.
        """
        step = self._second
        if type(audio) is bytes and 0 < len(audio) <= step:
            return len(audio) / step, iter((audio,))  # as from a microphone
        rate = self.source.sample_rate
        if is_array(audio):
            import numpy as np

            array = np.atleast_1d(np.asarray(audio))
            self._check_array(array)
            cuts = range(0, len(array), rate)
            return len(array) / rate, (array[i : i + rate] for i in cuts)
        view = view_of(audio)
        cuts = range(0, len(view), step)
        return len(view) / step, (view[i : i + step] for i in cuts)

    def convert(self, audio: Any, *, muted: bool = False) -> bytes:
        """Convert one piece.

        Args:
            audio: Anything bytes-like in the source format, or an array of shape
                ``(frames,)`` or ``(frames, channels)``: integers over their whole
                range, or floats from -1 to 1.
            muted: Give silence of the same length instead.

        Returns:
            Whole samples in the wire's format, perhaps none yet.

        Raises:
            ConfigError: Neither bytes nor such an array.
        """
        if type(audio) is bytes and self._plain and not (muted or self._partial):
            if not len(audio) % self._frame:
                return audio  # nothing to do, and nothing is copied
        if is_array(audio):
            return self._convert_array(audio, muted)
        data = self._partial + bytes(view_of(audio))
        whole = len(data) - len(data) % self.source.frame_bytes
        self._partial = data[whole:]
        data = data[:whole]
        if muted:
            data = self.source.silence * (whole // self.source.frame_bytes)
        if self._plain or not data:
            return data
        frames = decode(data, self.source.encoding).reshape(-1, self.source.channels)
        return self._finish(frames)

    def flush(self) -> bytes:
        """Give out what the resampler still holds; the next piece starts anew."""
        if self._resampler is None:
            return b""
        import numpy as np

        tail = self._resampler.resample_chunk(np.empty(0, np.float32), last=True)
        self._resampler = self._new_resampler()
        return encode(tail, self.wire.encoding)

    def _new_resampler(self) -> _Resampler:
        try:
            import soxr
        except ImportError:
            raise ConfigError(
                f"source: resampling {self.source.sample_rate} Hz to "
                f"{self.wire.sample_rate} Hz needs soxr; install it with "
                "pip install 'cartesia-stt-sync[audio]', or set sample_rate="
                f"{self.source.sample_rate}, which the service takes as well"
            ) from None
        made: _Resampler = soxr.ResampleStream(
            self.source.sample_rate, self.wire.sample_rate, 1, dtype="float32"
        )
        return made

    def _convert_array(self, audio: Any, muted: bool) -> bytes:
        import numpy as np

        array = np.asarray(audio)
        channels = self._check_array(array)
        if muted:
            return self._finish(np.zeros(array.shape[0], np.float32))
        exact = self._exact_bytes(array, channels)
        return exact if exact is not None else self._finish(normalize(array))

    def _check_array(self, array: NDArray[Any]) -> int:
        """Refuse what is no audio; return how many channels it has."""
        if self._partial:
            raise ConfigError(
                f"audio: got an array while {len(self._partial)} bytes of a partial "
                "frame wait for their rest; feed bytes or arrays, not half of each"
            )
        channels = array.shape[1] if array.ndim == 2 else 1
        if array.ndim not in (1, 2) or not 0 < channels <= _MOST_CHANNELS:
            turned = "; transpose it" if channels > _MOST_CHANNELS else ""
            raise ConfigError(
                "audio: an array of shape (frames,) or (frames, channels), "
                f"got shape {array.shape}{turned}"
            )
        if self._declared and channels != self.source.channels:
            raise ConfigError(
                f"audio: source= says {self.source.channels} channel(s), got an array "
                f"of shape {array.shape}, which is {channels}"
            )
        check_kind(array)
        return channels

    def _exact_bytes(self, array: NDArray[Any], channels: int) -> bytes | None:
        """The array's own bytes where they are what the wire takes already."""
        if self._resamples or channels != 1:
            return None
        own = {"pcm_s16le": "int16", "pcm_s32le": "int32"}
        if own.get(self.wire.encoding) != array.dtype.newbyteorder("=").name:
            return None
        return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()

    def _finish(self, samples: NDArray[np.float32]) -> bytes:
        """Downmix, resample and encode float frames."""
        import numpy as np

        # Before they are mixed, for a NaN would take its neighbours with it.
        samples = finite(samples)
        if samples.ndim == 2:
            channels = samples.shape[1]
            # A product with constant weights is many times faster than mean().
            weights = np.full(channels, 1 / channels, np.float32)
            samples = samples @ weights if channels > 1 else samples[:, 0]
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(np.ascontiguousarray(samples))
        return encode(samples, self.wire.encoding)


def is_array(audio: object) -> bool:
    """Whether NumPy would see an array in it: its own, a tensor, a series, a scalar."""
    # Not by NumPy's class: another thread may be in the middle of importing it.
    return hasattr(audio, "__array__")


def view_of(audio: object) -> memoryview:
    """The bytes of anything bytes-like, not copied yet."""
    try:
        view = memoryview(audio)  # type: ignore[arg-type]  # tried, not known
    except TypeError:
        raise ConfigError(
            "audio: bytes-like (bytes, bytearray, memoryview) or an array, "
            f"got {type(audio).__name__}"
        ) from None
    plain = view.c_contiguous and view.nbytes  # cast() refuses a shape with a zero
    return view.cast("B") if plain else memoryview(view.tobytes())
