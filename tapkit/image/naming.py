"""Names for nodes: the ids of a .tax, the variables of a .tas.

A name says what its reader would call the thing: the attribute or key it is under, or the class
of what lies in a list; a second one of the same name gets a number (`quoter`, `quoter2`). Every
name is ASCII, an XML NCName and a Python identifier that is neither a keyword nor a builtin, so
that the same thing has the same name in both forms. Names depend on the graph alone: the same
image has the same names each time it is written. Nothing recurses, and all of it takes time
proportional to the size of the image.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from tapkit.image.nodes import (
    AGAIN,
    ATOMS,
    EFFECT,
    STATE,
    VALUES,
    Dict,
    Global,
    Image,
    Node,
    Object,
    children,
    is_plain,
)

# The union over the Pythons that may read an image, so that names do not depend on the one
# that writes it.
_RESERVED: Final = frozenset(
    {*keyword.kwlist, *keyword.softkwlist, *dir(builtins), "BaseExceptionGroup", "EncodingWarning"}
    | {"ExceptionGroup", "PythonFinalizationError"}
)
LONGEST: Final = 40
"""Characters of a name, but for its number."""
_USUAL: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[ _][A-Za-z0-9]+)*").fullmatch
_ODD = re.compile(r"[^A-Za-z0-9_]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class Names:
    """Hands out names, each once.

    Parameters:
        reserved: names never to give, beside Python's keywords and builtins.
    """

    def __init__(self, reserved: Iterable[str] = ()):
        self._taken = {*_RESERVED, *reserved}
        self._last: dict[str, int] = {}

    def give(self, hint: str) -> str:
        """A name like `hint` that was not given before."""
        stem = identifier(hint)
        number = self._last.get(stem, 0)
        name = stem if number == 0 else f"{stem}{number + 1}"
        while name in self._taken:
            number += 1
            name = f"{stem}{number + 1}"
        self._last[stem] = number + 1
        self._taken.add(name)
        return name


def identifier(hint: str) -> str:
    """`hint` with what no name may have taken out; `thing` where that leaves nothing."""
    if len(hint) <= LONGEST and _USUAL(hint):
        stem = hint.replace(" ", "_")
    else:
        stem = _ODD.sub("_", hint[: 2 * LONGEST]).strip("_")[:LONGEST].rstrip("_")
        if not stem:
            return "thing"
        if stem[0].isdigit():
            return f"n{stem}"
    return f"{stem}_" if stem in _RESERVED else stem


def numbered_start(base: str) -> str:
    """What `identifier` makes of `base` where digits follow it, and nothing else, up to LONGEST.

    "" if that depends on more than `base`, or may not be told so quickly.
    """
    return base.replace(" ", "_") if _USUAL(f"{base}1") else ""  # no reserved name ends in a digit


def hint_of(node: Node, container: str) -> str:
    """What to call a node that is nameless itself: an item of what is called `container`."""
    if type(node) is Object:
        call = node.call
        if type(call) is Global:
            return class_hint(call)
    return container if container.endswith("_item") else f"{container}_item"


def class_hint(call: Global) -> str:
    """The name of a class or function as the name of a thing: TCPServer, `tcp_server`."""
    name = call.name.rpartition(".")[2]
    return _HUMP.sub("_", name[: 2 * LONGEST]).lower()


def root_hint(root: Node) -> str:
    """What to call the root: by its own `name` where it has one that is an identifier."""
    if type(root) is not Object:
        return "application"
    for verb, value in root.each_step():
        if verb == STATE and type(value) is Dict and len(value) % 2 == 0:
            for key, name in value.items():
                if key == "name" and type(name) is str and name.isascii() and name.isidentifier():
                    return name
    return "application"


def shared(image: Image) -> set[int]:
    """The ids (Python's) of the nodes that are met more than once."""
    return _searched(image)[0] if image.shared is None else image.shared


def called(image: Image) -> set[tuple[str, str]]:
    """Every (module, name) that a graph refers to. What is shared is found out on the way."""
    image.shared, globals_ = _searched(image)
    return {(each.module, each.name) for each in globals_.values()}


def _searched(image: Image) -> tuple[set[int], dict[int, Global]]:
    """The ids of the nodes that are met more than once, and each Global by its id."""
    seen: set[int] = set()
    twice: set[int] = set()
    globals_: dict[int, Global] = {}
    atoms, dict_ = ATOMS, Dict
    todo: list[Node] = [image.root, *image.discarded]
    while todo:
        node = todo.pop()
        if type(node) in atoms:
            continue
        key = id(node)
        if type(node) is Global:
            globals_[key] = node
            continue
        if key in seen:
            twice.add(key)
            continue
        seen.add(key)
        kids: Iterable[Node] = ()
        if type(node) is dict_:
            kids = node
        elif type(node) is Object and is_plain(node):
            # Most of any image, and the same as below at half the cost
            globals_[id(node.call)] = node.call
            state = node.steps[1]
            key = id(state)
            if key in seen:
                twice.add(key)
                continue
            seen.add(key)
            kids = state
        else:
            kids = children(node)
        todo += [kid for kid in kids if type(kid) not in atoms]
    twice.discard(id(()))  # which is a value
    return twice, globals_


def names(
    image: Image,
    wanted: Callable[[Node, bool], bool] | None = None,
    root: str | None = None,
    reserved: Iterable[str] = (),
) -> dict[int, str]:
    """A name for each node that needs one, by Python's id of the node, in document order.

    Parameters:
        wanted: called with a node and whether it is met more than once: does it need a name?
            By default what is met more than once does. The root always does.
        root: the root's name; by default as `root_hint` says.
        reserved: names never to give.
    """
    twice = shared(image)
    giver = Names(reserved)
    given: dict[int, str] = {}
    if type(image.root) not in VALUES and image.root != ():
        given[id(image.root)] = giver.give(root if root is not None else root_hint(image.root))
    for node, hint in _hinted(image):
        key = id(node)
        if key not in given and (wanted(node, key in twice) if wanted else key in twice):
            given[key] = giver.give(hint)
    return given


def _hinted(image: Image) -> Iterator[tuple[Node, str]]:
    """Each node that has an identity, once, in document order, with the hint of its first place."""
    todo = [(image.root, "application")]
    todo += [(call, hint_of(call, "discarded")) for call in image.discarded[::-1]]
    seen: set[int] = set()
    while todo:
        node, hint = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node, hint
        kids = [pair for pair in _hinted_children(node, hint) if _has_identity(pair[0])]
        todo += reversed(kids)


def _has_identity(node: Node) -> bool:
    kind = type(node)
    return kind not in VALUES and (kind is not tuple or bool(node))


def _hinted_children(node: Node, hint: str) -> Iterator[tuple[Node, str]]:
    kind = type(node)
    if kind is Dict:
        yield from _hinted_entries(node, hint)
    elif kind is Object:
        yield from _hinted_parts(node, hint)
    else:
        for kid in children(node):
            yield kid, hint_of(kid, hint)


def _hinted_entries(entries: list[Node], hint: str) -> Iterator[tuple[Node, str]]:
    for number in range(0, len(entries) - 1, 2):
        key = entries[number]
        yield key, hint_of(key, f"{hint}_key")
        yield entries[number + 1], key if type(key) is str else hint_of(entries[number + 1], hint)


def _hinted_parts(node: Object, hint: str) -> Iterator[tuple[Node, str]]:
    yield node.call, "call"
    yield node.args, part_hint(hint, "args")
    if node.kwargs is not None:
        yield node.kwargs, part_hint(hint, "kwargs")
    for verb, value in node.each_step():
        if verb in (STATE, EFFECT, AGAIN):
            yield value, part_hint(hint, verb)
        elif type(value) is Dict:
            yield from _hinted_entries(value, hint)
        else:
            for kid in value:
                yield kid, hint_of(kid, hint)


def part_hint(hint: str, part: str) -> str:
    """What to call a part of an object: `quoter_state`. Never longer for being deeper."""
    return part if hint.endswith(("args", "kwargs", STATE, EFFECT)) else f"{hint}_{part}"
