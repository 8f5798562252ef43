"""Code by value (cloudpickle's lambdas, closures, classes of `__main__`) as one opaque element.

A closure is some 2 kB of bytecode tables that nobody edits. It is packed: its own spelling as
XML, compressed, in base64, under a label that says what it is. Only what belongs to the code
alone goes inside; whatever else refers to as well - a quoter a closure holds - is written
readably before it, under `<uses>`.
"""

from __future__ import annotations

import base64
import textwrap
import zlib
from collections import Counter
from collections.abc import Set

from tapkit.image.nodes import REDUCE, VALUES, Global, Image, Node, Object, children, walk

MAKERS = {
    ("cloudpickle.cloudpickle", "_make_function"): "function",
    ("cloudpickle.cloudpickle", "_make_skeleton_class"): "class",
    ("cloudpickle.cloudpickle", "_make_skeleton_enum"): "enum",
}
"""What makes code by value, and what it makes."""

_WIDTH = 76


def described(node: Object) -> str | None:
    """What code a node makes, in words: `function <lambda>`; None if it makes none."""
    call = node.call
    if node.how != REDUCE or type(call) is not Global or type(node.args) is not tuple:
        return None
    kind = MAKERS.get((call.module, call.name))
    if kind is None:
        return None
    return f"{kind} {_name(kind, node.args)}".rstrip()


def _name(kind: str, args: tuple[Node, ...]) -> str:
    """The name the code goes by, from where cloudpickle puts it."""
    if kind == "function" and args and type(args[0]) is Object:
        texts = [part for part in args[0].args if type(part) is str]
        # CodeType's arguments are the file name, the name and (since 3.11) the qualified name
        return texts[1] if len(texts) > 1 and texts[1].isprintable() else ""
    name = args[1] if len(args) > 1 else ""
    return name if type(name) is str and name.isprintable() else ""


def uses(node: Object, shared: Set[int], met: Counter[int]) -> list[Node]:
    """The nodes an object refers to that do not belong to it alone, in the order they are met.

    Parameters:
        met: how often each shared node is met in the whole image.
    """
    inside: Counter[int] = Counter()
    order: dict[int, Node] = {}
    todo = [node]
    while todo:
        at = todo.pop()
        kids = [kid for kid in children(at) if type(kid) not in VALUES and kid != ()]
        for kid in reversed(kids):
            key = id(kid)
            if kid is node:
                continue
            if key in shared:
                order.setdefault(key, kid)
                inside[key] += 1
                if inside[key] < met[key]:
                    continue
            todo.append(kid)
    return [kid for key, kid in order.items() if inside[key] < met[key]]


def meetings(image: Image, shared: Set[int]) -> Counter[int]:
    """How often each shared node is met in an image."""
    met: Counter[int] = Counter(id(node) for node in (image.root, *image.discarded))
    for node in walk(image.root, *image.discarded):
        for kid in children(node):
            if id(kid) in shared:
                met[id(kid)] += 1
    return met


def pack(xml: str, indent: str) -> str:
    """XML as a block of base64."""
    text = base64.b64encode(zlib.compress(xml.encode("utf-8"), 9)).decode("ascii")
    return f"\n{textwrap.indent(textwrap.fill(text, _WIDTH), indent + '  ')}\n{indent}"


def unpack(data: bytes, limit: int) -> bytes:
    """The XML that was packed.

    Raises:
        ValueError: it is damaged, or larger than `limit` bytes.
    """
    machine = zlib.decompressobj()
    try:
        xml = machine.decompress(data, limit)
    except zlib.error as error:
        raise ValueError(f"the packed code is damaged: {error}") from None
    if not machine.eof:
        raise ValueError("the packed code is cut short, or too large")
    return xml
