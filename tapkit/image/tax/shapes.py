"""The shapes of calls that the spellings of standard types are told by."""

from __future__ import annotations

from collections.abc import Set

from tapkit.image.nodes import REDUCE, STATE, Dict, Global, Node, Object


def call_of(module: str, name: str, *args: Node) -> Object:
    return Object(REDUCE, Global(module, name), args)


def only(node: Object, *types: type) -> bool:
    """Whether a node is a plain call with arguments of these types."""
    return (
        node.how == REDUCE
        and not node.steps
        and type(node.args) is tuple
        and tuple(map(type, node.args)) == types
    )


BUILTIN_TYPE = Global("cloudpickle.cloudpickle", "_builtin_type")
"""How cloudpickle names types like MethodType, which no module has under its own name."""


def builtin(node: Node, shared: Set[int]) -> str | None:
    """The name of the builtin type a node is, if it is one."""
    if type(node) is not Object or type(node.call) is not Global or node.call != BUILTIN_TYPE:
        return None
    if not only(node, str) or node.kwargs is not None or id(node.args) in shared:
        return None
    name = node.args[0]
    return name if name.isascii() and name.isidentifier() else None


def slots(node: Object, shared: Set[int]) -> Dict | None:
    """The attributes of an object that has all of them in slots."""
    if node.steps[::2] != [STATE]:
        return None
    state = node.steps[1]
    if type(state) is not tuple or len(state) != 2 or state[0] is not None:
        return None
    plain = type(state[1]) is Dict and not {id(state), id(state[1])} & shared
    return state[1] if plain else None
