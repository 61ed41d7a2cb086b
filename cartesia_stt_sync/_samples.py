"""Numbers from bytes and bytes from numbers: the encodings themselves.

Decides how a float from -1 to 1 is written in each encoding, and read. NumPy
does the arithmetic and is imported by the first call, not by the module.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

from .errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "alaw_values",
    "check_kind",
    "decode",
    "encode",
    "finite",
    "mulaw_values",
    "normalize",
]


def normalize(array: NDArray[Any]) -> NDArray[np.float32]:
    """Integers over their range, or floats, to float32 from -1 to 1."""
    import numpy as np

    check_kind(array)
    kind, bits = array.dtype.kind, array.dtype.itemsize * 8
    if kind == "f" and bits == 32:
        return array.astype(np.float32)
    if kind == "f":
        # A double beyond all singles is an infinity; a NaN, signalling or not, is one.
        with np.errstate(over="ignore", invalid="ignore"):
            return array.astype(np.float32)
    if kind == "i":
        # A product with a power of two is exact, so the only rounding is the one to
        # float32: the same as by way of float64, in a third of the time.
        samples = array.astype(np.float32)
        samples *= np.float32(1 / (1 << (bits - 1)))
        return samples
    samples = array.astype(np.float32)
    samples -= np.float32(128)
    samples *= np.float32(1 / 128)
    return samples


def check_kind(array: NDArray[Any]) -> None:
    """Refuse an array of anything that is not known to be samples.

    Raises:
        ConfigError: It is of another dtype.
    """
    kind, width = array.dtype.kind, array.dtype.itemsize
    if not (
        kind == "f" or (kind == "i" and width <= 4) or (kind == "u" and width == 1)
    ):
        raise ConfigError(
            "audio: an array of float, int8, int16, int32 or uint8, got dtype "
            f"{array.dtype}"
        )


def finite(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The samples, with 0 for each NaN and full scale for each infinity."""
    import numpy as np

    flat = samples.ravel()
    # Of what has a power, none is either; to look takes a tenth of replacing them.
    with np.errstate(all="ignore"):
        power = float(flat.dot(flat))
    if math.isfinite(power):
        return samples
    return np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0)


def decode(data: bytes, encoding: str) -> NDArray[np.float32]:
    """Read samples as float32 from -1 to 1.

    Args:
        data: Whole samples.
        encoding: The name of their encoding.

    Returns:
        Array of shape ``(samples,)``.
    """
    import numpy as np

    if encoding == "pcm_s16le":  # first, and without a look at what is known: the usual
        samples = np.frombuffer(data, "<i2").astype(np.float32)
        samples *= _SIXTEEN
        return samples
    if encoding == "pcm_mulaw":
        return _looked_up(mulaw_values(), data)
    if encoding == "pcm_alaw":
        return _looked_up(alaw_values(), data)
    if encoding == "pcm_s24le":
        # Three bytes into the upper three of four: the sign comes along.
        wide = np.zeros((len(data) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        return normalize(wide.view("<i4")[:, 0])
    return normalize(np.frombuffer(data, _DTYPES[encoding]))


_SIXTEEN = 1 / (1 << 15)


def _looked_up(values: NDArray[np.float32], codes: bytes) -> NDArray[np.float32]:
    """The value of each code, of 256: thrice as fast as with brackets."""
    import numpy as np

    # No code is out of bounds, and without a mode each would be checked.
    return values.take(np.frombuffer(codes, np.uint8), mode="wrap")


def encode(samples: NDArray[np.float32], encoding: str) -> bytes:
    """Write float samples; what lies outside -1 to 1 is clipped, NaN is silence.

    Args:
        samples: Array of shape ``(samples,)``.
        encoding: The name of an encoding the wire takes.
    """
    import numpy as np

    # Clipped first: a sample may be so large that scaling it overflows. Not by clip(),
    # whose own Python takes longer than the two calls.
    samples = np.minimum(np.maximum(finite(samples), -1), 1)
    if encoding.startswith("pcm_f"):
        return samples.astype(_DTYPES[encoding]).tobytes()
    if encoding == "pcm_s32le":
        scaled = np.rint(samples.astype(np.float64) * (1 << 31))
        return np.clip(scaled, -(1 << 31), (1 << 31) - 1).astype("<i4").tobytes()
    scaled = np.minimum(np.rint(samples * np.float32(32768)), 32767)
    linear: NDArray[np.int16] = scaled.astype("<i2")
    if encoding == "pcm_s16le":
        return linear.tobytes()
    # Each plus 32768; none is out of bounds, and without a mode each would be checked.
    places = linear.view("<u2") ^ np.uint16(0x8000)
    return _codes(encoding).take(places, mode="wrap").tobytes()


_DTYPES = {
    "pcm_u8": "u1",
    "pcm_s16le": "<i2",
    "pcm_s32le": "<i4",
    "pcm_f16le": "<f2",
    "pcm_f32le": "<f4",
    "pcm_f64le": "<f8",
}


# G.711 has 256 codes, so reading is a table of 256 numbers, and writing a table
# of 65,536 codes made from it: for each 16-bit sample the code whose number is
# nearest. The standard library's audioop did this until Python 3.13 dropped it.


@cache
def mulaw_values() -> NDArray[np.float32]:
    """Code to value, -1 to 1 (ITU-T G.711, mu-law)."""
    import numpy as np

    code = ~np.arange(256, dtype=np.uint8)  # the line carries it inverted
    exponent, mantissa = (code >> 4) & 7, (code & 15).astype(np.int32)
    size = (((mantissa << 3) + 132) << exponent) - 132
    return (np.where(code & 128, -size, size) / 32768).astype(np.float32)


@cache
def alaw_values() -> NDArray[np.float32]:
    """Code to value, -1 to 1 (ITU-T G.711, A-law)."""
    import numpy as np

    code = np.arange(256, dtype=np.uint8) ^ 0x55  # every other bit inverted
    exponent, mantissa = (code >> 4) & 7, (code & 15).astype(np.int32)
    low = (mantissa << 4) + 8
    size = np.where(exponent == 0, low, (low + 256) << (np.maximum(exponent, 1) - 1))
    return (np.where(code & 128, size, -size) / 32768).astype(np.float32)


@cache
def _codes(encoding: str) -> NDArray[np.uint8]:
    """For each 16-bit sample, from -32768 up, the code whose value is nearest."""
    import numpy as np

    table = {"pcm_mulaw": mulaw_values, "pcm_alaw": alaw_values}[encoding]()
    values = (table * 32768).astype(np.int32)
    order = np.argsort(values, kind="stable")
    ranked = values[order]
    middles = (ranked[1:] + ranked[:-1]) / 2
    # A tie goes to the upper code, so that zero becomes what a silent line
    # carries: of mu-law's two zeros FF, of A-law's two neighbours of zero D5.
    samples = np.arange(-32768, 32768)
    return order[np.searchsorted(middles, samples, side="right")].astype(np.uint8)
