"""What of an image is drawn: boxes for objects, arrows for how they refer to each other.

Containers and plain values are not drawn: an arrow goes through them, and its label says which
way (`services[0]`). An image of more than a few objects is drawn by its classes instead.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from tapkit.image.labels import by_value, class_name, clipped, is_value, labelled, printable
from tapkit.image.nodes import ATOMS, Global, Image, Node, Object, walk
from tapkit.image.overview import SERVES, name_of, services_of, settings_of

MOST_BOXES = 120
"""Objects, or else classes, that are drawn."""

SERVICE, SERVED, CODE, OTHER = "service", "served", "code", "object"
HOLDS, SHARES, BACK = "holds", "shared reference", "link back"

_MOST_LABELS = 3  # on an arrow
_WIDEST = 32
_HELPERS = ("cloudpickle", "tapkit.styles")
_INDEX = re.compile(r"[\[{(].*", re.DOTALL)


class Box(NamedTuple):
    """An object, or a class.

    Attributes:
        lines: what is written in it; the first is its class.
        kind: SERVICE, SERVED (by a service), CODE or OTHER.
    """

    lines: tuple[str, ...]
    kind: str


class Arrow(NamedTuple):
    """That one box refers to another, both by their numbers.

    Attributes:
        kind: HOLDS, the first way to a box; SHARES, another way; BACK, to a box that leads here.
    """

    start: int
    end: int
    label: str
    kind: str


@dataclasses.dataclass
class Sketch:
    """A drawing without places. Box 0 is the root."""

    title: str
    boxes: list[Box]
    arrows: list[Arrow]


Links = dict[tuple[int, int], list[str]]
"""The labels of each pair of boxes, in order."""


def sketch(image: Image, most: int = MOST_BOXES) -> Sketch:
    """What to draw of an image."""
    drawn = [node for node in walk(image.root) if _is_drawn(node)]
    if type(image.root) is not Object or not _is_drawn(image.root):
        drawn.insert(0, image.root)
    if len(drawn) > most:
        return _by_class(drawn, most)
    number = {id(node): at for at, node in enumerate(drawn)}
    services, served = _services(drawn)
    boxes = [_box(node, id(node) in services, id(node) in served) for node in drawn]
    links: Links = {}
    for at, node in enumerate(drawn):
        for label, end in _drawn_kids(node, number):
            links.setdefault((at, number[id(end)]), []).append(label)
    count = "1 object" if len(drawn) == 1 else f"{len(drawn)} objects"
    return Sketch(f"{count}", boxes, _arrows(len(boxes), links))


def _by_class(drawn: list[Node], most: int) -> Sketch:
    """Classes with counts; one arrow for all that instances of one refer to those of another."""
    counts = Counter(map(_name, drawn))
    kept = [name for name, _ in counts.most_common(most)]
    root = _name(drawn[0])
    kept = [root, *[name for name in kept if name != root]][:most]
    numbers = {name: at for at, name in enumerate(kept)}
    number = {id(node): numbers.get(_name(node), -1) for node in drawn}
    services, served = _services(drawn)
    kinds: dict[int, str] = {}
    links: Links = {}
    passed: set[int] = set()  # what two objects share between them is seen from the first alone
    for node in drawn:
        at = number[id(node)]
        if at < 0:
            continue
        kinds.setdefault(at, _kind(node, id(node) in services, id(node) in served))
        for label, end in _drawn_kids(node, number, passed):
            if number[id(end)] >= 0:
                labels = links.setdefault((at, number[id(end)]), [])
                if len(labels) <= _MOST_LABELS:
                    plain = _INDEX.sub("", label)
                    labels += [plain] if plain and plain not in labels else []
    boxes = [
        Box((clipped(name, _WIDEST), f"{counts[name]} objects"), kinds[at])
        for at, name in enumerate(kept)
    ]
    title = f"{len(drawn)} objects, by class"
    if len(counts) > len(kept):
        title += f"; {len(counts) - len(kept)} rare classes are left out"
    return Sketch(title, boxes, _arrows(len(boxes), links))


def _is_drawn(node: Node) -> bool:
    """Whether a node gets a box: an object that is no value, and not a part of code by value."""
    if type(node) is not Object:
        return False
    if by_value(node):
        return True
    if type(node.call) is not Global or node.call.module.startswith(_HELPERS):
        return False
    return not is_value(node)


def _drawn_kids(
    node: Node, number: dict[int, int], passed: set[int] | None = None
) -> Iterator[tuple[str, Node]]:
    """What a box refers to, each with the way there."""
    passed = set() if passed is None else passed
    todo = [("", node)]
    while todo:
        way, at = todo.pop()
        further = []
        for label, kid in labelled(at):
            if type(kid) in ATOMS or type(kid) is Global:
                continue
            if id(kid) in number:
                yield clipped((way + label).removeprefix("."), _WIDEST), kid
            elif id(kid) not in passed:
                passed.add(id(kid))
                further.append((clipped(way + label, 2 * _WIDEST), kid))
        todo += reversed(further)


def _services(drawn: list[Node]) -> tuple[set[int], set[int]]:
    """The ids of services, and of what they serve."""
    services: set[int] = set()
    served: set[int] = set()
    for node in drawn:
        held = services_of(node)
        if held is not None:
            services.update([id(node), *map(id, held)])
    for node in drawn:
        if id(node) in services:
            served.update(id(kid) for label, kid in labelled(node) if label[1:] in SERVES)
    return services, served


def _box(node: Node, is_service: bool, is_served: bool) -> Box:
    lines = [_name(node).rpartition(".")[2]]
    if type(node) is Object:
        name = name_of(node)
        lines += [] if name is None else [repr(name)]
        if is_service:
            lines += [f"{key} = {value}" for key, value in settings_of(node).items()]
    return Box(
        tuple(clipped(printable(line), _WIDEST) for line in lines),
        _kind(node, is_service, is_served),
    )


def _name(node: Node) -> str:
    return by_value(node) or class_name(node)


def _kind(node: Node, is_service: bool, is_served: bool) -> str:
    if by_value(node):
        return CODE
    return SERVICE if is_service else SERVED if is_served else OTHER


def _arrows(count: int, links: Links) -> list[Arrow]:
    """The arrows, by a walk from the root: what each is depends on how its end was met first."""
    kids: list[list[int]] = [[] for _ in range(count)]
    for start, end in links:
        kids[start].append(end)
    kinds: dict[tuple[int, int], str] = {}
    met: set[int] = set()
    for root in range(count):
        if root in met:
            continue
        met.add(root)
        above, stack = {root}, [(root, iter(kids[root]))]
        while stack:
            at, left = stack[-1]
            end = next(left, -1)
            if end < 0:
                above.discard(at)
                stack.pop()
            elif end in above:
                kinds[at, end] = BACK
            elif end in met:
                kinds[at, end] = SHARES
            else:
                kinds[at, end] = HOLDS
                met.add(end)
                above.add(end)
                stack.append((end, iter(kids[end])))
    return [
        Arrow(start, end, _joined(labels), kinds[start, end])
        for (start, end), labels in links.items()
    ]


def _joined(labels: list[str]) -> str:
    more = ", ..." if len(labels) > _MOST_LABELS else ""
    return ", ".join(labels[:_MOST_LABELS]) + more
