"""Which node of one image stands for which of another, as a comparison of both finds out."""

from __future__ import annotations

from tapkit.image.labels import Path, is_standard, path_text
from tapkit.image.nodes import FrozenSet, Node, Object

FIRST = "first"  # neither was met before
AS_BEFORE = "as before"  # they were met together
OTHERWISE = "otherwise"  # one of them is the partner of another, or has none though met


class Partners:
    """The pairs of nodes met so far, and where each node was met first.

    Nodes are known by their ids: they must live as long as this does.
    """

    def __init__(self) -> None:
        self._right_of: dict[int, int] = {}
        self._left_of: dict[int, int] = {}
        self._left_place: dict[int, Path] = {}
        self._right_place: dict[int, Path] = {}

    def meet(self, path: Path, one: Node, other: Node) -> str:
        """How two nodes that stand at one place are known; a FIRST pair is remembered."""
        partner = self._right_of.get(id(one))
        if partner is None and id(other) not in self._left_of:
            self.add(path, one, other)
            return FIRST
        return AS_BEFORE if partner == id(other) else OTHERWISE

    def add(self, path: Path, one: Node, other: Node) -> bool:
        """Pair whichever of the two was not met before; False if both were."""
        mine, theirs = id(one), id(other)
        is_new = False
        if mine not in self._right_of:
            self._right_of[mine], self._left_place[mine] = theirs, path
            is_new = True
        if theirs not in self._left_of:
            self._left_of[theirs], self._right_place[theirs] = mine, path
            is_new = True
        return is_new

    def places(self, one: Node, other: Node) -> tuple[str, str]:
        """Where each of two nodes was met first, in words."""
        return _place(self._left_place.get(id(one))), _place(self._right_place.get(id(other)))


def has_identity(node: Node) -> bool:
    """Whether it can matter to an application that a node is shared."""
    kind = type(node)
    return kind not in (tuple, FrozenSet) and not (kind is Object and is_standard(node))


def _place(path: Path) -> str:
    return "a thing of its own" if path is None else f"the same as {path_text(path)}"
