"""Packages carried in an image as source text: it then runs where only tapkit is.

`mktap --carry PACKAGE` puts the files of a package into the image, and loading the image makes
them importable from memory, before anything that needs them is loaded. They are text, not
bytecode, so any supported Python runs them; and they are what `tapctl inspect --source` shows.

A carried package comes before an installed one of the same name: an image behaves as it did
where it was made. (Rejected: to prefer what is installed. Then the same image would be another
program on another machine, which is what carrying is to prevent.)

`package` is named by saved images: it keeps its name and meaning for good.
"""

from __future__ import annotations

import hashlib
import importlib.abc
import importlib.machinery
import importlib.util
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from types import CodeType, ModuleType
from typing import Any

from tapkit.errors import ImageError, UsageError

log = logging.getLogger("tapkit.image")

LARGEST = 16 << 20
"""Bytes of all files of one package; what is larger belongs into a package index."""

_COMPILED = (".so", ".pyd", ".dylib")
_LEFT_OUT = {"__pycache__"}
_ROOT = "<carried>"

Files = dict[str, "str | bytes"]
"""By path inside the package, with `/`: Python sources as text, other files as bytes."""


class Package:
    """A package, or a single module, as the text of its files.

    Attributes:
        name: what it is imported as.
        files: see `Files`; a single module has one, `NAME.py`.
        digest: SHA-256 of all of it, hexadecimal.
    """

    def __init__(self, name: str, files: Files):
        self.name = name
        self.files = files
        self.digest = _digest(files)

    def __reduce__(self) -> Any:
        return package, (self.name, self.digest, self.files)


def package(name: str, digest: str | None, files: Files) -> Package:
    """Make a carried package importable; what an image calls when it is loaded.

    Parameters:
        digest: what `files` must have; None for text that was edited by hand.

    Raises:
        ImageError: the files are not those that were put into the image.
    """
    made = Package(name, files)
    if digest is not None and digest != made.digest:
        raise ImageError(
            f"the carried source of {name} is not what was put into the image",
            None,
            "get the image again; or, if you edited it, put None in place of its digest",
        )
    _make_importable(made)
    return made


def collect(name: str) -> Package:
    """The package that is importable here, with all its files.

    Raises:
        UsageError: there is none, it is part of Python or of tapkit, or parts of it are
            compiled or too large to be carried.
    """
    if "." in name or name in sys.stdlib_module_names or name.partition("_")[0] == "tapkit":
        raise UsageError(
            f"{name} can't be carried", "--carry", "name a package of the application itself"
        )
    spec = importlib.util.find_spec(name)
    if spec is None or (spec.origin is None and not spec.submodule_search_locations):
        raise UsageError(
            f"no package is named {name}", "--carry", "put its directory on PYTHONPATH"
        )
    if not spec.submodule_search_locations:
        return Package(name, {f"{name}.py": _text(str(spec.origin), name)})
    files: Files = {}
    for folder in spec.submodule_search_locations:
        for path, inside in _walk(folder):
            files.setdefault(inside, _content(path, name))
    if sum(map(len, files.values())) > LARGEST:
        raise UsageError(
            f"{name} is larger than {LARGEST >> 20} MiB", "--carry", "install it there"
        )
    return Package(name, dict(sorted(files.items())))


def carried(name: str) -> Package | None:
    """The package of that name that this process imports from memory, if it does."""
    return next((one.package for one in _finders() if one.package.name == name), None)


def _walk(folder: str) -> Iterator[tuple[str, str]]:
    for directory, folders, names in os.walk(folder):
        folders[:] = sorted(set(folders) - _LEFT_OUT)
        for name in sorted(names):
            path = os.path.join(directory, name)
            if not name.endswith(".pyc") and os.path.isfile(path):
                yield path, os.path.relpath(path, folder).replace(os.sep, "/")


def _content(path: str, name: str) -> str | bytes:
    if path.endswith(_COMPILED):
        raise UsageError(
            f"{name} can't be carried: it has compiled parts", path, "install it there"
        )
    if path.endswith(".py"):
        return _text(path, name)
    with open(path, "rb") as file:
        return file.read()


def _text(path: str, name: str) -> str:
    if not path.endswith(".py"):
        raise UsageError(f"{name} can't be carried: it is no Python source", path)
    with open(path, "rb") as file:
        return importlib.util.decode_source(file.read())


def _digest(files: Mapping[str, str | bytes]) -> str:
    told = hashlib.sha256()
    for path, content in sorted(files.items()):
        data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
        for part in (path.encode("utf-8", "surrogatepass"), type(content).__name__.encode(), data):
            told.update(len(part).to_bytes(8, "big") + part)
    return told.hexdigest()


# -- importing from memory


def _finders() -> list[_Finder]:
    return [one for one in sys.meta_path if isinstance(one, _Finder)]


def _make_importable(made: Package) -> None:
    before = carried(made.name)
    if before is not None and before.digest == made.digest:
        return
    if before is not None or made.name in sys.modules:
        log.warning(
            "%s is imported here already; the one that the image carries is not used", made.name
        )
        return
    sys.meta_path.insert(0, _Finder(made))


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules of one carried package."""

    def __init__(self, package: Package):
        self.package = package

    def find_spec(
        self, fullname: str, path: Any = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.package.name and not fullname.startswith(self.package.name + "."):
            return None
        inside = fullname[len(self.package.name) + 1 :].replace(".", "/")
        stem = inside or self.package.name
        as_package = f"{inside}/__init__.py" if inside else "__init__.py"
        for file, is_package in ((as_package, True), (f"{stem}.py", False)):
            if isinstance(self.package.files.get(file), str):
                loader = _Loader(self.package, file)
                return importlib.util.spec_from_loader(
                    fullname, loader, origin=loader.path, is_package=is_package
                )
        return None


class _Loader(importlib.abc.InspectLoader):
    """Loads one module; its lines are shown in tracebacks, as those of a file are."""

    def __init__(self, package: Package, file: str):
        self._package = package
        self._file = file
        self.path = f"{_ROOT}/{package.name}/{file}"

    def get_source(self, fullname: str) -> str:
        text = self._package.files[self._file]
        assert isinstance(text, str)  # the finder looked
        return text

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.get_source(fullname), self.path, "exec", dont_inherit=True)

    def is_package(self, fullname: str) -> bool:
        return self._file.rpartition("/")[2] == "__init__.py"

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = self.path
        exec(self.get_code(module.__name__), vars(module))

    def get_data(self, path: str) -> bytes:
        """A data file beside the modules, for `pkgutil.get_data`.

        Raises:
            FileNotFoundError: there is none.
        """
        inside = path.replace(os.sep, "/").removeprefix(f"{_ROOT}/{self._package.name}/")
        found = self._package.files.get(inside)
        if found is None:
            raise FileNotFoundError(path)
        return found.encode() if isinstance(found, str) else found
