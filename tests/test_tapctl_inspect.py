"""tapctl inspect: what it tells of an image in any form, as text, as JSON and as a drawing."""

from __future__ import annotations

import json
import os
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from tapkit import image
from tapkit.image import header, tap
from tapkit.image.forms import FORMS
from tapkit.image.nodes import NEWOBJ, REDUCE, STATE, Dict, Global, Image, Object
from tapkit.image.overview import overview, services
from tapkit.image.pickled import assemble
from tests.place import Place


@pytest.fixture
def qotd(place: Place) -> Place:
    place.make("-n", "fortune", "qotd", "--port", "8017")
    return place


def inspected(place: Place, *arguments: str) -> dict[str, Any]:
    shown = place.run("tapctl", "inspect", "--json", *arguments)
    assert (shown.returncode, shown.stderr) == (0, "")
    found: dict[str, Any] = json.loads(shown.stdout)
    return found


def test_the_report(qotd: Place) -> None:
    """Header, service tree with ports, classes with counts, modules."""
    shown = qotd.run("tapctl", "inspect", "fortune.tap")
    assert (shown.returncode, shown.stderr) == (0, "")
    size = (qotd.path / "fortune.tap").stat().st_size
    for line in (
        "image:     fortune.tap, pickle (.tap)",
        f"size:      {size} bytes, 7 objects",
        "holds:     tapkit.application.Application 'fortune'",
        "made with: mktap qotd --port=8017",
        "Services:\n  tapkit.application.Application 'fortune'\n    tapkit.service.MultiService",
        "      tapkit.internet.TCPServer port=8017 factory=tapkit_plugins.qotd.QuoteFactory",
        "      tapkit.internet.UDPServer port=8017 protocol=tapkit_plugins.qotd.QuoteDatagrams",
        "Classes:\n  1 tapkit.application.Application",
        "Modules:\n  tapkit 0.1.0\n  tapkit_plugins\n",
    ):
        assert line in shown.stdout
    assert re.search(r"saved:     20\d\d-.* by tapkit 0\.1\.0, cpython 3\.", shown.stdout)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_json_of_any_form(qotd: Place, form: Any) -> None:
    """The documented keys; the header's are null where there is no header."""
    name = f"x{form.extensions[0]}"
    assert qotd.run("tapconvert", "fortune.tap", name).returncode == 0
    found = inspected(qotd, name)
    assert (found["file"], found["form"], found["name"]) == (name, form.name, "fortune")
    assert found["size"] == (qotd.path / name).stat().st_size
    assert (found["tap_type"] is None) == (form.name != "pickle")
    assert found["services"][2] == {
        "path": "application.services[0].services[0]",
        "depth": 2,
        "class_name": "tapkit.internet.TCPServer",
        "name": None,
        "settings": {"port": 8017},
        "serves": {"factory": "tapkit_plugins.qotd.QuoteFactory"},
    }
    assert found["objects"] == 7
    assert found["classes"]["tapkit_plugins.qotd.QuoteFactory"] == 1
    assert set(found["modules"]) == {"tapkit", "tapkit_plugins"}
    assert found["missing"] == found["code"] == []
    assert "tapkit.internet.TCPServer" in found["names"]


def test_modules_that_are_not_here(place: Place) -> None:
    """They are named, and nothing fails."""
    (place.path / "x.tax").write_text(
        '<root class="app_not_here.sub.Thing" tapkit="1"><a type="int">1</a></root>'
    )
    assert inspected(place, "x.tax")["missing"] == ["app_not_here"]
    shown = place.run("tapctl", "inspect", "x.tax")
    assert "  app_not_here (not found here)\n" in shown.stdout


def test_code_by_value(tmp_path: Path) -> None:
    """A lambda and a local class are named, with how many there are."""
    scale = 3

    class Local:
        pass

    data = image.dumps({"f": lambda x: x * scale, "g": lambda: 0, "c": Local()})
    nodes, _ = FORMS[0].decode(data, "x")
    code = " ".join(overview(nodes).code)
    assert "function <lambda>" in code
    assert "class Local" in code


def test_calls_are_told_apart_from_classes() -> None:
    """What loading would call is seen: `os.system` is no class."""
    nodes = Image(
        [Object(REDUCE, Global("os", "system"), ("id",)), Object(NEWOBJ, Global("a", "B"))],
        discarded=[Object(REDUCE, Global("builtins", "eval"), ("1",))],
    )
    found = overview(nodes)
    assert found.calls == {"eval": 1, "os.system": 1}
    assert found.classes == {"a.B": 1}
    assert found.names == ["a.B", "eval", "os.system"]


def holder(held: list[Any]) -> Object:
    made = Object(NEWOBJ, Global("app", "Holder"))
    made.add_step(STATE, Dict(["services", held]))
    return made


def test_a_service_tree_with_a_loop_ends() -> None:
    """Each service is told once."""
    inner = holder([])
    root = holder([inner, inner])
    inner.steps[1][1].append(root)
    assert [service.depth for service in services(Image(root))] == [0, 1]


def test_a_deep_service_tree(tmp_path: Path) -> None:
    """20,000 levels are told, to JSON as well."""
    root = holder([])
    for _ in range(20_000):
        root = holder([root])
    found = services(Image(root))
    assert len(found) == 20_001
    assert max(len(service.path) for service in found) < 1000


def hostile_names(tmp_path: Path) -> Path:
    """An image whose every name is an attack on a terminal or an XML parser."""
    nasty = "\x1b[2J\n<script>&\"'\\N\ud800"
    made = holder([])
    made.steps[1][1].append(Object(NEWOBJ, Global(nasty, nasty)))
    made.steps[1] += ["name", nasty, nasty, Object(NEWOBJ, Global("a", "B"), (nasty,))]
    nodes = Image(made)
    info = header.made_here([])
    path = tmp_path / "nasty.tap"
    path.write_bytes(b"".join(tap.write(assemble(nodes), [], info)))
    path.chmod(0o600)
    return path


def test_nothing_plays_tricks_on_a_terminal(place: Place, tmp_path: Path) -> None:
    """Names come out escaped, in the report and in JSON."""
    path = hostile_names(tmp_path)
    shown = place.run("tapctl", "inspect", "--graph", "x.svg", path)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert all(line.isprintable() for line in shown.stdout.splitlines())
    assert "\\x1b[2J" in shown.stdout
    ET.parse(place.path / "x.svg")


def test_long_lists_are_cut_unless_all_is_wanted(place: Place) -> None:
    """Fifty lines and how many more there are."""
    items = "".join(f'<item class="app.C{n}"/>' for n in range(80))
    (place.path / "x.tax").write_text(f'<root type="list" tapkit="1">{items}</root>')
    shown = place.run("tapctl", "inspect", "x.tax").stdout
    assert "  ... and 30 more: see --all\n" in shown
    shown = place.run("tapctl", "inspect", "--all", "x.tax").stdout
    assert "more" not in shown
    assert shown.count("app.C") == 80


@pytest.mark.parametrize("tool", ["", "dot"])
def test_the_drawing(qotd: Place, tool: str) -> None:
    """Valid SVG with every object; the same each time; with `dot` and without."""
    if tool and not any(
        os.access(os.path.join(folder, tool), os.X_OK) for folder in os.get_exec_path()
    ):
        pytest.skip("graphviz is not installed")
    if not tool:
        qotd.env["PATH"] = str(qotd.path)
    texts = []
    for name in ("a.svg", "b.svg"):
        shown = qotd.run("tapctl", "inspect", "fortune.tap", "--graph", name)
        assert (shown.returncode, shown.stderr) == (0, "")
        texts.append((qotd.path / name).read_text())
    assert texts[0] == texts[1]
    assert ET.fromstring(texts[0]).tag == "{http://www.w3.org/2000/svg}svg"
    for word in ("Application", "TCPServer", "port = 8017", "QuoteFactory", "StaticQuoter"):
        assert word in texts[0]
    assert "stroke-dasharray" in texts[0]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exit 3", "exit status 3"),
        pytest.param("echo hello", "exit status 0", marks=pytest.mark.slow),
        pytest.param("kill -9 $$", "-9", marks=pytest.mark.slow),
    ],
)
def test_a_dot_that_fails(qotd: Place, script: str, said: str) -> None:
    """It is told, and drawn without it."""
    folder = qotd.path.parent / "bin"
    folder.mkdir()
    (folder / "dot").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "dot").chmod(0o755)
    qotd.env["PATH"] = f"{folder}:{qotd.env['PATH']}"
    shown = qotd.run("tapctl", "inspect", "fortune.tap", "--graph", "x.svg")
    assert shown.returncode == 0
    assert said in shown.stderr
    assert shown.stderr.endswith("drawn without it\n")
    ET.parse(qotd.path / "x.svg")


@pytest.mark.parametrize(
    ("arguments", "said", "status"),
    [
        (["nix.tap"], "no such file; did you mean fortune.tap?: nix.tap", 1),
        ([], "missing argument IMAGE", 2),
        (["fortune.tap", "--graph", "x.png"], "a drawing is SVG: x.png", 2),
        (["fortune.tap", "--graph", "no/x.svg"], "no/x.svg", 1),
        (["broken.tap"], "damaged", 1),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes(qotd: Place, arguments: list[str], said: str, status: int) -> None:
    """One line and the exit status."""
    data = bytearray((qotd.path / "fortune.tap").read_bytes())
    data[-200] ^= 1
    (qotd.path / "broken.tap").write_bytes(data)
    (qotd.path / "nax.tap").unlink(missing_ok=True)
    shown = qotd.run("tapctl", "inspect", *arguments)
    said = said.replace("; did you mean fortune.tap?", "")
    assert said.partition(":")[0] in shown.stderr
    assert shown.stderr.startswith("tapctl inspect: ")
    assert len(shown.stderr.splitlines()) == 1
    assert shown.returncode == status


def test_an_image_of_anybody(qotd: Place) -> None:
    """What nobody should load may be looked at: that others can write to it does not matter."""
    (qotd.path / "fortune.tap").chmod(0o666)
    assert inspected(qotd, "fortune.tap")["name"] == "fortune"
