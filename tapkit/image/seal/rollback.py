"""The generation of each application that ran last: an older one does not run unless told.

Without it whoever can put files in place could bring back, signed and all, the image of last
year with last year's hole in it. One small file an application, for each user; only images whose
signature was found good have a generation that can be relied on.
"""

from __future__ import annotations

import os

from tapkit.errors import ImageError
from tapkit.image import files
from tapkit.image.seal import places

_MAX_FILE = 1 << 10


def check(application: str, generation: int, where: str) -> None:
    """Refuse a generation older than the last that ran.

    Raises:
        ImageError: it is older; or what ran last can't be read, and then nothing is known.
    """
    path = _path(application)
    if not os.path.lexists(path):
        return
    text = bytes(files.read_guarded(path, _MAX_FILE)).decode("ascii", "replace").strip()
    if not text.isdecimal():
        raise ImageError("it does not say which generation ran last", path, "--allow-rollback")
    if generation < int(text):
        raise ImageError(
            f"the image is older than the last one of {application!r} that ran"
            f" (generation {generation}, and {text} ran)",
            where,
            "if it shall: --allow-rollback",
        )


def record(application: str, generation: int) -> None:
    """Remember that this generation runs.

    Raises:
        ImageError: it can't be written down.
    """
    path = _path(application)
    try:
        places.make_private(os.path.dirname(path))
        files.write_atomic(path, b"%d\n" % generation, mode=0o600)
    except (OSError, ImageError) as error:
        why = error.strerror if isinstance(error, OSError) else error.what
        raise ImageError(
            f"which generation runs can't be remembered ({why})",
            path,
            "a rollback would not be noticed; make the directory writable",
        ) from error


def _path(application: str) -> str:
    return places.file_of("generations", application, "")
