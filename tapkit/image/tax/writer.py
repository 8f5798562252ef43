"""Nodes to XML.

One loop and one stack write everything: a frame is what is left to write of an element's
content, and the line that ends it. Nothing recurses but `inline`, for few levels: it writes objects
that are simple at one stroke, by the patterns of `rows`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any, Final

from tapkit.errors import ImageError
from tapkit.image import naming
from tapkit.image.nodes import (
    INSTANCE,
    NEWOBJ,
    NEWOBJ_EX,
    STATE,
    Buffer,
    Dict,
    FrozenSet,
    Global,
    Image,
    Node,
    Object,
    Set,
)
from tapkit.image.tax import atoms, code, escapes, readable, shapes, tags
from tapkit.image.tax.dotted import dotted
from tapkit.image.tax.line import PLAIN, atom, on_one_line
from tapkit.image.tax.parts import STEPS, Away, Entries, Entry, Items, Moment, Packed
from tapkit.image.tax.rows import DEEPEST, PADS, Row
from tapkit.image.tax.standard import NAMES, spelt

VERSION = "1"
WIDEST: Final = 100
MOST_ON_A_LINE: Final = 8
MOST_PATTERNS: Final = 200
MOST_LEVELS: Final = 3

Child = tuple[str, str, Any]
"""An element to write: what its start tag begins with, its name, the node."""

_HUGE = 1 << atoms.DECIMAL_BITS
_APPLICATION = Global("tapkit.application", "Application")
_FLAT: dict[type, str] = {tuple: "tuple", list: "list", Set: "set", FrozenSet: "frozenset"}


class Shape:
    """What objects of a class with the same attributes have in common.

    Attributes:
        keys: their attributes.
        spelling: `class="..."`, or nothing if they can't be written so.
        heads, names: start tags and names of the attributes' elements.
        rows: patterns, by depth and types of the values.
    """

    __slots__ = ("heads", "keys", "names", "rows", "spelling")

    def __init__(self, keys: list[Node], spelling: str, heads: list[str]):
        self.keys = keys
        self.spelling = spelling
        self.heads = heads
        self.names: list[str] = [tags.name_of(head) for head in heads]
        self.rows: dict[tuple[int, tuple[type, ...]], Row] = {}


class Writer:
    """Writes one image.

    Parameters:
        ids: names that nodes have already, by Python's id of the node.
        away: by the id of a list of nodes, the positions in it where there shall be only a
            reference, because the node is written elsewhere.
        reserved: names not to give.
    """

    def __init__(
        self,
        image: Image,
        ids: Mapping[int, str] | None = None,
        away: Mapping[int, Mapping[int, Away]] | None = None,
        reserved: Sequence[str] = (),
    ):
        self.image = image
        self.shared = naming.shared(image)
        self.out: list[str] = []
        self.written: dict[int, str] = {}
        self._given = dict(ids or {})
        self._away = away or {}
        self._names = naming.Names([*reserved, *self._given.values()])
        self._stack: list[tuple[Iterator[Child], str, str]] = []
        self._shapes: dict[int, Shape] = {}
        self._named: dict[tuple[str, str], Shape] = {}
        self._rows: dict[tuple[Any, ...], Row | None] = {}
        self._levels = 0
        self._tags = tags.Tags()
        self._met: Counter[int] | None = None
        self._packing: Object | None = None
        self._referred: set[str] = set()
        self._builtins: dict[str, Node] = {}

    def document(self) -> str:
        """The whole text."""
        root: Any = self.image.root
        label = "image"
        if type(root) is Object and root.call == _APPLICATION and not self.image.discarded:
            label = "application"
        self.out.append('<?xml version="1.0" encoding="utf-8"?>\n')
        head = f'{label} tapkit="{VERSION}"'
        if self.image.discarded:
            parts = [
                ("discarded", "discarded", Items(self.image.discarded)),
                ("root", "root", root),
            ]
            self.out.append(f'<{head} type="image">\n')
            self._stack.append((iter(parts), f"</{label}>\n", label))
        else:
            self._stack.append((iter([(head, label, root)]), "", label))
        self._run()
        return "".join(self.out)

    def is_complete(self) -> bool:
        """Whether everything that is referred to was written somewhere."""
        return self._referred <= set(self.written.values())

    def _run(self) -> None:
        """Write what is on the stack. Atoms are most of any image, so they are spelt here."""
        stack, append = self._stack, self.out.append
        special, huge = escapes.SPECIAL.search, _HUGE
        shared = self.shared
        while stack:
            children, end, _ = stack[-1]
            pad = PADS[min(len(stack) - 1, DEEPEST)]
            for head, name, value in children:
                kind = type(value)
                if kind is str:
                    if special(value):
                        append(f"{pad}{atom(head, name, value)}\n")
                    else:
                        append(f"{pad}<{head}>{value}</{name}>\n")
                elif kind is Object and id(value) not in shared:
                    if self._object(pad, head, name, value, ""):
                        break
                elif kind is int and -huge < value < huge:
                    append(f'{pad}<{head} type="int">{value}</{name}>\n')
                elif kind in PLAIN:
                    append(f"{pad}{atom(head, name, value)}\n")
                elif self._compound(pad, head, name, value):
                    break
            else:
                stack.pop()
                append(end)

    def _compound(self, pad: str, head: str, name: str, node: Any) -> bool:
        """Write an element, or its start; True if its content is on the stack now."""
        key = id(node)
        more = ""
        if key in self.shared:
            label = self.written.get(key)
            if node is self._packing and len(self._stack) == 1:
                pass  # its id is outside
            elif label is not None:
                return self._line(pad, f'<{head} ref="{label}"/>')
            elif (builtin := self.builtin(node)) is not None:
                return self._line(pad, f'<{head} type="builtin">{builtin}</{name}>')
            else:
                self.written[key] = label = self._label(head, node)
                more = f' id="{label}"'
        return _WRITERS[type(node)](self, pad, head, name, node, more)

    def builtin(self, node: Node) -> str | None:
        """The name of a builtin type, if a node is that, and the only one for it in the image."""
        name = shapes.builtin(node, self.shared)
        if name is None or self._builtins.setdefault(name, node) is not node:
            return None
        return name

    def _label(self, head: str, node: Node) -> str:
        """The id of a node that needs one: the one it has, or one after its place."""
        label = self._given.get(id(node))
        if label is None:
            label = self._names.give(tags.hint(head, node, self._stack[-1][2], self.image))
            self._given[id(node)] = label
        return label

    def _line(self, pad: str, text: str) -> bool:
        self.out.append(f"{pad}{text}\n")
        return False

    def _push(
        self, pad: str, start: str, name: str, children: Sequence[Child] | Iterator[Child],
    ) -> bool:  # fmt: skip
        """Open an element that holds elements: on one line if it is short."""
        if isinstance(children, list) and len(children) <= MOST_ON_A_LINE:
            if not children:
                return self._line(pad, f"<{start}/>")
            line = on_one_line(start, name, children)
            if line is not None and len(pad) + len(line) <= WIDEST:
                return self._line(pad, line)
        self.out.append(f"{pad}<{start}>\n")
        self._stack.append((iter(children), f"{pad}</{name}>\n", name))
        return True

    def _object(self, pad: str, head: str, name: str, node: Object, more: str) -> bool:
        """An object; the common case is one with plain attributes."""
        shape = self._shape(node)
        if shape is None:
            return self._special(pad, head, name, node, more)
        state = node.steps[1]
        if self._away and id(state) in self._away:
            state = self._patched(state)
        depth = self._depth()
        text, done = self._content(shape, state, depth + 1 if depth < DEEPEST else depth)
        self.out += (f"{pad}<{head} {shape.spelling}{more}>\n", text)
        end = f"{pad}</{name}>\n"
        if done == len(shape.heads):
            self.out.append(end)
            return False
        children = zip(
            shape.heads[done:], shape.names[done:], state[2 * done + 1 :: 2], strict=True
        )
        self._stack.append((children, end, name))
        return True

    def _depth(self) -> int:
        """Of the element being written, in steps of indentation."""
        depth = len(self._stack) - 1
        return depth if depth < DEEPEST else DEEPEST

    def _content(self, shape: Shape, state: Dict, depth: int) -> tuple[str, int]:
        """The first attributes, and how many: those that can be written at one stroke."""
        values: list[Node] = state[1::2]
        kinds = tuple(map(type, values))
        key = (depth, kinds)
        row = shape.rows.get(key)
        if row is None:
            if len(shape.rows) >= MOST_PATTERNS:
                return "", 0
            row = shape.rows[key] = Row(shape.heads, shape.names, kinds, depth)
        return row.filled(values, self) if row.size else ("", 0)

    def inline(self, depth: int, head: str, name: str, node: Any) -> str | None:
        """A reference, or an object or container that holds nothing but what is simple."""
        if id(node) in self.shared:
            label = self.written.get(id(node))
            return None if label is None else f'{PADS[depth]}<{head} ref="{label}"/>\n'
        if self._levels == MOST_LEVELS:
            return None
        self._levels += 1
        if type(node) is Object:
            text = self._simple(depth, head, name, node)
        else:
            text = self._container(depth, head, name, node)
        self._levels -= 1
        return text

    def _simple(self, depth: int, head: str, name: str, node: Object) -> str | None:
        """An object that holds nothing but what is simple; None for any other."""
        shape = self._shape(node)
        if shape is None:
            return None
        state = node.steps[1]
        if self._away and id(state) in self._away:
            return None
        text, done = self._content(shape, state, depth + 1 if depth < DEEPEST else depth)
        if done < len(shape.heads):
            return None
        pad = PADS[depth]
        return f"{pad}<{head} {shape.spelling}>\n{text}{pad}</{name}>\n"

    def _container(self, depth: int, head: str, name: str, node: Any, more: str = "") -> str | None:
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

    def _shape(self, node: Object) -> Shape | None:
        """What is alike in objects like this; None if it is not one with plain attributes."""
        steps = node.steps
        if len(steps) != 2 or node.how != NEWOBJ or steps[0] != STATE:
            return None
        state = steps[1]
        if type(state) is not Dict or type(node.args) is not tuple or node.args:
            return None
        keys = state[::2]
        shape = self._shapes.get(id(node.call))
        if shape is None or shape.keys != keys:
            shape = self._new_shape(node.call, keys)
        return None if not shape.spelling or id(state) in self.shared else shape

    def _new_shape(self, call: Node, keys: list[Node]) -> Shape:
        if type(call) is not Global:
            return Shape(keys, "", [])
        named = self._named.get((call.module, call.name))
        if named is not None and named.keys == keys:
            self._shapes[id(call)] = named  # the same class by another node
            return named
        heads = self._tags.heads(keys)
        text = dotted(call) if heads and (call.module, call.name) not in NAMES else None
        shape = Shape(keys, f'class="{text}"' if text else "", heads or [])
        if text:
            self._shapes[id(call)] = self._named[call.module, call.name] = shape
        return shape

    def _special(self, pad: str, head: str, name: str, node: Object, more: str) -> bool:
        """An object that is not just attributes: a standard type, a method, code, or a call."""
        text = spelt(node, self.shared)
        if text is not None:
            kind, attributes, plain = text
            escape, plain = escapes.content(plain)
            start = f'{head} type="{kind}"{attributes}{escape}{more}'
            return self._line(pad, f"<{start}>{plain}</{name}>" if plain else f"<{start}/>")
        found = readable.find(node, head, self)
        if found is not None:
            return self._push(pad, f"{head} {found[0]}{more}", name, found[1])
        builtin = self.builtin(node)
        if builtin is not None:
            return self._line(pad, f'<{head} type="builtin"{more}>{builtin}</{name}>')
        what = code.described(node)
        if what is not None and self._packing is None:
            start = f'{head} type="code" what="{escapes.attribute(what)}"{more}'
            return self._push(pad, start, name, self._code(node))
        return self._call(pad, head, name, node, more)

    def _code(self, node: Object) -> list[Child]:
        if self._met is None:
            self._met = code.meetings(self.image, self.shared)
        used = code.uses(node, self.shared, self._met)
        used = [each for each in used if self.builtin(each) is None]
        data = [("data", "data", Packed(node))]
        return [("uses", "uses", Items(used)), *data] if used else data

    def _packed(self, pad: str, head: str, name: str, part: Packed, more: str) -> bool:
        """Write a node by itself, with these ids, and pack the text."""
        out, stack = self.out, self._stack
        self.out, self._stack, self._packing = (
            [],
            [(iter([(name, name, part.node)]), "", "")],
            part.node,
        )
        try:
            self._run()
            text = "".join(self.out)
        finally:
            self.out, self._stack, self._packing = out, stack, None
        return self._line(pad, f"<{head}>{code.pack(text, pad)}</{name}>")

    def _call(self, pad: str, head: str, name: str, node: Object, more: str) -> bool:
        """An object as what it is to pickle: a call, and steps."""
        kind = "new" if node.how in (NEWOBJ, NEWOBJ_EX) else "call"
        text = dotted(node.call) if type(node.call) is Global else None
        start = f'{head} type="{kind}"' if text is None else f'{head} {kind}="{text}"'
        if text and kind == "new" and not (node.args or node.steps or node.kwargs is not None):
            return self._line(pad, f'<{head} class="{text}"{more}/>')
        if node.how == INSTANCE:
            start += ' how="instance"'
        parts = list(self._parts(node, text))
        if len(parts) == 1 and type(parts[0][2]) is Items and parts[0][0] == "args":
            parts = [("item", "item", arg) for arg in parts[0][2].nodes]
        return self._push(pad, start + more, name, parts)

    def _parts(self, node: Object, call: str | None) -> Iterator[Child]:
        if call is None:
            yield "call", "call", node.call
        args = node.args
        if type(args) is not tuple or id(args) in self.shared:
            yield "args", "args", args
        elif args:
            yield "args", "args", Items(args)
        kwargs = node.kwargs
        if kwargs is not None:
            plain = type(kwargs) is Dict and id(kwargs) not in self.shared
            yield "kwargs", "kwargs", Entries(kwargs) if plain else kwargs
        for verb, value in node.each_step():
            yield verb, verb, STEPS[verb](value)

    def _flat(self, pad: str, head: str, name: str, node: Any, more: str) -> bool:
        kind = type(node)
        if kind is list:
            text = self._container(self._depth(), head, name, node, more)
            if text is not None:
                self.out.append(text)
                return False
        start = f'{head} type="{_FLAT[kind]}"{more}'
        if kind is Set or kind is FrozenSet:
            node = tags.settled(node)
        return self._push(pad, start, name, self.items(node))

    def items(self, node: Any) -> Sequence[Child] | Iterator[Child]:
        """The elements for the members of something flat."""
        if id(node) in self._away:
            node = self._patched(node)
        triples = zip(repeat("item"), repeat("item"), node)
        return list(triples) if len(node) <= MOST_ON_A_LINE else triples

    def _patched(self, node: list[Node]) -> Any:
        """A copy of something flat with references for what is written elsewhere."""
        copy = list(node)
        for place, marker in self._away[id(node)].items():
            copy[place] = marker
        return Dict(copy) if type(node) is Dict else copy

    def _run_of_items(self, pad: str, head: str, name: str, part: Items, more: str) -> bool:
        return self._push(pad, head, name, self.items(part.nodes))

    def _dict(self, pad: str, head: str, name: str, node: Dict, more: str) -> bool:
        text = self._container(self._depth(), head, name, node, more)
        if text is not None:
            self.out.append(text)
            return False
        return self._push(pad, f'{head} type="dict"{more}', name, self.entries(node))

    def _run_of_entries(self, pad: str, head: str, name: str, part: Entries, more: str) -> bool:
        return self._push(pad, head, name, self.entries(part.pairs))

    def entries(self, node: list[Node]) -> list[Child]:
        """The elements for keys and values."""
        if id(node) in self._away:
            node = self._patched(node)
        return self._tags.entries(node)

    def _entry(self, pad: str, head: str, name: str, part: Entry, more: str) -> bool:
        return self._push(
            pad, head, name, [("key", "key", part.key), ("value", "value", part.value)]
        )

    def _reference(self, pad: str, head: str, name: str, part: Away, more: str) -> bool:
        label = self.written.get(id(part.node)) or self._label(head, part.node)
        self._referred.add(label)
        return self._line(pad, f'<{head} ref="{label}"/>')

    def _bytes(self, pad: str, head: str, name: str, node: bytes | bytearray, more: str) -> bool:
        kind = "bytes" if type(node) is bytes else "bytearray"
        attributes, text = atoms.bytes_text(bytes(node), pad)
        return self._line(pad, f'<{head} type="{kind}"{attributes}{more}>{text}</{name}>')

    def _global(self, pad: str, head: str, name: str, node: Global, more: str) -> bool:
        text = dotted(node)
        if text is not None:
            return self._line(pad, f'<{head} type="global">{escapes.content(text)[1]}</{name}>')
        parts = [("module", "module", node.module), ("name", "name", node.name)]
        return self._push(pad, f'{head} type="global"', name, parts)

    def _buffer(self, pad: str, head: str, name: str, node: Buffer, more: str) -> bool:
        raise ImageError(
            f"out-of-band buffer {node.number} has no place in XML", None, "pickle it in-band"
        )

    def _moment(self, pad: str, head: str, name: str, part: Moment, more: str) -> bool:
        return self._line(pad, f"<{head}>{part.text}</{name}>")


_WRITERS: dict[type, Callable[..., bool]] = {
    tuple: Writer._flat,
    list: Writer._flat,
    Set: Writer._flat,
    FrozenSet: Writer._flat,
    Dict: Writer._dict,
    Object: Writer._object,
    Global: Writer._global,
    Buffer: Writer._buffer,
    bytes: Writer._bytes,
    bytearray: Writer._bytes,
    Items: Writer._run_of_items,
    Entries: Writer._run_of_entries,
    Entry: Writer._entry,
    Away: Writer._reference,
    Packed: Writer._packed,
    Moment: Writer._moment,
}
