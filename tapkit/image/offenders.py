"""What of a graph can't be saved: the attribute paths that lead to it."""

from __future__ import annotations

import types
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tapkit.errors import ImageError, describe
from tapkit.image.refusals import RefusedError, refusal
from tapkit.names import qualified_name

LISTED = 20
"""How many offenders an error names; the rest is a number."""


PATH_SHOWN = 200
PATH_KEPT = 1000
"""Characters: the paths in a chain of a million links would take as many gigabytes."""


class Offender(NamedTuple):
    """Something that can't be saved, and where it is."""

    path: str
    what: str
    remedy: str


def find(root: Any, name: str, reduce: Callable[[Any], Any]) -> list[Offender]:
    """Everything reachable from `root` that can't be saved, nearest first. As `walk`."""
    found: list[Offender] = []
    for _ in walk(root, name, reduce, lambda *fault: found.append(_offender(*fault))):
        pass
    return found


def deepest(root: Any, name: str, reduce: Callable[[Any], Any]) -> str:
    """The path farthest from the root, cut to its beginning."""
    path = name
    for _, path in walk(root, name, reduce, lambda *fault: None):
        if len(path) > PATH_SHOWN:
            break
    return path if len(path) <= PATH_SHOWN else path[:PATH_SHOWN] + "..."


def walk(
    root: Any,
    name: str,
    reduce: Callable[[Any], Any],
    refused: Callable[[Any, str, Exception], Any] = lambda *fault: None,
) -> Iterator[tuple[Any, str]]:
    """Each object reachable from `root` with its path, breadth first; for the rare case only.

    Parameters:
        name: what the root is called in paths.
        reduce: the pickler's own answer to how an object is reduced; it raises `RefusedError` for a
            type of `REFUSALS`, and whatever the object's own methods raise.
        refused: told (object, path, error) of each that can't be saved.

    It does not look below what can't be saved, nor into what is left out.
    """
    seen = {id(root)}
    keep: list[Any] = []  # what is known by its id must live as long as the walk
    todo = deque([(root, name)])
    while todo:
        obj, path = todo.popleft()
        yield obj, path
        try:
            kids = list(_kids(obj, path, reduce))
        except Exception as error:
            refused(obj, path, error)
            continue
        for kid, kid_path in kids:
            if id(kid) not in seen and type(kid) not in _ATOMS:
                seen.add(id(kid))
                keep.append(kid)
                todo.append((kid, kid_path if len(kid_path) < PATH_KEPT else path))


def error_about(offenders: list[Offender]) -> ImageError:
    """All offenders as one error, one line."""
    if len(offenders) == 1:
        path, what, remedy = offenders[0]
        return ImageError(what, path, remedy)
    told = [f"{path} ({what}: {remedy})" for path, what, remedy in offenders[:LISTED]]
    if len(offenders) > LISTED:
        told.append(f"and {len(offenders) - LISTED} more")
    return ImageError(f"{len(offenders)} things can't be saved", "; ".join(told))


_ATOMS = frozenset({type(None), bool, int, float, complex, str, bytes, bytearray, type})


def _offender(obj: Any, path: str, error: Exception) -> Offender:
    if isinstance(error, RefusedError):
        row = refusal(type(obj))
        assert row is not None
        return Offender(path, f"{row.what} can't be saved", row.remedy)
    kind = qualified_name(type(obj))
    return Offender(path, f"a {kind} can't be saved ({describe(error)})", "name it in `volatile`")


def _kids(obj: Any, path: str, reduce: Callable[[Any], Any]) -> Iterator[tuple[Any, str]]:
    if type(obj) in (list, tuple):
        for index, item in enumerate(obj):
            yield item, f"{path}[{index}]"
    elif type(obj) is dict:
        yield from _entries(obj.items(), path)
    elif type(obj) in (set, frozenset):
        for item in obj:
            yield item, f"{path}{{{_short(item)}}}"
    elif isinstance(obj, type):
        reduce(obj)  # classes by value are not looked into
    else:
        yield from _instance_kids(obj, path, reduce(obj))


def _entries(entries: Any, path: str) -> Iterator[tuple[Any, str]]:
    for key, value in entries:
        yield key, f"{path} key {_short(key)}"
        yield value, f"{path}[{_short(key)}]"


def _instance_kids(obj: Any, path: str, reduction: Any) -> Iterator[tuple[Any, str]]:
    if type(reduction) is not tuple:
        return
    if isinstance(obj, types.FunctionType):
        yield from _function_kids(obj, path, reduction)
        return
    if isinstance(obj, types.MethodType):
        yield obj.__self__, f"{path}.__self__"
        yield obj.__func__, f"{path}.__func__"
        return
    call, args, state, items, entries = (reduction + (None,) * 3)[:5]
    for index, arg in enumerate(args):
        yield arg, f"{path}.args[{index}]"
    for index, item in enumerate(items or ()):
        yield item, f"{path}[{index}]"
    yield from _entries(entries or (), path)
    states = state if type(state) is tuple and len(state) == 2 else (state,)
    for index, part in enumerate(states):
        if type(part) is dict:
            for key, value in part.items():
                yield value, f"{path}.{key}" if isinstance(key, str) else f"{path}[{key!r}]"
        else:
            yield part, path if len(states) == 1 else f"{path}.state[{index}]"
    yield call, f"{path}.__class__"


def _function_kids(obj: Any, path: str, reduction: Any) -> Iterator[tuple[Any, str]]:
    plain = obj.__qualname__.rpartition(".")[2].strip("<>")
    name = f"{path}.<{plain}>"
    names = obj.__code__.co_freevars
    for free, cell in zip(names, obj.__closure__ or (), strict=False):
        try:
            yield cell.cell_contents, f"{name}.{free}"
        except ValueError:
            continue  # an empty cell: a name not bound yet
    for index, default in enumerate(obj.__defaults__ or ()):
        yield default, f"{name}.__defaults__[{index}]"
    state = reduction[2][1] if len(reduction) > 2 else {}
    for key, value in state.get("__globals__", {}).items():
        yield value, f"{name}.{key}"


def _short(key: Any) -> str:
    text = repr(key) if type(key) in _ATOMS else type(key).__name__
    return text if len(text) <= 40 else text[:37] + "..."
