"""Names for the objects of a .tas. They are those of `naming`, made at less cost."""

from __future__ import annotations

from typing import Any

from tapkit.image.naming import class_hint, identifier
from tapkit.image.nodes import Global


class Variables:
    """Hands out variable names, each once.

    `naming.Names` does the same for both text forms; this one remembers what it made of each
    hint, because an image has many objects of few names.
    """

    def __init__(self, taken: set[str]):
        self._taken = taken
        self._used: dict[str, list[Any]] = {}  # of each hint: its stem, how often it was used
        self._hints: dict[int, str] = {}

    def used_by_class(self, call: Global) -> list[Any]:
        """The record for objects that have no name but their class's, for `next`."""
        return self.used_by(class_hint(call))

    def of_class(self, call: Global) -> str:
        """A name for an object that has none but its class's."""
        hint = self._hints.get(id(call))
        if hint is None:
            hint = self._hints[id(call)] = class_hint(call)
        return self.give(hint)

    def give(self, hint: str) -> str:
        """A name like `hint` that was not given before."""
        return self.next(self.used_by(hint))

    def used_by(self, hint: str) -> list[Any]:
        """The record for objects that are called like `hint`, for `next`."""
        found = self._used.get(hint)
        if found is not None:
            return found
        stem = identifier(hint)
        used = self._used.setdefault(stem, [stem, 0])
        if len(self._used) < 10_000:
            self._used[hint] = used
        return used

    def next(self, used: list[Any]) -> str:
        """The next name of a record."""
        used[1] += 1
        name: str = used[0] if used[1] == 1 else f"{used[0]}{used[1]}"
        while name in self._taken:
            used[1] += 1
            name = f"{used[0]}{used[1]}"
        self._taken.add(name)
        return name
