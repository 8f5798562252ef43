"""Imports only go down the layers, wherever in a file they stand."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.place import ROOT

# From the ground up. Modules of one layer may import each other where that makes no cycle; the
# service tree and image/ are side by side and meet in application.py alone.
LAYERS = [
    {"errors", "names", "records", "aliases", "styles"},
    {"walk", "limits", "service", "ports", "net", "protocol", "internet"}
    | {"options", "usage", "finding", "plugin"},
    {"image", "source", "carried", "journal"},
    {"application"},
    {"run"},
    {"scripts"},
]
SIDE_BY_SIDE = (1, 2)


def layer_of(module: str) -> int:
    """The layer of `tapkit.X...`, by its second name."""
    part = module.split(".")[1]
    found = [number for number, layer in enumerate(LAYERS) if part in layer]
    assert found, f"{module} is in no layer: name it in LAYERS"
    return found[0]


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imports(path: Path, for_types: bool = True) -> Iterator[tuple[str, int]]:
    """Each tapkit module a file imports, with its line.

    `for_types`: also what is imported for type checkers alone, and never at run time.
    """
    tree = parsed(path)
    nodes = list(ast.walk(tree))
    skipped: set[ast.AST] = set()
    for node in nodes:
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            skipped.update(inner for inner in ast.walk(node) if not for_types)
    for node in nodes:
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: a relative import"
            names = [resolved(node.module or "", alias.name) for alias in node.names]
        else:
            continue
        yield from ((n, node.lineno) for n in names if n.split(".")[0] == "tapkit")


def resolved(module: str, name: str) -> str:
    """What `from module import name` imports: a submodule where there is one."""
    path = ROOT.joinpath(*module.split("."))
    inside = (path / f"{name}.py").exists() or (path / name / "__init__.py").exists()
    return f"{module}.{name}" if inside or module == "tapkit" else module


SOURCES = sorted(path for path in (ROOT / "tapkit").rglob("*.py") if path.parent != path)


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down(path: Path) -> None:
    """A module imports from its own layer or a lower one, and never the façade."""
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    if module == "tapkit.__init__":
        assert not list(imports(path)), "the façade imports nothing"
        return
    mine = layer_of(module)
    for name, line in imports(path):
        if name == "tapkit.__version__":
            continue
        assert name != "tapkit", f"{path}:{line}: imports the façade"
        theirs = layer_of(name)
        assert theirs <= mine, f"{path}:{line}: {module} imports {name} from above"
        assert (theirs, mine) != SIDE_BY_SIDE, f"{path}:{line}: image/ knows no services"


def test_no_cycles() -> None:
    """No module imports itself through others."""
    graph: dict[str, set[str]] = {}
    for path in SOURCES:
        parts = path.relative_to(ROOT).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        graph[module] = {name for name, _ in imports(path, False)} - {
            "tapkit",
            "tapkit.__version__",
        }
    modules, left = set(graph), {m: d & set(graph) - {m} for m, d in graph.items()}
    while free := {m for m, needs in left.items() if not needs}:
        left = {m: needs - free for m, needs in left.items() if m not in free}
    assert modules
    assert not left, f"among these there is a cycle: {sorted(left)}"


@pytest.mark.parametrize("folder", ["tapkit_plugins", "samples"])
def test_plug_ins_are_third_parties(folder: str) -> None:
    """What we ship as plug-ins uses the public modules alone: no private door."""
    public = {
        "service",
        "ports",
        "protocol",
        "internet",
        "usage",
        "styles",
        "application",
        "errors",
    }
    checked = 0
    for path in (ROOT / folder).rglob("*.py"):
        for name, line in imports(path):
            assert name.split(".")[1] in public, f"{path}:{line}: {name} is not public"
            checked += 1
    assert checked
