"""What a restricted image may name: an exact list, and classes defined in modules that are allowed.

A name is permitted if it is one of `CLASSES` or `FUNCTIONS`, an exception of Python's own, a
class of tapkit that says how it is saved (`styles.Persistent`), a class of tapkit_plugins, or a
class that a module named with `--allow` *defines*: what it merely imported is not the module's.
Names lead through classes only (`Outer.Inner`), never through other attributes.
"""

from __future__ import annotations

import builtins
import types
from collections.abc import Callable, Iterable
from typing import Any

from tapkit import aliases, styles
from tapkit.errors import ImageError, TapkitError, UsageError
from tapkit.image.audit import judgement
from tapkit.image.audit.called import BUILTIN_TYPE
from tapkit.image.audit.survey import Name
from tapkit.image.nodes import Global, Node
from tapkit.names import named_module, named_object

CLASSES: dict[str, str] = {
    "builtins": "object bool int float complex str bytes bytearray list tuple dict set frozenset"
    " range slice Ellipsis NotImplemented",
    "collections": "deque OrderedDict defaultdict Counter ChainMap UserDict UserList UserString",
    "datetime": "date datetime time timedelta timezone",
    "decimal": "Decimal",
    "fractions": "Fraction",
    "http": "HTTPStatus HTTPMethod",
    "ipaddress": "IPv4Address IPv6Address IPv4Network IPv6Network IPv4Interface IPv6Interface",
    "pathlib": "Path PosixPath PurePath PurePosixPath PureWindowsPath",
    "pathlib._local": "Path PosixPath PurePath PurePosixPath PureWindowsPath",
    "random": "Random",
    "signal": "Signals",
    "socket": "AddressFamily SocketKind",
    "string": "Template",
    "time": "struct_time",
    "types": "SimpleNamespace",
    "uuid": "UUID SafeUUID",
    "tapkit.net.connections": "Address",
    "tapkit.ports": "PortDescription",
    "tapkit.protocol": "ConnectionDone",
}
"""Harmless types: values, and containers that run nothing of what is put into them."""

_EXACT = {(module, name) for module, names in CLASSES.items() for name in names.split()}
_CONSTANTS = frozenset({("builtins", "Ellipsis"), ("builtins", "NotImplemented")})
_OURS = ("tapkit", "tapkit_plugins")

Arguments = tuple[Node, ...]


def _latin1(args: Arguments) -> bool:
    return len(args) == 2 and type(args[0]) is str and args[1] in ("latin1", "latin-1")


def _one_text(args: Arguments) -> bool:
    return len(args) == 1 and type(args[0]) is str


def _of_object(args: Arguments) -> bool:
    is_class = len(args) == 3 and type(args[0]) is Global
    return is_class and args[1:] == (Global("builtins", "object"), None)


def _class_first(args: Arguments) -> bool:
    return bool(args) and type(args[0]) is Global


def _method_of(args: Arguments) -> bool:
    return len(args) == 2 and type(args[1]) is str and not args[1].startswith("__")


def _bound(args: Arguments) -> bool:
    return len(args) == 2 and type(args[0]) is Global


def _names_method_type(args: Arguments) -> bool:
    return args == ("MethodType",)


def _nothing(args: Arguments) -> bool:
    return len(args) == 1 and (args[0] is None or type(args[0]) is Global)


FUNCTIONS: dict[Name, tuple[Callable[[Arguments], bool], str]] = {
    ("_codecs", "encode"): (_latin1, "bytes, as protocol 2 has them"),
    ("copyreg", "_reconstructor"): (_of_object, "an instance, as protocol 0 has it"),
    ("copyreg", "__newobj__"): (_class_first, "an instance"),
    ("copyreg", "__newobj_ex__"): (_class_first, "an instance"),
    ("logging", "getLogger"): (_one_text, "a logger"),
    ("builtins", "getattr"): (_method_of, "a bound method"),
    ("types", "MethodType"): (_bound, "a bound method"),
    ("builtins", "type"): (_nothing, "the type of None"),
    BUILTIN_TYPE: (_names_method_type, "bound methods"),
    ("tapkit.styles", "left_out"): (_one_text, "what stands for a live object"),
}
"""Functions, with the arguments they may have. `getattr`, `MethodType` and `type` are replaced by
guarded ones: see `Permitted.find`. `re._compile` is not here: a pattern can run for ever."""


class Permitted:
    """What may be named.

    Parameters:
        allow: modules, with their submodules, whose classes may be named.

    Raises:
        UsageError: one is no module's name, or is known to be dangerous.
    """

    def __init__(self, allow: Iterable[str] = ()):
        self.allow = tuple(allow)
        for module in self.allow:
            if not all(part.isidentifier() for part in module.split(".")):
                raise UsageError(f"{module!r} names no module", "--allow", "such as --allow shop")
            why = judgement.danger(module, "") if module != "builtins" else "runs anything"
            if why is not None or module == "__main__":
                raise UsageError(
                    f"no restricted image may name {module}: it {why or 'is any program'}",
                    "--allow",
                    "load it without --restricted, if you trust it",
                )
        self.bindable: set[Name] = set()  # methods that `restricted` found bound, and not called
        self._found: dict[Name, type] = {}
        self._classes: set[type] = set()

    def refusal(self, module: str, name: str) -> str | None:
        """Why a name may not be used, as far as can be said without importing; None: it may be."""
        if (module, name) in _EXACT or (module, name) in FUNCTIONS or _is_exception(module, name):
            return None
        if not all(part.isidentifier() for part in (*module.split("."), *name.split("."))):
            return "is no name that code could have"
        if (module, name) == ("tapkit.styles", "compiled") or module.startswith("cloudpickle"):
            return "makes code that the image carries by value"
        if module == "tapkit.carried":
            return "imports a package that the image carries"
        why = judgement.danger(module, name)
        if why is not None:
            return why
        if any("__" in part for part in name.split(".")):
            return "reaches behind a class"
        if self._allows(module) or module.partition(".")[0] in _OURS:
            return None
        return "is not allowed"

    def remedy(self, module: str, name: str) -> str | None:
        """The option that would permit a name, or None if there is none."""
        known = judgement.danger(module, name) is not None or module == "__main__"
        if known or module.startswith("cloudpickle") or (module, name) in FUNCTIONS:
            return None
        words = module.split(".")
        if self._allows(module) or words[0] in _OURS or not all(map(str.isidentifier, words)):
            return None
        return f"--allow {module}"

    def _allows(self, module: str) -> bool:
        return any(module == each or module.startswith(each + ".") for each in self.allow)

    def find(self, module: str, name: str) -> Any:
        """What a permitted name stands for: a class, or one of the guarded functions.

        Raises:
            ImageError: it is not permitted, is missing, or is no class of that module's own.
        """
        found = self._found.get((module, name))
        if found is None:
            found = self._looked_up(module, name)
            if isinstance(found, type):  # whether a function may be had depends on the image
                self._found[module, name] = found
        return found

    def _looked_up(self, module: str, name: str) -> Any:
        why = self.refusal(module, name)
        if why is not None:
            raise refused(f"{module}.{name} {why}")
        guarded = {
            ("builtins", "getattr"): self._method_named,
            ("types", "MethodType"): self._bound,
            ("builtins", "type"): _type_of_nothing,
            BUILTIN_TYPE: self._builtin_type,
        }
        if (module, name) in guarded:
            return guarded[module, name]
        try:
            found = _attribute(_imported(module), module, name)
        except ImageError:
            if aliases.resolve(f"{module}.{name}") is None:
                raise
            module, name, found = self._moved(module, name)
        if (module, name) in FUNCTIONS or (module, name) in _CONSTANTS:
            return found
        if isinstance(found, types.FunctionType) and (module, name) in self.bindable:
            return found
        self._check_class(found, module, name)
        self._classes.add(found)
        return found

    def _moved(self, module: str, name: str) -> tuple[str, str, Any]:
        """(module, name, class) of what is called otherwise today, if that is permitted too.

        Raises:
            ImageError: it did not move, it is missing.
        """
        today = aliases.resolve(f"{module}.{name}")
        found = named_object(today) if today is not None else None
        if not isinstance(found, type):
            raise ImageError(f"the image needs {module}.{name}, and there is none")
        module, name = found.__module__, found.__qualname__
        why = self.refusal(module, name)
        if why is not None:
            raise refused(f"{module}.{name} {why}")
        return module, name, found

    def _check_class(self, found: Any, module: str, name: str) -> None:
        if not isinstance(found, type) or issubclass(found, type):
            raise refused(f"{module}.{name} is no class, and only classes are allowed")
        if (module, name) in _EXACT or module == "builtins":
            return
        if (found.__module__, found.__qualname__) != (module, name):
            where = f"{found.__module__}.{found.__qualname__}"
            raise refused(f"{module}.{name} is {where}, and only what a module defines is allowed")
        if module.partition(".")[0] == "tapkit" and not issubclass(found, styles.Persistent):
            raise refused(f"{module}.{name} is no class whose instances are saved")

    # -- guarded functions: bound methods of what was permitted, and the type of None

    def _method_named(self, obj: Any, name: str) -> Any:
        for base in self._mro(obj):
            found = vars(base).get(name)
            if found is not None:
                if isinstance(found, (types.FunctionType, types.MethodDescriptorType)):
                    return found.__get__(obj)
                break
        raise refused(f"{name!r} of a {type(obj).__qualname__} is no method")

    def _bound(self, function: Any, obj: Any) -> Any:
        mine = any(function in vars(base).values() for base in self._mro(obj))
        if not isinstance(function, types.FunctionType) or not mine:
            raise refused(f"{function!r} is no method of a {type(obj).__qualname__}")
        return types.MethodType(function, obj)

    def _builtin_type(self, name: str) -> Any:
        if name == "MethodType":
            return self._bound
        raise refused(f"cloudpickle's {name} makes code")

    def _mro(self, obj: Any) -> tuple[type, ...]:
        if type(obj) not in self._classes and type(obj) not in (list, dict, set):
            raise refused(f"a method of a {type(obj).__qualname__}, which is not permitted")
        return type(obj).__mro__


def _type_of_nothing(obj: Any) -> type:
    if obj is None or obj is Ellipsis or obj is NotImplemented:
        return type(obj)
    raise refused("builtins.type makes classes")


def _is_exception(module: str, name: str) -> bool:
    found = vars(builtins).get(name) if module == "builtins" else None
    return isinstance(found, type) and issubclass(found, BaseException)


def _imported(module: str) -> types.ModuleType:
    try:
        return named_module(module)
    except TapkitError as error:
        raise ImageError(
            f"the image needs {module}, and {error.what}", error.where, error.remedy
        ) from error


def _attribute(found: Any, module: str, name: str) -> Any:
    """What a name leads to by way of classes, without running anybody's `__getattr__`."""
    for at, part in enumerate(name.split(".")):
        if (at and not isinstance(found, type)) or part not in vars(found):
            raise ImageError(f"the image needs {module}.{name}, and there is none")
        found = vars(found)[part]
    return found


def refused(what: str) -> ImageError:
    """The error that says a restricted image went beyond."""
    return ImageError(f"refused by --restricted: {what}")
