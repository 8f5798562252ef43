"""Dotted names: found, missing, and broken inside are three different answers."""

from __future__ import annotations

import collections
import os.path
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tapkit import names
from tapkit.errors import BrokenModuleError, NotFoundError


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory on sys.path whose modules are forgotten afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_name_leads_to_its_object() -> None:
    """Modules, their attributes, and attributes of those."""
    assert names.named_object("os.path") is os.path
    assert names.named_object("collections.OrderedDict.fromkeys") == (
        collections.OrderedDict.fromkeys
    )


def test_missing_is_said_with_a_suggestion() -> None:
    """The part that is missing is named, not the whole."""
    with pytest.raises(NotFoundError, match="no module named 'nowhere_at_all'"):
        names.named_object("nowhere_at_all.thing")
    with pytest.raises(
        NotFoundError, match=r"collections has no 'OrderedDic'; did you mean OrderedDict\?"
    ):
        names.named_object("collections.OrderedDic")
    with pytest.raises(NotFoundError, match=r"no module named 'os\.nowhere'"):
        names.named_module("os.nowhere")


def test_broken_inside_names_the_place(library: Path) -> None:
    """A module that raises is not missing; the innermost line that raised is named."""
    (library / "broken_one.py").write_text("def f():\n    return {}['key']\n\nf()\n")
    with pytest.raises(BrokenModuleError) as caught:
        names.named_object("broken_one.f")
    assert str(caught.value) == (
        f"importing broken_one failed: KeyError: 'key': {library / 'broken_one.py'}:2"
    )


def test_a_missing_import_inside_is_broken_not_missing(library: Path) -> None:
    """The module exists; what it imports does not."""
    (library / "needs_more.py").write_text("\nimport nowhere_at_all\n")
    with pytest.raises(BrokenModuleError, match=r"nowhere_at_all.*needs_more\.py:2"):
        names.named_module("needs_more")


def test_a_syntax_error_is_named_by_line_and_column(library: Path) -> None:
    """file:line:column of the text at fault."""
    (library / "no_python.py").write_text("x = 1\ny = = 2\n")
    with pytest.raises(BrokenModuleError, match=r"no_python\.py:2:5"):
        names.named_module("no_python")


def test_qualified_names() -> None:
    """Of a class, a function, an object."""
    assert names.qualified_name(collections.OrderedDict) == "collections.OrderedDict"
    assert names.qualified_name(Path("x")) == names.qualified_name(type(Path("x")))


def test_a_hook_in_snake_case_is_refused() -> None:
    """The message shows how the hook is spelled; a camelCase one passes."""
    slip = type("Echo", (), {"start_service": None})
    with pytest.raises(TypeError, match=r"Echo\.start_service is never called; .* startService"):
        names.refuse_misspelt_hooks(slip, ("startService",))
    names.refuse_misspelt_hooks(type("Echo", (), {"startService": None}), ("startService",))
