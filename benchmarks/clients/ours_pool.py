"""This library, with all streams on one ``Pool``."""

from __future__ import annotations

from typing import Any

import cartesia_stt_sync

from .base import Hear, Target
from .ours import Ours

POOL: Any = getattr(cartesia_stt_sync, "Pool", None)


class OursPool(Ours):
    """This library, pooled."""

    about = "this library, all on, in one Pool"

    @classmethod
    def missing(cls) -> str | None:
        """See `Client`."""
        return None if POOL is not None else "this version has no Pool"

    def __init__(self, target: Target, hear: Hear) -> None:
        super().__init__(target, hear)
        self._pool = POOL()

    def options(self) -> dict[str, Any]:
        """See `Ours`."""
        return {"pool": self._pool}
