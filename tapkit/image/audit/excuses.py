"""Calls of dangerous names that picklers themselves write, and that do no harm as they write them.

The name alone does not tell: `getattr(quoter, "getQuote")` is how a bound method is pickled,
`getattr(os, "system")` is an attack.
"""

from __future__ import annotations

from collections.abc import Callable

from tapkit.image.audit.called import BUILTIN_TYPE, called
from tapkit.image.nodes import Dict, Global, Node, Object, Set


def _is_named_method(args: tuple[Node, ...]) -> bool:
    """getattr(an object, "a public name"): a bound method, as pickle writes it."""
    if len(args) != 2 or type(args[1]) is not str:
        return False
    if type(args[0]) is Object:
        makes = args[0].call
        if type(makes) is not Global or (makes.module, makes.name) in EXCUSES:
            return False
    elif type(args[0]) not in (list, Dict, Set):
        return False
    return args[1].isidentifier() and not args[1].startswith("__")


def _is_bound(args: tuple[Node, ...]) -> bool:
    """MethodType(Class.method, an object): a bound method, as cloudpickle writes it."""
    if len(args) != 2 or type(args[0]) is not Global:
        return False
    return "." in args[0].name and "__" not in args[0].name


def _names_method_type(args: tuple[Node, ...]) -> bool:
    """_builtin_type("MethodType"): cloudpickle's way to name it."""
    return args == ("MethodType",)


def _is_type_of_nothing(args: tuple[Node, ...]) -> bool:
    """type(None), type(...), type(NotImplemented): how pickle writes these three types."""
    if len(args) != 1:
        return False
    (what,) = args
    return what is None or what in (
        Global("builtins", "Ellipsis"),
        Global("builtins", "NotImplemented"),
    )


EXCUSES: dict[tuple[str, str], tuple[Callable[[tuple[Node, ...]], bool], str]] = {
    ("builtins", "getattr"): (_is_named_method, "makes bound methods, and nothing else"),
    ("types", "MethodType"): (_is_bound, "makes bound methods, and nothing else"),
    BUILTIN_TYPE: (_names_method_type, "names the type of bound methods, and nothing else"),
    ("builtins", "type"): (_is_type_of_nothing, "names the type of None, and nothing else"),
}
"""Of names, which arguments excuse a call, and what such calls are."""


def excused(node: Object) -> bool:
    """Whether a call of a name in EXCUSES is one that picklers write."""
    named = called(node)
    if named is None or type(node.args) is not tuple or node.kwargs is not None:
        return False
    row = EXCUSES.get((named.module, named.name))
    return row is not None and node.how == "reduce" and row[0](node.args)
