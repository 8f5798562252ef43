"""What a generated `.tas` imports: what unpickling does that plain Python has no words for.

Each function does exactly what one opcode of a pickle does. `tapkit.image.tas` writes calls of
them and reads them without running them, so their names and meanings are kept for good.
"""

from __future__ import annotations

import base64
import dataclasses
import importlib
import operator
import pickle
import struct
import sys
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from tapkit import styles
from tapkit.errors import ImageError
from tapkit.names import qualified_name


def instance(cls: Any, /, **state: Any) -> Any:
    """An instance of `cls` with this state. `__init__` is not called, `__setstate__` is."""
    made = cls.__new__(cls)
    if state:
        set_state(made, state)
    return made


def new(cls: Any, /, *args: Any, **kwargs: Any) -> Any:
    """An instance as `cls.__new__` makes it from arguments. `__init__` is not called."""
    return cls.__new__(cls, *args, **kwargs)


def make(how: str, call: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
    """Any call that a pickle can make, said in full.

    Parameters:
        how: "reduce": call it; "newobj", "newobj_ex": call its `__new__`; "instance": as the
            opcodes of protocol 0 do, which is the one or the other.
    """
    if how == "instance":
        plain = not args and isinstance(call, type) and not hasattr(call, "__getinitargs__")
        return call.__new__(call) if plain else call(*args)
    if how == "reduce":
        return call(*args)
    if how in ("newobj", "newobj_ex"):
        return call.__new__(call, *args, **(kwargs or {}))
    raise ImageError(f"an object can't be made by {how!r}", "make()")


def complete(obj: Any, /, **state: Any) -> None:
    """Give an object its state, where the state refers to objects made after it."""
    set_state(obj, state)


def set_state(obj: Any, state: Any) -> None:
    """Give an object a state: `obj.__setstate__(state)`, or what pickle does without one."""
    setter = getattr(obj, "__setstate__", None)
    if setter is not None:
        setter(state)
        return
    slots = None
    if isinstance(state, tuple) and len(state) == 2:
        state, slots = state
    if state:
        attributes = obj.__dict__
        for name, value in state.items():
            attributes[sys.intern(name) if type(name) is str else name] = value
    for name, value in (slots or {}).items():
        setattr(obj, name, value)


def set_items(obj: Any, items: Iterable[Any]) -> None:
    """Put items at an object's end: `obj.extend(items)`, or one by one."""
    extend = getattr(obj, "extend", None)
    if extend is not None:
        extend(items)
        return
    for item in items:
        obj.append(item)


def set_entries(obj: Any, entries: Mapping[Any, Any]) -> None:
    """`obj[key] = value` for each entry."""
    for key, value in entries.items():
        obj[key] = value


def set_members(obj: Any, members: Iterable[Any]) -> None:
    """Add each member to an object."""
    if isinstance(obj, set):
        set.update(obj, members)
        return
    for member in members:
        obj.add(member)


def effect(obj: Any, result: Any) -> None:
    """A call that was made with `obj` for what it does to it; its result is dropped."""


def again(obj: Any, dropped: Any = None) -> None:
    """Marks where pickle makes `obj` a second time and drops that: a cycle through arguments.

    Parameters:
        dropped: the second one, where it is made of other arguments than the first.
    """


def discard(result: Any) -> None:
    """A call that the pickle makes, and whose result nothing refers to."""


def pickled(text: str, *others: Any) -> Any:
    """Something made by unpickling base64: code by value, which has no readable form here.

    Parameters:
        others: what it refers to that is not its own.
    """
    return pickle.loads(base64.b64decode(text), buffers=others)


def nan(bits: int) -> float:
    """The NaN with these 64 bits. `float("nan")` is the usual one alone."""
    number: float = struct.unpack(">d", bits.to_bytes(8, "big"))[0]
    return number


def buffer(number: int, readonly: bool = False) -> NoReturn:
    """The place of data that was kept beside the pickle. It can't be run without that data."""
    raise ImageError(f"buffer {number} is not in this file", "buffer()", "save it in-band")


def lookup(module: str, name: str) -> Any:
    """What a module has under a dotted name, where an import statement can't say it."""
    return operator.attrgetter(name)(importlib.import_module(module))


def nested(thing: Any) -> Any:
    """`thing`: says that it was saved by its qualified name, `Outer.Inner`."""
    return thing


# -- classes whose own call makes the same object


def dataclass_fields(cls: type, *names: str) -> None:
    """Says that `cls(x=..., y=...)` below makes what `instance(cls, x=..., y=...)` would.

    Raises:
        ImageError: it would not: the class is no plain dataclass, or has other fields now.
    """
    _check(cls, names, plain_dataclass(cls))


def namedtuple_fields(cls: type, *names: str) -> None:
    """Says that `cls(..., ...)` below makes what `new(cls, ..., ...)` would.

    Raises:
        ImageError: it would not: the class is no plain namedtuple, or has other fields now.
    """
    _check(cls, names, plain_namedtuple(cls))


def _check(cls: type, names: tuple[str, ...], found: tuple[str, ...] | None) -> None:
    if found != names:
        has = "can't be made by its call alone" if found is None else f"has the fields {found}"
        raise ImageError(
            f"{qualified_name(cls)} {has}; the image was written for {names}",
            None,
            "convert the image to .tap with the code that wrote it",
        )


_PICKLING: tuple[str, ...] = ("__getstate__", "__setstate__", "__reduce__", "__reduce_ex__")
_PICKLING += ("__getnewargs__", "__getnewargs_ex__", "__new__")
_SETTING = ("__setattr__", "__getattribute__", "__setstate__")


def plain_dataclass(cls: type) -> tuple[str, ...] | None:
    """The fields of a dataclass whose generated `__init__` only sets them; None for another.

    That is: made by `dataclass` itself, with every field in it, nothing run after it, and no
    pickling, slots, descriptors or attribute setting of its own (but a frozen one's refusal).
    """
    if "__dataclass_params__" not in vars(cls):
        return None
    fields = dataclasses.fields(cls)
    names = tuple(field.name for field in fields)
    code = getattr(vars(cls).get("__init__"), "__code__", None)
    if code is None or code.co_filename != "<string>" or not all(field.init for field in fields):
        return None
    takes = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
    setting = [] if vars(cls)["__dataclass_params__"].frozen else ["__setattr__"]
    own = _has_own(cls, (*_PICKLING, "__getattribute__", *setting))
    if own or _describes(cls, names) or hasattr(cls, "__post_init__") or type(cls) is not type:
        return None
    return names if sorted(takes) == sorted(names) else None


def plain_namedtuple(cls: type) -> tuple[str, ...] | None:
    """The fields of a class that `namedtuple` or `NamedTuple` made; None for another."""
    names = getattr(cls, "_fields", None)
    code = getattr(cls.__new__, "__code__", None)
    if not isinstance(names, tuple) or not issubclass(cls, tuple) or type(cls) is not type:
        return None
    if code is None or not code.co_filename.startswith("<") or cls.__init__ is not object.__init__:
        return None
    return names if code.co_varnames[1 : code.co_argcount] == names else None


def assignable(cls: type) -> bool:
    """Whether `obj.name = value`, late, does what having it in the state would have done."""
    own = _has_own(cls, _SETTING)
    inherited = getattr(cls, "__setstate__", None) is styles.Persistent.__setstate__
    return (not own or (own == ["__setstate__"] and inherited)) and not _describes(cls, None)


def _has_own(cls: type, names: Iterable[str]) -> list[str]:
    """Which of these methods a class does not have from `object`."""
    return [name for name in names if getattr(cls, name, None) is not getattr(object, name, None)]


def _describes(cls: type, names: tuple[str, ...] | None) -> bool:
    """Whether any attribute (of these names) is not just put into the instance's dict."""
    for base in cls.__mro__[:-1]:
        for name, thing in vars(base).items():
            if name == "__dict__" or name == "__weakref__":
                continue
            if hasattr(type(thing), "__set__") and (names is None or name in names):
                return True
    return False
