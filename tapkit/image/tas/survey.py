"""What is written when: the order of a .tas, found in one walk over the nodes.

Theory of operation
-------------------
Python source makes things in the order of its statements, a pickle in the order of its opcodes.
The walk here goes the way pickle goes (depth first, parts before the whole), so the same rules
hold, and what a `__setstate__` may rely on while unpickling holds while the source runs, too:

- What is complete only when made (a tuple, a frozenset, the result of a call) comes after all
  it is made of. Met again inside itself, it is made there, as pickle makes it: a list, dict, set
  or instance on the way has begun already.
- A list, dict, set or instance that is met again inside itself has to be there before it is
  complete: it is a *shell*, made where it was entered, completed where it is left.
- Where the one that meets it is an instance known to take an attribute later just as well, no
  shell is needed: that attribute is a *link*, assigned when all is made. This is what most
  links back of an application are (`server.parent = application`) and it reads best.

Most nodes are met once, and nothing needs to be remembered of them. That goes wrong where
something must be made inside itself, which is rare: then the walk begins again, and remembers all.
What holds nothing but atoms, and is met once, is written where it stands, and is not in `order`.

The result is `order`, a list of what to write: a node (make it, whole unless it is a shell that
was begun), or an `Event`.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Mapping
from typing import Any

from tapkit.errors import ImageError
from tapkit.image import naming
from tapkit.image.nodes import (
    AGAIN,
    ATOMS,
    EFFECT,
    KINDS,
    NEWOBJ,
    STATE,
    Buffer,
    Dict,
    FrozenSet,
    Global,
    Image,
    Node,
    Object,
    Set,
    is_plain,
)
from tapkit.image.tas.attributes import attributes_only
from tapkit.image.tas.events import BEGIN, DISCARD, MAKE, STEP, Event, is_leaf, is_whole
from tapkit.image.tas.shapes import Shape, Shapes
from tapkit.image.tas.words import ClassName

_BEGUN = frozenset({list, Dict, Set})  # these can be there before what is in them
_KEYED = frozenset({Dict, Object, type(None)})  # None: above the root
_NOT_YET = -1


class _InsideItselfError(Exception):
    """Something is made inside itself, so that nodes that are met once are walked over twice."""


class Survey:
    """What the walk found.

    Attributes:
        order: nodes and events, in the order they are written.
        looks: to each of those its shape, None for what is no instance, or an odd one.
        shapes: of the instances.
        shared: ids (Python's) of the nodes that need a variable, because they are met again.
        shells: ids of the nodes that are begun before they are complete.
        links: per id of an instance, the ids of the attribute values that are links.
        linked: the instances with links, in order.
        hints: per id, what a node could be called.
        globals: each Global by its id.
    """

    def __init__(
        self, image: Image, assignable: Collection[ClassName], opaque: Mapping[int, list[Node]]
    ):
        self.order: list[Any] = []
        self.looks: list[Shape | None] = []
        self.shared: set[int] = set()
        self.shells: set[int] = set()
        self.links: dict[int, set[int]] = {}
        self.linked: list[Object] = []
        self.hints: dict[int, str] = {}
        self.globals: dict[int, Global] = {}
        self.shapes = Shapes(self.globals)
        self._last_shapes = self.shapes.last
        self._assignable = assignable
        self._opaque = opaque
        self._begins: list[tuple[int, Node]] = []
        self._seen: set[int] = set()  # of `_met`
        self._met: set[int] | None = naming.shared(image)
        self._open: dict[int, int] = {}  # being made: where its shell would go, or _NOT_YET
        self._entered: dict[int, int] = {}  # what is _NOT_YET: how much was seen when entered
        self._made: set[int] = set()  # of those that can be entered twice
        self._making: dict[int, int] = {}  # of those with an AGAIN: how often they are entered
        self._stepped: dict[int, int] = {}  # and how many of their steps are written
        try:
            self._survey(image)
        except _InsideItselfError:
            self._met = None
            self._begin_again()
            self._survey(image)
        self._place_shells()
        self._seen = set()  # of a large image it is large, and the text takes its place

    def _survey(self, image: Image) -> None:
        for call in image.discarded:
            self._walk(call, "discarded")
            self._add(Event(DISCARD, call))
        self._walk(image.root, "root")

    def _begin_again(self) -> None:
        """Forget all that a first walk found."""
        for found in (self.order, self.looks, self.linked, self._begins):
            found.clear()
        for noted in (self.shared, self.shells, self._seen, self._made):
            noted.clear()
        for known in (self.links, self.hints, self._open, self._entered, self._making):
            known.clear()
        self._stepped.clear()

    def _place_shells(self) -> None:
        """Put the beginnings where they belong, which was known only later."""
        self._begins.sort(key=lambda begin: begin[0])  # stable: outer before inner
        order: list[Any] = []
        looks: list[Shape | None] = []
        done = 0
        for position, node in self._begins:
            order += self.order[done:position]
            order.append(Event(BEGIN, node))
            looks += self.looks[done:position]
            looks.append(None)
            done = position
        self.order = order + self.order[done:]
        self.looks = looks + self.looks[done:]

    def _add(self, item: Node | Event) -> None:
        self.order.append(item)
        self.looks.append(None)

    def _walk(self, root: Node, hint: str) -> None:  # noqa: C901  # the hot loop
        """Walk from a node, depth first, with a stack of its own."""
        seen, opened, shared, hints = self._seen, self._open, self.shared, self.hints
        order, looks, met = self.order, self.looks, self._met
        stack: list[tuple[Iterator[Node], Node, Shape | None]] = []
        kids: Iterator[Node] = iter((root,))
        holder: Node = None
        holder_shape: Shape | None = None
        before: Node = hint  # what came just before: of a value, its key
        while True:
            for node in kids:
                kind = type(node)
                if kind in ATOMS or (kind is tuple and not node):
                    before = node
                    continue
                key = id(node)
                if kind is Global:
                    self.globals[key] = before = node
                    continue
                if met is None or key in met:
                    if key not in seen:
                        seen.add(key)
                    elif key not in opened:
                        shared.add(key)
                        continue
                    elif not self._meet(node, key, holder, holder_shape):
                        continue
                elif holder is not None and (kind is Dict or kind is list) and is_leaf(node):
                    before = None  # it is written where it stands
                    continue
                if type(before) is str and type(holder) in _KEYED:
                    hints[key] = before
                elif kind is not Object or type(node.call) is not Global:
                    self._hint(node, key, holder)
                before = None
                shape = self._shape(node) if kind is Object else None
                if shape is not None and (shape.walked is None or self._is_done(node, shape)):
                    order.append(node)
                    looks.append(shape)
                    continue
                stack.append((kids, holder, holder_shape))
                if shape is None:
                    kids = self._enter(kind, node, key)
                else:
                    state = node.steps[1]
                    if met is None or key in met:
                        opened[key] = len(order)
                    if met is None or id(state) in met:
                        opened[id(state)] = len(order)
                    kids = iter(shape.walked(state))  # type: ignore[misc]  # it is not None
                holder, holder_shape = node, shape
                break
            else:
                if holder_shape is None:
                    self._leave(holder)
                else:
                    opened.pop(id(holder), None)
                    opened.pop(id(holder.steps[1]), None)
                    order.append(holder)
                    looks.append(holder_shape)
                if not stack:
                    return
                kids, holder, holder_shape = stack.pop()
                before = None

    def _shape(self, node: Object) -> Shape | None:
        """The shape of an instance that is entered now; None if it must be entered with care."""
        try:
            verb, state = node.steps
        except ValueError:
            return None
        call = node.call
        if (
            type(state) is not Dict
            or verb != STATE
            or node.args
            or node.how != NEWOBJ
            or type(call) is not Global
            or id(state) in self._seen
        ):
            return None
        shape = self._last_shapes.get(id(call))
        kinds = [type(value) for value in state[1::2]]
        try:
            known = shape is not None and shape.kinds == kinds and shape.names == state[::2]
        except BytesWarning:  # `python -bb`, and a key that is no string
            known = False
        if not known:
            shape = self.shapes.of(call, state)
        if shape is not None and (self._met is None or id(state) in self._met):
            self._seen.add(id(state))
        return shape

    def _is_done(self, node: Object, shape: Shape) -> bool:
        """Whether all that an instance refers to was met before, and is complete."""
        seen, opened, met = self._seen, self._open, self._met
        state = node.steps[1]
        for at in shape.referring:
            value = state[at]
            key = id(value)
            if met is None or key in met:
                if key not in seen or key in opened or key == id(node) or key == id(state):
                    return False
                self.shared.add(key)  # as it will be in any case
            elif not is_leaf(value):
                return False
        return True

    def _hint(self, node: Node, key: int, holder: Node) -> None:
        """Name after the container what is neither a value nor of a class."""
        self.hints[key] = naming.hint_of(node, self.hints.get(id(holder), "thing"))

    def _meet(self, node: Node, key: int, holder: Node, shape: Shape | None) -> bool:
        """Meet something that is being made; whether it must be made here, inside itself."""
        self.shared.add(key)
        if type(holder) is Object and self._takes_link(holder, node, shape):
            if id(holder) not in self.links:
                self.links[id(holder)] = set()
                self.linked.append(holder)
            self.links[id(holder)].add(key)
            return False
        position = self._open[key]
        if position != _NOT_YET:
            if key not in self.shells:
                self.shells.add(key)
                self._begins.append((position, node))
            return False
        if self._met is not None:
            raise _InsideItselfError
        return True

    def _takes_link(self, holder: Object, node: Node, shape: Shape | None) -> bool:
        if shape is not None:
            if shape.takes_links is None:
                shape.takes_links = self._is_assignable(shape.call)
            return shape.takes_links and holder.steps[1] is not node
        call = holder.call
        if type(call) is not Global or not is_plain(holder) or holder.steps[1] is node:
            return False
        state = holder.steps[1]
        is_open = id(state) in self._open or not (self._met is None or id(state) in self._met)
        return self._is_assignable(call) and is_open and attributes_only(state)

    def _is_assignable(self, call: Global) -> bool:
        """Whether instances of a class may get an attribute later just as well."""
        return call.module.startswith("tapkit.") or (call.module, call.name) in self._assignable

    # -- entering and leaving

    def _enter(self, kind: type, node: Node, key: int) -> Iterator[Node]:
        """Begin to make a node; its kids."""
        if kind is Object:
            if key in self._opaque:
                self._open[key] = _NOT_YET
                return iter(self._opaque[key])
            if is_plain(node) and id(node.steps[1]) not in self._seen:
                self.globals[id(node.call)] = node.call
                state = node.steps[1]
                self._seen.add(id(state))
                self._open[key] = self._open[id(state)] = len(self.order)
                return iter(state)
            return self._object(node, key)
        if kind in _BEGUN:
            self._open[key] = len(self.order)
            return iter(()) if ATOMS.issuperset(map(type, node)) else iter(node)
        if kind is bytearray or kind is Buffer:
            return iter(())
        if kind not in KINDS:
            raise ImageError("this is no node", repr(node)[:60])
        self._enter_late(node, key)
        return iter(node)

    def _enter_late(self, node: Node, key: int) -> None:
        """Begin what is complete only at its end; it must not need itself before that."""
        self._open[key] = _NOT_YET
        if self._entered.get(key) == len(self._seen):
            what = f"this {KINDS[type(node)]} must be there before it can be made"
            raise ImageError(what, repr(getattr(node, "call", type(node).__name__))[:60])
        self._entered[key] = len(self._seen)

    def _leave(self, node: Node) -> None:
        """All below a node is written: write it."""
        kind = type(node)
        key = id(node)
        if kind is Object:
            if self._open.pop(key, None) is None:
                return  # a generator saw to it, or it was made inside itself
            if node.steps:
                self._open.pop(id(node.steps[1]), None)
        elif kind in _BEGUN:
            self._open.pop(key, None)
        elif node is None:
            return
        elif kind is tuple or kind is FrozenSet:
            self._open.pop(key, None)
            if key in self._made:
                return
            self._made.add(key)
        self._add(node)

    def _object(self, node: Object, key: int) -> Generator[Node, None, None]:
        """The kids of an object that is not plain, its events between them."""
        self._enter_late(node, key)
        depth = self._making.get(key, 0)
        dropped = self._dropped(node, depth)
        self._making[key] = depth + 1
        yield (dropped or node).call
        yield from self._arguments(dropped or node)
        self._making[key] = depth
        if dropped is not None and key not in self._made:  # an edited graph: no cycle any more
            yield from self._arguments(node)
        first = key not in self._made
        self._made.add(key)
        if is_whole(node):
            if first:
                self._open[key] = len(self.order)  # `_leave` writes it; a step may meet it
                yield from (part for value in node.steps[1::2] for part in value)
            return
        if first:
            self._add(Event(MAKE, node))
        self._open.pop(key, None)
        for number, (verb, value) in self._steps_due(node, key):
            if verb in (STATE, EFFECT):
                yield value
            elif verb != AGAIN:
                yield from value
            self._add(Event(STEP, node, number))

    def _dropped(self, node: Object, depth: int) -> Object | None:
        """What is made in this place and dropped, because the object was made inside of it."""
        outer = [value for verb, value in node.each_step() if verb == AGAIN]
        return outer[-1 - depth] if depth < len(outer) else None

    def _arguments(self, node: Object) -> Generator[Node, None, None]:
        args = node.args
        if type(args) is tuple and args and id(args) not in self._seen:
            self._seen.add(id(args))  # written with the call, unless it is met again
            self._enter_late(args, id(args))
            yield from args
            self._open.pop(id(args), None)
        elif args != ():
            yield args
        if node.kwargs is not None:
            yield node.kwargs

    def _steps_due(self, node: Object, key: int) -> list[tuple[int, tuple[str, Any]]]:
        """The steps to take now: of what is made AGAIN, those up to there."""
        steps = list(enumerate(node.each_step()))
        start = self._stepped.get(key, 0)
        stop = len(steps)
        if self._making[key]:
            later = (n for n, (verb, _) in steps if verb == AGAIN and n >= start + (start > 0))
            stop = next(later, stop)
        self._stepped[key] = stop
        return steps[start:stop]
