"""Records: named fields, defaults, values that do not change."""

from __future__ import annotations

import copy
import pickle

import pytest

from tapkit.records import Record


class Point(Record):
    """For the tests."""

    x: int
    y: int = 0


class Named(Point):
    """One field more."""

    name: str = "here"


def test_fields_by_place_and_by_name() -> None:
    """In the order of the class, its base's first; defaults where nothing is said."""
    assert Point(1) == Point(1, 0) == Point(y=0, x=1)
    assert Named(1, name="a")._asdict() == {"x": 1, "y": 0, "name": "a"}
    assert (Named(1, 2, "b").name, Point(3).y) == ("b", 0)


@pytest.mark.parametrize(
    ("values", "named", "said"),
    [
        ((), {}, "Point needs x"),
        ((1, 2, 3), {}, "Point takes x, y"),
        ((1,), {"z": 2}, "Point takes x, y: not {'z'}"),
        ((1,), {"x": 2}, "Point takes x, y: not {'x'}"),
        ((), {"y": 2}, "Point needs x"),
    ],
)
def test_mistakes(values: tuple[int, ...], named: dict[str, int], said: str) -> None:
    """As with any function: what is missing, strange or given twice is a TypeError."""
    with pytest.raises(TypeError, match=said.replace("{", r"\{")):
        Point(*values, **named)


def test_it_does_not_change() -> None:
    """A field can't be set or deleted; `_replace` makes another."""
    point = Point(1, 2)
    with pytest.raises(AttributeError, match="a Point does not change: see _replace"):
        point.x = 5  # type: ignore[misc]
    with pytest.raises(AttributeError):
        del point.x
    assert point._replace(y=3) == Point(1, 3)
    assert point == Point(1, 2)


def test_equal_and_hashable() -> None:
    """By class and fields: a record of another class with the same fields is another."""
    assert len({Point(1), Point(1, 0), Point(2)}) == 2
    assert Point(1) != Named(1)
    assert Point(1) != (1, 0)
    assert repr(Named(1)) == "Named(x=1, y=0, name='here')"


def test_copies() -> None:
    """Copied and pickled like any value."""
    assert copy.deepcopy(Named(1, 2)) == pickle.loads(pickle.dumps(Named(1, 2))) == Named(1, 2)
