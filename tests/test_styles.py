"""How classes say what of them is saved: volatile names, versions, ephemeral objects."""

from __future__ import annotations

import copy
import pickle
from typing import Any, ClassVar

import pytest

from tapkit import image, styles
from tapkit.errors import ImageError
from tests import test_styles as here


class Base(styles.Versioned):
    """Grew from `n` to `number` in version 1, to `numbers` in version 2."""

    persistenceVersion = 2
    steps: ClassVar[list[str]] = []

    def __init__(self) -> None:
        self.numbers = [1]

    def upgradeToVersion1(self) -> None:
        self.steps.append("Base 1")
        self.number = vars(self).pop("n")

    def upgradeToVersion2(self) -> None:
        self.steps.append("Base 2")
        self.numbers = [vars(self).pop("number")]


class Derived(Base):
    """Has a version of its own, and relies on its base being up to date."""

    persistenceVersion = 1
    persistenceForgets = ("cache",)
    volatile = ("running",)

    def upgradeToVersion1(self) -> None:
        self.steps.append("Derived 1")
        self.total = sum(self.numbers)
        self.seen = self.friend.label


class Friend:
    label = "none"


class Unversioned(Base):
    """Has no version of its own."""


@pytest.fixture(autouse=True)
def no_steps() -> None:
    Base.steps.clear()


def key(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}.persistenceVersion"


def old_image(**state: Any) -> tuple[bytes, Derived]:
    """An image as an older version of the code saved it."""
    derived = Derived()
    friend = Friend()
    friend.back = derived  # type: ignore[attr-defined]
    friend.label = "met"
    vars(derived).clear()
    vars(derived).update(friend=friend, **state)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(styles.Versioned, "__getstate__", lambda self: dict(vars(self)))
        return image.dumps([friend, derived, derived]), derived


def test_what_is_saved() -> None:
    """Versions of every class that has one are saved; forgotten and volatile names are not."""
    derived = Derived()
    derived.cache, derived.running = {}, True  # type: ignore[attr-defined]
    assert derived.__getstate__() == {"numbers": [1], key(Base): 2, key(Derived): 1}
    loaded = image.loads(image.dumps(derived))
    assert vars(loaded) == {"numbers": [1]}
    assert Base.steps == []


def test_upgrades_in_order() -> None:
    """Bases before derived classes, each step in order and once, with the whole graph there."""
    data, _ = old_image(n=5)
    friend, derived, same = image.loads(data)
    assert derived is same
    assert Base.steps == ["Base 1", "Base 2", "Derived 1"]
    assert derived.numbers == [5]
    assert derived.total == 5
    assert derived.seen == "met"
    assert friend.back is derived
    assert vars(image.loads(image.dumps(derived))).keys() == vars(derived).keys()
    assert len(Base.steps) == 3


def test_upgrades_from_between() -> None:
    """Only the steps that are missing are taken."""
    data, _ = old_image(number=3, **{key(Base): 1, key(Derived): 0})
    assert image.loads(data)[1].total == 3
    assert Base.steps == ["Base 2", "Derived 1"]


def test_missing_steps_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, before any step is taken, with the file."""
    data, _ = old_image(n=5)
    monkeypatch.delattr(Base, "upgradeToVersion2")
    monkeypatch.delattr(Derived, "upgradeToVersion1")
    with pytest.raises(ImageError) as caught:
        image.loads(data)
    assert "tests.test_styles.Base.upgradeToVersion2" in str(caught.value)
    assert "tests.test_styles.Derived.upgradeToVersion1" in str(caught.value)
    assert "upgradeToVersion1, tests.test_styles.Derived" not in str(caught.value)
    assert Base.steps == []


def test_a_failing_step() -> None:
    """Names the class, the step and the place in the code."""
    data, _ = old_image()
    with pytest.raises(ImageError) as caught:
        image.loads(data)
    assert "Derived to version 1 of tests.test_styles.Base failed: KeyError: 'n'" in str(
        caught.value
    )
    assert "test_styles.py:" in str(caught.value)
    assert isinstance(caught.value.__cause__.__cause__, KeyError)  # type: ignore[union-attr]


def test_newer_images_are_refused() -> None:
    """State that newer code saved is not guessed at."""
    data, _ = old_image(**{key(Base): 7, key(Derived): 1})
    with pytest.raises(ImageError) as caught:
        image.loads(data)
    assert "the image is newer than the code of tests.test_styles.Base" in str(caught.value)
    assert "(saved as version 7, the code is 2)" in str(caught.value)


def test_outside_an_image() -> None:
    """Copies and plain pickles keep the version out of the attributes; old ones upgrade at once."""
    for made in (copy.copy(Derived()), pickle.loads(pickle.dumps(Derived()))):
        assert vars(made) == {"numbers": [1]}
    one = Unversioned.__new__(Unversioned)
    one.__setstate__({"n": 4})
    assert one.numbers == [4]


def test_left_out() -> None:
    """An ephemeral object loads as something false that says what it stood for."""

    class Connection(styles.Ephemeral):
        pass

    loaded = image.loads(image.dumps({"live": [Connection(), Connection()], "kept": 1}))
    assert loaded["kept"] == 1
    first, second = loaded["live"]
    assert not first
    assert first != second
    assert len({first, second}) == 2
    assert "Connection" in repr(first)
    with pytest.raises(AttributeError, match=r"a .*Connection was left out when the image"):
        first.transport  # noqa: B018
    again = image.loads(image.dumps(first))
    assert repr(again) == repr(first)
    assert isinstance(again, styles.Ephemeral)


def test_names_in_images() -> None:
    """The functions that saved images call do what they always did."""
    assert styles.same(here) is here
    assert styles.last([1, 2]) == 2
    assert isinstance(styles.left_out("a.B"), styles.LeftOut)
