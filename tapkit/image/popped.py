"""Opcodes that take nodes off the stack again. POP has three meanings, told apart here.

1. `call(obj, state)` REDUCE, POP, with `obj` beneath: a state setter (cloudpickle has them for
   functions and classes). The call is an effect, a step of `obj`.
2. POP, GET: pickle finds that what it has just made was made before, inside its own items or
   arguments (a cycle through a tuple, a frozenset or the arguments of a call). A tuple or
   frozenset leaves no trace, for what was popped has the very same parts. An object may: its
   reducer was asked twice and may have given other arguments (sets before protocol 4 and
   cloudpickle's classes come with a new list or dict each time), and pickle's Python version now
   completes the object a second time (C's does not). That is the step AGAIN.
3. Anything else. No pickler does that, but what is popped may have been called. It is kept, and
   becomes one of the image's `discarded`, unless something in the image refers to it.
"""

from __future__ import annotations

import pickle

from tapkit.image.actions import by_id, get
from tapkit.image.machine import Machine, RefusedError
from tapkit.image.nodes import AGAIN, ATOMS, EFFECT, REDUCE, Dict, Global, Node, Object

_FETCHES = {
    pickle.BINGET: by_id(get, 1),
    pickle.LONG_BINGET: by_id(get, 4),
    pickle.GET: by_id(get, 0),
}
_MANY = 1000  # more would be hostile: what follows from it takes time by the square


def do_dup(m: Machine, position: int) -> int:
    m.takes_back = True
    m.stack.append(m.stack[-1])
    return position


def do_pop(m: Machine, position: int) -> int:
    """POP: an effect on the object beneath, or the throw-away half of a cycle."""
    m.takes_back = True
    if not m.stack and m.below:
        m.stack = m.below.pop()  # the mark itself is popped
        return position
    top = m.stack.pop()
    if type(top) is Object:
        again = _rebuilt(m, top, position)
        if again is not None:
            if again.steps.count(AGAIN) > _MANY:
                raise RefusedError("an object is made again and again")
            again.add_step(AGAIN, None if _same_parts(again, top) else top)
            m.rebuilt.append(again)
            return position
        if _is_effect(m, top):
            m.stack[-1].add_step(EFFECT, top)
            return position
    _keep(m, [top])
    return position


def do_pop_mark(m: Machine, position: int) -> int:
    m.takes_back = True
    marked = m.take_marked()
    _keep(m, marked)
    return position


def _is_effect(m: Machine, call: Object) -> bool:
    if not m.stack or type(call.args) is not tuple or not call.args:
        return False
    return type(m.stack[-1]) is Object and call.args[0] is m.stack[-1] and call.how is REDUCE


def _keep(m: Machine, nodes: list[Node]) -> None:
    m.popped += [node for node in nodes if type(node) not in ATOMS and type(node) is not Global]


def _rebuilt(m: Machine, popped: Object, position: int) -> Object | None:
    """The object that a GET puts in the place of a popped one made by the same call."""
    fetch = _FETCHES.get(m.data[position : position + 1])
    if fetch is None:
        return None
    probe = Machine(m.data, m.memo, None)
    fetch(probe, position + 1)
    found = probe.stack[0]
    if type(found) is not Object or found is popped or found.how != popped.how:
        return None
    return found if _same_value(found.call, popped.call) else None


def _same_parts(one: Object, other: Object) -> bool:
    """Whether two objects are made of the very same nodes."""
    return all(
        mine is theirs
        or (
            type(mine) is type(theirs)
            and type(mine) in (tuple, Dict)
            and len(mine) == len(theirs) <= _MANY
            and all(map(_same_value, mine, theirs))
        )
        for mine, theirs in ((one.args, other.args), (one.kwargs, other.kwargs))
    )


def _same_value(one: Node, other: Node) -> bool:
    if one is other:
        return True
    kind = type(one)
    return kind is type(other) and (kind in ATOMS or kind is Global) and bool(one == other)
