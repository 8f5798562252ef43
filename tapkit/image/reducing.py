"""How an object is taken apart: what the C pickler and cloudpickle together would do with it.

cloudpickle, 4 ms to import, is imported where its answer may differ from C's: for types of the
standard library, and for code that is not found by its name. Until then nobody can have told it
to do something else with any other type. Most daemons start without it.
"""

from __future__ import annotations

import copyreg
import functools
import io
import operator
import pickle
import sys
import types
from collections.abc import Callable
from typing import Any, ClassVar

from tapkit import styles
from tapkit.image import classes

PROTOCOL = 5
_REDUCING = ("__reduce__", "__reduce_ex__")

Reducer = Callable[[Any], Any]


class ReducingPickler(pickle.Pickler):
    """A pickler as cloudpickle's, which can be asked for a reduction without writing anything.

    Parameters:
        file: where `write` puts the stream.
        reducer_for: asked once for each type met: a reducer that replaces the usual one, or
            None. The reducer may raise to refuse the object.
        buffer_callback: as `pickle.Pickler`'s.

    Attributes:
        modules: top-level names of the modules that what was reduced names.
        by_value: whether code (functions, classes, code objects) goes into the stream by value.
        met: the types of what was reduced.
    """

    counts: ClassVar[bool] = True

    def __init__(
        self,
        file: Any,
        reducer_for: Callable[[type], Reducer | None] = lambda kind: None,
        buffer_callback: Callable[[Any], Any] | None = None,
    ):
        super().__init__(file, protocol=PROTOCOL, buffer_callback=buffer_callback)
        self.modules: set[str] = set()
        self.by_value = False
        self._reducer_for = functools.lru_cache(maxsize=None)(reducer_for)  # asked once a type
        # One look-up for each type: cloudpickle's table is a ChainMap, slower than all else here.
        self._reducers: dict[type, Reducer] = {}
        self.met: dict[type, classes.Met] = {}

    def reduce(self, obj: Any) -> Any:
        """The reduction of an object: as of `__reduce_ex__`, or NotImplemented for code by name."""
        kind = type(obj)
        reducer = self._reducers.get(kind)
        if reducer is None:
            reducer = self._reducers[kind] = self._reducer(kind)
        reduction = reducer(obj)
        if type(reduction) is str:
            self.note_module(getattr(obj, "__module__", None))
        return reduction

    def note(self, obj: Any) -> None:
        """Count an object among those of its class."""
        kind = type(obj)
        met = self.met.get(kind)
        if met is None:
            met = self.met[kind] = classes.Met(kind, None, looks=self.looks_at(kind))
        met.count += 1
        if met.hook is not None:
            met.hook(obj)

    def tells(self, kind: type) -> bool:
        """Whether a type counts as one of the graph's classes: what is left out does not."""
        return classes.is_told(kind) and self._reducer_for(kind) is None

    def looks_at(self, kind: type) -> bool:
        """Whether the names of its instances' attributes are told.

        Only where looking runs none of its code, and changes nothing: to look at the `__dict__`
        of an exception gives it one.
        """
        by_c = all(getattr(kind, name) is getattr(object, name) for name in _REDUCING)
        return by_c and self.tells(kind) and is_taken_apart_by_known(kind)

    def table(self) -> dict[str, classes.ClassSummary]:
        """The classes of what was pickled, if they were counted."""
        if not self.counts:
            return {}
        return classes.of_types(met for kind, met in self.met.items() if self.tells(kind))

    def _reducer(self, kind: type) -> Reducer:
        own = self._reducer_for(kind)
        if own is not None:
            return own
        if issubclass(kind, (type, types.FunctionType)):
            return self._reduce_code
        if issubclass(kind, types.ModuleType):
            return self._reduce_module
        if issubclass(kind, types.CodeType):
            return self._reduce_compiled
        return self.usual(kind) or operator.methodcaller("__reduce_ex__", PROTOCOL)

    @staticmethod
    def usual(kind: type) -> Reducer | None:
        """What cloudpickle or `copyreg` have registered for a type."""
        registered: Reducer | None
        if _is_left_to_c(kind):
            registered = copyreg.dispatch_table.get(kind)
        else:
            registered = _registered().get(kind)
        return registered

    def _reduce_code(self, obj: Any) -> Any:
        if _is_left_to_c(obj) and _is_found_by_name(obj):
            reduction = NotImplemented
        else:
            reduction = self._cloudpickle.reducer_override(obj)
        if reduction is NotImplemented:
            self.note_module(obj.__module__)
        elif len(reduction) > 2:  # not `type(None)` and its like
            self.by_value = True
        return reduction

    @functools.cached_property
    def _cloudpickle(self) -> Any:
        """cloudpickle's pickler, to be asked. (One each: it keeps the globals of functions.)"""
        import cloudpickle

        return cloudpickle.Pickler(io.BytesIO(), protocol=PROTOCOL)

    def _reduce_compiled(self, obj: Any) -> Any:
        self.by_value = True
        _, args = _registered()[types.CodeType](obj)
        return styles.compiled, (*args, styles.this_python())

    def _reduce_module(self, obj: Any) -> Any:
        reduction = _registered()[types.ModuleType](obj)
        if len(reduction[1]) == 1:
            self.note_module(obj.__name__)
        return reduction

    def note_module(self, name: Any) -> None:
        """Add the module of something that is saved by its name."""
        if isinstance(name, str):
            self.modules.add(name.partition(".")[0])


def _registered() -> Any:
    """cloudpickle's table of types: a view, to which `copyreg.pickle` adds any time."""
    import cloudpickle

    return cloudpickle.Pickler.dispatch_table


def _is_left_to_c(kind: Any) -> bool:
    """Whether cloudpickle has nothing to say of a type or function that is found by its name."""
    if "cloudpickle" in sys.modules:
        return False
    module = getattr(kind, "__module__", None)
    return isinstance(module, str) and module.partition(".")[0] not in _STANDARD


def _is_found_by_name(obj: Any) -> bool:
    found: Any = sys.modules.get(obj.__module__)
    try:
        for name in obj.__qualname__.split("."):
            found = getattr(found, name)
    except AttributeError:
        return False
    return found is obj


_STANDARD = sys.stdlib_module_names | {"__main__"}
"""Whose types cloudpickle may take apart in its own way, even where they are found by name."""


# -- whose code takes an object apart

_HOOKS = ("__reduce_ex__", "__reduce__", "__getstate__", "__getnewargs_ex__", "__getnewargs__") + (
    ("__getattr__", "__getattribute__", "__class__", "__dict__")
)
_ITERATING = ("__iter__", "items")
_KNOWN = sys.stdlib_module_names | {"cloudpickle", "tapkit"}
IN_C = (
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.ClassMethodDescriptorType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    types.BuiltinFunctionType,
)


def is_taken_apart_by_known(kind: type) -> bool:
    """Whether no code of an application runs when an object of the type is taken apart."""
    hooks = _HOOKS + _ITERATING if issubclass(kind, (list, dict)) else _HOOKS
    return all(
        is_known(vars(base)[hook])
        for base in kind.__mro__[:-1]
        for hook in hooks
        if hook in vars(base)
    )


def is_known(function: Any) -> bool:
    """Whether a function is in C, or of the standard library, cloudpickle or ourselves."""
    if isinstance(function, types.FunctionType):
        return str(function.__module__).partition(".")[0] in _KNOWN
    return isinstance(function, IN_C)
