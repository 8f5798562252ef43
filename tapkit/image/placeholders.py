"""Stand-ins for classes that are missing or refuse their state: what was saved is saved again.

An image outlives code. Where a class is gone, its objects can still be kept: a stand-in takes
whatever the pickle stream gives the object - how it is made, its state, its items and entries -
and gives exactly that again when it is saved. So an image is not lost with a plug-in, and comes
whole to where the plug-in is installed again.

A stand-in is never silent: loading with them is asked for, each is logged, and one that is
called on to work says what it stands for.

The pickler checks that a class is found under its name. So a missing class's stand-in is put
there, in a module made for it if need be. (Rejected: writing the reference ourselves. The C
pickler has no hook for a global it can't find, and there is one pickler.)
"""

from __future__ import annotations

import contextlib
import copyreg
import sys
import types
from collections.abc import Iterator
from typing import Any, ClassVar

from tapkit.errors import ImageError, NotFoundError, describe
from tapkit.names import named_object, qualified_name

_REMEDY = "install what the image needs, and load it again"


class _Kind(type):
    """The class of stand-ins: calling one, as loading does, notes that this made the object."""

    stands_for: str

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if not _loading:
            raise ImageError(f"{cls.stands_for} can't be called: it is not here", None, _REMEDY)
        made: Any = super().__call__(*args, **kwargs)
        made._how = "called"
        return made


_OWN = ("_how", "_args", "_kwargs", "_states", "_items", "_entries")


class Placeholder(metaclass=_Kind):
    """An object whose class can't be had. `stands_for` is the class's qualified name."""

    stands_for: ClassVar[str] = ""
    real: ClassVar[type | None] = None

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        made = object.__new__(cls)
        vars(made).update(zip(_OWN, ("made", args, kwargs, [], [], []), strict=True))
        return made

    def __setstate__(self, state: Any) -> None:
        self._states.append(state)

    def append(self, item: Any) -> None:
        self._items.append(item)

    def extend(self, items: Any) -> None:
        self._items.extend(items)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._entries.append((key, value))

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        cls = type(self).real or type(self)
        if self._how == "called":
            made: tuple[Any, ...] = (cls, self._args)
        elif self._kwargs:
            made = (copyreg.__newobj_ex__, (cls, self._args, self._kwargs))  # type: ignore[attr-defined]
        else:
            made = (copyreg.__newobj__, (cls, *self._args))  # type: ignore[attr-defined]
        state = self._states[-1] if self._states else None
        return (*made, state, iter(self._items), iter(self._entries))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if _loading:
            return _Attribute(self, name)  # of a bound method, which is saved as a getattr
        for state in reversed(self.__dict__.get("_states", ())):
            if isinstance(state, dict) and name in state:
                return state[name]
        raise AttributeError(f"no {name!r} here: this stands for a {self.stands_for}")

    def __repr__(self) -> str:
        return f"<placeholder: {self.stands_for}>"


class _Attribute:
    """A bound method of a placeholder, as found in an image: it can be saved, not called."""

    def __init__(self, owner: Placeholder, name: str):
        self.owner = owner
        self.name = name

    def __reduce__(self) -> Any:
        return getattr, (self.owner, self.name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise ImageError(
            f"{self.owner.stands_for}.{self.name} can't be called: it is not here", None, _REMEDY
        )


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Within it, attributes of placeholders are given out unseen: their state comes later."""
    _loading.append(True)
    try:
        yield
    finally:
        _loading.pop()


_loading: list[bool] = []


def missing(module: str, name: str) -> type:
    """The stand-in for a class nobody has, findable under its name.

    Raises:
        ImageError: what is missing is inside something that is there and can't be added to.
    """
    holder: Any = _module(module)
    *outer, last = name.split(".")
    for part in outer:
        found = getattr(holder, part, None)
        if found is None:
            found = _class(module, part)
            _put(holder, part, found)
        holder = found
    made = _class(module, name)
    _put(holder, last, made)
    return made


def refusing(cls: type) -> type:
    """The stand-in for a class that is there, and does not take the state that was saved.

    Its objects say that they are of that class, which is what the pickler writes.
    """
    body = {"real": cls, "__class__": property(lambda self: cls)}
    made = _Kind(cls.__name__, (Placeholder,), body)
    made.stands_for = qualified_name(cls)
    return made


def is_stand_in(obj: Any) -> bool:
    """Whether an object, or a class, only stands for one."""
    return isinstance(obj, _Kind) or isinstance(type(obj), _Kind)


def _class(module: str, qualname: str) -> type:
    name = qualname.rpartition(".")[2]
    body = {"__module__": module, "__qualname__": qualname}
    made = _Kind(name, (Placeholder,), body)
    made.stands_for = f"{module}.{qualname}"
    return made


def _module(name: str) -> types.ModuleType:
    """The module of that name, made empty where there is none."""
    try:
        found = named_object(name)
    except NotFoundError:
        found = None
    if isinstance(found, types.ModuleType):
        return found
    parent, _, last = name.rpartition(".")
    made = types.ModuleType(name, f"Made for what an image needs and is not here: {name}.")
    sys.modules[name] = made
    if parent:
        setattr(_module(parent), last, made)
    return made


def _put(holder: Any, name: str, made: type) -> None:
    try:
        setattr(holder, name, made)
    except (AttributeError, TypeError) as error:
        raise ImageError(
            f"no placeholder can be put where {made.stands_for} was ({describe(error)})"  # type: ignore[attr-defined]
        ) from error
