"""What the library notices: each finding is a mistake the service warns of.

Pure: no clock, thread, socket or log; audio and times are passed in.

- `finding`: what a finding is, and the words of those about a session
- `audio`: the listener, who puts together what is wrong with the audio itself
- `misread`: whether it is what was declared
- `level`: whether it is loud, whole and alive
- `declaration`: how raw samples are best read
- `container`: files in place of samples
- `behaviour`: what is wrong with how a session is used
"""

from .audio import Listener
from .behaviour import BLOCK, Watch, aborted_undrained, no_language
from .container import container_of, cut_off, file_in_audio
from .declaration import Declaration, diagnose
from .finding import (
    PAGE,
    Finding,
    budget_spent,
    config_refused,
    no_done,
    partial_sample,
    recording_stopped,
    replay_differs,
    replay_overflow,
    slow_callback,
    unasked_flush_done,
)

__all__ = [
    "BLOCK",
    "PAGE",
    "Declaration",
    "Finding",
    "Listener",
    "Watch",
    "aborted_undrained",
    "budget_spent",
    "config_refused",
    "container_of",
    "cut_off",
    "diagnose",
    "file_in_audio",
    "no_done",
    "no_language",
    "partial_sample",
    "recording_stopped",
    "replay_differs",
    "replay_overflow",
    "slow_callback",
    "unasked_flush_done",
]
