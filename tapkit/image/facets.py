"""An object node as a person thinks of it: attributes, items, entries; not the steps of a pickle.

For the readers that tell people about images (compare, overview, drawing). Nothing here
writes an image.
"""

from __future__ import annotations

from tapkit.image.nodes import (
    ATOMS,
    EFFECT,
    ENTRIES,
    INSTANCE,
    ITEMS,
    MEMBERS,
    NEWOBJ,
    NEWOBJ_EX,
    REDUCE,
    STATE,
    Dict,
    Global,
    Node,
    Object,
)

_RECONSTRUCTOR = Global("copyreg", "_reconstructor")
_NEWOBJ_FUNCTIONS = frozenset({Global("copyreg", "__newobj__"), Global("copyreg", "__newobj_ex__")})


class Facets:
    """What an object is made of, whatever the order and number of its steps.

    A cycle through the arguments does some steps twice (`AGAIN`); that is an affair of pickle,
    and is not seen here.

    Attributes:
        maker: its class, or the callable that makes it.
        is_class: whether `maker` is known to be a class.
        args, kwargs: what the maker is called with.
        attributes: keys and values by turns, as in a Dict; the last one of a name counts.
        holders: the nodes that hold the attributes: a `__dict__`, most often.
        state: states that are no attributes, as `__setstate__` gets them.
        items, members: of a subclass of list, of set.
        entries: of a subclass of dict, keys and values by turns.
        effects: what is called with the object.
    """

    __slots__ = (
        "args",
        "attributes",
        "effects",
        "entries",
        "holders",
        "is_class",
        "items",
        "kwargs",
        "maker",
        "members",
        "state",
    )

    def __init__(self, node: Object):
        self.maker, self.args, self.is_class = _made_by(node)
        self.kwargs = node.kwargs
        self.attributes: list[Node] = []
        self.holders: list[Node] = []
        self.state: list[Node] = []
        self.items: list[Node] = []
        self.entries: list[Node] = []
        self.members: list[Node] = []
        self.effects: list[Node] = []
        if node.steps:
            self._add_steps(node)

    def _add_steps(self, node: Object) -> None:
        for verb, value in node.each_step():
            if verb == STATE:
                self._add_state(value)
            elif verb == ITEMS:
                self.items += value
            elif verb == ENTRIES:
                self.entries += value
            elif verb == MEMBERS:
                self.members += value
            elif verb == EFFECT:
                self.effects.append(value)

    def _add_state(self, state: Node) -> None:
        """A dict of attributes; or that and one for the slots, as classes with slots have it."""
        holders = state if type(state) is tuple and len(state) == 2 else (state,)
        if all(holder is None or _is_attributes(holder) for holder in holders) and state != ():
            for holder in holders:
                if holder is not None:
                    self.attributes += holder
                    self.holders.append(holder)
        else:
            self.state.append(state)


def _is_attributes(node: Node) -> bool:
    if type(node) is not Dict or len(node) % 2:
        return False
    return all(type(name) is str for name in node[::2])


def _made_by(node: Object) -> tuple[Node, Node, bool]:
    """(maker, args, whether the maker is a class); protocols 0 and 1 hide the class in args."""
    call, args = node.call, node.args
    if node.how in (NEWOBJ, NEWOBJ_EX, INSTANCE):
        return call, args, True
    if type(call) is Global and type(args) is tuple:
        if call == _RECONSTRUCTOR and len(args) == 3 and args[2] is None:
            return args[0], (), True
        if call in _NEWOBJ_FUNCTIONS and args:
            return args[0], args[1:], True
    return call, args, False


def attribute(node: Node, name: str) -> Node:
    """The value of an attribute of an object node; None where there is none."""
    if type(node) is not Object:
        return None
    attributes = Facets(node).attributes
    for at in range(len(attributes) - 2, -1, -2):
        if attributes[at] == name:
            return attributes[at + 1]
    return None


def is_plain_call(node: Object) -> bool:
    """Whether an object is a call with nothing but values, and so as good as a value itself."""
    return (
        not node.steps
        and node.kwargs is None
        and type(node.call) is Global
        and type(node.args) is tuple
        and all(type(part) in ATOMS for part in node.args)
        and node.how in (REDUCE, NEWOBJ)
        and (node.how == REDUCE or bool(node.args))
    )
