"""What the tests of the Python spelling share: round trips through it."""

from __future__ import annotations

import pickle
from typing import Any

from tapkit.image import nodes, tas
from tapkit.image.nodes import ATOMS, FrozenSet, Global, Image, Node, Set, walk
from tapkit.image.pickled import assemble, decompile

WHERE = "x.tas"


def image_of(thing: Any, protocol: int = 5) -> Image:
    """The nodes of a live object."""
    return decompile(pickle.dumps(thing, protocol))


def source_of(thing: Any, **known: Any) -> str:
    """The source of a live object."""
    return tas.write(image_of(thing), **known).decode()


def round_trip(image: Image, known: tas.Known | None = None) -> tuple[bytes, Image]:
    """Written and read again; both graphs get their sets of values in the same order."""
    source = tas.write(image, *([known] if known else []))
    back = tas.read(source, WHERE)
    settle(image.root)
    settle(back.root)
    return source, back


def difference(image: Image, known: tas.Known | None = None) -> str | None:
    """What a round trip changes."""
    _, back = round_trip(image, known)
    return nodes.difference(image.root, back.root)


def settle(root: Node) -> None:
    """Order the sets, whose order means nothing, where their members are values."""
    for node in walk(root):
        if type(node) in (Set, FrozenSet) and all(type(m) in (*ATOMS, Global) for m in node):
            node.sort(key=repr)


def loaded(image: Image) -> Any:
    """The live object, by pickle."""
    return pickle.loads(assemble(image))


def is_alike(node: Node, other: Node) -> bool:
    """Whether two graphs of nodes are the same."""
    return nodes.difference(node, other) is None
