"""What an `app.pyz` of `tapctl bundle` runs: twistd, with the image that lies in the archive."""

from __future__ import annotations

import os
import pkgutil
import sys

from tapkit.errors import ImageError
from tapkit.scripts import twistd

IMAGE = "image"  # members of the archive
NAME = "image-name"
USAGE = "twistd-usage"
MEMBERS = "__main__"
"""The package whose loader reads the archive's own members."""


def main(argv: list[str]) -> int:
    """Run twistd; without an image named, the archive's, unpacked where the daemon runs.

    It is unpacked because a daemon needs its image later: to reload it, to take over comments.
    A file of its name is never replaced: it may hold a newer state.
    """
    doc = _member(USAGE).decode()
    return twistd.main(argv, doc, default=unpacked)


def unpacked(folder: str) -> str:
    """The path of the archive's image in `folder`.

    Raises:
        ImageError: another image of its name is there, or it can't be written.
    """
    from tapkit.image import files

    name, data = _member(NAME).decode(), _member(IMAGE)
    path = os.path.join(folder, name)
    there = files.contents(path)
    if there is None:
        files.write_atomic(path, data)
    elif there != data:
        raise ImageError(
            f"the image of {os.path.basename(sys.argv[0])} differs from the one that is there",
            path,
            f"run that one with -f {name}, or move it away",
        )
    return path


def _member(name: str) -> bytes:
    data = pkgutil.get_data(MEMBERS, name)
    assert data is not None  # the archive was made by tapctl bundle
    return data
