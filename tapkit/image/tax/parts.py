"""What the writer handles beside nodes: parts of nodes that are elements of their own.

These stand where a node would, so that the writer has one loop and one stack for everything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tapkit.image.nodes import AGAIN, EFFECT, ENTRIES, ITEMS, MEMBERS, STATE, Node, Object


class Items:
    """A run of `<item>` elements that is no node: arguments, what is extended by."""

    __slots__ = ("nodes",)

    def __init__(self, nodes: Sequence[Node]):
        self.nodes = nodes


class Entries:
    """Keys and values that are no node: keyword arguments, what is set by key."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: list[Node]):
        self.pairs = pairs


class Entry:
    """A key that is no name, and its value."""

    __slots__ = ("key", "value")

    def __init__(self, key: Node, value: Node):
        self.key = key
        self.value = value


class Moment:
    """A date's or time's text, where the time zone is an element of its own."""

    __slots__ = ("text",)

    def __init__(self, text: str):
        self.text = text


class Away:
    """A node that is written elsewhere: here there is only a reference."""

    __slots__ = ("node",)

    def __init__(self, node: Node):
        self.node = node


class Packed:
    """Code by value, to be packed; what it shares with the rest is written by now."""

    __slots__ = ("node",)

    def __init__(self, node: Object):
        self.node = node


def _itself(node: Node) -> Node:
    return node


STEPS: dict[str, Callable[[Any], Any]] = {
    STATE: _itself,
    EFFECT: _itself,
    AGAIN: _itself,
    ITEMS: Items,
    MEMBERS: Items,
    ENTRIES: Entries,
}
"""What the value of a step is to the writer: a node, or a run of them."""
