"""One daemon for the tests of a module that only look at it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.place import Place


@contextlib.contextmanager
def running_qotd(folder: Path, *arguments: str) -> Iterator[Place]:
    """A place in which a qotd daemon runs, of a name of its own; it is reaped at the end."""
    place = Place(folder / "place")
    name = name_in(place)
    try:
        assert place.mktap("-n", name, "qotd", "--port", "0").returncode == 0
        done = place.twistd("-f", f"{name}.tap", *arguments)
        assert (done.returncode, done.stderr) == (0, "")
        yield place
    finally:
        place.reap()


def name_in(place: Place) -> str:
    """The name of the daemon that runs in a place."""
    return f"quotes{place.mark[:6]}"
