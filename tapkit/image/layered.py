"""A simple layout for where graphviz is not installed: boxes in layers, from the root down.

A box is one layer below the lowest that holds it, links back apart. Within a layer, boxes are
put near those they are connected with, by a few rounds of averages. Nothing is random.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

from tapkit.image.sketch import BACK, SHARES, Arrow, Box, Sketch

_LETTER, _LINE = 7, 14  # pixels that a letter and a line take
_PADDING, _GAP, _LAYER_GAP, _MARGIN = 8, 24, 56, 20
_ROUNDS = 4
_STYLES = {
    BACK: ' stroke="#9ca3af" stroke-dasharray="5,4"',
    SHARES: ' stroke="#2563eb"',
}
_LEGEND = "black: the first way to an object; blue: another way; dashed: a link back"


class _Place(NamedTuple):
    """Where a box is: its upper left corner and its size."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        return self.x + self.width / 2


def svg(what: Sketch, colours: Mapping[str, str]) -> str:
    """A sketch as SVG.

    Parameters:
        colours: of each kind of box.
    """
    places = _placed(what.boxes, _ordered(what))
    width = max([place.x + place.width for place in places] + [_LETTER * len(_LEGEND)])
    width += 3 * _MARGIN + _LETTER * max((len(arrow.label) for arrow in what.arrows), default=0)
    height = max(place.y + place.height for place in places) + 3 * _LINE + _MARGIN
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}"'
        f' viewBox="0 0 {width:.0f} {height:.0f}" font-family="sans-serif" font-size="11">',
        f"<title>{escape(what.title)}</title>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7"'
        ' markerHeight="7" orient="auto-start-reverse"><path d="M0 0L8 4L0 8z"/></marker></defs>',
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>',
    ]
    lines += [_arrow(arrow, places) for arrow in what.arrows]
    lines += [
        _box(box, place, colours[box.kind]) for box, place in zip(what.boxes, places, strict=True)
    ]
    for number, text in enumerate((what.title, _LEGEND)):
        y = height - _MARGIN - _LINE * (1 - number)
        lines.append(f'<text x="{_MARGIN}" y="{y:.0f}" fill="#4b5563">{escape(text)}</text>')
    return "\n".join([*lines, "</svg>\n"])


def _ordered(what: Sketch) -> list[list[int]]:
    """The boxes of each layer, from left to right."""
    down = [arrow for arrow in what.arrows if arrow.kind != BACK]
    layers: list[list[int]] = []
    for number, layer in enumerate(_layers(len(what.boxes), down)):
        layers += [[] for _ in range(layer + 1 - len(layers))]
        layers[layer].append(number)
    above: list[list[int]] = [[] for _ in what.boxes]
    below: list[list[int]] = [[] for _ in what.boxes]
    for arrow in down:
        above[arrow.end].append(arrow.start)
        below[arrow.start].append(arrow.end)
    for turn in range(_ROUNDS):
        position = {
            box: at / max(len(layer), 1) for layer in layers for at, box in enumerate(layer)
        }
        _sort(layers, above if turn % 2 == 0 else below, position)
    return layers


def _layers(count: int, arrows: list[Arrow]) -> list[int]:
    """The layer of each box. Without the links back there is no cycle."""
    waits = [0] * count
    kids: list[list[int]] = [[] for _ in range(count)]
    for arrow in arrows:
        waits[arrow.end] += 1
        kids[arrow.start].append(arrow.end)
    layer = [0] * count
    ready = [number for number in range(count) if not waits[number]]
    for number in ready:
        for kid in kids[number]:
            layer[kid] = max(layer[kid], layer[number] + 1)
            waits[kid] -= 1
            if not waits[kid]:
                ready.append(kid)
    return layer


def _sort(layers: list[list[int]], near: list[list[int]], position: dict[int, float]) -> None:
    for layer in layers:
        wanted = {}
        for box in layer:
            others = [position[other] for other in near[box]]
            wanted[box] = sum(others) / len(others) if others else position[box]
        layer.sort(key=lambda box: (wanted[box], box))


def _placed(boxes: list[Box], layers: list[list[int]]) -> list[_Place]:
    sizes = [_size(box) for box in boxes]
    widths = [sum(sizes[box][0] for box in layer) + _GAP * (len(layer) - 1) for layer in layers]
    places: dict[int, _Place] = {}
    y = float(_MARGIN)
    for layer, width in zip(layers, widths, strict=True):
        x = _MARGIN + (max(widths) - width) / 2
        for box in layer:
            places[box] = _Place(x, y, *sizes[box])
            x += sizes[box][0] + _GAP
        y += max(sizes[box][1] for box in layer) + _LAYER_GAP
    return [places[number] for number in range(len(boxes))]


def _size(box: Box) -> tuple[float, float]:
    letters = max(len(line) for line in box.lines)
    return letters * _LETTER + 2 * _PADDING, len(box.lines) * _LINE + 2 * _PADDING


def _box(box: Box, place: _Place, colour: str) -> str:
    x, y, width, height = place
    parts = [
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="5"'
        f' fill={quoteattr(colour)} stroke="#374151"/>'
    ]
    for number, line in enumerate(box.lines):
        weight = ' font-weight="bold"' if number == 0 else ""
        baseline = y + _PADDING + _LINE * number + 11
        parts.append(
            f'<text x="{place.middle:.1f}" y="{baseline:.1f}" text-anchor="middle"{weight}>'
            f"{escape(line)}</text>"
        )
    return "<g>" + "".join(parts) + "</g>"


def _arrow(arrow: Arrow, places: list[_Place]) -> str:
    start, end = places[arrow.start], places[arrow.end]
    if arrow.kind == BACK:
        path, x, y = _curve_back(start, end)
    else:
        path, x, y = _curve_down(start, end)
    style = _STYLES.get(arrow.kind, ' stroke="#374151"')
    return (
        f'<path d="{path}" fill="none"{style} marker-end="url(#head)"/>'
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="9" fill="#4b5563">{escape(arrow.label)}</text>'
    )


def _curve_down(start: _Place, end: _Place) -> tuple[str, float, float]:
    """From the lower edge of one box to the upper edge of another; and where its label goes."""
    x1, y1, x2, y2 = start.middle, start.y + start.height, end.middle, end.y
    bend = (y2 - y1) / 2
    path = f"M{x1:.1f} {y1:.1f}C{x1:.1f} {y1 + bend:.1f} {x2:.1f} {y2 - bend:.1f} {x2:.1f} {y2:.1f}"
    return path, x1 + (x2 - x1) / 6 + 3, y1 + _LAYER_GAP / 3


def _curve_back(start: _Place, end: _Place) -> tuple[str, float, float]:
    """From the right side of a box up to that of another, or of the same."""
    x1, y1 = start.x + start.width, start.y + start.height * 0.7
    x2, y2 = end.x + end.width, end.y + end.height * 0.3
    out = max(x1, x2) + 30
    path = f"M{x1:.1f} {y1:.1f}C{out:.1f} {y1:.1f} {out:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
    return path, (x1 + x2) / 4 + out / 2, (y1 + y2) / 2
