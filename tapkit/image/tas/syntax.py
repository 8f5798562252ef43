"""Expressions and statements of a .tas, from Python's own syntax tree: any layout, any quotes."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Iterable
from typing import Any

from tapkit.image.nodes import STATE, Dict, Global, Node, Object, Set
from tapkit.image.tas.calls import EXPRESSIONS, STATEMENTS, Calls, WrongCallError
from tapkit.image.tas.faults import FaultError, FollowingError, beyond
from tapkit.image.tas.words import HELPERS
from tapkit.names import suggestion

SOURCE = "tapkit.source"


class Module:
    """What `import a.b` binds: names below it may be modules too."""

    def __init__(self, name: str):
        self.name = name


class Doubtful:
    """What a name stands for that a mistake has left without a meaning."""


class Syntax:
    """Reads statements, one after another.

    Attributes:
        variables: the node that each name stands for.
        fixed: names somebody relies on.
        rebound: whether one of these was bound again.
    """

    def __init__(self, calls: Calls):
        self.calls = calls
        self.variables: dict[str, Node] = {}
        self.fixed: set[str] = set()
        self.rebound = False
        self._others: dict[str, Any] = {}  # names of modules and of words of `tapkit.source`
        self._modules: set[str] = set()
        self._expressions: dict[type, Callable[[Any], Node]] = {
            ast.Constant: self._constant,
            ast.Name: self._name,
            ast.Attribute: self._attribute,
            ast.Call: self._call,
            ast.List: self._list,
            ast.Tuple: self._tuple,
            ast.Set: self._set,
            ast.Dict: self._dict,
            ast.UnaryOp: self._negative,
        }

    def bind(self, name: str, thing: Any) -> None:
        """Let a name stand for a node, a Module or a word."""
        if name in self.fixed:
            self.rebound = True
        if type(thing) in _NO_NODES or (type(thing) is Global and thing.module == SOURCE):
            self._others[name] = thing
            self.variables.pop(name, None)
        else:
            self.variables[name] = thing

    def lookup(self, name: str, default: Any = None) -> Any:
        """What a name stands for."""
        return self.variables[name] if name in self.variables else self._others.get(name, default)

    def doubt(self, names: Iterable[str]) -> None:
        """Names that have no meaning, because of a mistake that was told."""
        for name in names:
            self.bind(name, Doubtful())

    # -- statements

    def statement(self, node: ast.stmt, first: bool) -> None:
        """Do what one statement says. `first`: it may be the docstring.

        Raises:
            FaultError
        """
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            self._assign(node.targets[0], node.value)
        elif isinstance(node, ast.ImportFrom):
            self._import_from(node)
        elif isinstance(node, ast.Import):
            self._import(node)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            self._command(node.value)
        elif isinstance(node, ast.Expr) and first and isinstance(node.value, ast.Constant):
            return
        else:
            raise beyond(node, _described(node))

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Name):
            self.bind(target.id, self._value(value))
        elif isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
            owner = self._name(target.value)
            self.set_attribute(owner, target.attr, self._value(value), target)
        elif isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
            owner = self._name(target.value)
            if type(owner) is not Dict:
                raise beyond(target, "an entry of something else than a dict")
            self._put(owner, self._value(target.slice), self._value(value))
        else:
            raise beyond(target, "this assignment")

    def set_attribute(self, owner: Node, name: str, value: Node, at: ast.AST | None) -> None:
        """`owner.name = value`: an entry of the owner's state.

        Raises:
            FaultError
        """
        if type(owner) is not Object:
            raise FaultError(at, "only an object made before can be given an attribute")
        self._put(self._attributes(owner, at), name, value)

    def _attributes(self, owner: Object, at: ast.AST | None) -> Dict:
        """The dict that is an object's state."""
        states = [value for verb, value in owner.each_step() if verb == STATE]
        if not owner.steps:
            owner.steps += (STATE, Dict())
            states = [owner.steps[1]]
        if not states or type(states[-1]) is not Dict or id(states[-1]) in self.calls.shared_states:
            raise beyond(at, "an attribute of something whose state is not just its attributes")
        return states[-1]

    def _put(self, entries: Dict, key: Node, value: Node) -> None:
        """Change an entry, which keeps its place, or add one."""
        if type(key) is str:
            for at in range(0, len(entries), 2):
                if type(entries[at]) is str and entries[at] == key:
                    entries[at + 1] = value
                    return
        entries += [key, value]

    def _import_from(self, node: ast.ImportFrom) -> None:
        if node.level or not node.module:
            raise beyond(node, "a relative import")
        for alias in node.names:
            if alias.name == "*":
                raise beyond(alias, "an import of everything")
            word = node.module == SOURCE and alias.name in HELPERS
            found = (Global if word else self.calls.named)(node.module, alias.name)
            self.bind(alias.asname or alias.name, found)

    def _import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._modules.add(alias.name)
            name = alias.name if alias.asname else alias.name.partition(".")[0]
            self.bind(alias.asname or name, Module(name))

    def _command(self, call: ast.Call) -> None:
        """A call for its effect."""
        function = call.func
        if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
            owner = self._name(function.value)
            if type(owner) in (list, Dict, Set):
                self._change(owner, function, call)
                return
        word = self._word(function)
        if word not in STATEMENTS:
            raise beyond(call, "a call whose result is not used")
        self._help(word, call)

    def _change(self, owner: Node, method: ast.Attribute, call: ast.Call) -> None:
        """`items.extend([...])`"""
        args = [self._value(arg) for arg in call.args]
        kind = (type(owner), method.attr)
        arg: Node = args[0] if len(args) == 1 and not call.keywords else None
        if kind in ((list, "append"), (Set, "add")) and len(args) == 1:
            owner.append(arg)
        elif kind in ((list, "extend"), (Set, "update")) and type(arg) in (list, tuple, Set):
            owner.extend(list(arg))
        elif kind == (Dict, "update") and type(arg) is Dict:
            for key, value in list(arg.items()):
                self._put(owner, key, value) if owner and len(arg) < 99 else owner.extend(
                    (key, value)
                )
        else:
            raise beyond(call, f"this call of .{method.attr}()")

    # -- expressions

    def value(self, node: ast.expr) -> Node:
        """The node an expression stands for.

        Raises:
            FaultError
        """
        return self._value(node)

    def _value(self, node: ast.expr) -> Node:
        read = self._expressions.get(type(node))
        if read is None:
            raise beyond(node, _described(node))
        found = read(node)
        if type(found) is Module:
            raise FaultError(node, "a module can't be in an image", "import what is in it")
        if type(found) is Global and found.module == SOURCE:
            self.calls.names.add((SOURCE, found.name))
        return found

    def _constant(self, node: ast.Constant) -> Node:
        value = node.value
        if value is Ellipsis:
            return self.calls.named("builtins", "Ellipsis")
        if type(value) is complex:
            cls = self.calls.named("builtins", "complex")
            return self.calls.call(cls, [value.real, value.imag], {})
        return value

    def _name(self, node: ast.Name) -> Node:
        found = self.lookup(node.id, self)
        if type(found) is Doubtful:
            raise FollowingError
        if found is not self:
            return found
        if hasattr(builtins, node.id):
            return self.calls.named("builtins", node.id)
        hint = self._near(node.id)
        self.doubt([node.id])  # it is told once
        raise FaultError(node, f"nothing is called {node.id!r}", hint)

    def _near(self, name: str) -> str:
        """The hint about a name that is unknown."""
        close = suggestion(name, {*self.variables, *self._others, *HELPERS}).removeprefix("; ")
        return f"import it from {SOURCE}" if name in HELPERS else close

    def _attribute(self, node: ast.Attribute) -> Node:
        owner = self._expression(node.value)
        if type(owner) is Module:
            name = f"{owner.name}.{node.attr}"
            below = any(module == name or module.startswith(f"{name}.") for module in self._modules)
            return Module(name) if below else self.calls.named(owner.name, node.attr)
        return self.calls.method(owner, node.attr)

    def _expression(self, node: ast.expr) -> Any:
        """As `_value`, but a Module is allowed."""
        if isinstance(node, ast.Name):
            return self._name(node)
        return self._attribute(node) if isinstance(node, ast.Attribute) else self._value(node)

    def _call(self, node: ast.Call) -> Node:
        word = self._word(node.func)
        if word is not None:
            if word == "nested":
                return self._nested(node)
            if word not in EXPRESSIONS:
                raise FaultError(node, f"{word}() makes nothing", "write it as a line of its own")
            return self._help(word, node)
        function = self._value(node.func)
        args = [self._value(arg) for arg in node.args]
        try:
            return self.calls.call(function, args, self._keywords(node))
        except WrongCallError as error:
            raise _fault(node, error) from error

    def _word(self, node: ast.expr) -> str | None:
        """The word of `tapkit.source` that an expression is."""
        if type(node) is ast.Name:
            found = self.lookup(node.id)
        elif type(node) is ast.Attribute:
            found = self._expression(node)
        else:
            return None
        if type(found) is Global and found.module == SOURCE and found.name in HELPERS:
            return found.name
        return None

    def _help(self, word: str, node: ast.Call) -> Any:
        args = [self._value(arg) for arg in node.args]
        try:
            return self.calls.help(word, args, self._keywords(node))
        except WrongCallError as error:
            raise _fault(node, error) from error

    def _keywords(self, node: ast.Call) -> dict[str, Node]:
        found = {}
        for keyword in node.keywords:
            if keyword.arg is None:
                raise beyond(keyword.value, "`**`")
            found[keyword.arg] = self._value(keyword.value)
        return found

    def _nested(self, node: ast.Call) -> Node:
        """`nested(Outer.Inner)`: a qualified name, not a getattr."""
        path: list[str] = []
        at = node.args[0] if len(node.args) == 1 and not node.keywords else None
        while isinstance(at, ast.Attribute):
            path.append(at.attr)
            at = at.value
        outer = self._name(at) if isinstance(at, ast.Name) else None
        if type(outer) is not Global:
            raise FaultError(node, "nested() takes the dotted name of something imported")
        return self.calls.named(outer.module, ".".join([outer.name, *reversed(path)]))

    def _list(self, node: ast.List) -> Node:
        return [self._value(item) for item in node.elts]

    def _tuple(self, node: ast.Tuple) -> Node:
        return tuple([self._value(item) for item in node.elts])

    def _set(self, node: ast.Set) -> Node:
        return Set([self._value(item) for item in node.elts])

    def _dict(self, node: ast.Dict) -> Node:
        found = Dict()
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                raise beyond(value, "`**`")
            found += [self._value(key), self._value(value)]
        return found

    def _negative(self, node: ast.UnaryOp) -> Node:
        number = node.operand.value if isinstance(node.operand, ast.Constant) else None
        is_number = isinstance(number, (int, float)) and not isinstance(number, bool)
        if isinstance(node.op, ast.USub) and is_number:
            return -number  # type: ignore[operator]  # it is a number
        raise beyond(node, "this operator")


def _fault(node: ast.AST, error: WrongCallError) -> FaultError:
    if error.beyond:
        return beyond(node, str(error))
    return FaultError(node, str(error), error.hint)


_NO_NODES = frozenset({Module, Doubtful})
_NAMES = {
    ast.For: "a `for` loop",
    ast.While: "a `while` loop",
    ast.If: "an `if`",
    ast.With: "a `with`",
    ast.Try: "a `try`",
    ast.FunctionDef: "a function",
    ast.ClassDef: "a class",
    ast.Lambda: "a lambda",
    ast.BinOp: "arithmetic",
    ast.UnaryOp: "this operator",
    ast.BoolOp: "`and` and `or`",
    ast.Compare: "a comparison",
    ast.IfExp: "a conditional expression",
    ast.JoinedStr: "an f-string",
    ast.Subscript: "an index",
    ast.Starred: "`*`",
    ast.ListComp: "a comprehension",
    ast.SetComp: "a comprehension",
    ast.DictComp: "a comprehension",
    ast.GeneratorExp: "a comprehension",
    ast.Expr: "this expression",
    ast.Delete: "`del`",
    ast.AugAssign: "an augmented assignment",
    ast.AnnAssign: "an annotation",
    ast.NamedExpr: "`:=`",
}


def _described(node: ast.AST) -> str:
    return _NAMES.get(type(node), f"this {type(node).__name__.lower()}")
