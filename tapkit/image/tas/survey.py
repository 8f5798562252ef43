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
from typing import Any, Final

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
from tapkit.image.tas.events import (
    ATOM_KINDS,
    BEGIN,
    DICT,
    DISCARD,
    MAKE,
    STEP,
    Event,
    dropped_in,
    inserted,
    is_leaf,
    is_whole,
)
from tapkit.image.tas.links import Links
from tapkit.image.tas.shapes import NAMES, VALUES, Shape, Shapes, part_of
from tapkit.image.tas.words import ClassName

_BEGUN: Final = frozenset({list, Dict, Set})  # these can be there before what is in them
_KEYED: Final = frozenset({Dict, Object, type(None)})  # None: above the root
_NOT_YET: Final = -1


class _InsideItselfError(Exception):
    """Something is made inside itself, so that nodes that are met once are walked over twice."""


class Survey:
    """What the walk found.

    Attributes:
        order: nodes and events, in the order they are written.
        looks: to each of those its shape, None for what is no instance, or an odd one.
        hinted: to each that has a shape, what it could be called; None: by its class.
        shapes: of the instances.
        shared: ids (Python's) of the nodes that need a variable, because they are met again.
        shells: ids of the nodes that are begun before they are complete.
        links: what is assigned when all is made.
        has_variables: whether the state of an instance with a shape may need one.
        knots: nodes that are met inside themselves.
        hints: per id, what a node could be called: all that is met again, or has no shape.
        globals: each Global by its id.
        met: ids of the nodes that may be met again; None: all may.
    """

    def __init__(
        self, image: Image, assignable: Collection[ClassName], opaque: Mapping[int, list[Node]]
    ):
        self.order: list[Any] = []
        self.looks: list[Shape | None] = []
        self.hinted: list[str | None] = []
        self.shared: set[int] = set()
        self.shells: set[int] = set()
        self.has_variables = False
        self.knots: list[Node] = []
        self.hints: dict[int, str] = {}
        self.globals: dict[int, Global] = {}
        self.shapes = Shapes(self.globals)
        self.links = Links(assignable, self.shapes)
        self._opaque = opaque
        self._begins: list[tuple[int, Node]] = []
        self._seen: set[int] = set()  # of `met`
        self.met: set[int] | None = naming.shared(image)
        self._open: dict[int, int] = {}  # being made: where its shell would go, or _NOT_YET
        self._entered: dict[int, int] = {}  # what is _NOT_YET: how much was seen when entered
        self._made: set[int] = set()  # of those that can be entered twice
        self._making: dict[int, int] = {}  # of those with an AGAIN: how often they are entered
        self._stepped: dict[int, int] = {}  # and how many of their steps are written
        try:
            self._survey(image)
        except _InsideItselfError:
            self.met = None
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
        for found in (self.order, self.looks, self.hinted, self.knots, self._begins):
            found.clear()
        self.links.clear()
        for noted in (self.shared, self.shells, self._seen, self._made):
            noted.clear()
        for known in (self.hints, self._open, self._entered, self._making, self._stepped):
            known.clear()

    def _place_shells(self) -> None:
        """Put the beginnings where they belong, which was known only later."""
        self._begins.sort(key=lambda begin: begin[0])  # stable: outer before inner
        positions = [position for position, _ in self._begins]
        begun = [Event(BEGIN, node) for _, node in self._begins]
        self.order = inserted(self.order, positions, begun)
        self.looks = inserted(self.looks, positions, [None] * len(positions))
        self.hinted = inserted(self.hinted, positions, [None] * len(positions))

    def _add(self, item: Node | Event) -> None:
        self.order.append(item)
        self.looks.append(None)
        self.hinted.append(None)

    def _walk(self, root: Node, hint: str) -> None:  # noqa: C901  # the hot loop
        """Walk from a node, depth first, with a stack of its own."""
        seen, opened, shared, hints, met = self._seen, self._open, self.shared, self.hints, self.met
        order, looks, hinted, links = self.order, self.looks, self.hinted, self.links
        stack: list[tuple[Iterator[Node], Node, Shape | None, str | None, int]] = []
        kids: Iterator[Node] = iter((root,))
        holder: Node = None
        holder_shape: Shape | None = None
        holder_hint: str | None = None
        turn = -1  # of the holder among `links`
        before: Node = hint  # what came just before: of a value, its key
        while True:
            for node in kids:
                kind = type(node)
                if kind in ATOM_KINDS or (kind is tuple and not node):
                    before = node
                    continue
                key: Any = id(node)  # and no int: a compiler would box it again and again
                if kind is Global:
                    self.globals[key] = before = node
                    continue
                again = met is None or key in met
                if again:
                    if key not in seen:
                        seen.add(key)
                    elif key not in opened:
                        shared.add(key)
                        continue
                    elif holder_shape is not None and links.takes(holder, node, holder_shape):
                        if key not in shared:
                            shared.add(key)
                            self.knots.append(node)
                        turn = links.add(holder, node, holder_shape, turn)
                        continue
                    elif not self._meet(node, key, holder):
                        continue
                elif holder is not None and (kind is DICT or kind is list) and is_leaf(node):
                    before = None  # it is written where it stands
                    continue
                name: str | None = None
                if holder_shape is not None:
                    name = holder_shape.name_in(holder.steps[1], node)
                elif type(before) is str and type(holder) in _KEYED:
                    name = before
                elif kind is not Object or type(node.call) is not Global:
                    name = naming.hint_of(node, hints.get(id(holder), "thing"))
                before = None
                shape = self._shape(node) if kind is Object else None
                if again or shape is None:
                    if name is not None:
                        hints[key] = name
                    else:
                        name = hints.get(key)
                if shape is not None and self._is_done(node, shape):
                    order.append(node)
                    looks.append(shape)
                    hinted.append(name)
                    continue
                stack.append((kids, holder, holder_shape, holder_hint, turn))
                if shape is None:
                    kids = self._enter(kind, node, key)
                else:
                    state: list[Node] = node.steps[1]
                    if again:
                        opened[key] = len(order)
                    if met is None or id(state) in met:
                        opened[id(state)] = len(order)
                    kids = iter([state[at] for at in shape.referring])
                holder, holder_shape, holder_hint, turn = node, shape, name, -1
                break
            else:
                if holder_shape is None:
                    self._leave(holder)
                else:
                    if opened:
                        key = id(holder)  # and no `pop`: see `Instances._taken`
                        if key in opened:
                            del opened[key]
                        key = id(holder.steps[1])
                        if key in opened:
                            del opened[key]
                    order.append(holder)
                    looks.append(holder_shape if turn < 0 else links.closed(holder_shape, turn))
                    hinted.append(holder_hint)
                if not stack:
                    return
                kids, holder, holder_shape, holder_hint, turn = stack.pop()
                before = None

    def _shape(self, node: Object) -> Shape | None:
        """The shape of an instance that is entered now; None if it must be entered with care."""
        steps = node.steps
        if len(steps) != 2 or node.args or node.how != NEWOBJ or steps[0] != STATE:
            return None
        call, state = node.call, steps[1]
        key: Any = id(state)
        if type(state) is not DICT or type(call) is not Global:
            return None
        again = self.met is None or key in self.met
        if again and key in self._seen:
            return None
        shape = self.shapes.last.get(id(call))
        values: list[Node] = part_of(state, VALUES)
        kinds = [type(value) for value in values]
        try:
            if shape is None or shape.kinds != kinds or shape.names != part_of(state, NAMES):
                shape = self.shapes.of(call, state)
        except BytesWarning:  # `python -bb`, and a key that is no string
            shape = self.shapes.of(call, state)
        if shape is not None and again:
            self._seen.add(key)
            self.has_variables = True
        return shape

    def _is_done(self, node: Object, shape: Shape) -> bool:
        """Whether all that an instance refers to was met before, and is complete."""
        seen, opened, met = self._seen, self._open, self.met
        state: list[Node] = node.steps[1]
        for at in shape.referring:
            value = state[at]
            key: Any = id(value)
            if met is None or key in met:
                if key not in seen or key in opened or key == id(node) or key == id(state):
                    return False
                self.shared.add(key)  # as it will be in any case
            elif not is_leaf(value):
                return False
        return True

    def _meet(self, node: Node, key: int, holder: Node) -> bool:
        """Meet something that is being made; whether it must be made here, inside itself."""
        if key not in self.shared:
            self.shared.add(key)
            self.knots.append(node)
        if type(holder) is Object and self.links.takes_oddly(holder, node):
            state = id(holder.steps[1])
            if state in self._open or not (self.met is None or state in self.met):
                self.links.add_oddly(holder, key)
                return False
        position = self._open[key]
        if position != _NOT_YET:
            if key not in self.shells:
                self.shells.add(key)
                self._begins.append((position, node))
            return False
        if self.met is not None:
            raise _InsideItselfError
        return True

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
        dropped = dropped_in(node, depth)
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
