"""What the calls of a .tas mean, as nodes. How they were parsed does not matter here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tapkit.errors import ImageError
from tapkit.image.nodes import (
    AGAIN,
    EFFECT,
    ENTRIES,
    INSTANCE,
    ITEMS,
    MEMBERS,
    NEWOBJ,
    NEWOBJ_EX,
    REDUCE,
    STATE,
    Buffer,
    Dict,
    FrozenSet,
    Global,
    Node,
    Object,
    Set,
)
from tapkit.image.tas import code, spellings
from tapkit.image.tas.atoms import nan_bits
from tapkit.source import nan

_HOWS = frozenset({REDUCE, NEWOBJ, NEWOBJ_EX, INSTANCE})
_EMPTY: dict[str, Callable[[], Node]] = {
    "set": Set,
    "frozenset": FrozenSet,
    "dict": Dict,
    "list": list,
    "tuple": tuple,
    "bytearray": bytearray,
}
_FLOATS = {"nan", "inf", "-inf", "+inf", "-nan"}


class WrongCallError(Exception):
    """Why a call has no meaning; the reader adds where. `beyond`: but Python may know one."""

    def __init__(self, what: str, hint: str = "", beyond: bool = False):
        super().__init__(what)
        self.hint = hint
        self.beyond = beyond


class Calls:
    """Makes nodes of calls. One for each file that is read.

    Attributes:
        discarded: calls that the file makes and drops.
        names: every module and name the file refers to.
        shared_states: ids of the states that are nodes in their own right; those of all other
            objects may be added to by assignment.
        knots: nodes that were completed after they were made, as cycles need it.
    """

    def __init__(self) -> None:
        self.discarded: list[Node] = []
        self.names: set[tuple[str, str]] = set()
        self.shared_states: set[int] = set()
        self.knots: list[Node] = []
        self._code_type: Object | None = None
        self._dataclasses: dict[Global, list[str]] = {}
        self._namedtuples: dict[Global, int] = {}
        self._helpers: dict[str, Callable[..., Any]] = {
            name: getattr(self, f"_{name}") for name in EXPRESSIONS | STATEMENTS
        }

    def named(self, module: str, name: str) -> Global:
        """A class or function by its name."""
        self.names.add((module, name))
        return Global(module, name)

    # -- plain calls

    def call(self, function: Node, args: list[Node], keywords: Mapping[str, Node]) -> Node:
        """`function(*args, **keywords)`."""
        if type(function) is Global:
            name = (function.module, function.name)
            if name in spellings.SPELLINGS:
                made = spellings.read(function, args, keywords)
                if made is None:
                    raise WrongCallError(f"this is no way to write a {function.name}")
                return made
            if name in spellings.LITERAL:
                return self._literal(function, args, keywords)
            if function in self._dataclasses:
                return self._dataclass(function, args, keywords)
            if function in self._namedtuples:
                return self._namedtuple(function, args, keywords)
        elif type(function) is not Object:
            raise WrongCallError("only a class, a function or an object can be called")
        if keywords:
            raise WrongCallError("a call with keywords", beyond=True)
        made = Object(REDUCE, function, tuple(args))
        return self._one_type(made) if code.is_code_type(made) else made

    def _one_type(self, code_type: Object) -> Object:
        self._code_type = self._code_type or code_type
        return self._code_type

    def _literal(self, function: Global, args: list[Node], keywords: Mapping[str, Node]) -> Node:
        name = function.name
        if not keywords and not args and name != "float":
            return _EMPTY[name]()
        if len(args) == 1 and not keywords:
            arg = args[0]
            if name == "float" and type(arg) is str and arg.strip().lower() in _FLOATS:
                return float(arg)
            if name == "bytearray" and type(arg) is bytes:
                return bytearray(arg)
            if name == "frozenset" and type(arg) in (Set, list, tuple):
                return FrozenSet(arg)
            if name == "set" and type(arg) in (list, tuple):
                return Set(arg)
        raise WrongCallError(f"this call of {name}", beyond=True)

    def _dataclass(self, cls: Global, args: list[Node], keywords: Mapping[str, Node]) -> Object:
        fields = self._dataclasses[cls]
        if args or set(keywords) != set(fields):
            what = f"a {cls.name} without all of its fields by name ({', '.join(fields)})"
            raise WrongCallError(what, beyond=True)
        return self._instance(cls, **{name: keywords[name] for name in fields})

    def _namedtuple(self, cls: Global, args: list[Node], keywords: Mapping[str, Node]) -> Object:
        if keywords or len(args) != self._namedtuples[cls]:
            raise WrongCallError(f"a {cls.name} without all of its fields in order", beyond=True)
        return Object(NEWOBJ, cls, tuple(args))

    def method(self, owner: Node, name: str) -> Node:
        """`owner.name`"""
        return Object(REDUCE, self.named("builtins", "getattr"), (owner, name))

    # -- words of tapkit.source

    def help(self, word: str, args: list[Node], keywords: Mapping[str, Node]) -> Any:
        """The meaning of a call of a word of `tapkit.source`."""
        try:
            return self._helpers[word](*args, **keywords)
        except TypeError as error:
            if error.__traceback__ is None or error.__traceback__.tb_next is not None:
                raise
            raise WrongCallError(f"these are not the arguments of {word}()") from None

    def _instance(self, cls: Node, /, **state: Node) -> Object:
        made = Object(NEWOBJ, _callable(cls))
        if state:
            made.steps += (STATE, Dict.of(state.items()))
        return made

    def _new(self, cls: Node, /, *args: Node, **kwargs: Node) -> Object:
        if kwargs:
            return Object(NEWOBJ_EX, _callable(cls), args, Dict.of(kwargs.items()))
        return Object(NEWOBJ, _callable(cls), args)

    def _make(self, how: Node, call: Node, args: Node = (), kwargs: Node = None, /) -> Object:
        if type(how) is not str or how not in _HOWS:
            raise WrongCallError(f"how must be one of {', '.join(sorted(_HOWS))}")
        if type(args) not in (tuple, Object):
            raise WrongCallError("the arguments must be a tuple")
        if (type(kwargs) in (Dict, Object)) != (how == NEWOBJ_EX):
            raise WrongCallError("newobj_ex, and it alone, has a dict of keyword arguments")
        return Object(how, _callable(call), args, kwargs)

    def _complete(self, obj: Node, /, **state: Node) -> None:
        _object(obj).add_step(STATE, Dict.of(state.items()))
        self.knots.append(obj)

    def _set_state(self, obj: Node, state: Node, /) -> None:
        self.shared_states.add(id(state))
        _object(obj).add_step(STATE, state)

    def _set_items(self, obj: Node, items: Node, /) -> None:
        _object(obj).add_step(ITEMS, list(_of(items, list)))

    def _set_entries(self, obj: Node, entries: Node, /) -> None:
        _object(obj).add_step(ENTRIES, Dict(_of(entries, Dict)))

    def _set_members(self, obj: Node, members: Node, /) -> None:
        _object(obj).add_step(MEMBERS, list(_of(members, list)))

    def _effect(self, obj: Node, call: Node, /) -> None:
        made = _object(call)
        if type(made.args) is not tuple or not made.args or made.args[0] is not obj:
            raise WrongCallError("an effect is a call with the object as its first argument")
        _object(obj).add_step(EFFECT, made)

    def _again(self, obj: Node, dropped: Node = None, /) -> None:
        _object(obj).add_step(AGAIN, None if dropped is None else _object(dropped))

    def _discard(self, call: Node, /) -> None:
        self.discarded.append(call)

    def _pickled(self, text: Node, /, *others: Node) -> Node:
        try:
            image = code.read(_of(text, str), others, self._one_type)
        except ImageError as error:
            raise WrongCallError(f"this can't be unpickled ({error})") from error
        self.names.update(image.names)
        return image.root

    def _nan(self, bits: Node, /) -> float:
        if type(bits) is not int or not 0 <= bits < 1 << 64 or nan(bits) == nan(bits):
            raise WrongCallError("these are not the 64 bits of a NaN")
        made = nan(bits)
        if nan_bits(made) != bits:
            raise WrongCallError("this machine can't keep the bits of a NaN")
        return made

    def _buffer(self, number: Node, /, readonly: Node = False) -> Buffer:
        if type(number) is not int or type(readonly) is not bool:
            raise WrongCallError("a buffer has a number, and may be readonly=True")
        return Buffer(number, readonly)

    def _lookup(self, module: Node, name: Node, /) -> Global:
        return self.named(_of(module, str), _of(name, str))

    def _dataclass_fields(self, cls: Node, /, *names: Node) -> None:
        self._dataclasses[_of(cls, Global)] = [_of(name, str) for name in names]

    def _namedtuple_fields(self, cls: Node, /, *names: Node) -> None:
        self._namedtuples[_of(cls, Global)] = len([_of(name, str) for name in names])


EXPRESSIONS = frozenset({"instance", "new", "make", "pickled", "nan", "buffer", "lookup"})
"""Words that are an expression. (`nested` is one as well, but about a name, not a node.)"""

STATEMENTS = frozenset(
    {"complete", "set_state", "set_items", "set_entries", "set_members", "effect", "again"}
    | {"discard", "dataclass_fields", "namedtuple_fields"}
)
"""Words that are a statement."""


def _object(node: Node) -> Object:
    if type(node) is not Object:
        raise WrongCallError("this needs an object that is an instance, or made by a call")
    return node


def _callable(node: Node) -> Node:
    if type(node) not in (Global, Object):
        raise WrongCallError("this needs a class or function to make an object of")
    return node


def _of(node: Node, kind: type) -> Any:
    if type(node) is not kind:
        raise WrongCallError(f"this needs a {kind.__name__.lower()}")
    return node
