"""Names that classes and modules had before they moved: an old image finds them by the new one.

Told by code that stays importable under the old name's package::

    aliases.alias("quotes.StaticQuoter", "quotes.quoters.StaticQuoter")
    aliases.alias("quotes.old_module", "quotes.new_module")      # all that is in it

or, where nothing of the old package is left, by a drop-in's `plugins.tml`, which is read
without importing it, when a name is missing and not before::

    register("old_package", type="alias", module="new_package")

An image loaded by an old name is saved by the new one.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_new: dict[str, str] = {}
_MOST = 16  # moves of one class; more are a circle

sources: list[Callable[[], Iterable[tuple[str, str]]]] = []
"""What to ask for more (old, new) pairs, once, when a name is missing."""


def alias(old: str, new: str) -> None:
    """Say that what was called `old` is now called `new`: a class, a function or a module.

    Both are dotted names; those below a module or class move along.
    """
    _new[old] = new


def resolve(name: str) -> str | None:
    """Today's name of what was called `name`; None where nobody said that it moved."""
    _ask_sources()
    found = name
    for _ in range(_MOST):
        moved = _moved(found)
        if moved is None:
            return found if found != name else None
        found = moved
    return None


def mentions(name: str) -> bool:
    """Whether something that was called `name`, or was in it, is said to have moved."""
    _ask_sources()
    return any(old == name or old.startswith(name + ".") for old in _new)


def former(name: str) -> list[str]:
    """The names that what is called `name` now had before, as far as code was asked so far."""
    return [
        old + name[len(new) :]
        for old, new in _new.items()
        if name == new or name.startswith(new + ".")
    ]


def _moved(name: str) -> str | None:
    rest = ""
    while name:
        if name in _new:
            return _new[name] + rest
        name, dot, last = name.rpartition(".")
        rest = f"{dot}{last}{rest}"
    return None


def _ask_sources() -> None:
    while sources:
        for old, new in sources.pop()():
            _new.setdefault(old, new)  # what code says of itself is newer than a drop-in
