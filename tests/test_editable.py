"""Drop-ins of really editable installs are found: made by pip, in a fresh virtual environment."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.place import ROOT

PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "{name}"
version = "1"
description = "Quotes of {name}."
[project.entry-points."tapkit.plugins"]
{name}-entry = "{name}.tap"
[tool.setuptools]
packages = ["{name}"]
{layout}
"""
TML = 'register("{name}", "{name}.tap", type="tap", tapname="{name}")\n'
BUILDER = """
from tapkit import service, usage
Options = usage.Options
def makeService(config): return service.MultiService()
"""

LOOK = """
import json, sys
from tapkit import plugin
before = set(sys.modules)
lines = []
found = plugin.find(debug=lines.append)
imported = sorted(name for name in set(sys.modules) - before if "quotes" in name)
hooks = [getattr(finder, "__module__", "") for finder in sys.meta_path]
loaded = {p.called: plugin.load_builder(p).module.__file__ for p in found.plugins
          if p.called.startswith("quotes")}
print(json.dumps([loaded, imported, [str(f) for f in found.faults], hooks, sys.path,
                  {p.called: p.description for p in found.plugins}, lines]))
"""

pytestmark = pytest.mark.slow  # real installs by pip


def package(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True)
    for file, text in (("__init__.py", ""), ("tap.py", BUILDER), ("plugins.tml", TML)):
        (folder / file).write_text(text.format(name=name))
    return folder


def project(folder: Path, name: str, place: str, layout: str) -> Path:
    package(folder / place, name)
    (folder / "pyproject.toml").write_text(PROJECT.format(name=name, layout=layout))
    return folder


def pip(python: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "--python", str(python), "--quiet"]
    command += ["--disable-pip-version-check", "install", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


MAP = """
import pathlib, site, sys
from editables import EditableProject
project = EditableProject("quotesmap", sys.argv[1])
project.map("quotesmap", "elsewhere/quotesmap")
target = pathlib.Path(site.getsitepackages()[0])
for name, text in project.files():
    (target / name).write_text(text)
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with four editable installs, of the ways there are."""
    base = tmp_path_factory.mktemp("editable")
    venv.create(base / "venv", with_pip=False)
    python = base / "venv" / "bin" / "python"
    tools = pip(python, "setuptools", "wheel", "editables")
    if tools.returncode:
        pytest.skip(f"no package index: {tools.stderr.strip().splitlines()[-1]}")
    flat = project(base / "flat", "quotesflat", "quotesflat", "")
    src = project(base / "src", "quotessrc", "src/quotessrc", 'package-dir = {"" = "src"}')
    mapped = project(
        base / "mapped", "quotesodd", "lib/other", 'package-dir = {quotesodd = "lib/other"}'
    )
    done = pip(python, "--no-build-isolation", "--no-deps", "-e", flat, "-e", src, "-e", mapped)
    assert done.returncode == 0, done.stderr
    package(base / "elsewhere" / "quotesmap", "quotesmap")
    subprocess.run([python, "-c", MAP, base], check=True, timeout=60)
    return base


def test_editable_installs(environment: Path) -> None:
    """.pth files, setuptools' finder and the editables redirector: found unimported, loaded."""
    done = subprocess.run(
        [environment / "venv" / "bin" / "python", "-c", LOOK],
        cwd=environment,
        env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    loaded, imported, faults, hooks, path, descriptions, lines = json.loads(done.stdout)
    assert loaded == {
        "quotesflat": f"{environment}/flat/quotesflat/tap.py",
        "quotesflat-entry": f"{environment}/flat/quotesflat/tap.py",
        "quotessrc": f"{environment}/src/src/quotessrc/tap.py",
        "quotessrc-entry": f"{environment}/src/src/quotessrc/tap.py",
        "quotesodd": f"{environment}/mapped/lib/other/tap.py",
        "quotesodd-entry": f"{environment}/mapped/lib/other/tap.py",
        "quotesmap": f"{environment}/elsewhere/quotesmap/tap.py",
    }
    assert (imported, faults) == ([], [])
    assert descriptions["quotesodd-entry"] == "Quotes of quotesodd."
    assert any(hook.startswith("__editable___quotesodd") for hook in hooks), "the layout to test"
    assert "editables.redirector" in hooks, "the layout to test"
    assert f"{environment}/src/src" in path, "the layout to test"
    assert any(line.startswith("editable installs of __editable___quotesodd") for line in lines)
