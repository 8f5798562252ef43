"""How two images differ, as a person would tell it: by attribute path.

`nodes.difference` asks whether two graphs are the same to the bit, and stops at the first
place. Here all of it is told, and what nobody would call a difference is passed over: the order
of attributes and of set members, and by which steps of a pickle an object is made.

Theory of operation
-------------------
Both graphs are walked at once, from the roots, by an explicit stack. Two nodes that stand at the
same place are a *pair*. The first pair a node is in is its partner: meeting it with another one
later means that the two graphs share differently, which is told once, with the places where
each was met first. From there on what is below is compared for its values alone, for every place
below would say the same again. Each pair that is looked into has a node that was never met
before, so all of it takes time proportional to both images.

Lists are aligned (`aligned.align`), so that an insertion is one difference and not one an item.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

from tapkit.image.aligned import align, fingerprint, match_members
from tapkit.image.facets import Facets
from tapkit.image.labels import (
    Path,
    attribute_label,
    class_name,
    is_value,
    path_text,
    short,
    short_pair,
)
from tapkit.image.nodes import (
    ATOMS,
    NEWOBJ,
    STATE,
    Buffer,
    Dict,
    FrozenSet,
    Global,
    Image,
    Node,
    Object,
    Set,
    difference,
)
from tapkit.image.partners import AS_BEFORE, FIRST, Partners, has_identity

Keyed = dict[Any, tuple[Node, Node]]

CHANGED, ADDED, REMOVED, SHARED = "changed", "added", "removed", "shared differently"


class Difference(NamedTuple):
    """One thing that differs.

    Attributes:
        path: where, from the root: `application.services[0].port`. A list index is the one in
            the first image, or `[1->2]` where the item moved.
        kind: CHANGED, ADDED, REMOVED or SHARED.
        old, new: what is there in each image, in a few words; "" where there is nothing.
    """

    path: str
    kind: str
    old: str
    new: str

    def __str__(self) -> str:
        if self.kind == ADDED:
            return f"{self.path}: added {self.new}"
        if self.kind == REMOVED:
            return f"{self.path}: removed {self.old}"
        return f"{self.path}: {self.old} -> {self.new}"


def differences(left: Image, right: Image) -> Iterator[Difference]:
    """What differs between two images, in the order of the first. None: they are the same."""
    root = root_name(left.root) if left.root is not None else root_name(right.root)
    return _Comparison().run(left, right, root)


def root_name(root: Node) -> str:
    """What the root of an image is called in paths."""
    is_application = type(root) is Object and root.call == Global(
        "tapkit.application", "Application"
    )
    return "application" if is_application else "object"


_FOUND = object()


class _Comparison:
    def __init__(self) -> None:
        self._partners = Partners()
        # (path, left, right, whether sharing counts), or (None, _FOUND, what, False)
        self._todo: list[tuple[Path, Node, Node, bool]] = []
        self._kept: list[Any] = []  # nodes made here, whose ids must stay theirs

    def run(self, left: Image, right: Image, root: str) -> Iterator[Difference]:
        """Each difference as it is found."""
        if left.discarded or right.discarded:
            pair = (list(left.discarded), list(right.discarded))
            self._kept.append(pair)
            self._todo.append(((None, "discarded"), *pair, True))
        self._todo.append(((None, root), left.root, right.root, True))
        while self._todo:
            path, one, other, sharing = self._todo.pop()
            if one is _FOUND:
                yield other
                continue
            later = len(self._todo)
            self._compare(path, one, other, sharing)
            self._todo[later:] = reversed(self._todo[later:])

    def _compare(self, path: Path, one: Node, other: Node, sharing: bool) -> None:
        kind = type(one)
        if kind is not type(other):
            self._tell(path, CHANGED, one, other)
        elif kind in ATOMS:
            if not _same_atom(one, other):
                self._tell(path, CHANGED, one, other)
        elif kind is Global:
            if one != other:
                self._tell(path, CHANGED, one, other)
        elif one != () or other != ():
            below = self._pair(path, one, other, sharing)
            if below is not None:
                self._look_into(path, one, other, below)

    def _pair(self, path: Path, one: Node, other: Node, sharing: bool) -> bool | None:
        """Whether sharing counts below this pair; None if there is nothing more to see."""
        met = self._partners.meet(path, one, other)
        if met == AS_BEFORE:
            return None
        if met == FIRST:
            return sharing
        if sharing and has_identity(one) and has_identity(other):
            old, new = self._partners.places(one, other)
            self._add(Difference(path_text(path), SHARED, old, new))
        return False if self._partners.add(path, one, other) else None

    def _look_into(self, path: Path, one: Node, other: Node, sharing: bool) -> None:
        kind = type(one)
        if kind is Object:
            self._compare_objects(path, one, other, sharing)
        elif kind is Dict:
            self._compare_entries(path, one, other, sharing)
        elif kind is tuple or kind is list:
            self._compare_items(path, one, other, sharing)
        elif kind is Set or kind is FrozenSet:
            self._compare_members(path, one, other, sharing)
        elif kind is Buffer:
            if (one.number, one.readonly) != (other.number, other.readonly):
                self._tell(path, CHANGED, one, other)
        elif one != other:
            self._tell(path, CHANGED, one, other)

    def _compare_objects(self, path: Path, one: Object, other: Object, sharing: bool) -> None:
        if _are_plain(one, other):  # as nearly all objects of nearly all images are
            self._compare_states(path, one.steps[1], other.steps[1], sharing)
            return
        if is_value(one) and is_value(other):
            if difference(one, other) is not None:
                self._tell(path, CHANGED, one, other)
            return
        mine, theirs = Facets(one), Facets(other)
        if type(mine.maker) is type(theirs.maker) is Global:
            if mine.maker != theirs.maker:
                self._tell_class(path, one, other)
        else:
            self._later(path, ".__class__", mine.maker, theirs.maker, sharing)
        self._compare_arguments(path, mine, theirs, sharing)
        self._compare_attributes(path, mine, theirs, sharing)
        for label, states in ((".__state__", "state"), (".__effects__", "effects")):
            place = (path, label)
            self._compare_items(place, getattr(mine, states), getattr(theirs, states), sharing)
        self._compare_items(path, mine.items, theirs.items, sharing)
        self._compare_entries(path, mine.entries, theirs.entries, sharing)
        self._compare_members(path, mine.members, theirs.members, sharing)

    def _compare_arguments(self, path: Path, mine: Facets, theirs: Facets, sharing: bool) -> None:
        if type(mine.args) is type(theirs.args) is tuple:
            self._compare_items((path, ".__args__"), mine.args, theirs.args, sharing)
        else:
            self._later(path, ".__args__", mine.args, theirs.args, sharing)
        if mine.kwargs is not None or theirs.kwargs is not None:
            self._later(path, ".__kwargs__", mine.kwargs, theirs.kwargs, sharing)

    def _compare_attributes(self, path: Path, mine: Facets, theirs: Facets, sharing: bool) -> None:
        if not mine.attributes and not theirs.attributes:
            return
        for one, other in zip(mine.holders, theirs.holders, strict=False):
            # An object's __dict__ that is seen elsewhere as well is the same thing there.
            self._pair((path, ".__dict__"), one, other, sharing)
        old, new = _as_dict(mine.attributes), _as_dict(theirs.attributes)
        for name, value in old.items():
            if name in new:
                self._later(path, attribute_label(name), value, new[name], sharing)
            else:
                self._tell((path, attribute_label(name)), REMOVED, value, None)
        for name, value in new.items():
            if name not in old:
                self._tell((path, attribute_label(name)), ADDED, None, value)

    def _compare_states(self, path: Path, mine: Dict, theirs: Dict, sharing: bool) -> None:
        """Attributes that have the same names in the same order."""
        self._pair((path, ".__dict__"), mine, theirs, sharing)
        for at in range(1, len(mine), 2):
            one, other = mine[at], theirs[at]
            if type(one) is type(other) and type(one) in ATOMS and _same_atom(one, other):
                continue
            self._todo.append(((path, attribute_label(mine[at - 1])), one, other, sharing))

    def _compare_entries(self, path: Path, mine: Any, theirs: Any, sharing: bool) -> None:
        if not mine and not theirs:
            return
        old, new = _keyed(mine), _keyed(theirs)
        for key, (one, value) in old.items():
            label = f"[{short(one, 40)}]"
            if key in new:
                if type(one) not in ATOMS:
                    self._later(path, f".__key__{label}", one, new[key][0], sharing)
                self._later(path, label, value, new[key][1], sharing)
            else:
                self._tell((path, label), REMOVED, value, None)
        for key, (one, value) in new.items():
            if key not in old:
                self._tell((path, f"[{short(one, 40)}]"), ADDED, None, value)
        self._compare_order(path, old, new)

    def _compare_order(self, path: Path, old: Keyed, new: Keyed) -> None:
        before = [key for key in old if key in new]
        after = [key for key in new if key in old]
        at = next((n for n, key in enumerate(before) if key != after[n]), None)
        if at is not None:
            first, second = old[before[at]][0], new[after[at]][0]
            texts = (f"{short(key, 40)} as key {at + 1}" for key in (first, second))
            self._add(Difference(path_text(path), CHANGED, *texts))

    def _compare_items(self, path: Path, mine: Any, theirs: Any, sharing: bool) -> None:
        if not mine and not theirs:
            return
        for at, to in align(mine, theirs):
            if at is None:
                self._tell((path, f"[{to}]"), ADDED, None, theirs[to])
            elif to is None:
                self._tell((path, f"[{at}]"), REMOVED, mine[at], None)
            else:
                label = f"[{at}]" if at == to else f"[{at}->{to}]"
                self._later(path, label, mine[at], theirs[to], sharing)

    def _compare_members(self, path: Path, mine: Any, theirs: Any, sharing: bool) -> None:
        if not mine and not theirs:
            return
        for at, to in match_members(mine, theirs):
            if at is None:
                self._tell((path, "{}"), ADDED, None, theirs[to])
            elif to is None:
                self._tell((path, "{}"), REMOVED, mine[at], None)
            else:
                self._later(path, f"{{{short(mine[at], 40)}}}", mine[at], theirs[to], sharing)

    def _later(self, path: Path, label: str, one: Node, other: Node, sharing: bool) -> None:
        if type(one) is type(other) and type(one) in ATOMS and _same_atom(one, other):
            return  # most of any image
        self._todo.append(((path, label), one, other, sharing))

    def _tell_class(self, path: Path, one: Object, other: Object) -> None:
        place = path_text((path, ".__class__"))
        self._add(Difference(place, CHANGED, class_name(one), class_name(other)))

    def _add(self, found: Difference) -> None:
        """Tell it when its turn comes: what stands before it is looked into first."""
        self._todo.append((None, _FOUND, found, False))

    def _tell(self, path: Path, kind: str, one: Node, other: Node) -> None:
        if kind == CHANGED:
            old, new = short_pair(one, other)
        else:
            old, new = (short(one), "") if kind == REMOVED else ("", short(other))
        self._add(Difference(path_text(path), kind, old, new))


def _are_plain(one: Object, other: Object) -> bool:
    """Whether both are plain instances of one class, with the same attributes in order."""
    if not len(one.steps) == len(other.steps) == 2 or type(one.call) is not Global:
        return False
    if one.how != NEWOBJ or other.how != NEWOBJ or one.call != other.call:
        return False
    if one.args != () or other.args != () or not one.steps[0] == other.steps[0] == STATE:
        return False
    mine, theirs = one.steps[1], other.steps[1]
    if not type(mine) is type(theirs) is Dict or len(mine) != len(theirs) or len(mine) % 2:
        return False
    return all(
        type(name) is type(same) is str and name == same
        for name, same in zip(mine[::2], theirs[::2], strict=True)
    ) and len(set(mine[::2])) * 2 == len(mine)


def _same_atom(one: Node, other: Node) -> bool:
    if type(one) is float:
        return struct.pack(">d", one) == struct.pack(">d", other)
    return bool(one == other)


def _as_dict(attributes: list[Node]) -> dict[str, Node]:
    return dict(zip(attributes[::2], attributes[1::2], strict=True))


def _keyed(entries: list[Node]) -> Keyed:
    """(key, value) nodes by what is hashable of the key. Of an equal key, the last value."""
    found: Keyed = {}
    alike: dict[Any, int] = {}
    for at in range(0, len(entries) - 1, 2):
        key = fingerprint(entries[at])
        if type(entries[at]) not in ATOMS and type(entries[at]) is not Global:
            # Equal from afar is not equal.
            alike[key] = alike.get(key, -1) + 1
            key = (key, alike[key])
        found[key] = (entries[at], entries[at + 1])
    return found
