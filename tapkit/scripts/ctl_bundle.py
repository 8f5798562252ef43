"""tapctl bundle: an image, tapkit and what it needs, as one file that Python runs."""

from __future__ import annotations

import ast
import importlib.util
import io
import os
import sys
import zipfile

from tapkit.errors import EXIT_OK, ImageError, UsageError
from tapkit.scripts import bundled

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing for --help
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tapkit.scripts.images import Opened

USAGE = """
Make one file of an image, tapkit and its dependencies: it runs where only Python is.

Usage:
  tapctl bundle [options] IMAGE
  tapctl bundle (-h | --help)

`python3 NAME.pyz` then takes the options of twistd; without an image named it runs this one,
which it unpacks into --rundir. The image is not loaded.

Options:
  -o, --output=FILE  Write this file; without it IMAGE's name with .pyz.
  -f, --force        Also where the image needs modules that will not be inside; they must be
                     installed where it runs.
  -h, --help         Show this.

Exit status: 0 it is written, 1 it failed, 2 the command line is mistyped.
"""

# In the archive as Python. psutil is compiled: without it some figures and names of processes
# are not shown. msgpack has a slower half in Python, which it uses by itself.
INSIDE = ("tapkit", "tapkit_plugins", "cloudpickle", "docopt", "msgpack")
MODE = 0o700  # it holds an image: code, and perhaps secrets

_MAIN = """import sys

from tapkit.scripts.bundled import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
"""
_SHEBANG = b"#!/usr/bin/env python3\n"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # of zip: the same input gives the same bytes


def main(arguments: dict[str, Any]) -> int:
    """Run the command; `arguments` are docopt's."""
    from tapkit.image import files
    from tapkit.scripts.images import STDIN, opened

    path = arguments["IMAGE"]
    if path == STDIN:
        raise UsageError("a bundle is named after its image's file", path, "name a file")
    image = opened(path)
    missing = _missing(image)
    if missing and not arguments["--force"]:
        raise ImageError(
            f"it needs {', '.join(missing)}, which would not be inside",
            path,
            f"make the image with mktap {' '.join('--carry=' + name for name in missing)},"
            " or bundle it with --force and install them there",
        )
    target = arguments["--output"] or os.path.splitext(path)[0] + ".pyz"
    files.write_atomic(target, _archive(image), mode=MODE)
    print(f"{target}: run it with: python3 {target}")
    return EXIT_OK


def _missing(image: Opened) -> list[str]:
    """The modules the image needs that are neither Python's, nor inside, nor carried."""
    from tapkit.image.carrying import carried_in
    from tapkit.image.overview import overview

    there = {*INSIDE, *sys.stdlib_module_names, *(one.name for one in carried_in(image.nodes))}
    needed = {name.partition(".")[0] for name in overview(image.nodes).modules}
    return sorted(needed - there)


def _archive(image: Opened) -> bytes:
    written = io.BytesIO(_SHEBANG)
    written.seek(0, os.SEEK_END)
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in _members(image):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data, zipfile.ZIP_DEFLATED)
    return written.getvalue()


def _members(image: Opened) -> Iterator[tuple[str, bytes | str]]:
    yield "__main__.py", _MAIN
    yield bundled.NAME, os.path.basename(image.where)
    yield bundled.IMAGE, bytes(image.data)
    yield bundled.USAGE, _usage_of_twistd()
    for name in INSIDE:
        yield from _sources(name)


def _sources(name: str) -> Iterator[tuple[str, bytes]]:
    """The files of an installed package or module, but what is compiled."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ImageError(f"{name} is not installed as files, so it can't be bundled")
    if not spec.submodule_search_locations:
        yield os.path.basename(spec.origin), _read(spec.origin)
        return
    for root in spec.submodule_search_locations:
        for directory, folders, names in os.walk(root):
            folders[:] = sorted(set(folders) - {"__pycache__"})
            for one in sorted(names):
                path = os.path.join(directory, one)
                if not one.endswith((".so", ".pyd", ".pyc", ".pyx", ".c")):
                    inside = os.path.relpath(path, root).replace(os.sep, "/")
                    yield f"{name}/{inside}", _read(path)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _usage_of_twistd() -> str:
    """The usage text of the twistd that is installed beside this tapctl."""
    path = os.path.join(os.path.dirname(os.path.abspath(sys.argv[0])), "twistd")
    try:
        usage = ast.get_docstring(ast.parse(_read(path)), clean=False)
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError(
            f"twistd is not beside tapctl ({error})", path, "install tapkit"
        ) from error
    return usage or ""
