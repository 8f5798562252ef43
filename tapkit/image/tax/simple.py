"""Objects and small containers that are simple, written at one stroke by the patterns of `rows`.

Simple are atoms, references to what is written already, and what holds nothing else, for a few
levels. Whatever needs an id, or a spelling of its own, is the writer's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from tapkit.image.nodes import NEWOBJ, STATE, Dict, Global, Node, Object
from tapkit.image.tax import escapes, tags
from tapkit.image.tax.dotted import dotted
from tapkit.image.tax.line import PLAIN
from tapkit.image.tax.rows import (
    DEEPEST,
    MOST_ON_A_LINE,
    PADS,
    WIDEST,
    Box,
    Inner,
    Row,
    formatted,
)
from tapkit.image.tax.standard import NAMES

MOST_PATTERNS: Final = 200
MOST_LEVELS: Final = 3
MOST_SHAPES: Final = 2000


class Shape:
    """What objects of a class with the same attributes have in common.

    Attributes:
        keys: their attributes.
        spelling: `class="..."`, or nothing if they can't be written so.
        heads, names: start tags and names of the attributes' elements.
        rows: patterns, by depth and types of the values; row: the one that was used last.
        varied: places of attributes that are not the same kind of object each time.
    """

    __slots__ = ("call", "heads", "keys", "names", "row", "rows", "spelling", "varied")

    def __init__(self, call: Node, keys: list[Node], spelling: str, heads: list[str]):
        self.call = call
        self.keys = keys
        self.spelling = spelling
        self.heads = heads
        self.names: list[str] = [tags.name_of(head) for head in heads]
        self.rows: dict[tuple[int, tuple[type, ...]], Row] = {}
        self.row: Row | None = None
        self.varied: set[int] = set()


class Simple:
    """Writes what is simple, for one writer.

    Parameters:
        shared: ids (Python's) of the nodes that are met more than once.
        written: of those that are written, their id in the text.
        away: ids of the containers that the writer must write, because a part is elsewhere.
        tags: finds the elements of keys.
    """

    def __init__(
        self,
        shared: set[int],
        written: dict[int, str],
        away: Mapping[int, Any],
        tags: tags.Tags,
    ):
        self._shared = shared
        self._written = written
        self._away = away
        self._tags = tags
        self._shapes: dict[int, Shape] = {}
        self._known: dict[tuple[str, ...], Shape] = {}
        self._rows: dict[tuple[Any, ...], Row | None] = {}
        self._levels = 0
        # Here, because they are found quicker than names of the module, compiled or not
        self.search: Callable[[str], Any] = escapes.SPECIAL.search
        self._dict: Any = Dict

    def content(self, shape: Shape, state: Dict, depth: int) -> tuple[str, int]:
        """The first attributes, and how many: those that can be written at one stroke."""
        values: list[Node] = state[1::2]
        last = shape.row
        if last is not None and last.depth == depth:
            text = self._whole(last, values)
            if text is not None:
                return text, len(values)
        row = self._row_of(shape, values, depth)
        if row is None or not row.size:
            return "", 0
        if row is not last and row.pattern:
            shape.row = row
            text = self._whole(row, values)
            if text is not None:
                return text, len(values)
        return row.filled(values, self)

    def _whole(self, row: Row, values: list[Node]) -> str | None:
        """All the attributes; None if they don't go with the pattern."""
        if row.credit <= 0:
            return None
        out: list[Any] = []
        text = formatted(row.pattern, out) if row.collect(values, self, out) else None
        row.credit += -3 if text is None else 1
        return text

    def _row_of(self, shape: Shape, values: list[Node], depth: int) -> Row | None:
        """The pattern for these values; None if there are too many already."""
        kinds = tuple(map(type, values))
        key = (depth, kinds)
        row = shape.rows.get(key)
        if row is None and len(shape.rows) < MOST_PATTERNS:
            row = shape.rows[key] = Row(shape.heads, shape.names, kinds, depth)
            if row.size == len(values):
                inner = depth + 1 if depth < DEEPEST else depth
                row.expect([self._inner(shape, at, node, inner) for at, node in enumerate(values)])
        return row

    def _inner(self, owner: Shape, place: int, node: Node, depth: int) -> Inner | None:
        """What the plain object looks like that an attribute holds; None if it holds none."""
        if type(node) is not Object or place in owner.varied or self._levels == MOST_LEVELS:
            return None
        shape = self.shape(node)
        if shape is None or self.state_of(node, shape) is None:
            return None
        self._levels += 1
        row = self._row_of(shape, node.steps[1][1::2], depth)
        self._levels -= 1
        return Inner(shape, row, owner, place) if row is not None and row.pattern else None

    def expect_any(self, inner: Inner) -> None:
        """Keep a plain object out of the patterns of what it is in: there are others as well."""
        inner.owner.varied.add(inner.place)
        for shape in self._known.values():
            shape.row = None
            shape.rows.clear()

    def is_apart(self, node: Node) -> bool:
        """Whether a node is met more than once, or a part of it is written elsewhere."""
        return id(node) in self._shared or (bool(self._away) and id(node) in self._away)

    def state_of(self, node: Node, shape: Shape) -> Dict | None:
        """The attributes of an object of a shape that is met once; None if it is none."""
        if type(node) is not Object:
            return None
        found: Object = node
        steps = found.steps
        if found.call is not shape.call or len(steps) != 2 or found.how != NEWOBJ:
            return None
        state = steps[1]
        if steps[0] != STATE or type(state) is not self._dict or state[::2] != shape.keys:
            return None
        is_plain = type(found.args) is tuple and not found.args and id(node) not in self._shared
        return state if is_plain and not self.is_apart(state) else None

    def box(self, depth: int, head: str, name: str, node: Any) -> Box | None:
        """What containers look like that are like this one; None if there is more than atoms."""
        is_dict = type(node) is Dict
        keys: list[Node] | None = node[::2] if is_dict else None
        values: list[Node] = node[1::2] if is_dict else node
        kinds = list(map(type, values))
        if self.is_apart(node) or not PLAIN.issuperset(kinds) or len(node) > 2 * MOST_ON_A_LINE:
            return None
        heads = self._tags.heads(keys) if keys else ["item"] * len(kinds)
        if heads is None:
            return None
        inner = depth + 1 if depth < DEEPEST else depth
        row = Row(heads, list(map(tags.name_of, heads)), kinds, inner)
        return Box(f'{head} type="{"dict" if is_dict else "list"}"', name, depth, keys, row)

    def inline(self, depth: int, head: str, name: str, node: Any) -> str | None:
        """A reference, or an object or container that holds nothing but what is simple."""
        if id(node) in self._shared:
            label = self._written.get(id(node))
            return None if label is None else f'{PADS[depth]}<{head} ref="{label}"/>\n'
        if self._levels == MOST_LEVELS:
            return None
        self._levels += 1
        if type(node) is Object:
            text = self._object(depth, head, name, node)
        else:
            text = self.container(depth, head, name, node)
        self._levels -= 1
        return text

    def _object(self, depth: int, head: str, name: str, node: Object) -> str | None:
        """An object that holds nothing but what is simple; None for any other."""
        shape = self.shape(node)
        if shape is None:
            return None
        state = node.steps[1]
        if self._away and id(state) in self._away:
            return None
        text, done = self.content(shape, state, depth + 1 if depth < DEEPEST else depth)
        if done < len(shape.heads):
            return None
        pad = PADS[depth]
        return f"{pad}<{head} {shape.spelling}>\n{text}{pad}</{name}>\n"

    def container(self, depth: int, head: str, name: str, node: Any, more: str = "") -> str | None:
        """A small dict or list of what is simple; None if it must be written step by step."""
        is_dict = type(node) is Dict
        pad = PADS[depth]
        start = f'{pad}<{head} type="{"dict" if is_dict else "list"}"{more}'
        if not node:
            return f"{start}/>\n"
        if len(node) > 2 * MOST_ON_A_LINE or id(node) in self._away:
            return None
        values: list[Node] = node[1::2] if is_dict else node[:]
        size = len(values)
        inner = depth + 1 if depth < DEEPEST else depth
        row = self._row(inner, node[::2] if is_dict else None, tuple(map(type, values)))
        if row is None or row.size < size:
            return None
        text, done = row.filled(values, self)
        if done < size:
            return None
        if row.is_flat and size <= MOST_ON_A_LINE:
            indent = PADS[inner]
            width = len(start) + len(text) - size * (len(indent) + 1) + len(name) + 4
            if width <= WIDEST and text.count("\n") == size:
                line = text[len(indent) : -1].replace(f"\n{indent}", "")
                return f"{start}>{line}</{name}>\n"
        return f"{start}>\n{text}{pad}</{name}>\n"

    def _row(self, depth: int, keys: list[Node] | None, kinds: tuple[type, ...]) -> Row | None:
        """The pattern for a container; None at the first time: most dicts are one of a kind."""
        if keys is None:
            key: tuple[Any, ...] = (depth, kinds)
        elif set(map(type, keys)) == {str}:
            key = (depth, kinds, *keys)
        else:
            return None
        row = self._rows.get(key)
        if row is None:
            if key in self._rows:
                heads = ["item"] * len(kinds) if keys is None else self._tags.heads(keys)
                if heads:
                    names = [tags.name_of(head) for head in heads]
                    row = self._rows[key] = Row(heads, names, kinds, depth)
            elif len(self._rows) < 10 * MOST_PATTERNS:
                self._rows[key] = None
        return row

    def shape(self, node: Object) -> Shape | None:
        """What is alike in objects like this; None if it is not one with plain attributes."""
        steps = node.steps
        if len(steps) != 2 or node.how != NEWOBJ or steps[0] != STATE:
            return None
        state = steps[1]
        if type(state) is not self._dict or type(node.args) is not tuple or node.args:
            return None
        keys = state[::2]
        shape = self._shapes.get(id(node.call))
        if shape is None or shape.keys != keys:
            shape = self._new_shape(node.call, keys)
        return None if not shape.spelling or id(state) in self._shared else shape

    def _new_shape(self, call: Node, keys: list[Node]) -> Shape:
        if type(call) is not Global or set(map(type, keys)) != {str}:
            return Shape(call, keys, "", [])
        key = (call.module, call.name, *keys)
        shape = self._known.get(key)
        if shape is None:
            heads = self._tags.heads(keys)
            text = dotted(call) if heads and (call.module, call.name) not in NAMES else None
            shape = Shape(call, keys, f'class="{text}"' if text else "", heads or [])
            if len(self._known) < MOST_SHAPES:
                self._known[key] = shape
        self._shapes[id(call)] = shape
        return shape
