"""What a `plugins.tml` registers. It is parsed, never run.

    register("Quote of the Day TAP Builder",
             "TwistedQuotes.quotetap",
             description="Example of a TAP builder module.",
             type="tap",
             tapname="qotd")

`register(name, module, **literals)` is all there is; whatever else a file holds is an error.
The abstract syntax comes from the `_ast` that is built into the interpreter: `ast`, with its
`literal_eval`, costs as much to import as a whole start of Python.
"""

from __future__ import annotations

import _ast
import warnings

from tapkit.errors import PluginError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# A drop-in is a few lines. Python 3.10 crashes on expressions nested some 100,000 deep.
SIZE_LIMIT = 64 * 1024
_REMEDY = 'a plugins.tml holds only register("name", "module", key="value", ...)'
_FIELDS = ("description", "type", "tapname")


class PlugIn:
    """A registered module. Nothing of it is imported.

    Attributes:
        name, module, description: as registered.
        type: `tap` for a TAP builder.
        tapname: the name it is called by; of a tap without one, the module's last name.
        data: the other keywords of its registration.
        where: `file:line` of the registration.
        drop_in: the package, or distribution, that registers it.
    """

    __slots__ = ("data", "description", "drop_in", "module", "name", "tapname", "type", "where")

    def __init__(
        self,
        name: str,
        module: str,
        *,
        description: str = "",
        type: str = "",
        tapname: str = "",
        data: dict[str, Any] | None = None,
        where: str = "",
        drop_in: str = "",
    ):
        self.name = name
        self.module = module
        self.description = _printable(description)
        self.type = type
        self.tapname = tapname or (module.rpartition(".")[2] if type == "tap" else "")
        self.data = data or {}
        self.where = where
        self.drop_in = drop_in

    def __repr__(self) -> str:
        return f"<PlugIn {self.called} ({self.module}), {self.where}>"

    @property
    def called(self) -> str:
        """What tells it from the others of its type."""
        return self.tapname or self.name


def read(source: bytes, file: str, drop_in: str) -> list[PlugIn]:
    """The plug-ins a `plugins.tml` registers, in its order.

    Parameters:
        source: the file's bytes: UTF-8, or as its coding line says.
        file: its name, for messages.
        drop_in: the package it is in.

    Raises:
        PluginError: it is no such file; `where` is `file:line:column`.
    """
    try:
        with warnings.catch_warnings():  # an odd escape in a description is not our user's fault
            warnings.simplefilter("ignore")
            tree: Any = compile(source, file, "exec", _ast.PyCF_ONLY_AST, dont_inherit=True)
    except SyntaxError as error:
        where = f"{file}:{error.lineno or 1}:{error.offset or 1}"
        raise PluginError(f"a drop-in can't be read: {error.msg}", where, _REMEDY) from error
    except (ValueError, RecursionError, MemoryError) as error:
        reason = str(error) or "it is nested too deep"
        raise PluginError(f"a drop-in can't be read: {reason}", f"{file}:1:1", _REMEDY) from error
    plugins = []
    for statement in tree.body:
        call = statement.value if isinstance(statement, _ast.Expr) else None
        if isinstance(call, _ast.Constant) and isinstance(call.value, str):
            continue  # a docstring
        if not (
            isinstance(call, _ast.Call)
            and isinstance(call.func, _ast.Name)
            and call.func.id == "register"
        ):
            raise _fault("a drop-in can't be read: this is no register(...)", file, statement)
        plugins.append(_registered(call, file, drop_in))
    return plugins


def _registered(call: Any, file: str, drop_in: str) -> PlugIn:
    values = _arguments(call, file)
    for key in ("name", "module"):
        if not isinstance(values.get(key), str) or not values[key]:
            raise _fault(f"register() needs its {key}, a string", file, call)
    for key in _FIELDS:
        if not isinstance(values.get(key, ""), str):
            raise _fault(f"register(): {key} must be a string", file, call)
    if not all(part.isidentifier() for part in values["module"].split(".")):
        raise _fault(f"{values['module']!r} is not the name of a module", file, call)
    data = {k: v for k, v in values.items() if k not in ("name", "module", *_FIELDS)}
    fields = {key: values[key] for key in _FIELDS if key in values}
    where = f"{file}:{call.lineno}"
    plugin = PlugIn(
        values["name"], values["module"], **fields, data=data, where=where, drop_in=drop_in
    )
    if plugin.type == "tap" and not is_tapname(plugin.tapname):
        # It is typed as a command, and names the image file.
        raise _fault(f"{plugin.tapname!r} can't be a command's name (tapname)", file, call)
    return plugin


def is_tapname(name: str) -> bool:
    """Whether a name can be typed as a command and name a file."""
    return name[:1].isalnum() and all(c.isalnum() or c in "-_.+" for c in name)


def _arguments(call: Any, file: str) -> dict[str, Any]:
    if len(call.args) > 2:
        raise _fault("register() takes a name and a module; the rest needs keywords", file, call)
    values = {
        key: _literal(node, file) for key, node in zip(("name", "module"), call.args, strict=False)
    }
    for keyword in call.keywords:
        if keyword.arg is None:
            raise _fault("register(**...) is not a literal", file, keyword.value)
        if keyword.arg in values:
            raise _fault(f"register() is told its {keyword.arg} twice", file, keyword.value)
        values[keyword.arg] = _literal(keyword.value, file)
    return values


def _literal(node: Any, file: str) -> Any:
    """The value of a literal. Depth is bounded: the parser refuses 200 open brackets."""
    if isinstance(node, _ast.Constant) and node.value is not ...:
        return node.value
    if isinstance(node, _ast.UnaryOp) and isinstance(node.op, (_ast.USub, _ast.UAdd)):
        number = node.operand.value if isinstance(node.operand, _ast.Constant) else None
        if isinstance(number, (int, float, complex)) and not isinstance(number, bool):
            return -number if isinstance(node.op, _ast.USub) else number
    if isinstance(node, (_ast.List, _ast.Tuple, _ast.Set)):
        items = [_literal(item, file) for item in node.elts]
        if isinstance(node, _ast.List):
            return items
        return tuple(items) if isinstance(node, _ast.Tuple) else _hashed(set, items, file, node)
    if isinstance(node, _ast.Dict) and None not in node.keys:
        pairs = [
            (_literal(key, file), _literal(value, file))
            for key, value in zip(node.keys, node.values, strict=True)
        ]
        return _hashed(dict, pairs, file, node)
    raise _fault("this is not a literal (text, number, list, dict ...)", file, node)


def _hashed(kind: Any, items: list[Any], file: str, node: Any) -> Any:
    try:
        return kind(items)
    except TypeError as error:
        raise _fault(str(error), file, node) from error


def _fault(what: str, file: str, node: Any) -> PluginError:
    return PluginError(what, f"{file}:{node.lineno}:{node.col_offset + 1}", _REMEDY)


def _printable(text: str) -> str:
    """One line that plays no tricks on a terminal."""
    line = " ".join(text.split())
    return line if line.isprintable() else "".join(c if c.isprintable() else "?" for c in line)
