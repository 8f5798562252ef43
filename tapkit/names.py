"""Dotted names and the objects they name. "Missing" and "broken inside" are different answers."""

from __future__ import annotations

import sys

from tapkit.errors import BrokenModuleError, NotFoundError, describe

TYPE_CHECKING = False  # typing's own constant, without the 10 ms that importing it costs
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType, TracebackType
    from typing import Any


def named_module(name: str) -> ModuleType:
    """Import a module by its dotted name.

    Raises:
        NotFoundError: the module, or a package on the way to it, does not exist.
        BrokenModuleError: it exists and raised while being imported; `where` is the file
            and line that raised.
    """
    try:
        __import__(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            raise NotFoundError(f"no module named {error.name!r}") from error
        raise _broken(name, error) from error
    except Exception as error:
        raise _broken(name, error) from error
    return sys.modules[name]


def named_object(name: str) -> Any:
    """The object a dotted name stands for: `package.module.Class.method`.

    Each part is an attribute of what the parts before it name, or else a module in it.

    Raises:
        NotFoundError, BrokenModuleError: as `named_module`.
    """
    first, *rest = name.split(".")
    found: Any = named_module(first)
    done = first
    for part in rest:
        if not hasattr(found, part):
            _import_part(found, done, part)
        found = getattr(found, part)
        done = f"{done}.{part}"
    return found


def _import_part(found: Any, name: str, part: str) -> None:
    missing = NotFoundError(f"{name} has no {part!r}{suggestion(part, dir(found))}")
    if not hasattr(found, "__path__"):
        raise missing
    try:
        named_module(f"{name}.{part}")
    except NotFoundError:
        raise missing from None


def qualified_name(thing: Any) -> str:
    """`module.qualname` of a class or function, or of an object's class."""
    if not hasattr(thing, "__qualname__"):
        thing = type(thing)
    return f"{thing.__module__}.{thing.__qualname__}"


def suggestion(wrong: str, known: Iterable[str]) -> str:
    """`; did you mean NAME?` where something known is close, else nothing."""
    import difflib  # only a failing command needs it, and it is slow to import

    close = difflib.get_close_matches(wrong, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _broken(name: str, error: BaseException) -> BrokenModuleError:
    where = innermost_place(error.__traceback__)
    if isinstance(error, SyntaxError) and error.filename:
        where = f"{error.filename}:{error.lineno}:{error.offset}"
    return BrokenModuleError(f"importing {name} failed: {describe(error)}", where)


def innermost_place(traceback: TracebackType | None) -> str | None:
    """`file:line` of the innermost frame that is ordinary code, not the import machinery."""
    where = None
    while traceback is not None:
        filename = traceback.tb_frame.f_code.co_filename
        if not filename.startswith("<frozen") and filename != __file__:
            where = f"{filename}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return where


def refuse_misspelt_hooks(cls: type, hooks: tuple[str, ...]) -> None:
    """Refuse a class that spells one of the camelCase hooks in snake_case.

    A second spelling could not work: a hook is overridden, and half the overrides would
    never run. So the slip is an error where the class is made, not a silence at run time.
    """
    slips = _slips.get(hooks)
    if slips is None:
        slips = _slips[hooks] = {_slip(hook): hook for hook in hooks if hook != _slip(hook)}
    for name in vars(cls):
        if name in slips:
            what = f"{cls.__name__}.{name} is never called"
            raise TypeError(f"{what}; the hook is spelled {slips[name]}")


_slips: dict[tuple[str, ...], dict[str, str]] = {}


def _slip(hook: str) -> str:
    return "".join("_" + c.lower() if c.isupper() else c for c in hook)
