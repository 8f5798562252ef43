"""Code by value: what cloudpickle makes of a function's code has no readable form.

It is one call with base64 of its pickle, under a comment that says what it is. Only what is the
code object's own is in there: whatever else refers to as well (names that two functions have in
common) is a variable, and an argument of the call. In the pickle it is an out-of-band buffer,
because `pickle.loads` puts whatever it is given in such a place. The type of code objects can't
be that, because it is called; each pickle has its own, and a reader lets them all be one node.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from tapkit.errors import ImageError
from tapkit.image.assemble import assemble
from tapkit.image.decompile import decompile
from tapkit.image.nodes import (
    ATOMS,
    REDUCE,
    Buffer,
    FrozenSet,
    Global,
    Image,
    Node,
    Object,
    children,
    walk,
)

_BUILTIN_TYPE = Global("cloudpickle.cloudpickle", "_builtin_type")
_FILE, _NAME = 10, 11  # of a code object's arguments, on every supported Python
_DEEPEST = 50


def is_code(node: Node) -> bool:
    """Whether a node is a code object, as cloudpickle saves it."""
    if (
        type(node) is not Object
        or node.steps
        or node.how != REDUCE
        or type(node.call) is not Object
    ):
        return False
    return is_code_type(node.call) and type(node.args) is tuple and len(node.args) > _NAME


def is_code_type(node: Node) -> bool:
    """Whether a node is the type of code objects, as cloudpickle saves it."""
    if type(node) is not Object or node.how != REDUCE or node.call != _BUILTIN_TYPE or node.steps:
        return False
    return type(node.args) is tuple and len(node.args) == 1 and node.args[0] == "CodeType"


def opaque(image: Image) -> dict[int, list[Node]]:
    """The code objects that are written as base64, by id (Python's): what is not their own.

    The code inside of other code is not listed.
    """
    wanted = (_BUILTIN_TYPE.module, _BUILTIN_TYPE.name)
    if image.names and wanted not in image.names:
        return {}
    met: Counter[int] = Counter()
    codes: list[Object] = []
    for node in walk(image.root, *image.discarded):
        if is_code(node):
            codes.append(node)
        met.update(map(id, children(node)))
    found: dict[int, list[Node]] = {}
    inside: set[int] = set()
    for code in codes:
        if id(code) not in inside:
            others = _others(code, met, inside)
            if others is not None:
                found[id(code)] = others
    return found


def _others(code: Object, met: Mapping[int, int], inside: set[int]) -> list[Node] | None:
    """What below a code object belongs to others as well; None if it can't be cut off there."""
    cut: set[int] = set()
    while True:
        own, others = _cut(code, cut)
        counts = Counter(id(kid) for node in own.values() for kid in children(node))
        more = {key for key in own if key != id(code) and counts[key] != met[key]}
        if not more:
            break
        cut |= more
    try:
        copy(code, lambda node: node if id(node) in cut else None)
    except ImageError:
        return None
    inside.update(own)
    return others


def _cut(code: Object, cut: set[int]) -> tuple[dict[int, Node], list[Node]]:
    """All below a node down to where it is cut: what is above (by id), and the cut nodes."""
    own: dict[int, Node] = {}
    others: dict[int, Node] = {}
    todo: list[Node] = [code]
    while todo:
        node = todo.pop()
        if type(node) in ATOMS or type(node) is Global or node == () or is_code_type(node):
            continue
        if id(node) in cut:
            others.setdefault(id(node), node)
        elif id(node) not in own:
            own[id(node)] = node
            todo += reversed(list(children(node)))
    return own, list(others.values())


def copy(root: Node, instead: Callable[[Node], Node | None]) -> Node:
    """A copy of what code is made of, with some nodes replaced.

    Raises:
        ImageError: there is something else in it, or it is nested too deep for code.
    """
    made: dict[int, Node] = {}

    def visit(node: Node, depth: int) -> Node:
        kind = type(node)
        if kind in ATOMS or kind is Global or node == ():
            return node
        if id(node) in made:
            return made[id(node)]
        found = instead(node)
        if found is None:
            if depth > _DEEPEST or (kind is Object and (node.steps or node.how != REDUCE)):
                raise ImageError("this is more than code")
            if kind is tuple:
                found = tuple([visit(part, depth + 1) for part in node])
            elif kind is FrozenSet:
                found = FrozenSet([visit(part, depth + 1) for part in node])
            elif kind is Object:
                found = Object(REDUCE, visit(node.call, depth + 1), visit(node.args, depth + 1))
            else:
                raise ImageError("this is more than code")
        made[id(node)] = found
        return found

    return visit(root, 0)


def write(code: Object, others: Sequence[Node]) -> tuple[str, str]:
    """A comment that says what code it is, and base64 of its pickle."""
    buffers = {id(other): Buffer(number) for number, other in enumerate(others)}
    data = assemble(Image(copy(code, lambda node: buffers.get(id(node)))))
    name, file = code.args[_NAME], code.args[_FILE]
    what = " of ".join(_printable(part) for part in (name, file) if type(part) is str)
    return f"# Code by value: {what}", base64.b64encode(data).decode("ascii")


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)[-40:]


def read(text: str, others: Sequence[Node], one_type: Callable[[Object], Object]) -> Image:
    """The nodes of a `pickled(text, *others)`.

    Parameters:
        one_type: gives the one node for the type of code objects, for any that is like it.

    Raises:
        ImageError: it is no base64 of a pickle of code, or not with so many others.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise ImageError(f"this is not base64 ({error})") from error
    image = decompile(data)

    def instead(node: Node) -> Node | None:
        if is_code_type(node):
            return one_type(node)
        if type(node) is not Buffer:
            return None
        if node.number >= len(others):
            raise ImageError(f"there is no argument {node.number + 1} behind the text")
        return others[node.number]

    if others or any(map(is_code_type, walk(image.root))):
        image.root = copy(image.root, instead)
        image.shared = None
    return image
