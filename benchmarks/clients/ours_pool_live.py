"""This library, with all streams on one ``Pool``, each fed as by a telephone call."""

from __future__ import annotations

from .ours_live import OursLive
from .ours_pool import OursPool


class OursPoolLive(OursPool, OursLive):
    """This library, pooled, fed live."""

    about = "this library, all on, in one Pool; fed a chunk at a time, when it is due"
