"""The node kinds: what stands between a pickle and its spellings.

Theory
------
A node is a Python object, and the graph of nodes is the graph it describes: an object that is
shared is one node met twice, a cycle is a cycle. There are no ids and no "reference" nodes.
Ids would have to be made up by the reader of the pickle, kept in step by every hand edit and
resolved by each writer; identity needs none of that, costs no memory, and each spelling names
what is met twice in its own way (`ref="quoter"` in XML, a variable in Python).

Where Python's own type says all there is to say, it is the node:

=============  ===========================================================================
kind           node
=============  ===========================================================================
atom           None, bool, int, float, str, bytes. Values: they have no identity, so equal
               strings may be one object or two.
tuple          tuple of nodes. `()` is a value, any other has an identity.
list           list of nodes
bytearray      bytearray
dict           `Dict`: keys and values by turns, in order
set            `Set`: its members, in stream order
frozenset      `FrozenSet`: likewise
global         `Global`: a module and a qualified name. A value.
object         `Object`: a call and its arguments, then the steps that complete it
buffer         `Buffer`: a place in the list of out-of-band buffers
=============  ===========================================================================

An ephemeral is no kind of its own: whatever stands for one is an object or a global, and the
spellings know it by its name. A *reference* exists in text alone.

`Dict`, `Set` and `FrozenSet` are flat lists and not dict and set, because nothing here may hash
a node: a key may be a node that is not hashable, or a tuple nested so deeply (or shared so
often) that hashing it would crash the interpreter (or never end).

Nothing in this module recurses; but `==` and `repr` of lists and tuples are Python's own and
do. Compare nodes with `difference`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeAlias

from tapkit.image.flats import Dict as Dict
from tapkit.image.flats import FrozenSet as FrozenSet
from tapkit.image.flats import Set as Set

Node: TypeAlias = Any
"""An object of one of the kinds above. (A union would be no help: each reader asks `type`.)"""

ATOMS = frozenset({type(None), bool, int, float, str, bytes})

# How an object is called, as pickle names it.
REDUCE: Final = "reduce"  # call(*args)
NEWOBJ: Final = "newobj"  # call.__new__(call, *args)
NEWOBJ_EX: Final = "newobj_ex"  # call.__new__(call, *args, **kwargs)
INSTANCE: Final = "instance"  # opcodes INST and OBJ: call(*args), but newobj if there are none

# The verbs of an object's steps.
STATE: Final = "state"  # obj.__setstate__(value), or what pickle does where there is none
ITEMS: Final = "items"  # a list of nodes: obj.extend(value)
ENTRIES: Final = "entries"  # a Dict: obj[key] = value for each
MEMBERS: Final = "members"  # a list of nodes: obj.update(value), of a subclass of set
EFFECT: Final = "effect"  # an Object, called with obj as its first argument for its effect
AGAIN: Final = "again"  # what follows is done outside a cycle through the arguments: see Object


class Global:
    """What `module` has under a dotted name: a class, a function. Equal by value."""

    __slots__ = ("module", "name")

    def __init__(self, module: str, name: str):
        self.module = module
        self.name = name

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Global):
            return NotImplemented
        return self.module == other.module and self.name == other.name

    def __hash__(self) -> int:
        return hash((self.module, self.name))

    def __repr__(self) -> str:
        return f"Global({self.module!r}, {self.name!r})"


class Object:
    """The result of a call, and what is then done to it.

    Attributes:
        how: REDUCE, NEWOBJ, NEWOBJ_EX or INSTANCE.
        call: the class or callable: any node, most often a Global.
        args: a tuple of nodes. (Or an Object that makes a tuple, of a named tuple's class.)
        kwargs: a Dict with NEWOBJ_EX, else None.
        steps: verbs and values by turns, in the order of the stream. Most objects have one
            step: STATE and a Dict.

    A cycle through the arguments makes an object twice (see `pickled`). Then a step AGAIN stands
    between what is done to it inside the cycle and what is done when it is complete. Its value
    is the call whose result was dropped, an Object without steps; or None where that call had
    the very same arguments. A reader that sees no point in this may leave these steps out.
    """

    __slots__ = ("args", "call", "how", "kwargs", "steps")

    def __init__(self, how: str, call: Node, args: Node = (), kwargs: Node = None):
        self.how = how
        self.call = call
        self.args = args
        self.kwargs = kwargs
        self.steps: list[Any] = []

    def each_step(self) -> Iterator[tuple[str, Any]]:
        """(verb, value) pairs."""
        steps = iter(self.steps)
        return zip(steps, steps, strict=True)

    def add_step(self, verb: str, value: Any) -> None:
        """Do `verb` to the object after all that is done already."""
        self.steps += (verb, value)

    def __repr__(self) -> str:
        verbs = ", ".join(self.steps[::2])
        return f"<Object {self.how} {self.call!r} at {id(self):#x}: {verbs or 'no steps'}>"


class Buffer:
    """Data that travels beside the pickle: the `number`th buffer of its list."""

    __slots__ = ("number", "readonly")

    def __init__(self, number: int, readonly: bool = False):
        self.number = number
        self.readonly = readonly


VALUES = ATOMS | {Global}
"""Node types without an identity; an empty tuple has none either."""


class Image:
    """A whole pickle as nodes.

    Attributes:
        root: the node the pickle is about.
        names: every (module, name) the stream has, used or not: what an audit must know.
        discarded: calls that are made, and their result thrown away unseen. No pickler writes
            such, but loading would make them, so they are kept; made before the root.
        shared: ids (Python's) of the nodes that are met more than once, if that is known. Who
            changes the graph sets it to None.
        knots: nodes that all cycles go through, as far as whoever made or wrote it came by them:
            for `let_go`.
    """

    __slots__ = ("discarded", "knots", "names", "root", "shared")

    def __init__(
        self,
        root: Node,
        names: Iterable[tuple[str, str]] = (),
        discarded: Iterable[Node] = (),
    ):
        self.root = root
        self.names: list[tuple[str, str]] = list(names)
        self.discarded: list[Node] = list(discarded)
        self.shared: set[int] | None = None
        self.knots: list[Node] = []


def let_go(image: Image) -> None:
    """Take apart a graph of nodes that nobody needs any more, where its cycles are closed.

    So it is gone as soon as it is dropped. The garbage collector would take longer to find that
    it is garbage than it takes to write it.
    """
    for node in image.knots:
        if type(node) is Object:
            node.args, node.kwargs, node.steps = (), None, []
        elif type(node) in _EMPTIED:
            node.clear()
    image.knots = []


_EMPTIED = frozenset({list, Dict, Set, FrozenSet})


KINDS: dict[type, str] = {
    **dict.fromkeys(ATOMS, "atom"),
    tuple: "tuple",
    list: "list",
    bytearray: "bytearray",
    Dict: "dict",
    Set: "set",
    FrozenSet: "frozenset",
    Global: "global",
    Object: "object",
    Buffer: "buffer",
}
"""Every type a node can have, and the kind it stands for."""


def is_plain(node: Object) -> bool:
    """Whether an object is a class's instance with a dict as its state: most of any image."""
    steps = node.steps
    if len(steps) != 2 or node.how != NEWOBJ or node.args != ():
        return False
    return steps[0] == STATE and type(steps[1]) is Dict and type(node.call) is Global


_WHOLE = frozenset({STATE, EFFECT, AGAIN})  # the value of such a step is one node
_FLAT = frozenset({tuple, list, Dict, Set, FrozenSet})


def children(node: Node) -> Iterable[Node]:
    """The nodes a node refers to, in the order they are written."""
    kind = type(node)
    if kind in _FLAT:
        return node  # type: ignore[no-any-return]
    if kind is not Object:
        return ()
    parts = [node.call, node.args]
    if node.kwargs is not None:
        parts.append(node.kwargs)
    for verb, value in node.each_step():
        if verb in _WHOLE:
            parts.append(value)
        else:
            parts += value
    return parts


def walk(*roots: Node, seen: set[int] | None = None) -> Iterator[Node]:
    """Each node that has an identity and can be reached, once, and each Global as often as met.

    Depth first, in the order a pickle has them. Each node is yielded before it is looked into,
    so a reader may change it.

    Parameters:
        seen: the `id()` of nodes to pass over; those that are met are added.
    """
    seen = set() if seen is None else seen
    todo = list(reversed(roots))
    while todo:
        node = todo.pop()
        kind = type(node)
        if kind in ATOMS:
            continue
        if kind is not Global:
            if id(node) in seen:
                continue
            seen.add(id(node))
        yield node
        todo += reversed([kid for kid in children(node) if type(kid) not in ATOMS])


def difference(left: Node, right: Node) -> str | None:
    """How two graphs of nodes differ, or None if they do not.

    Types, values (floats to the bit), order and sharing count. Shared nodes must stay alive
    while this runs, and do: the graphs hold them.
    """
    paired: dict[int, int] = {}
    taken: set[int] = set()
    todo: list[tuple[Node, Node]] = [(left, right)]
    while todo:
        one, other = todo.pop()
        kind = type(one)
        if kind is not type(other):
            return f"{_short(one)} is of another kind than {_short(other)}"
        if kind in ATOMS or kind is Global or one == () == other:
            if not _same_value(one, other):
                return f"{_short(one)} is not {_short(other)}"
            continue
        if id(one) in paired or id(other) in taken:
            if paired.get(id(one)) != id(other):
                return f"{_short(one)} and {_short(other)} are shared differently"
            continue
        paired[id(one)] = id(other)
        taken.add(id(other))
        if _facts(one) != _facts(other):
            return f"{_short(one)} and {_short(other)} are made differently"
        # The parts a step's value was made of live no longer than the node: pairing goes by
        # the nodes alone, so `children` may make new lists.
        todo += zip(children(one), children(other), strict=True)
    return None


def _same_value(one: Node, other: Node) -> bool:
    if type(one) is float:
        return struct.pack(">d", one) == struct.pack(">d", other)
    return bool(one == other)


def _facts(node: Node) -> Any:
    """What of a node is neither its type nor its children."""
    kind = type(node)
    if kind is Object:
        sizes = tuple(None if verb in _WHOLE else len(value) for verb, value in node.each_step())
        return (node.how, node.kwargs is None, list(node.steps[::2]), sizes)
    if kind is Buffer:
        return (node.number, node.readonly)
    return bytes(node) if kind is bytearray else len(node)


def _short(node: Node) -> str:
    kind = type(node)
    if kind in _FLAT:
        return f"a {KINDS[kind]} of {len(node)}"
    # A long int would be refused by repr, so hexadecimal.
    text = f"{node:#x}" if kind is int else repr(node)
    return text if len(text) <= 60 else text[:57] + "..."
