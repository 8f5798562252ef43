"""A passphrase in memory: it can be used, and neither shown, saved nor logged by accident."""

from __future__ import annotations

import contextlib
from typing import NoReturn

from tapkit.errors import ImageError


class Secret:
    """A passphrase. Its repr says nothing, and it can't be pickled.

    Once there is one this process leaves no core file.

    Raises:
        ImageError: it is empty.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str):
        if not text:
            raise ImageError("the passphrase is empty", None, "an empty one protects nothing")
        self._text = text
        no_core_files()

    def reveal(self) -> str:
        """The passphrase itself: for the library that needs it, in the call that needs it."""
        return self._text

    def __repr__(self) -> str:
        return "<a passphrase>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a passphrase is not saved")


def no_core_files() -> None:
    """Let this process dump no core, into a file or down a pipe to a handler of dumps.

    The limit is 1 byte and not 0: Linux asks no limit before it starts a handler, but for 1
    (core(5), `fs/coredump.c`); a file of 1 byte is not written either.
    """
    with contextlib.suppress(ImportError, ValueError, OSError):  # no such limit, or it is lower
        import resource

        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (1, hard))
