"""Which daemons run from an image file, as far as their command lines tell."""

from __future__ import annotations

import contextlib
import os

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing for --help
if TYPE_CHECKING:
    from typing import Any

_DEFAULT_IMAGE = "twistd.tap"
_IMAGE_OPTIONS = ("-f", "--file", "-x", "--xml", "-s", "--source")


def daemons_of(path: str) -> list[int]:
    """The process numbers of this user's twistds that were started with this file."""
    import psutil

    from tapkit.run.process import titles

    found = []
    me = os.getuid()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):  # it ended, or is none of our business
            if process.uids().real != me or process.status() == psutil.STATUS_ZOMBIE:
                continue
            words = _twistd_words(titles.command_line(process.cmdline()))
            if words is not None and _names(words, process, path):
                found.append(process.pid)
    return sorted(found)


def _twistd_words(words: list[str]) -> list[str] | None:
    """The arguments of a command line that runs twistd, if it does."""
    for at, word in enumerate(words[:4]):  # the interpreter and its options may be before it
        if os.path.basename(word) == "twistd":
            return words[at + 1 :]
    return None


def _names(words: list[str], process: Any, path: str) -> bool:
    candidates = list(_file_words(words)) or [_DEFAULT_IMAGE]
    folder = process.cwd()  # twistd goes to its --rundir before it reads the image
    return any(_is_same(os.path.join(folder, candidate), path) for candidate in candidates)


def _file_words(words: list[str]) -> list[str]:
    """Whatever may be the name of an image."""
    found = []
    for word in words:
        found += [
            word[len(option) :].removeprefix("=")
            for option in _IMAGE_OPTIONS
            if word.startswith(option) and word != option
        ]
        if not word.startswith("-"):
            found.append(word)
    return found


def _is_same(candidate: str, path: str) -> bool:
    try:
        return os.path.samefile(candidate, path)
    except OSError:
        return False
