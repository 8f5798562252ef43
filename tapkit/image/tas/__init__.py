"""The Python spelling of an image: `.tas`.

`write` and `read` are each other's inverse: `nodes.difference(image.root, read(write(image)).root)`
is None (sets apart, whose order means nothing, and which are written in a stable one). `run`
gives the objects themselves, by running the source. What the source may say is told in
docs/tas.md.
"""

from __future__ import annotations

from tapkit.image.nodes import Image
from tapkit.image.tas.faults import SourceBeyondError, SourceError
from tapkit.image.tas.reader import read
from tapkit.image.tas.running import run
from tapkit.image.tas.words import NOTHING, Known, learn
from tapkit.image.tas.writer import Writer

__all__ = ["Known", "SourceBeyondError", "SourceError", "learn", "read", "run", "write"]


def write(image: Image, known: Known = NOTHING) -> bytes:
    """An image as Python source, UTF-8.

    Parameters:
        known: what is known of the application's classes; nothing is imported to find out.

    Raises:
        ImageError: what is in the graph is no node, or needs itself before it can be made.
    """
    return Writer(image, known).write()
