"""This library, fed as by a microphone: each chunk the moment it has been spoken."""

from __future__ import annotations

from .ours import Ours


class OursLive(Ours):
    """This library, fed live."""

    about = "this library, all on; fed a chunk at a time, when it is due"
    piece = 1
    ahead = 0.0
