"""Profiling a whole run, with one of the standard library's profilers."""

from __future__ import annotations

import importlib
import marshal
from collections.abc import Callable
from typing import Any, NamedTuple

from tapkit.errors import DaemonError, UsageError
from tapkit.names import suggestion

PROFILERS = {"cprofile": "cProfile", "profile": "profile"}


class Profile(NamedTuple):
    """What to profile with, and where the result goes: a file, as text or as pstats reads it."""

    path: str
    profiler: str
    data: bool


def check(name: str) -> str:
    """The profiler of that name, in any case.

    Raises:
        UsageError: there is none.
    """
    if name.lower() in PROFILERS:
        return name.lower()
    close = suggestion(name.lower(), PROFILERS)
    raise UsageError(
        f"no such profiler: {name}{close}", "--profiler", f"it is {' or '.join(PROFILERS)}"
    )


def under(profile: Profile, body: Callable[[], None]) -> Callable[[], None]:
    """`body`, such that it writes what was measured however it ends.

    The file is opened now: at the end the process may be neither who nor where it is.

    Raises:
        DaemonError: the file can't be written.
    """
    try:
        file = open(profile.path, "wb")  # noqa: SIM115 - closed when `body` is over
    except OSError as error:
        raise DaemonError(
            f"can't write the profile ({error.strerror})", profile.path, "name another file"
        ) from error
    importlib.import_module("pstats")
    profiler = importlib.import_module(PROFILERS[profile.profiler]).Profile()

    def measured() -> None:
        with file:
            try:
                profiler.runcall(body)
            finally:
                file.write(_data(profiler) if profile.data else _text(profiler))

    return measured


def _data(profiler: Any) -> bytes:
    """What `Profile.dump_stats` writes, by name; the name may be out of reach by now."""
    profiler.create_stats()
    return marshal.dumps(profiler.stats)


def _text(profiler: Any) -> bytes:
    import io
    import pstats

    text = io.StringIO()
    pstats.Stats(profiler, stream=text).sort_stats("cumulative").print_stats()
    return text.getvalue().encode()
