"""What is said of a node in a .tas: its variable, or the expression that stands for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from tapkit.image.nodes import (
    ATOMS,
    NEWOBJ,
    REDUCE,
    Buffer,
    Dict,
    FrozenSet,
    Global,
    Image,
    Node,
    Object,
    Set,
)
from tapkit.image.tas import code, spellings
from tapkit.image.tas.atoms import ATOM_WRITERS, stable_order
from tapkit.image.tas.attributes import attributes_only, is_attribute
from tapkit.image.tas.events import is_bare, is_whole
from tapkit.image.tas.imports import SOURCE, Imports
from tapkit.image.tas.instances import attributes
from tapkit.image.tas.layout import (
    DEEPEST,
    SHORT,
    Expr,
    Group,
    Row,
    are_short,
    flat_of,
    lay,
    quoted,
    text,
)
from tapkit.image.tas.survey import Survey
from tapkit.image.tas.variables import Variables
from tapkit.image.tas.words import Known

APPLICATION = Global("tapkit.application", "Application")
_GETATTR = Global("builtins", "getattr")
_SMALL: Final = 1 << 60


class Expressions:
    """What is said of the nodes of one image, and the statements for those that have a variable.

    Attributes:
        blocks: the statements so far, but for those that are encoded.
        names: the variables of what has been written, by its id.
        exprs: of what has no variable, the expression, to be put where the node is met, which
            happens once.
        kinds: by the type of a node, what makes an expression of it.
        declared: what is said above everything, by class.
    """

    def __init__(self, image: Image, known: Known):
        self.root = image.root
        self.known = known
        opaque = code.opaque(image)
        self.survey = Survey(image, known.assignable, opaque)
        image.knots = self.survey.knots
        self.blocks: list[str] = []
        self.exprs: dict[int, Expr] = {}
        self.names: dict[int, str] = {}
        self.declared: dict[str, str] = {}
        self._root_name = "root"
        if type(image.root) is Object and image.root.call == APPLICATION:
            self._root_name = "application"
        self.imports = Imports(self.survey.globals.values(), (self._root_name,))
        self.variables = Variables(self.imports.taken)
        self._opaque = opaque
        self.kinds: dict[type, Callable[[Any], Expr]] = {
            tuple: self._tuple,
            list: self._list,
            Dict: self._dict,
            Set: self._set,
            FrozenSet: self._frozenset,
            Object: self._whole,
            bytearray: self._bytearray,
            Buffer: self._buffer,
        }

    # -- naming and placing

    def say(self, node: Node) -> Expr:
        """The expression for a node that is written already, or is a value."""
        kind = type(node)
        if kind in ATOM_WRITERS:
            written = ATOM_WRITERS[kind](node)
            if isinstance(written, Group) and written.open == "nan(":
                self.imports.helpers.add("nan")
            return written
        if kind is Global:
            return self.imports.local[node.module, node.name]
        expr = self.names.get(id(node)) or self.exprs.get(id(node))
        if expr is None:
            if node == ():
                return "()"
            self.put(node)  # what was written as part of another, and is met again
            expr = self.names.get(id(node)) or self.exprs[id(node)]
        if isinstance(expr, Group) and expr.depth >= DEEPEST:
            return self.give_name(node, expr)
        return expr

    def _say_value(self, node: Node) -> Expr:
        """The same, quickly if the node is a plain value."""
        if type(node) is str:
            if len(node) <= SHORT and node.isprintable() and '"' not in node and "\\" not in node:
                return f'"{node}"'
        elif type(node) is int and -_SMALL < node < _SMALL:
            return repr(node)
        return self.say(node)

    def name_of(self, node: Node) -> str:
        """The name of a node, which gets a statement of its own if it has none yet."""
        expr = self.say(node)
        if type(node) is Global or id(node) in self.names:
            return expr  # type: ignore[no-any-return]
        return self.give_name(node, expr)

    def put(self, node: Node) -> None:
        """Write a node, by a statement or for later use."""
        key = id(node)
        expr = self.kinds[type(node)](node)
        if key not in self.names:
            self.exprs[key] = expr
            if key in self.survey.shared or node is self.root or is_bare(node):
                self.give_name(node, expr)

    def give_name(self, node: Node, expr: Expr) -> str:
        """Give a node a variable, by a statement."""
        name = self.new_name(node)
        self.statement(f"{name} = ", expr)
        return name

    def new_name(self, node: Node) -> str:
        key = id(node)
        if node is self.root:
            name = self._root_name
        else:
            hint = self.survey.hints.get(key)
            if hint is None and type(node) is Object and type(node.call) is Global:
                name = self.variables.of_class(node.call)
            else:
                name = self.variables.give(hint or "thing")
        self.names[key] = name
        return name

    def statement(self, prefix: str, expr: Expr) -> None:
        lines: list[str] = []
        lay(lines, "", prefix, expr)
        self.blocks.append("\n".join(lines))

    def helper(self, name: str) -> str:
        self.imports.helpers.add(name)
        return name

    def expr_call(self, function: str, args: Iterable[tuple[str, Expr]]) -> Expr:
        parts = list(args)
        return Group(f"{function}(", parts, ")") if parts else f"{function}()"

    # -- expressions

    def _each(self, nodes: Iterable[Node]) -> list[tuple[str, Expr]]:
        return [("", self.say(node)) for node in nodes]

    def _tuple(self, node: tuple[Node, ...]) -> Expr:
        return Group("(", self._each(node), ")") if node else "()"

    def _list(self, node: list[Node]) -> Expr:
        if not node:
            return "[]"
        texts: list[Any] = list(map(self.names.get, map(id, node)))
        if None in texts:
            say = self._say_value
            texts = [name or say(each) for name, each in zip(texts, node, strict=True)]
            if set(map(type, texts)) != {str}:
                return Group("[", self._each(node), "]")
        return Row("[", texts, "]")

    def _dict(self, node: Dict) -> Expr:
        names = self.names
        entries: list[str] = []
        key: Expr = None
        for at, part in enumerate(node):
            expr: Expr = None if type(part) is str else names.get(id(part))
            if expr is None:
                expr = self._say_value(part)
            if type(expr) is not str:
                break
            if at & 1:
                entries.append(f"{key}: {expr}")
            key = expr
        else:
            return Row("{", entries, "}") if entries else "{}"
        parts = []
        for key, value in node.items():
            written, content = self.say(key), self.say(value)
            if isinstance(written, Group) and not are_short(written.flat, flat_of(content)):
                written = self.name_of(key)
            parts.append((f"{flat_of(written)}: ", content))
        return Group("{", parts, "}") if parts else "{}"

    def _set(self, node: list[Node]) -> Expr:
        if not node:
            return "set()"
        members = self._each(node)
        if all(type(member) in ATOMS or type(member) is Global for member in node):
            members = [members[at] for at in stable_order(node, members)]
        return Group("{", members, "}")

    def _frozenset(self, node: FrozenSet) -> Expr:
        return self.expr_call("frozenset", [("", self._set(node))] if node else [])

    def _bytearray(self, node: bytearray) -> Expr:
        return self.expr_call("bytearray", [("", text(bytes(node)))] if node else [])

    def _buffer(self, node: Buffer) -> Expr:
        readonly = ", readonly=True" if node.readonly else ""
        return f"{self.helper('buffer')}({node.number}{readonly})"

    def _whole(self, node: Object) -> Expr:
        """An object in one expression."""
        if id(node) in self._opaque:
            others = self._opaque[id(node)]
            comment, data = code.write(node, others)
            words = [("", text(data)), *self._each(others)]
            self.give_name(node, self.expr_call(self.helper("pickled"), words))
            self.blocks[-1] = f"{comment}\n{self.blocks[-1]}"
            return self.names[id(node)]
        return self.made(node)

    def natural(self, node: Object) -> Expr | None:
        """The call a person would write, of a standard type."""
        found = spellings.written(node)
        if found is None:
            return None
        args, keywords = found
        content = set(map(id, node.steps[1::2]))  # no nodes of their own: written here
        words = [("", self.kinds[type(a)](a) if id(a) in content else self.say(a)) for a in args]
        words += [(f"{name}=", self.say(value)) for name, value in keywords.items()]
        return self.expr_call(self.imports.local[node.call.module, node.call.name], words)

    def made(self, node: Object) -> Expr:
        """The call that makes an object: without its steps, unless they are spelt in it."""
        whole = is_whole(node) and id(node) not in self.survey.shells
        if type(node.call) is Global and whole:
            found = self._method(node) or self.natural(node)
            if found is not None:
                return found
        local = self.name_of(node.call)
        args = node.args
        if type(args) is tuple and (args == () or id(args) not in self.survey.shared):
            words = self._each(args)
            if node.how == NEWOBJ:
                return self._new(node, local, words, whole)
            if node.how == REDUCE and not self._is_special(node.call):
                return self.expr_call(local, words)
            kwargs = node.kwargs
            if self._is_private(kwargs) and attributes_only(kwargs):
                words = [("", local), *words, *attributes(self, kwargs)]
                return self.expr_call(self.helper("new"), words)
        words = [("", quoted(node.how)), ("", local)]
        private = type(args) is tuple and id(args) not in self.survey.shared
        words.append(("", self._tuple(args) if private else self.say(args)))
        if node.kwargs is not None:
            words.append(("", self.say(node.kwargs)))
        return self.expr_call(self.helper("make"), words)

    def _new(self, node: Object, local: str, words: list[tuple[str, Expr]], whole: bool) -> Expr:
        if not words:
            return f"{self.helper('instance')}({local})"
        if whole and type(node.call) is Global:
            fields = self.known.namedtuples.get((node.call.module, node.call.name))
            if fields is not None and len(fields) == len(words):
                self.declare("namedtuple_fields", local, fields)
                return self.expr_call(local, words)
        return self.expr_call(self.helper("new"), [("", local), *words])

    def declare(self, helper: str, local: str, fields: tuple[str, ...]) -> None:
        """Say, above everything, that a class's own call makes the same."""
        if local not in self.declared:
            words = [("", local), *(("", quoted(field)) for field in fields)]
            lines: list[str] = []
            lay(lines, "", "", self.expr_call(self.helper(helper), words))
            self.declared[local] = "\n".join(lines)

    def _method(self, node: Object) -> Expr | None:
        """`quoter.getQuote`"""
        args = node.args
        if node.call != _GETATTR or node.how != REDUCE or type(args) is not tuple:
            return None
        if len(args) != 2 or not is_attribute(args[1]) or id(args) in self.survey.shared:
            return None
        if type(args[0]) is not Global and id(args[0]) not in self.names:
            return None
        return f"{self.say(args[0])}.{args[1]}"

    def _is_private(self, kwargs: Node) -> bool:
        return type(kwargs) is Dict and bool(kwargs) and id(kwargs) not in self.survey.shared

    def _is_special(self, call: Node) -> bool:
        """Whether a call of this is read as something else than a plain call."""
        if type(call) is not Global:
            return False
        name = (call.module, call.name)
        own = name in spellings.SPELLINGS or name in spellings.LITERAL or call.module == SOURCE
        return own or name in self.known.dataclasses or name in self.known.namedtuples
