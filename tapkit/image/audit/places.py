"""At which attribute path something is met first, in the order an image is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tapkit.image.audit.survey import Name
from tapkit.image.compare import root_name
from tapkit.image.facets import Facets
from tapkit.image.labels import Path, labelled, path_text
from tapkit.image.nodes import ATOMS, Global, Image, Node, Object


class Places:
    """The first places of names, and the places of objects.

    Parameters:
        names: the names that are used.
        objects: the objects to be found.

    The walk ends when all is found: in an image of a million objects of ten classes, soon.
    """

    def __init__(self, image: Image, names: Iterable[Name], objects: Iterable[Object] = ()):
        self._names = dict.fromkeys(names, "")
        self._objects = {id(node): "" for node in objects}
        self._left = len(self._names) + len(self._objects)
        self._find(image)

    def of_name(self, name: Name) -> str | None:
        """The path at which a name is met first; None if no path leads to it."""
        return self._names.get(name) or None

    def of_object(self, node: Object) -> str | None:
        """The path of one of the objects; None if no path leads to it."""
        return self._objects.get(id(node)) or None

    def _find(self, image: Image) -> None:
        roots: list[tuple[Path, Node]] = [((None, root_name(image.root)), image.root)]
        roots += [((None, f"discarded[{n}]"), node) for n, node in enumerate(image.discarded)]
        todo: list[Iterator[tuple[Path, Node]]] = [iter(roots)]
        seen: set[int] = set()
        while todo and self._left:
            path, node = next(todo[-1], (None, None))
            if path is None:
                todo.pop()
            elif type(node) is Global:
                self._met(path, node)
            elif type(node) not in ATOMS and id(node) not in seen:
                seen.add(id(node))
                if type(node) is Object:
                    self._met_object(path, node)
                todo.append(_with_paths(path, labelled(node)))

    def _met_object(self, path: Path, node: Object) -> None:
        if self._objects.get(id(node)) == "":
            self._objects[id(node)] = path_text(path)
            self._left -= 1
        for named in (node.call, Facets(node).maker):
            if type(named) is Global:
                self._met(path, named)

    def _met(self, path: Path, named: Global) -> None:
        name = (named.module, named.name)
        if self._names.get(name) == "":
            self._names[name] = path_text(path)
            self._left -= 1


def _with_paths(path: Path, parts: Iterator[tuple[str, Node]]) -> Iterator[tuple[Path, Node]]:
    return (((path, label), part) for label, part in parts)
