"""Event loops by name."""

from __future__ import annotations

import importlib.util

import pytest

from tapkit.errors import DaemonError, UsageError
from tapkit.run import reactors

HAS_UVLOOP = importlib.util.find_spec("uvloop") is not None


@pytest.mark.parametrize("name", [n for n in reactors.REACTORS if reactors.installed(n)])
def test_each_installed_reactor_runs(name: str) -> None:
    """A loop of the module its name says."""
    loop = reactors.new_loop(reactors.check(name))
    try:
        assert type(loop).__module__.split(".")[0] == name
    finally:
        loop.close()


def test_the_default_is_the_best_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """uvloop where it is installed, asyncio elsewhere."""
    assert reactors.check(None) == ("uvloop" if HAS_UVLOOP else "asyncio")
    monkeypatch.setattr(reactors, "installed", lambda name: name == "asyncio")
    assert reactors.check(None) == "asyncio"
    with pytest.raises(DaemonError, match=r"uvloop is not installed: pip install 'tapkit\[fast\]'"):
        reactors.check("uvloop")


def test_an_unknown_one_gets_a_suggestion() -> None:
    """With where the list is."""
    with pytest.raises(UsageError, match=r"uvlop; did you mean uvloop\?: see --help-reactors"):
        reactors.check("uvlop")
