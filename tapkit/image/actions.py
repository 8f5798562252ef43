"""Opcodes that put nodes together: containers, the memo, globals, calls and what completes them."""

from __future__ import annotations

from collections.abc import Callable

from tapkit.image.literals import line, short, unsigned
from tapkit.image.machine import Machine, RefusedError, SparseDict, SparseMemoError
from tapkit.image.nodes import (
    ENTRIES,
    INSTANCE,
    ITEMS,
    MEMBERS,
    NEWOBJ,
    NEWOBJ_EX,
    REDUCE,
    STATE,
    VALUES,
    Dict,
    FrozenSet,
    Global,
    Node,
    Object,
    Set,
)

SAME = Global("tapkit.styles", "same")


def do_mark(m: Machine, position: int) -> int:
    m.below.append(m.stack)
    m.stack = []
    return position


def do_tuple(m: Machine, position: int) -> int:
    marked = tuple(m.take_marked())
    m.stack.append(marked)
    return position


def tuple_of(size: int) -> Callable[[Machine, int], int]:
    """The action that makes a tuple of the top `size` nodes."""

    def do_short_tuple(m: Machine, position: int) -> int:
        parts = tuple(m.stack[-size:])
        if len(parts) < size:
            raise RefusedError("the stack is empty")
        m.stack[-size:] = [parts]
        return position

    return do_short_tuple


def do_list(m: Machine, position: int) -> int:
    marked = m.take_marked()
    m.stack.append(list(marked))
    return position


def do_dict(m: Machine, position: int) -> int:
    marked = m.take_marked()
    _even(marked)
    m.stack.append(Dict(marked))
    return position


def do_frozenset(m: Machine, position: int) -> int:
    marked = FrozenSet(m.take_marked())
    m.stack.append(marked)
    return position


def do_append(m: Machine, position: int) -> int:
    item = m.stack.pop()
    extend(m.stack[-1], [item], list, ITEMS)
    return position


def do_appends(m: Machine, position: int) -> int:
    items = m.take_marked()
    extend(m.stack[-1], items, list, ITEMS)
    return position


def do_setitem(m: Machine, position: int) -> int:
    content = m.stack.pop()
    key = m.stack.pop()
    m.beware_of(m.stack[-1])
    extend(m.stack[-1], [key, content], Dict, ENTRIES)
    return position


def do_setitems(m: Machine, position: int) -> int:
    entries = m.take_marked()
    _even(entries)
    m.beware_of(m.stack[-1])
    extend(m.stack[-1], entries, Dict, ENTRIES)
    return position


def do_additems(m: Machine, position: int) -> int:
    members = m.take_marked()
    extend(m.stack[-1], members, Set, MEMBERS)
    return position


def extend(target: Node, parts: list[Node], container: type, verb: str) -> None:
    """Put parts into a container, or say that they are put into an object.

    An object that is filled in batches gets one step: batches mean nothing.
    """
    kind = type(target)
    if kind is container:
        target.extend(parts)
    elif kind is not Object:
        raise RefusedError(f"{kind.__name__} takes no {verb}")
    elif target.steps and target.steps[-2] is verb:
        target.steps[-1].extend(parts)
    else:
        target.add_step(verb, Dict(parts) if verb is ENTRIES else parts)


def _even(parts: list[Node]) -> None:
    if len(parts) % 2:
        raise RefusedError("a key has no value")


# -- the memo


def do_memoize(m: Machine, position: int) -> int:
    m.memo.append(m.stack[-1])
    return position


def put(m: Machine, key: int) -> None:
    """Give the top of the stack an id."""
    memo, top = m.memo, m.stack[-1]
    if key < 0:
        raise RefusedError("an id must not be negative")
    if type(memo) is SparseDict or key < len(memo):
        memo[key] = top
    elif key == len(memo):
        memo.append(top)
    else:
        raise SparseMemoError


def get(m: Machine, key: int) -> None:
    """Push what has an id."""
    try:
        found = m.memo[key] if key >= 0 else m.memo[len(m.memo)]
    except LookupError:
        raise RefusedError(f"nothing was given the id {key}") from None
    m.stack.append(found)
    if type(found) not in VALUES:
        m.met[id(found)] = found


def by_id(act: Callable[[Machine, int], None], size: int) -> Callable[[Machine, int], int]:
    """An action on an id of `size` bytes, or in decimal digits (size 0)."""

    def do(m: Machine, position: int) -> int:
        if size:
            act(m, unsigned(short(m, position, size)))
            return position + size
        text, position = line(m, position)
        act(m, int(text))
        return position

    return do


# -- globals and calls


def do_global(m: Machine, position: int) -> int:
    module, position = line(m, position)
    name, position = line(m, position)
    m.stack.append(m.named(module.decode(), name.decode()))
    return position


def do_stack_global(m: Machine, position: int) -> int:
    name = m.stack.pop()
    module = m.stack.pop()
    m.stack.append(m.named(module, name))
    return position


def do_inst(m: Machine, position: int) -> int:
    module, position = line(m, position)
    name, position = line(m, position)
    call = m.named(module.decode(), name.decode())
    args = tuple(m.take_marked())
    m.stack.append(Object(INSTANCE, call, args))
    return position


def do_obj(m: Machine, position: int) -> int:
    marked = m.take_marked()
    m.stack.append(Object(INSTANCE, _callable(marked[0]), tuple(marked[1:])))
    return position


def do_reduce(m: Machine, position: int) -> int:
    args = m.stack.pop()
    call = m.stack.pop()
    if (
        type(call) is Global
        and call.name == "same"
        and call == SAME
        and type(args) is tuple
        and len(args) == 1
    ):
        # The flat pickler's: what comes next completes an object made before. See `flat`.
        m.stack.append(args[0])
    else:
        m.stack.append(Object(REDUCE, _callable(call), _arguments(args)))
    return position


def do_newobj(m: Machine, position: int) -> int:
    args = m.stack.pop()
    call = m.stack.pop()
    m.stack.append(Object(NEWOBJ, _callable(call), _arguments(args)))
    return position


def do_newobj_ex(m: Machine, position: int) -> int:
    kwargs = m.stack.pop()
    args = m.stack.pop()
    call = m.stack.pop()
    if type(kwargs) not in (Dict, Object):
        raise RefusedError("keyword arguments must be a dict")
    m.stack.append(Object(NEWOBJ_EX, _callable(call), _arguments(args), kwargs))
    return position


def _callable(call: Node) -> Node:
    if type(call) not in (Global, Object):
        raise RefusedError(f"{type(call).__name__} cannot be called")
    return call


def _arguments(args: Node) -> Node:
    if type(args) not in (tuple, Object):
        raise RefusedError("arguments must be a tuple")
    return args


def do_build(m: Machine, position: int) -> int:
    state = m.stack.pop()
    target = m.stack[-1]
    if type(target) is not Object:
        raise RefusedError(f"{type(target).__name__} takes no state")
    target.add_step(STATE, state)
    return position
