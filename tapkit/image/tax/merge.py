"""Writing over a file that somebody edited: only what changed changes, comments stay.

The new image is written afresh, with the ids of the old file and with shared objects where the
old file has them. Then both texts are walked together as trees. An element that means the same
keeps its very bytes; one that changed is replaced; one that is new is put in; one that is gone
goes, with the comments that belong to it: those right above it, and the one behind it on its
line. The attributes of an object keep the file's order, which has no meaning; the entries of a
dict take the new order, which has.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import NamedTuple

from tapkit.errors import ImageError
from tapkit.image.nodes import Image, difference
from tapkit.image.tax.alignment import aligned
from tapkit.image.tax.careful import Reader
from tapkit.image.tax.faults import TaxError
from tapkit.image.tax.homes import homes
from tapkit.image.tax.layout import Element, layout
from tapkit.image.tax.meaning import same_text, start_tag
from tapkit.image.tax.quick import quick
from tapkit.image.tax.writer import Writer

_BEHIND = re.compile(r"[ \t]*(?:<!--(?:(?!-->).)*-->[ \t]*)+(?=\r?\n|$)")
_BLANK_LINE = re.compile(r"\n[ \t\r]*\n")
_ENCODING = re.compile(
    r"""(<\?xml[^>]*?\sencoding\s*=\s*)(?!["'](?i:utf-8)["'])(?:"[^"]*"|'[^']*')"""
)
_ORDERED = frozenset({"dict", "OrderedDict", "defaultdict"})
_UNORDERED = frozenset({"set", "frozenset"})


def rewritten(image: Image, previous: bytes) -> bytes | None:
    """The text of an image, as an edit of a previous text; None if that is no readable .tax.

    Raises:
        ImageError: the image has no text.
    """
    try:
        reader = Reader(previous, "", trace=True)
        old = reader.image()
    except TaxError:
        return None
    if difference([old.root, *old.discarded], [image.root, *image.discarded]) is None:
        return previous
    ids, away = homes(old, reader.builder, image)
    writer = Writer(image, ids, away, list(reader.builder.ids))
    new_text = writer.document().decode()
    if not writer.is_complete():
        new_text = Writer(image, ids).document().decode()
    old_text = _ENCODING.sub(r'\1"utf-8"', reader.data.decode("utf-8"), count=1)
    merged = merge(old_text, new_text).encode("utf-8")
    try:
        if quick(merged) is None:
            Reader(merged, "").image()
    except ImageError:  # never write what cannot be read, whatever is odd about the old text
        return new_text.encode("utf-8")
    return merged


class Block(NamedTuple):
    """A child and what belongs to it: what is above it, and what is behind it on its line."""

    above: str
    element: Element
    behind: str


def merge(old_text: str, new_text: str) -> str:
    """The new document, in the words of the old one where they say the same."""
    old, new = layout(old_text), layout(new_text)
    merger = _Merger(old_text, new_text)
    pieces = [old_text[: old.start]]
    todo: list[str | tuple[Element, Element]] = [(old, new)]
    while todo:
        item = todo.pop()
        if isinstance(item, str):
            pieces.append(item)
        else:
            todo += reversed(merger.pair(*item, outermost=item[0] is old))
    pieces.append(old_text[old.end :])
    return "".join(pieces)


Pieces = list["str | tuple[Element, Element]"]


class _Merger:
    def __init__(self, old_text: str, new_text: str):
        self.old_text = old_text
        self.new_text = new_text

    def pair(self, old: Element, new: Element, outermost: bool) -> Pieces:
        """An element that is in both: text, and pairs of elements to go on with."""
        start = start_tag(old, new, self.old_text, self.new_text, outermost)
        end = self.old_text[old.close : old.end] or f"</{old.name}>"
        if old.children and new.children:
            return [start, *self._content(old, new), end]
        if old.children or new.children:
            if not outermost:
                return [self.new_text[new.start : new.end]]
            return [start, self.new_text[new.inner : new.close], end if new.children else ""]
        if start == self.old_text[old.start : old.inner]:
            if same_text(old, new, self.old_text, self.new_text):
                return [self.old_text[old.start : old.end]]
            if new.inner == new.close or old.inner == old.end:
                return [self.new_text[new.start : new.end]]
            return [start, self.new_text[new.inner : new.close], end]
        if old.inner == old.end or new.inner == new.end:
            one_tag = start.endswith("/>") and new.inner == new.end
            return [start] if one_tag else [self.new_text[new.start : new.end]]
        keep = same_text(old, new, self.old_text, self.new_text)
        inner = self._inner(old, self.old_text) if keep else self._inner(new, self.new_text)
        return [start, inner, end]

    def _inner(self, element: Element, text: str) -> str:
        return text[element.inner : element.close]

    def _content(self, old: Element, new: Element) -> Pieces:
        first, blocks, last = self._blocks(old)
        pairs = self._pairs(old, new)
        partner = {place: there for there, place in pairs}
        order = [place for _, place in pairs]
        kind = new.attributes.get("type")
        if not (kind in _ORDERED or kind in _UNORDERED or new.children[0].name == "item"):
            order = [place for _, place in sorted(pairs)]
        elif kind not in _UNORDERED:
            order.sort()
        follow = _newcomers(len(new.children), set(partner))
        indent = _indent(blocks, self.new_text, new)
        pieces: Pieces = [first]
        kept = set(partner.values())
        left_over = [self._section(block) for at, block in enumerate(blocks) if at not in kept]
        for place in [-1, *order]:
            if place >= 0:
                block = blocks[partner[place]]
                pieces += [block.above, (block.element, new.children[place]), block.behind]
            for newcomer in follow.get(place, ()):
                element = new.children[newcomer]
                pieces += [indent, shifted(self.new_text, element, indent)]
        return [*pieces, *left_over, last]

    def _pairs(self, old: Element, new: Element) -> list[tuple[int, int]]:
        """Which children are the same thing, as positions."""
        if any(child.name == "item" for child in (*old.children, *new.children)):
            prints = [
                [self._prints(child, text) for child in parent.children]
                for parent, text in ((old, self.old_text), (new, self.new_text))
            ]
            if new.attributes.get("type") in _UNORDERED:
                places = {print_[0]: place for place, print_ in enumerate(prints[0])}
                found = [(places.get(each[0]), at) for at, each in enumerate(prints[1])]
                return sorted((there, at) for there, at in found if there is not None)
            return aligned(*prints)
        there = {label: at for at, label in enumerate(self._labels(old, self.old_text))}
        labels = enumerate(self._labels(new, self.new_text))
        return [(there[label], place) for place, label in labels if label in there]

    def _labels(self, parent: Element, text: str) -> list[Hashable]:
        """What each child stands for: its name, the attribute, the key; and a number."""
        counts: dict[Hashable, int] = {}
        labels: list[Hashable] = []
        for child in parent.children:
            label: Hashable = child.name
            if child.name == "attr":
                label = ("attr", child.attributes.get("name"))
            elif child.name == "entry":
                keys = [each for each in child.children if each.name == "key"]
                label = ("entry", *(self._prints(key, text)[0] for key in keys))
            counts[label] = number = counts.get(label, 0) + 1
            labels.append((label, number))
        return labels

    def _prints(self, element: Element, text: str) -> tuple[Hashable, Hashable]:
        """(what is seen of an element without looking deep, what kind of thing it is)"""
        given = element.attributes
        weak = tuple(given.get(name) for name in ("type", "class", "call", "new"))
        if not element.children:
            mark = given.get("ref") or given.get("id")
            return (weak, mark, _squeezed(element.meaning(text))), weak
        parts = frozenset(
            (child.name, child.attributes.get("type"), child.attributes.get("ref"),
             _squeezed(child.meaning(text)))
            for child in element.children
            if not child.children
        )  # fmt: skip
        return (weak, given.get("id"), parts), weak

    def _blocks(self, parent: Element) -> tuple[str, list[Block], str]:
        """(what is behind the start tag, the children, what is above the end tag)"""
        text, children = self.old_text, parent.children
        edges = [parent.inner, *(child.end for child in children)]
        starts = [*(child.start for child in children), parent.close]
        gaps = [text[edge:start] for edge, start in zip(edges, starts, strict=True)]
        behind, above = zip(*(_split(gap) for gap in gaps), strict=True)
        blocks = [Block(above[at], child, behind[at + 1]) for at, child in enumerate(children)]
        return behind[0], blocks, above[-1]

    def _section(self, block: Block) -> str:
        """What stays of the lines above a child that goes: a comment with a blank line after."""
        cut = 0
        for found in _BLANK_LINE.finditer(block.above):
            cut = found.start()
        return block.above[:cut] if "<!--" in block.above[:cut] else ""


def _split(gap: str) -> tuple[str, str]:
    """A gap between tags: what belongs to the tag before, and what to the one behind it."""
    found = _BEHIND.match(gap)
    return (gap[: found.end()], gap[found.end() :]) if found else ("", gap)


def _newcomers(count: int, known: set[int]) -> dict[int, list[int]]:
    """For each child that stays (-1: for none) the new ones that come right after it."""
    follow: dict[int, list[int]] = {}
    last = -1
    for place in range(count):
        if place in known:
            last = place
        else:
            follow.setdefault(last, []).append(place)
    return follow


def _indent(blocks: list[Block], new_text: str, new: Element) -> str:
    """What goes before a new child: the white space that goes before the old ones."""
    above = blocks[0].above
    if "\n" not in above:
        return above if not above.strip() else ""
    return "\n" + above[above.rfind("\n") + 1 :]


_LINE_BREAK = re.compile(r"(</[^>]*>|/>)\n *(?=<)|>\n *(?=<[^/])")


def shifted(text: str, element: Element, indent: str) -> str:
    """A new element, its lines indented for their new place.

    Only line breaks between tags are layout. After a start tag and before an end tag there is
    a text of white space, which counts.
    """
    own = element.start - text.rfind("\n", 0, element.start) - 1
    pad = indent[indent.rfind("\n") + 1 :]

    def shift(found: re.Match[str]) -> str:
        tag, _, spaces = found[0].rpartition("\n")
        return f"{tag}\n{pad}{spaces[own:]}"

    return _LINE_BREAK.sub(shift, text[element.start : element.end])


def _squeezed(text: str) -> str:
    return " ".join(text.split())
