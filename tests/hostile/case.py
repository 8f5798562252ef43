"""A case, and the image that would do harm if a byte of it were believed."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tapkit import image
from tapkit.image import files

CANARY = "canary"
"""The file that is there when an image was run."""


class Case(NamedTuple):
    """One file that must be refused.

    Attributes:
        name: of the test.
        make: writes what is to be loaded into a folder, and returns its path; or returns bytes,
            which become a file there.
        said: a regular expression that the message has.
        demands: whether a signature is demanded.
        extension: of the file that is made of bytes.
    """

    name: str
    make: Callable[[Path], Any]
    said: str
    demands: bool = False
    extension: str = ".tap"

    def made(self, folder: Path) -> str:
        """Make it; the path to load."""
        found = self.make(folder)
        if isinstance(found, (bytes, bytearray)):
            path = str(folder / f"hostile{self.extension}")
            files.write_atomic(path, bytes(found))
            return path
        return str(found)


class Bomb:
    """Runs a command when it is loaded."""

    def __reduce__(self) -> Any:
        return os.system, (f"touch {CANARY}",)


@functools.cache
def bomb(form: str = "pickle", encoding: str = "raw") -> bytes:
    """The image of a Bomb; if it is not refused, it goes off."""
    meta = {"encoding": encoding} if form == "pickle" else {}
    return image.dumps([Bomb(), "x" * 3000], form, name="qotd", options={"port": 8007}, **meta)


@functools.cache
def large() -> bytes:
    """The same with a body of several blocks."""
    return image.dumps([Bomb(), os.urandom(1 << 20) * 2, bytes(1 << 20)], name="qotd")


def flipped(data: bytes, place: int, bit: int = 0) -> bytes:
    """One bit is another."""
    changed = bytearray(data)
    changed[place] ^= 1 << bit
    return bytes(changed)
