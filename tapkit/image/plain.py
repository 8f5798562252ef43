"""The plain pickler: what the C pickler and cloudpickle write, at nearly the C pickler's speed.

It is tried first, and saves almost every graph: those that are not too deep for C's recursion. It
adds to C's own work one call in Python for each instance, which looks up the type: for ordinary
types that is all, and C takes the object apart by itself. Rejected: a `dispatch_table` with a
`__missing__` and no `reducer_override`. It is called once for each type and not for each object,
which is 5 to 15 % faster; but it never sees functions and classes, so one lambda would mean a
second pass.

Too deep ends in RecursionError, and then the flat pickler takes over. Two things could go wrong
on the way there:

- *Code of the application that swallows the RecursionError.* A `__getstate__` that is called
  near the limit, and takes any exception for a reason to save less, would lose state, and nobody
  would know. So before such code is called it is made sure that it has `HEADROOM` levels left.
  Rejected: to lower the recursion limit meanwhile. It is the limit of all threads, and on Python
  3.12 and later it is not what bounds recursion in C.
- *A crash, where the stack ends before the limit is reached*: with a raised recursion limit, or
  in a thread with a small stack. `has_room` tells whether there is stack enough for the whole
  depth that C may reach; otherwise the flat pickler, which does not recurse, does it all.
"""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import Callable
from typing import Any

from tapkit.image import classes
from tapkit.image.reducing import (
    IN_C,
    PROTOCOL,
    Reducer,
    ReducingPickler,
    is_known,
    is_taken_apart_by_known,
)

HEADROOM = 100
"""Levels of recursion that code of the application finds free."""

_LEVEL = 512  # bytes of stack; CPython 3.10-3.13 on x86-64 take 200 to 270
_SPARE = 256 * 1024  # bytes of stack for what is called at the deepest level, and what called us
_C_LIMIT = 10_000  # CPython 3.13's and that of late 3.12; 3.12.1 has 1,500


class PlainPickler(ReducingPickler):
    """One dump each. Parameters and attributes are those of `ReducingPickler`."""

    counts = False
    dispatch_table: dict[type, Any] = {}  # C's: an exact dict is quick, cloudpickle's is not

    def __init__(
        self,
        file: Any,
        reducer_for: Callable[[type], Reducer | None] = lambda kind: None,
        buffer_callback: Callable[[Any], Any] | None = None,
    ):
        super().__init__(file, reducer_for, buffer_callback)
        self.met = _Types(self._met)
        # What C asks about each object it has not memoised, save exact built-in types
        ask = _counting if self.counts else _asking
        self.reducer_override = ask(self.met)  # type: ignore[method-assign]

    def _met(self, kind: type) -> classes.Met:
        hook = self._hook(kind)
        return classes.Met(kind, hook, looks=self.counts and self.looks_at(kind))

    def _hook(self, kind: type) -> Reducer | None:
        """What must be called for each object of a type; None if C's own way will do."""
        if self._reducer_for(kind) is not None:
            return self.reduce
        if issubclass(kind, (type, types.FunctionType)):
            return self._reduce_with_headroom
        usual = self.usual(kind)
        if usual is not None:
            return self.reduce if is_known(usual) else self._reduce_with_headroom
        if _reduces_in_c(kind):
            return None if is_taken_apart_by_known(kind) else _ensure_headroom
        if is_taken_apart_by_known(kind):
            return self.reduce
        return self._reduce_itself

    def _reduce_with_headroom(self, obj: Any) -> Any:
        isinstance(None, _NESTED)
        return self.reduce(obj)

    def _reduce_itself(self, obj: Any) -> Any:
        """As `_reduce_with_headroom`, without its two calls."""
        isinstance(None, _NESTED)
        reduction = obj.__reduce_ex__(PROTOCOL)
        if type(reduction) is str:
            self.note_module(getattr(obj, "__module__", None))
        return reduction


def _ensure_headroom(obj: Any) -> Any:
    isinstance(None, _NESTED)
    return NotImplemented


def _asking(met: dict[type, classes.Met]) -> Callable[[object], Any]:
    """A `reducer_override` that asks the hook of an object's type.

    A function that closes over the types, and no method: it costs a tenth less.
    """

    def reducer_override(obj: object) -> Any:
        hook = met[type(obj)].hook
        return NotImplemented if hook is None else hook(obj)

    return reducer_override


def _counting(met: dict[type, classes.Met]) -> Callable[[object], Any]:
    """The same, and it counts. (One that asked the other would cost as much as all else here.)"""

    def reducer_override(obj: object) -> Any:
        known = met[type(obj)]
        known.count += 1
        hook = known.hook
        return NotImplemented if hook is None else hook(obj)

    return reducer_override


class CountingPickler(PlainPickler):
    """The same, and it counts: for a `.tap`, whose header has the table of classes."""

    counts = True


class _Types(dict[type, classes.Met]):
    """Asks once for each type."""

    def __init__(self, meet: Callable[[type], classes.Met]):
        self._meet = meet

    def __missing__(self, kind: type) -> classes.Met:
        met = self[kind] = self._meet(kind)
        return met


def _nested(levels: int) -> Any:
    nested: Any = int
    for _ in range(levels):
        nested = (nested,)
    return nested


_NESTED = _nested(HEADROOM)
"""`isinstance` recurses in it, in 2.5 ns a level, and raises RecursionError if it can't."""


def has_room() -> bool:
    """Whether the stack is large enough for the deepest recursion that Python allows C.

    Known for the main thread only: the size of another's stack can't be asked for.
    """
    if threading.current_thread() is not threading.main_thread():
        return False
    import resource

    size, _ = resource.getrlimit(resource.RLIMIT_STACK)
    limit = sys.getrecursionlimit() if sys.version_info < (3, 12) else _C_LIMIT
    return size == resource.RLIM_INFINITY or size >= limit * _LEVEL + _SPARE


def ran_out(error: BaseException | None) -> bool:
    """Whether a failure comes from a RecursionError, whatever was made of that on the way."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, RecursionError):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def _reduces_in_c(kind: type) -> bool:
    """Whether `__reduce_ex__` is C's, and of a kind that never answers with a name."""
    general: Any = kind.__reduce_ex__
    method: Any = kind.__reduce__
    named = kind is types.BuiltinFunctionType or getattr(kind, "__module__", None) == "typing"
    return general is object.__reduce_ex__ and isinstance(method, IN_C) and not named
