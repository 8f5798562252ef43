"""Links: attributes that are assigned when all is made, so that no shell is needed for a cycle."""

from __future__ import annotations

from array import array
from collections.abc import Collection

from tapkit.image.nodes import Global, Node, Object, is_plain
from tapkit.image.tas.attributes import attributes_only
from tapkit.image.tas.shapes import Shape, Shapes, places_in
from tapkit.image.tas.words import ClassName


class Links:
    """The links of an image.

    Parameters:
        assignable: classes whose instances may have them; tapkit's own may.

    Attributes:
        holders: the instances with links, in the order of their first links.
        places: to each of those the numbers of the attributes that are links, as bits.
        turns: positions in `holders`, in the order in which the instances are written.
        odd: per id of an instance without a shape, the ids of the values that are links.
    """

    def __init__(self, assignable: Collection[ClassName], shapes: Shapes):
        self.holders: list[Object] = []
        self.places: list[int] = []
        self.turns = array("q")  # of 50,000 links, a list takes 2 MB
        self.odd: dict[int, set[int]] = {}
        self._assignable = assignable
        self._shapes = shapes

    def clear(self) -> None:
        """Forget all of them."""
        self.holders.clear()
        self.places.clear()
        del self.turns[:]
        self.odd.clear()

    def takes(self, holder: Object, node: Node, shape: Shape) -> bool:
        """Whether an instance of a shape, being made, may get what it refers to later."""
        if shape.takes_links is None:
            shape.takes_links = self._is_assignable(shape.call)
        return shape.takes_links and holder.steps[1] is not node

    def takes_oddly(self, holder: Object, node: Node) -> bool:
        """The same for any object whose state is in no other place."""
        call = holder.call
        if type(call) is not Global or not is_plain(holder) or holder.steps[1] is node:
            return False
        return self._is_assignable(call) and attributes_only(holder.steps[1])

    def _is_assignable(self, call: Global) -> bool:
        """Whether instances of a class may get an attribute later just as well."""
        return call.module.startswith("tapkit.") or (call.module, call.name) in self._assignable

    def add(self, holder: Object, node: Node, shape: Shape, turn: int) -> int:
        """Note that an instance of a shape refers to a node by a link.

        Parameters:
            turn: what this returned for the same instance before, or -1.
        """
        if turn < 0:
            turn = len(self.holders)
            self.holders.append(holder)
            self.places.append(0)
        self.places[turn] |= shape.places_of(holder.steps[1], node)
        return turn

    def add_oddly(self, holder: Object, key: int) -> None:
        """The same for an instance without a shape, and the id of the node."""
        if id(holder) not in self.odd:
            self.odd[id(holder)] = set()
            self.holders.append(holder)
            self.places.append(0)
        self.odd[id(holder)].add(key)

    def closed(self, shape: Shape, turn: int) -> Shape | None:
        """How an instance looks without its links; it has no more of them, and comes next."""
        places, holder = self.places[turn], self.holders[turn]
        found = shape.unlinked.get(places) or self._shapes.without(shape, places)
        if found is None:
            state = holder.steps[1]
            self.odd[id(holder)] = {id(state[2 * at + 1]) for at in places_in(places)}
            self.places[turn] = 0
        else:
            self.turns.append(turn)
        return found
