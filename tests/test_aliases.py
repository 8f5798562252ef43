"""Classes and modules that moved: an old image finds them by their new names."""

from __future__ import annotations

import shutil
import subprocess
import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest

from tapkit import aliases, image, styles
from tapkit.errors import ImageError
from tests.place import Place


@pytest.fixture(autouse=True)
def own_aliases(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing that a test says is known to the next; no drop-in is asked."""
    monkeypatch.setattr(aliases, "_new", {})
    monkeypatch.setattr(aliases, "sources", [])
    yield
    for name in [name for name in sys.modules if name.startswith("moving")]:
        del sys.modules[name]


def module(name: str, **content: Any) -> types.ModuleType:
    made = types.ModuleType(name)
    vars(made).update(content)
    for thing in content.values():
        thing.__module__ = name
    sys.modules[name] = made
    parent, _, last = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], last, made)
    return made


def counter(version: int) -> type:
    """A class in its first or second version; the second counts in dozens."""

    class Counter(styles.Versioned):
        persistenceVersion = version

        def __init__(self) -> None:
            self.count = 24

        if version == 2:

            def upgradeToVersion2(self) -> None:
                self.count //= 12

    Counter.__qualname__ = "Counter"
    return Counter


@pytest.mark.parametrize("form", ["pickle", "xml", "source"])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("moving_old.Counter", "moving_new.Counter"),
        ("moving_old", "moving_new"),
    ],
    ids=["class", "module"],
)
def test_a_moved_class(form: str, old: str, new: str) -> None:
    """An image that names the old class loads as the new one, and is saved under its name."""
    saved = image.dumps(module("moving_old", Counter=counter(1)).Counter(), form)
    del sys.modules["moving_old"]
    here = module("moving_new", Counter=counter(1))
    with pytest.raises(ImageError, match="moving_old"):
        image.loads(saved)
    aliases.alias(old, new)
    loaded = image.loads(saved)
    assert type(loaded) is here.Counter
    assert vars(loaded) == {"count": 24}
    again = image.dumps(loaded, form)
    assert b"moving_new" in again
    assert b"moving_old" not in again


def test_a_moved_class_is_upgraded_from_its_own_version() -> None:
    """The version that was saved under the old name counts: each step is taken once."""
    first, second = image.dumps(_made(1)), image.dumps(_made(2))
    del sys.modules["moving_old"]
    module("moving_new", Counter=counter(2))
    aliases.alias("moving_old.Counter", "moving_new.Counter")
    assert vars(image.loads(first)) == {"count": 2}
    assert vars(image.loads(second)) == {"count": 24}


def _made(version: int) -> Any:
    return module("moving_old", Counter=counter(version)).Counter()


def test_moved_twice_and_in_a_circle() -> None:
    """Moves are followed to the last; a circle leads nowhere, and ends."""
    aliases.alias("a.X", "b.X")
    aliases.alias("b", "c.d")
    assert aliases.resolve("a.X") == "c.d.X"
    assert aliases.resolve("a.X.Inner") == "c.d.X.Inner"
    assert aliases.resolve("a.Y") is None
    assert aliases.former("c.d.X") == ["b.X"]
    aliases.alias("c.d.X", "a.X")
    assert aliases.resolve("a.X") is None


def test_a_move_that_leads_nowhere() -> None:
    """An alias whose new name is missing too says both names."""
    saved = image.dumps(_made(1))
    del sys.modules["moving_old"]
    aliases.alias("moving_old", "moving_nowhere")
    with pytest.raises(ImageError) as caught:
        image.loads(saved)
    assert "moving_old.Counter, which is said to be moving_nowhere.Counter now" in str(caught.value)
    assert "moving_nowhere" in str(caught.value)


SHOW = "print(type(image.load('thing.tap')).__module__)"


def python(place: Place, code: str, *modules: str) -> str:
    """What a Python of its own prints, there."""
    wanted = "".join(f"import {name}\n" for name in ("tapkit.application", *modules))
    code = f"{wanted}from tapkit import image\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=place.path, env=place.env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_package_says_it_of_its_own_module(place: Place) -> None:
    """The old package, which is still importable, knows where its class went."""
    place.add_module("moving_app/__init__.py", "class Thing:\n    pass\n")
    python(place, "image.save(moving_app.Thing(), 'thing.tap')", "moving_app")
    place.add_module("moving_app/things.py", "class Thing:\n    pass\n")
    place.add_module(
        "moving_app/__init__.py",
        "from tapkit import aliases\n"
        "aliases.alias('moving_app.Thing', 'moving_app.things.Thing')\n",
    )
    assert python(place, SHOW) == "moving_app.things\n"


def test_a_drop_in_says_it(place: Place) -> None:
    """Where nothing of the old package is left, a plugins.tml says where it went."""
    place.add_module("moving_old/__init__.py", "class Thing:\n    pass\n")
    python(place, "image.save(moving_old.Thing(), 'thing.tap')", "moving_old")
    shutil.rmtree(place.path / "lib" / "moving_old")
    place.add_module("moving_new/__init__.py", "class Thing:\n    pass\n")
    place.add_module(
        "moving_new/plugins.tml", 'register("moving_old", type="alias", module="moving_new")\n'
    )
    assert python(place, SHOW) == "moving_new\n"
