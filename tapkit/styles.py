"""How a class says what of it is saved, and the few functions that images call to load.

`volatile` names what lives only while the process does; `Versioned` upgrades old state;
`Ephemeral` marks whole objects that are never saved. `same`, `last`, `left_out` and `compiled` are
named by saved images: they keep their names and meanings for good.
"""

from __future__ import annotations

import contextlib
import contextvars
import sys
import types
from collections.abc import Iterator
from typing import Any, ClassVar

from tapkit import aliases
from tapkit.errors import ImageError, describe
from tapkit.names import innermost_place, qualified_name


class Persistent:
    """Objects that leave their `volatile` attributes out of what is saved.

    `volatile` adds up over the base classes. A volatile attribute found in loaded state (an
    older image, a hand edit) is dropped too: it says nothing about this process.
    """

    volatile: ClassVar[tuple[str, ...]] = ()

    def __getstate__(self) -> Any:
        forgotten = _all_names(type(self), "volatile")
        return {name: value for name, value in vars(self).items() if name not in forgotten}

    def __setstate__(self, state: dict[str, Any]) -> None:
        forgotten = _all_names(type(self), "volatile")
        vars(self).update({name: value for name, value in state.items() if name not in forgotten})


class Versioned(Persistent):
    """Objects whose saved state is brought up to date by the class's own upgrade methods.

    A class that changes what its instances hold gives itself the next `persistenceVersion`, and
    a method `upgradeToVersionN(self)` that turns an instance of version N-1 into one of N. Each
    base class with a `persistenceVersion` of its own is upgraded by itself, bases first. When
    an upgrade runs the whole image is loaded, and it may add, change and remove attributes.
    A class without a saved version (it was not Versioned then) is upgraded from version 0.

    `persistenceForgets` names attributes that are not saved; it adds up over the base classes.
    """

    persistenceVersion: ClassVar[int] = 0
    persistenceForgets: ClassVar[tuple[str, ...]] = ()

    def __getstate__(self) -> Any:
        state = super().__getstate__()
        for name in _all_names(type(self), "persistenceForgets"):
            state.pop(name, None)
        for base in _versioned_bases(type(self)):
            state[_version_key(base)] = _version(base)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        bases = _versioned_bases(type(self))
        saved = {base: _saved_version(base, state) for base in bases}
        keys = {key for base in bases for key in _version_keys(base)}
        super().__setstate__({name: state[name] for name in state if name not in keys})
        if all(saved[base] == _version(base) for base in bases):
            return
        loading = _outdated.get()
        if loading is None:
            upgrade([(self, saved)])  # a plain unpickling: there is no later
        else:
            loading.append((self, saved))


Outdated = list[tuple[Any, dict[type, int]]]
"""Loaded instances, each with the version its state has for each of its classes."""

_outdated: contextvars.ContextVar[Outdated | None] = contextvars.ContextVar(
    "tapkit.outdated", default=None
)


@contextlib.contextmanager
def collecting_outdated() -> Iterator[Outdated]:
    """Within it, `Versioned` instances that are loaded with old state are listed, not upgraded."""
    found: Outdated = []
    token = _outdated.set(found)
    try:
        yield found
    finally:
        _outdated.reset(token)


def upgrade(outdated: Outdated) -> None:
    """Bring loaded instances up to date: bases before derived classes, each step once, in order.

    Raises:
        ImageError: before any step is taken, listing every one that is missing, or the classes
            whose state is newer than their code; or a step raised.
    """
    _refuse_newer(outdated)
    _refuse_missing(outdated)
    for obj, saved in outdated:
        for base, version in saved.items():
            for step in range(version + 1, _version(base) + 1):
                _take(obj, base, step)


def _take(obj: Any, base: type, step: int) -> None:
    try:
        vars(base)[f"upgradeToVersion{step}"](obj)
    except Exception as error:
        raise ImageError(
            f"upgrading a {qualified_name(type(obj))} to version {step} of"
            f" {qualified_name(base)} failed: {describe(error)}",
            innermost_place(error.__traceback__),
        ) from error


def _refuse_newer(outdated: Outdated) -> None:
    newer = {
        f"{qualified_name(base)} (saved as version {version}, the code is {_version(base)})"
        for _, saved in outdated
        for base, version in saved.items()
        if version > _version(base)
    }
    if newer:
        raise ImageError(
            f"the image is newer than the code of {', '.join(sorted(newer))}",
            None,
            "install the newer code",
        )


def _refuse_missing(outdated: Outdated) -> None:
    oldest: dict[type, int] = {}
    for _, saved in outdated:
        for base, version in saved.items():
            oldest[base] = min(oldest.get(base, version), version)
    missing = [
        f"{qualified_name(base)}.upgradeToVersion{step}"
        for base, version in oldest.items()
        for step in range(version + 1, _version(base) + 1)
        if not callable(vars(base).get(f"upgradeToVersion{step}"))
    ]
    if missing:
        raise ImageError(
            f"the image is older than the code, and there is no {', '.join(sorted(missing))}",
            None,
            "write the missing methods",
        )


def _version(base: type) -> int:
    version: int = vars(base)["persistenceVersion"]
    return version


def _version_key(base: type) -> str:
    return f"{qualified_name(base)}.persistenceVersion"


def _version_keys(base: type) -> list[str]:
    """Today's key first, then those of the names the class had before."""
    former = [f"{name}.persistenceVersion" for name in aliases.former(qualified_name(base))]
    return [_version_key(base), *former]


def _saved_version(base: type, state: dict[str, Any]) -> int:
    found = [state[key] for key in _version_keys(base) if key in state]
    version: int = found[0] if found else 0
    return version


def _versioned_bases(cls: type) -> list[type]:
    """The classes that have a version of their own, bases first."""
    return [
        base
        for base in reversed(cls.__mro__)
        if base is not Versioned and "persistenceVersion" in vars(base)
    ]


def forgotten(cls: type[Persistent]) -> set[str]:
    """The attributes that a class's instances leave out of what is saved."""
    return _all_names(cls, "volatile") | _all_names(cls, "persistenceForgets")


def _all_names(cls: type, attribute: str) -> set[str]:
    names: set[str] = set()
    for base in cls.__mro__:
        names.update(vars(base).get(attribute, ()))
    return names


class Ephemeral:
    """Objects that live only while the process does: they are left out of an image.

    Where one was, a `LeftOut` is found after loading. Anything that is reachable only through
    it is left out with it. Any class with a true attribute `ephemeral` is treated so.
    """

    ephemeral: ClassVar[bool] = True


class LeftOut(Ephemeral):
    """Found in a loaded image where an ephemeral object was when it was saved.

    It is false in a condition, each is equal to itself alone (as connections are, so that sets
    of them load), it remembers what it stands for, and it is left out again when saved.
    """

    def __init__(self, kind: str):
        self.kind = kind

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return f"<left out: {self.kind}>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise AttributeError(
            f"no {name!r} here: a {self.__dict__.get('kind', 'live object')} was left out when"
            " the image was saved; make it anew in startService"
        )


def left_out(kind: str) -> LeftOut:
    """What an ephemeral object loads as. `kind` is the qualified name of its class."""
    return LeftOut(kind)


def same(obj: Any) -> Any:
    """Its argument. The flat pickler's streams call it to go on with an object begun before."""
    return obj


def last(parts: list[Any]) -> Any:
    """The last of a list. The flat pickler's streams end with it: the root is the last part."""
    return parts[-1]


def this_python() -> str:
    """What compiled code must come from to run here: implementation, version, bytecode."""
    from importlib.util import MAGIC_NUMBER

    return f"{sys.implementation.cache_tag} {int.from_bytes(MAGIC_NUMBER[:2], 'little')}"


def compiled(*args: Any) -> types.CodeType:
    """A code object. The last argument is the `this_python` of what compiled it.

    An image in any form makes its code by value through this, because the bytecode of another
    Python does not raise, it crashes the interpreter.

    Raises:
        ImageError: another Python compiled it.
    """
    *parts, made_by = args
    if made_by != this_python():
        raise ImageError(
            f"it carries compiled code of {made_by}, and this is {this_python()}",
            None,
            "run it with that Python, or move that code into a module and save it again",
        )
    return types.CodeType(*parts)
