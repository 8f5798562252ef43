"""Nodes to XML.

One loop and one stack write everything: a frame is what is left to write of an element's
content, and the line that ends it. Nothing recurses but `simple`, which writes what is simple at
one stroke, and does so for few levels.
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
    Buffer,
    Dict,
    FrozenSet,
    Global,
    Image,
    Node,
    Object,
    Set,
)
from tapkit.image.sink import Sink
from tapkit.image.tax import atoms, code, escapes, readable, shapes, tags
from tapkit.image.tax.dotted import dotted
from tapkit.image.tax.line import PLAIN, atom, on_one_line
from tapkit.image.tax.parts import STEPS, Away, Entries, Entry, Items, Moment, Packed
from tapkit.image.tax.rows import DEEPEST, MOST_ON_A_LINE, PADS, WIDEST
from tapkit.image.tax.simple import Simple
from tapkit.image.tax.standard import spelt

VERSION = "1"

Child = tuple[str, str, Any]
"""An element to write: what its start tag begins with, its name, the node."""

_MOST_PIECES: Final = 3000
_HUGE = 1 << atoms.DECIMAL_BITS
_APPLICATION = Global("tapkit.application", "Application")
_FLAT: dict[type, str] = {tuple: "tuple", list: "list", Set: "set", FrozenSet: "frozenset"}


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
        self._sink = Sink()
        self.written: dict[int, str] = {}
        self._given = dict(ids or {})
        self._away = away or {}
        self._names = naming.Names([*reserved, *self._given.values()])
        self._stack: list[tuple[Iterator[Child], str, str]] = []
        self._tags = tags.Tags()
        self._simple = Simple(self.shared, self.written, self._away, self._tags)
        self._met: Counter[int] | None = None
        self._packing: Object | None = None
        self._referred: set[str] = set()
        self._builtins: dict[str, Node] = {}

    def document(self) -> bytes:
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
        self._encode()
        return self._sink.whole()

    def _encode(self) -> None:
        """Put aside what is written so far: as bytes it is all that is left in memory."""
        if self._packing is None:
            self._sink.put("".join(self.out))
            self.out.clear()

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
        shape = self._simple.shape(node)
        if shape is None:
            return self._special(pad, head, name, node, more)
        state = node.steps[1]
        if self._away and id(state) in self._away:
            state = self._patched(state)
        depth = self._depth()
        text, done = self._simple.content(shape, state, depth + 1 if depth < DEEPEST else depth)
        self.out += (f"{pad}<{head} {shape.spelling}{more}>\n", text)
        if len(self.out) > _MOST_PIECES:
            self._encode()
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
            text = self._simple.container(self._depth(), head, name, node, more)
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
        text = self._simple.container(self._depth(), head, name, node, more)
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
