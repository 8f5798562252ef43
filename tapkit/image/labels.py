"""Nodes in a few words on one line, fit for a terminal: nothing in them can play tricks on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tapkit.image.facets import Facets, is_plain_call
from tapkit.image.nodes import ATOMS, KINDS, Buffer, Dict, FrozenSet, Global, Node, Object, Set

WIDTH = 60
"""Characters: what is longer is cut."""

LONGEST_PATH = 64
"""Labels: of a longer path the beginning is left out."""

Path = Any
"""(the path before, its last label), or None: many paths share their beginnings."""

_CONTAINERS = frozenset({tuple, list, Dict, Set, FrozenSet, bytearray})
_EDGE = 20  # how much of what is alike is shown before a difference
_DIGITS = 1000  # repr of a longer int takes quadratic time, and Python refuses it


def short(node: Node, width: int = WIDTH) -> str:
    """A node in a few words."""
    return clipped(_text(node, width), width)


def short_pair(one: Node, other: Node, width: int = WIDTH) -> tuple[str, str]:
    """Two nodes in a few words that tell one from the other, if their whole texts do."""
    left, right = _text(one, None), _text(other, None)
    if len(left) <= width and len(right) <= width:
        return left, right
    common = 0
    for mine, theirs in zip(left, right, strict=False):
        if mine != theirs:
            break
        common += 1
    start = max(0, common - _EDGE) if common > width - _EDGE else 0
    return clipped(left, width, start), clipped(right, width, start)


def clipped(text: str, width: int = WIDTH, start: int = 0) -> str:
    """`width` characters of a text from `start` on; dots where something is missing."""
    part = text[start : start + width]
    if start:
        part = "..." + part[3:]
    return part if start + width >= len(text) else part[:-3] + "..."


def printable(text: str) -> str:
    """Text with every character that a terminal might obey written as an escape."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def attribute_label(name: str) -> str:
    """The end of a path: `.name`, or an escape where that would not be an attribute."""
    if name.isidentifier() and name.isprintable():
        return f".{name}"
    return f".__dict__[{clipped(_repr(name, None))}]"


def dotted(call: Global) -> str:
    """`module.name` of a global; a builtin's name alone."""
    if call.module in ("builtins", "__builtin__"):
        return printable(call.name)
    return printable(f"{call.module}.{call.name}")


def path_text(path: Path) -> str:
    """A path as text; of a very long one the end. (Walking up all of each would be quadratic.)"""
    labels: list[str] = []
    while path is not None and len(labels) < LONGEST_PATH:
        path, label = path
        labels.append(label)
    if path is not None:
        labels.append("...")
    return "".join(reversed(labels))


def class_name(node: Node) -> str:
    """What makes an object: the dotted name of its class, or what is known of it."""
    maker = Facets(node).maker if type(node) is Object else node
    if type(maker) is Global:
        return dotted(maker)
    if type(maker) is Object:
        return by_value(maker) or f"what {class_name_of_call(maker)} makes"
    return f"a {KINDS.get(type(maker), 'thing')}"


def class_name_of_call(node: Object) -> str:
    """The dotted name of what an object node calls, where that is a name."""
    return dotted(node.call) if type(node.call) is Global else "a call"


def by_value(node: Node) -> str | None:
    """What code a node carries: `function <lambda>`, `class Quoter`; None if it is none."""
    from tapkit.image.tax.code import described

    found = described(node) if type(node) is Object else None
    return None if found is None else printable(found)


def labelled(node: Node) -> Iterator[tuple[str, Node]]:
    """What a node refers to, each with the end of its path: `.port`, `[0]`, `['key']`."""
    kind = type(node)
    if kind is Object:
        yield from _labelled_facets(Facets(node))
    elif kind is Dict:
        yield from _labelled_entries(node)
    elif kind is tuple or kind is list:
        yield from ((f"[{number}]", part) for number, part in enumerate(node))
    elif kind not in ATOMS and kind is not Global and isinstance(node, list):
        yield from (("{}", member) for member in node)


def _labelled_facets(facets: Facets) -> Iterator[tuple[str, Node]]:
    if type(facets.maker) is not Global:
        yield ".__class__", facets.maker
    if type(facets.args) is tuple:
        yield from ((f"({number})", part) for number, part in enumerate(facets.args))
    else:
        yield "(*)", facets.args
    if facets.kwargs is not None:
        yield "(**)", facets.kwargs
    names = facets.attributes
    for at in range(0, len(names), 2):
        yield attribute_label(names[at]), names[at + 1]
    yield from ((".__state__", state) for state in facets.state)
    yield from ((f"[{number}]", part) for number, part in enumerate(facets.items))
    yield from _labelled_entries(facets.entries)
    yield from (("{}", member) for member in facets.members)
    yield from ((".__effect__", effect) for effect in facets.effects)


def _labelled_entries(entries: list[Node]) -> Iterator[tuple[str, Node]]:
    for at in range(0, len(entries) - 1, 2):
        yield ".__keys__", entries[at]
        yield f"[{short(entries[at], 40)}]", entries[at + 1]


def is_standard(node: Object) -> bool:
    """Whether an object is of a standard type that is a value: a datetime, a Path."""
    return _standard(node) is not None


def is_value(node: Object) -> bool:
    """Whether an object is best told as a whole, in a few words."""
    return is_plain_call(node) or is_standard(node)


def _text(node: Node, width: int | None) -> str:
    kind = type(node)
    if kind in ATOMS:
        return _repr(node, width)
    if kind is Global:
        return dotted(node)
    if kind is Object:
        return _object_text(node)
    if kind is Buffer:
        return f"buffer {node.number}"
    if kind is bytearray:
        return f"bytearray({_repr(bytes(node), width)})"
    if kind in _CONTAINERS:
        size = len(node) // 2 if kind is Dict else len(node)
        return f"an empty {KINDS[kind]}" if not size else f"a {KINDS[kind]} of {size}"
    return f"a {kind.__name__}"


def _repr(value: Node, width: int | None) -> str:
    if type(value) is int and value.bit_length() > _DIGITS:
        return f"{value:#x}"
    if width is not None and isinstance(value, (str, bytes)) and len(value) > width:
        value = value[: width + 1]  # so that the cut is seen
    return printable(repr(value))


def _object_text(node: Object) -> str:
    standard = _standard(node)
    if standard is not None:
        return standard
    code = by_value(node)
    if code is not None:
        return f"code by value: {code}"
    if is_plain_call(node):
        return f"{class_name(node)}({', '.join(_repr(part, None) for part in node.args)})"
    facets = Facets(node)
    name = class_name(node)
    return name if facets.is_class else f"{name}(...)"


def _standard(node: Object) -> str | None:
    """A datetime, Path and the like as the text that .tax has for it."""
    from tapkit.image.tax.standard import NAMES, spelt

    call = node.call
    if type(call) is not Global or (call.module, call.name) not in NAMES:
        return None
    found = spelt(node, set())
    if found is None:
        return None
    name, attributes, text = found
    return f"{name} {printable(text) or attributes.strip()}"
