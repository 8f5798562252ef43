"""What an image needs of the Python it is loaded by: all misses at once, before it is loaded."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from tapkit.records import Record

if TYPE_CHECKING:
    from tapkit.image.header import ImageInfo


class Miss(Record):
    """Something that is needed and not here, and what to do about it."""

    what: str
    remedy: str


def misses(info: ImageInfo, bytecode: int, is_there: Callable[[str], bool]) -> list[Miss]:
    """All that an image's header says it needs and that is not here.

    Parameters:
        bytecode: the magic number of this Python's compiled code.
        is_there: whether a top-level module can be found; it must not import.
    """
    found = []
    here = f"{sys.implementation.name} {sys.version_info[0]}.{sys.version_info[1]}"
    made = f"{info.implementation} {'.'.join(info.python.split('.')[:2])}"
    if info.by_value and (made != here or info.bytecode != bytecode):
        found.append(
            Miss(
                f"it carries compiled code of {made}, and this is {here}",
                f"run it with {made}, or move that code into a module and save it again",
            )
        )
    missing = [name for name in info.modules if not is_there(name)]
    if missing:
        known = [f"{name} was {info.modules[name]}" for name in missing if info.modules[name]]
        told = f" ({', '.join(known)})" if known else ""
        found.append(
            Miss(
                f"it needs {', '.join(map(repr, missing))}, which can't be found here",
                f"pip install {' '.join(missing)}, or put it on PYTHONPATH{told}",
            )
        )
    return found


class Version(Record):
    """A module whose distribution has another version here than where the image was saved."""

    module: str
    saved: str
    here: str


def other_versions(info: ImageInfo) -> list[Version]:
    """Modules of which another version is installed than the image was saved with.

    Nothing is imported; a module whose distribution is not known is passed over.
    """
    from importlib import metadata

    distributions = metadata.packages_distributions()
    found = []
    for module, saved in info.modules.items():
        for name in distributions.get(module, ())[:1]:
            here = metadata.version(name)
            if saved is not None and here != saved:
                found.append(Version(module, saved, here))
    return found
