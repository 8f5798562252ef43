"""What is drawn of an image: which boxes and arrows, and how they are laid out without graphviz."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import pytest

from tapkit.image import layered
from tapkit.image.drawing import COLOURS, dot_text
from tapkit.image.nodes import NEWOBJ, REDUCE, STATE, Dict, Global, Image, Object
from tapkit.image.sketch import BACK, HOLDS, SERVED, SERVICE, SHARES, Sketch, sketch

SVG = "{http://www.w3.org/2000/svg}"


def thing(cls: str, /, **attributes: Any) -> Object:
    made = Object(NEWOBJ, Global("app", cls))
    made.add_step(STATE, Dict([part for entry in attributes.items() for part in entry]))
    return made


def server() -> Object:
    """An application with two servers on one factory."""
    factory = thing("Factory", quoter=thing("Quoter"))
    one = thing("Server", port=8007, factory=factory)
    other = thing("Server", port=8008, factory=factory)
    root = thing("Application", name="x", services=[one, other])
    one.steps[1] += ["parent", root]
    return root


def arrows(what: Sketch) -> set[tuple[str, str, str, str]]:
    boxes = what.boxes
    return {(boxes[a.start].lines[0], boxes[a.end].lines[0], a.label, a.kind) for a in what.arrows}


def test_boxes_and_arrows() -> None:
    """Holding, sharing and linking back are told apart; the way there is the label."""
    what = sketch(Image(server()))
    assert arrows(what) == {
        ("Application", "Server", "services[0]", HOLDS),
        ("Application", "Server", "services[1]", HOLDS),
        ("Server", "Factory", "factory", HOLDS),
        ("Server", "Factory", "factory", SHARES),
        ("Server", "Application", "parent", BACK),
        ("Factory", "Quoter", "quoter", HOLDS),
    }
    kinds = {box.lines: box.kind for box in what.boxes}
    assert kinds["Application", "'x'"] == SERVICE
    assert kinds["Server", "port = 8007"] == SERVICE
    assert kinds[("Factory",)] == SERVED


def test_values_are_not_drawn() -> None:
    """Dates, containers and numbers are no boxes."""
    moment = Object(REDUCE, Global("datetime", "datetime"), (b"\x07\xd4\x05\x01" + bytes(6),))
    what = sketch(Image(thing("A", at=moment, many=[1, (2, {})], deep=[[thing("B")]])))
    assert [box.lines[0] for box in what.boxes] == ["A", "B"]
    assert arrows(what) == {("A", "B", "deep[0][0]", HOLDS)}


def test_two_ways_to_one_thing_are_one_arrow() -> None:
    """With both labels; of many, three and dots."""
    inner = thing("B")
    what = sketch(Image(thing("A", x=inner, y=inner)))
    assert [arrow.label for arrow in what.arrows] == ["x, y"]
    what = sketch(Image(thing("A", all=[inner] * 50)))
    assert [arrow.label for arrow in what.arrows] == ["all[0], all[1], all[2], ..."]


def test_many_objects_are_drawn_by_class() -> None:
    """One box a class, with the count; one arrow for all."""
    root = thing("Root", kids=[thing("Kid", n=number) for number in range(1000)])
    what = sketch(Image(root))
    assert [box.lines for box in what.boxes] == [
        ("app.Root", "1 objects"),
        ("app.Kid", "1000 objects"),
    ]
    assert arrows(what) == {("app.Root", "app.Kid", "kids", HOLDS)}


def test_many_classes_are_bounded() -> None:
    """The rare ones are left out, and the title says how many."""
    root = thing("Root", kids=[thing(f"Kid{number}") for number in range(1000)])
    what = sketch(Image(root))
    assert len(what.boxes) == 120
    assert what.boxes[0].lines[0] == "app.Root"
    assert "881 rare classes are left out" in what.title


def chain(length: int) -> Object:
    made = thing("Link")
    for _ in range(length):
        made = thing("Link", next=made)
    return made


GRAPHS: dict[str, Any] = {
    "server": server(),
    "one": thing("A"),
    "no object": [1, 2],
    "an atom": 7,
    "chain": chain(100),
    "long chain": chain(20_000),
    "to itself": (lambda a: (a.steps[1].extend(["me", a]), a)[1])(thing("A")),
    "odd text": thing("<&\"'>\\N\n\x00", name="]]>\ud800\\"),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_the_built_in_layout(name: str) -> None:
    """Well-formed SVG, the same each time, each box within the picture and none on another."""
    what = sketch(Image(GRAPHS[name]))
    text = layered.svg(what, COLOURS)
    assert text == layered.svg(sketch(Image(GRAPHS[name])), COLOURS)
    root = ET.fromstring(text)
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    places = [
        tuple(float(rect.get(key, -1)) for key in ("x", "y", "width", "height"))
        for rect in root.findall(f"{SVG}g/{SVG}rect")
    ]
    assert len(places) == len(what.boxes)
    for x, y, wide, high in places:
        assert 0 <= x <= x + wide <= width
        assert 0 <= y <= y + high <= height
    for at, (x, y, wide, high) in enumerate(places):
        for x2, y2, wide2, high2 in places[:at]:
            assert x + wide <= x2 or x2 + wide2 <= x or y + high <= y2 or y2 + high2 <= y


def test_layers_go_down() -> None:
    """What holds a thing is drawn above it."""
    text = layered.svg(sketch(Image(server())), COLOURS)
    tops = {}
    for group in ET.fromstring(text).findall(f"{SVG}g"):
        tops[group.find(f"{SVG}text").text] = float(group.find(f"{SVG}rect").get("y"))
    assert tops["Application"] < tops["Server"] < tops["Factory"] < tops["Quoter"]


def test_text_for_graphviz() -> None:
    """Quotes, backslashes and entities cannot end a label or mean something in it."""
    text = dot_text(sketch(Image(GRAPHS["odd text"])))
    (line,) = (line for line in text.splitlines() if line.startswith("  n0 ["))
    label = line.partition("label=")[2].rpartition(", fillcolor")[0]
    assert label.startswith('"<&amp;\\"')
    assert label.endswith('"')
    inside = label[1:-1].replace("\\\\", "").replace('\\"', "").replace("\\n", "")
    assert '"' not in inside
    assert "\\" not in inside
