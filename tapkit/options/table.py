"""What an Options class declares: its rows and `opt_` methods, gathered over its bases.

A name is declared with `-` or `_` and shown and looked up with `-`. A derived class wins: its
row or method replaces the base's of that name, and takes a short letter away from another.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

_VARARGS = 0x04  # inspect.CO_VARARGS, without importing inspect


class Option:
    """One option. `key` is its name in the mapping, `method` the method that takes it."""

    __slots__ = ("coerce", "default", "doc", "key", "long", "method", "shorts", "takes_value")

    def __init__(self, key: str, *, takes_value: bool, method: str | None = None):
        self.key = key
        self.long = key.replace("_", "-") if len(key) > 1 or method is None else None
        self.shorts: list[str] = [] if self.long else [key]
        self.doc = ""
        self.takes_value = takes_value
        self.default: Any = None
        self.coerce: Callable[[str], Any] | None = None
        self.method = method

    @property
    def name(self) -> str:
        """The option as it is typed: `--port`, or `-p` where there is no long form."""
        return f"--{self.long}" if self.long else f"-{self.shorts[0]}"

    def spellings(self) -> list[str]:
        """All the option can be typed as, short forms first."""
        return [f"-{short}" for short in self.shorts] + ([f"--{self.long}"] if self.long else [])


def declared(cls: type) -> dict[str, Option]:
    """The options of a class by their (dashed) names, a base's before its derived class's.

    Raises:
        TypeError: a row or a method is no declaration; the message names it and its class.
    """
    options: dict[str, Option] = {}
    for base in reversed(cls.__mro__):
        own: dict[str, Option] = {}
        for option in [*_rows(base, "optFlags", 3), *_rows(base, "optParameters", 5)]:
            _add_row(base, option, own)
        for option in _methods(cls, base):
            _add_method(option, own, options)
        for name, option in own.items():
            letters = set(option.shorts)
            for other in options.values():
                other.shorts = [short for short in other.shorts if short not in letters]
            options[name] = option
        _drop_withdrawn(base, options)
    return {name: option for name, option in options.items() if option.long or option.shorts}


def _drop_withdrawn(base: type, options: dict[str, Option]) -> None:
    """`opt_NAME = None` in a derived class takes back a base's option, or a short form."""
    for attribute, value in vars(base).items():
        if value is None and attribute.startswith("opt_"):
            options.pop(attribute[4:].replace("_", "-"), None)
            for option in options.values():
                option.shorts = [short for short in option.shorts if short != attribute[4:]]


def defaults(cls: type) -> dict[str, Any]:
    """What an Options mapping holds before a command line was read."""
    return {
        option.key: option.default
        for base in reversed(cls.__mro__)
        for option in [*_rows(base, "optFlags", 3), *_rows(base, "optParameters", 5)]
    }


def check_subcommands(cls: type) -> None:
    """Refuse malformed `subCommands` rows with a TypeError."""
    for row in _own_list(cls, "subCommands"):
        if (
            not isinstance(row, (list, tuple))
            or len(row) != 4
            or not isinstance(row[0], str)
            or not callable(row[2])
        ):
            raise TypeError(
                f"{cls.__name__}.subCommands: {row!r} is not [name, shortcut, Options class, doc]"
            )


def positionals(function: Any) -> tuple[list[str], int, str | None]:
    """The positional parameters of a bound method: names, how many are required, `*` name."""
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    if code is None or not hasattr(function, "__func__"):
        return [], 0, "args"  # a callable of another kind checks its own arguments
    names = list(code.co_varnames[1 : code.co_argcount])
    rest = None
    if code.co_flags & _VARARGS:
        rest = code.co_varnames[code.co_argcount + code.co_kwonlyargcount]
    return names, len(names) - len(function.__func__.__defaults__ or ()), rest


def _own_list(cls: type, attribute: str) -> list[Any]:
    rows = vars(cls).get(attribute, ())
    if isinstance(rows, property):
        return []  # it is computed: only the instance knows
    if not isinstance(rows, (list, tuple)):
        raise TypeError(f"{cls.__name__}.{attribute} is not a list: {rows!r}")
    return list(rows)


def _rows(cls: type, attribute: str, width: int) -> Iterator[Option]:
    """The options of `[long, short, doc]` or `[long, short, default, doc, coerce]` rows.

    Missing columns are None. One more column, completion data in later Twisteds, is ignored.
    """
    for row in _own_list(cls, attribute):
        place = f"{cls.__name__}.{attribute}: {row!r}"
        if not isinstance(row, (list, tuple)) or not 1 <= len(row) <= width + 1:
            raise TypeError(f"{place} is not a row of up to {width} columns")
        columns: list[Any] = list(row) + [None] * (width - len(row))
        long, short = columns[:2]
        if not _is_name(long):
            raise TypeError(f"{place}: the long name must be letters, digits, - and _")
        if short and not (isinstance(short, str) and len(short) == 1 and short.isalnum()):
            raise TypeError(f"{place}: the short name must be one letter or digit, or None")
        option = Option(long, takes_value=attribute == "optParameters")
        option.shorts = [short] if short else []
        option.doc = columns[3 if option.takes_value else 2] or ""
        if option.takes_value:
            option.default, option.coerce = columns[2], columns[4]
        else:
            option.default = False
        if option.coerce is not None and not callable(option.coerce):
            raise TypeError(f"{place}: the coerce column must be callable")
        if not isinstance(option.doc, str):
            raise TypeError(f"{place}: the doc column must be text")
        yield option


def _is_name(name: object) -> bool:
    return (
        isinstance(name, str)
        and name[:1].isalnum()
        and all(c.isalnum() or c in "-_." for c in name)
        and name.isascii()
    )


def _add_row(cls: type, option: Option, own: dict[str, Option]) -> None:
    name = option.key.replace("_", "-")
    if name in own:
        raise TypeError(f"{cls.__name__} declares the option {option.name} twice")
    taken = next((o for o in own.values() if set(o.shorts) & set(option.shorts)), None)
    if taken:
        raise TypeError(
            f"{cls.__name__}: {option.name} and {taken.name} are both -{option.shorts[0]}"
        )
    own[name] = option


def _add_method(option: Option, own: dict[str, Option], inherited: dict[str, Option]) -> None:
    """A method beside a row of its name, or over a base's option, takes the value.

    The row, or the base, keeps the default and the letters nobody else took.
    """
    name = option.key.replace("_", "-")
    taken = {short for other in own.values() for short in other.shorts}
    row = own.get(name)
    if row is None and name in inherited:
        row = inherited[name]
        option.shorts += [s for s in row.shorts if s not in taken and s not in option.shorts]
    elif row:
        option.shorts = row.shorts + [s for s in option.shorts if s not in row.shorts]
    if row:
        option.doc = option.doc or row.doc
        option.default = row.default
    for other in own.values():
        other.shorts = [short for short in other.shorts if short not in option.shorts]
    own[name] = option


def _methods(cls: type, base: type) -> Iterator[Option]:
    """The options of the `opt_NAME` methods of `base`.

    `opt_x = opt_long` makes `-x` a short form of `--long`; any other one-letter method is an
    option that has only a short form.
    """
    found = {
        name[4:]: function
        for name, function in vars(base).items()
        if name.startswith("opt_") and len(name) > 4 and callable(function)
    }
    longs = {id(function): name for name, function in found.items() if len(name) > 1}
    for name, function in found.items():
        if len(name) == 1 and id(function) in longs:
            continue
        option = Option(name, takes_value=_takes_value(base, name, function), method=f"opt_{name}")
        aliases = [n for n, f in found.items() if f is function and len(n) == 1 and n != name]
        if longs.get(id(function)) in (None, name):
            option.shorts += aliases
        # The derived class may override the method and leave its documentation to the base.
        doc = getattr(cls, f"opt_{name}").__doc__ or function.__doc__ or ""
        option.doc = " ".join(doc.split("\n\n")[0].split())
        yield option


def _takes_value(cls: type, name: str, function: Any) -> bool:
    code = getattr(function, "__code__", None)
    if code is None:
        raise TypeError(f"{cls.__name__}.opt_{name} is not a plain method")
    count = code.co_argcount
    required = count - len(function.__defaults__ or ())
    if count == 0 or required > 2 or code.co_kwonlyargcount > len(function.__kwdefaults__ or {}):
        raise TypeError(
            f"{cls.__name__}.opt_{name} must take self alone (a flag) or self and one value"
        )
    return bool(count > 1)
