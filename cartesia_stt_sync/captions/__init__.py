"""Captions and paragraphs: what was said, as people watch and read it.

Decides nothing itself: `pieces` says what is never broken, `timing` when each piece
was said, `breaking` where captions and lines break, `showing` how long each stands,
`formats` how files spell it, `paragraphs` what is read without a clock. None drops,
adds or moves a word, or touches a file, a clock or a thread.
"""

from .formats import to_dict, to_srt, to_webvtt
from .paragraphs import to_paragraphs
from .showing import Caption, to_captions

__all__ = [
    "Caption",
    "to_captions",
    "to_dict",
    "to_paragraphs",
    "to_srt",
    "to_webvtt",
]
