"""XML elements to nodes: what the reader does with each start tag, text and end tag.

Theory
------
There is a frame for each element that is open, and no recursion. What can hold itself (a list, a
dict, an object) is made at its start tag, so that a reference from within finds it; a tuple only
at its end. A reference to what is not there yet - an id further down, a tuple that is still open -
is a `Promise`, kept in the place of the node and replaced when all is read.

`kinds` knows what each `type=`, `class=` and so on means: it makes the frame. A mistake is
noted, what it is in is read on as well as can be, and all mistakes are told at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tapkit.image.nodes import Image, Node, Object
from tapkit.image.tax.faults import MOST
from tapkit.names import suggestion

# What an element may hold.
TEXT = "text"
ITEMS = "items"  # <item> elements
NAMED = "named"  # elements named like attributes or keys
ENTRY = "entry"  # <key> and <value>
PARTS = "parts"  # elements of fixed names
ANYTHING = "anything"  # it is wrong already: what is in it does not matter
_MOST_GUESSES = 2000


class FlawError(Exception):
    """A mistake, to be noted by the builder: what, a hint, and the attribute it is in."""

    def __init__(self, what: str, hint: str = "", attribute: str | None = None):
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.attribute = attribute


class Promise:
    """Stands for a node that is not made yet.

    Attributes:
        node: the node, when it is made.
        members: of a tuple whose end was read, but not yet all it holds: what it holds.
    """

    __slots__ = ("label", "members", "node", "offset")

    def __init__(self, label: str, offset: int):
        self.label = label
        self.offset = offset
        self.node: Node = UNKNOWN
        self.members: list[Any] | None = None


UNKNOWN = object()
"""What a promise holds before its node is made: None is a node."""


def kept(part: Node) -> Node:
    """A node, or what is promised by now."""
    return part.node if type(part) is Promise else part


class Frame:
    """An open element.

    Attributes:
        name: the element's name; slot: the key or part it stands for in its parent.
        holds: what it may hold: one of the words above.
        out: the nodes of its content; with keys or names of parts by turns.
        finish: frame -> node, at the end tag.
        node: the node, where it is made at the start tag.
        promise: where the node goes that has an id but is not made at the start tag.
        spoilt: whether an element in it has a mistake, so that what it lacks may be that.
    """

    __slots__ = (
        "attributes", "finish", "holds", "info", "name", "node", "offset", "out", "parts",
        "promise", "slot", "spoilt", "text",
    )  # fmt: skip

    def __init__(self, name: str, slot: Any, attributes: Mapping[str, str], offset: int):
        self.name = name
        self.slot = slot
        self.attributes = attributes
        self.offset = offset
        self.holds = ANYTHING
        self.out: list[Any] = []
        self.text: list[str] = []
        self.parts: Mapping[str, str] = {}
        self.finish: Callable[[Builder, Frame], Node] = nothing
        self.node: Node = UNKNOWN
        self.promise: Promise | None = None
        self.info: Any = None
        self.spoilt = False


def _says_nothing(attributes: Mapping[str, str]) -> bool:
    """Whether an element with these attributes holds a text, or takes its form from its place."""
    return not any(name in attributes for name in ("type", "class", "new", "call", "ref"))


def nothing(builder: Builder, frame: Frame) -> Node:
    """The node of an element with a mistake."""
    return None


class Builder:
    """Makes nodes of elements.

    Parameters:
        enter: (builder, frame) -> None; gives the frame its form by its attributes.
        note: (offset, what, hint, part) -> None; takes a mistake. The part of the element that
            is wrong is an attribute's name, `>` for what is behind the start tag, `text ...`
            for the text that was just read, or None.
        unpacked: (builder, packed text, the frame of the code) -> None; reads packed code.

    Attributes:
        unpacking: whether packed code is being read.
        flawed: whether there was a mistake, so that others may only follow from it.
        references: if it is a set, the places (id of a list, position) that hold references
            are put there, for whoever must know where a shared node was written.
        aliases: for them, by the id of a tuple, the list it was made of.
    """

    def __init__(
        self,
        enter: Callable[[Builder, Frame], None],
        note: Callable[[int, str, str, str | None], None],
        unpacked: Callable[[Builder, bytes, Frame], None],
    ):
        self._enter = enter
        self._note = note
        self.unpacked = unpacked
        self.ids: dict[str, Any] = {}
        self.builtins: dict[str, Object] = {}
        self.adopted: Object | None = None
        self.root: list[Any] = []
        self.discarded: list[Node] = []
        self.stack: list[Frame] = []
        self.flawed = self.unpacking = False
        self.references: set[tuple[int, int]] | None = None
        self.aliases: dict[int, list[Any]] = {}
        self._labels: set[str] = set()
        self._forward: dict[str, Promise] = {}
        self._patches: list[tuple[list[Any], int]] = []
        self._pending: list[Promise] = []
        self._late: list[tuple[Callable[[], None], int]] = []

    def start(self, name: str, attributes: Mapping[str, str], offset: int) -> None:
        """A start tag."""
        frame = Frame(name, name, attributes, offset)
        parent = self.stack[-1] if self.stack else None
        try:
            if parent is not None:
                self._place(parent, frame)
            if parent is None or parent.holds is not ANYTHING or not _says_nothing(attributes):
                self._enter(self, frame)
        except FlawError as flaw:
            self._fail(frame, flaw)
            if parent is not None:
                parent.spoilt = True
        self.stack.append(frame)

    def text(self, data: str) -> None:
        """Text between tags."""
        frame = self.stack[-1]
        if frame.holds is TEXT:
            frame.text.append(data)
        elif frame.holds is not ANYTHING and not data.isspace():
            self._stray(frame, data)

    def end(self) -> None:
        """An end tag."""
        frame = self.stack.pop()
        try:
            node = frame.finish(self, frame)
        except FlawError as flaw:
            if not frame.spoilt:
                self._fail(frame, flaw)
            node = None
        if frame.promise is not None and type(node) is not Promise:
            frame.promise.node = node
        if self.stack:
            self._deliver(self.stack[-1], frame, node)
        else:
            self.root.append(node)
            self.await_promises(self.root)

    def _place(self, parent: Frame, frame: Frame) -> None:
        """See whether an element may stand where it is."""
        name, holds = frame.name, parent.holds
        if holds is TEXT:
            if not parent.parts:
                what = f"<{name}> cannot stand in <{parent.name}>, which holds text"
                raise FlawError(what, "say what it is with type= or class=, or write &lt; for <")
            self._text_to_parts(parent)
            holds = PARTS
        if holds is ITEMS and name != "item":
            raise FlawError(f"<{name}> cannot stand here", f"<{parent.name}> holds <item> elements")
        if holds is NAMED:
            frame.slot = self._key(parent, frame)
        elif holds in (PARTS, ENTRY):
            self._part(parent, frame)

    def _text_to_parts(self, parent: Frame) -> None:
        text = "".join(parent.text)
        parent.holds = PARTS
        parent.text = []
        if text.strip():
            self._stray(parent, text)

    def _key(self, parent: Frame, frame: Frame) -> Any:
        """The key an element in an object or dict stands for."""
        if frame.name == "entry":
            return None
        key = frame.name
        if key == "attr":
            if "name" not in frame.attributes:
                raise FlawError("<attr> does not say which attribute it is", 'add name="..."')
            key = frame.attributes["name"]
        if parent.info is None:
            parent.info = {}
        if parent.info.setdefault(key, frame.offset) != frame.offset:
            raise FlawError(f"{key} is here twice", "remove one of them, or use <entry>")
        return key

    def _part(self, parent: Frame, frame: Frame) -> None:
        known = parent.parts
        if frame.name in known:
            if known[frame.name] == "once" and frame.name in parent.out[::2]:
                raise FlawError(f"<{frame.name}> is here twice", "remove one of them")
            return
        if not known:
            raise FlawError(f"<{frame.name}> cannot stand here", f"<{parent.name}> holds nothing")
        expected = ", ".join(f"<{each}>" for each in known)
        hint = suggestion(frame.name, known)[2:] or f"<{parent.name}> holds {expected}"
        raise FlawError(f"<{frame.name}> cannot stand in <{parent.name}>", hint)

    def _deliver(self, parent: Frame, frame: Frame, node: Node) -> None:
        """Hand a finished node to the element it is in."""
        out, holds = parent.out, parent.holds
        if holds is ANYTHING:
            return
        if holds is NAMED and frame.slot is None:
            self._entry(out, node)
            return
        if holds is not ITEMS:
            out.append(frame.slot)
        out.append(node)
        if type(node) is Promise:
            self._patches.append((out, len(out) - 1))
        if self.references is not None:
            self._trace(out, frame, node)

    def _trace(self, out: list[Any], frame: Frame, node: Node) -> None:
        """Remember which places hold references, and which list a tuple was made of."""
        assert self.references is not None
        if "ref" in frame.attributes and "type" not in frame.attributes:
            self.references.add((id(out), len(out) - 1))
        elif type(node) is tuple:
            self.aliases[id(node)] = frame.out

    def _entry(self, out: list[Any], pair: Any) -> None:
        for part in pair or ():
            out.append(part)
            if type(part) is Promise:
                self._patches.append((out, len(out) - 1))

    def _fail(self, frame: Frame, flaw: FlawError) -> None:
        self.flawed = True
        self._note(frame.offset, flaw.what, flaw.hint, flaw.attribute)
        frame.holds = ANYTHING
        frame.finish = nothing
        if frame.attributes.get("id") and frame.node is UNKNOWN and frame.promise is None:
            self.ids.setdefault(frame.attributes["id"], None)  # no mistake more for each use

    def _stray(self, frame: Frame, data: str) -> None:
        shown = " ".join(data.split())
        shown = shown if len(shown) <= 30 else shown[:27] + "..."
        hint = "remove it, or put it into an element of its own"
        first = f"text {data.split()[0]}"
        self._note(frame.offset, f"stray text {shown!r} in <{frame.name}>", hint, first)

    def identify(self, frame: Frame, node: Node = UNKNOWN) -> None:
        """Give a frame's node its id, if it has one. Without a node: it is made at the end."""
        frame.node = node
        label = frame.attributes.get("id")
        if label is None:
            return
        if label in self._labels:
            raise FlawError(f'id="{label}" is there twice', "give one of them another name", "id")
        if node is not UNKNOWN:
            self.claim(label, node)
            return
        self._labels.add(label)
        promise = self._forward.pop(label, None) or Promise(label, frame.offset)
        self.ids[label] = frame.promise = promise

    def claim(self, label: str, node: Node) -> None:
        """Give a node an id that no other has."""
        self._labels.add(label)
        self.ids[label] = node
        promise = self._forward.pop(label, None)
        if promise is not None:
            promise.node = node

    def is_claimed(self, label: str) -> bool:
        """Whether something has an id."""
        return label in self._labels

    def referred(self, label: str, offset: int) -> Node:
        """The node with an id, or a promise of it."""
        found = self.ids.get(label, UNKNOWN)
        if found is UNKNOWN:
            found = self.ids[label] = self._forward[label] = Promise(label, offset)
        if type(found) is Promise and found.node is not UNKNOWN:
            return found.node
        return found

    def refer(self, label: str, out: list[Any]) -> None:
        """Add the node with an id to the content of an element."""
        node = self.referred(label, 0)
        out.append(node)
        if type(node) is Promise:
            self._patches.append((out, len(out) - 1))

    def await_promises(self, out: list[Any]) -> None:
        """Replace the promises in a content when they are kept."""
        self._patches += [(out, at) for at, node in enumerate(out) if type(node) is Promise]

    def make_tuple(self, frame: Frame) -> Node:
        """The tuple of a frame's content, or a promise of it."""
        return self.tuple_of(frame.out, frame)

    def tuple_of(self, members: list[Any], frame: Frame) -> Node:
        """A tuple, or a promise of it where a member is one."""
        if not any(type(member) is Promise for member in members):
            return tuple(members)
        promise = frame.promise or Promise("", frame.offset)
        promise.members = members
        self._pending.append(promise)
        return promise

    def when_made(self, parts: list[Any], complete: Callable[[], None], offset: int) -> None:
        """Call `complete` now, or, where a part is a promise, when all promises are kept."""
        if any(type(part) is Promise for part in parts):
            self._late.append((complete, offset))
        else:
            complete()

    def image(self) -> Image:
        """The image, when all elements are read and there was no mistake."""
        self._miss_references()
        for promise in self._pending:
            self._settle(promise)
        for out, place in self._patches:
            if type(out[place]) is Promise:
                out[place] = out[place].node
        for complete, offset in [] if self.flawed else self._late:
            try:
                complete()
            except FlawError as flaw:
                self._note(offset, flaw.what, flaw.hint, flaw.attribute)
        return Image(self.root[0], discarded=self.discarded)

    def _miss_references(self) -> None:
        known = [label for label in self.ids if label not in self._forward][:_MOST_GUESSES]
        for number, (label, promise) in enumerate(self._forward.items()):
            guess = suggestion(label, known)[2:] if number < MOST else ""
            hint = guess or f'give the object it means id="{label}"'
            self._note(promise.offset, f'there is no id="{label}"', hint, "ref")
            promise.node = None
            self.flawed = True

    def _settle(self, promise: Promise) -> None:
        """Make a tuple, after the tuples in it."""
        todo, open_ = [promise], set()
        while todo:
            last = todo[-1]
            if last.node is not UNKNOWN:
                todo.pop()
                continue
            members: list[Any] = last.members or []
            missing = [each for each in members if type(each) is Promise and each.node is UNKNOWN]
            if missing and id(last) in open_:
                self._note(last.offset, "a tuple holds itself", "only lists and objects can", None)
                last.node = ()
            elif missing:
                open_.add(id(last))
                todo += missing
            else:
                made = [each.node if type(each) is Promise else each for each in members]
                last.node = tuple(made)
                self.aliases[id(last.node)] = members
