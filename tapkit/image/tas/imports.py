"""The import block of a .tas, and what each imported thing is called in it."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Iterable
from typing import Any

from tapkit.image.naming import identifier
from tapkit.image.nodes import Global
from tapkit.image.tas.layout import Group, fits, lay, quoted
from tapkit.image.tas.words import BUILTINS, HELPERS

SOURCE = "tapkit.source"
_HINT = "# instance(cls, **state) does not call __init__"


class Imports:
    """What is imported, and under which names.

    Parameters:
        wanted: every Global of the image that is written as itself.

    Attributes:
        local: by module and name, what a Global is called in the file.
        helpers: the words of `tapkit.source` in use; the writer adds to them.
    """

    def __init__(self, wanted: Iterable[Global], reserved: Iterable[str]):
        self.local: dict[tuple[str, str], str] = {}
        self.helpers: set[str] = set()
        self._from: dict[str, list[tuple[str, str]]] = {}  # module -> (name, local name)
        self._odd: list[str] = []  # statements that do what no import statement can
        self._taken = {*HELPERS, *BUILTINS, *keyword.kwlist, *reserved}
        nested: list[tuple[str, str]] = []
        for module, name in sorted({(each.module, each.name) for each in wanted}):
            if module == "builtins" and name in BUILTINS:
                self.local[module, name] = name
            elif not is_importable(module, name):
                nested.append((module, name))
            else:
                self._import(module, name)
        for module, name in nested:
            self._make(module, name)

    @property
    def taken(self) -> set[str]:
        """Names no variable may have."""
        return self._taken

    def _import(self, module: str, name: str) -> str:
        known = self.local.get((module, name))
        if known is None:
            known = self.local[module, name] = self._free(module, name)
            self._from.setdefault(module, []).append((name, known))
        return known

    def _make(self, module: str, name: str) -> None:
        """A name for what has a dotted name, or one that is no name in Python."""
        outer, *inner = name.split(".")
        local = self._free(module, identifier(inner[-1] if inner else name))
        if inner and is_importable(module, outer) and all(map(_is_name, inner)):
            path = ".".join((self._import(module, outer), *inner))
            call = f"nested({path})"
        else:
            call = f"lookup({quoted(module)}, {quoted(name)})"
        self.helpers.add(call.partition("(")[0])
        self.local[module, name] = local
        self._odd.append(f"{local} = {call}")

    def _free(self, module: str, name: str) -> str:
        free = name
        if free in self._taken:
            free = f"{identifier(module.rpartition('.')[2])}_{name.lstrip('_')}"
        number = 1
        while free in self._taken:
            number += 1
            free = f"{name}_{number}"
        self._taken.add(free)
        return free

    def lines(self) -> list[str]:
        """The imports as isort sorts them, then what goes beyond imports."""
        blocks: list[list[str]] = [[], []]
        modules = dict(self._from)
        if self.helpers:
            modules[SOURCE] = [*modules.get(SOURCE, []), *((h, h) for h in self.helpers)]
        for module in sorted(modules, key=_natural):
            block = blocks[module.partition(".")[0] not in sys.stdlib_module_names]
            _lay_imports(block, module, sorted(modules[module], key=_import_order))
        lines: list[str] = []
        hint = [_HINT] if "instance" in self.helpers and _HINT not in "\n".join(blocks[1]) else []
        for block in (*blocks, hint, self._odd):
            if block:
                lines += [*block, ""]
        return lines


def _lay_imports(block: list[str], module: str, names: list[tuple[str, str]]) -> None:
    """One statement for the names that stay as they are, where the first of them comes."""
    plain = [name for name, local in names if name == local]
    for name, local in names:
        if name != local:
            _lay_import(block, module, [f"{name} as {local}"])
        elif plain:
            _lay_import(block, module, plain)
            plain = []


def _lay_import(block: list[str], module: str, names: list[str]) -> None:
    line = f"from {module} import {', '.join(names)}"
    hinted = f"{line}  {_HINT}"
    if module == SOURCE and "instance" in names and fits(hinted):
        block.append(hinted)
    elif fits(line):
        block.append(line)
    else:
        lay(block, "", f"from {module} import ", Group("(", [("", name) for name in names], ")"))


def _import_order(pair: tuple[str, str]) -> tuple[int, Any, str]:
    """Constants, classes, the rest: isort's order by type."""
    name = pair[0]
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2
    return kind, _natural(name), pair[1]


def _natural(name: str) -> list[tuple[int, str]]:
    """isort's order: without regard to case, and numbers by their size."""
    parts = re.split("([0-9]+)", name.lower())
    keyed = [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
    return [*keyed, (-1, name)]


def _is_name(name: str) -> bool:
    return name.isascii() and name.isidentifier() and not keyword.iskeyword(name)


def is_importable(module: str, name: str) -> bool:
    """Whether `from module import name` is Python."""
    return _is_name(name) and bool(module) and all(map(_is_name, module.split(".")))
