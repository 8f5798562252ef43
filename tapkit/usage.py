"""Options: what a program or a TAP builder can be told on its command line.

    class Options(usage.Options):
        synopsis = "[options]"
        optFlags = [["quiet", "q", "Say less."]]
        optParameters = [["port", "p", 8007, "Listen here.", int]]

        def opt_user(self, name):
            "Add a user. Methods are called in the order of the command line."

    config = Options()
    config.parseOptions(["-q", "--port", "80"])
    config["port"]  # 80

The class says everything once; the docopt grammar that reads the command line and the help
text are made from it. Nothing here prints or exits: `--help` raises `HelpRequested`.
"""

from __future__ import annotations

import os
import sys

from tapkit.errors import TapkitError, UsageError
from tapkit.names import refuse_misspelt_hooks, suggestion
from tapkit.options import table
from tapkit.options.command_line import parse
from tapkit.options.grammar import REQUESTS, Grammar
from tapkit.options.help_text import NO_BREAK, paragraphs, terminal_width, two_columns
from tapkit.options.secrecy import HIDDEN, hide_secrets, is_secret, public_options, shown
from tapkit.options.table import Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    _Mapping = dict[str, Any]
else:
    _Mapping = dict

__all__ = [
    "HelpRequested",
    "Options",
    "UsageError",
    "VersionRequested",
    "is_secret",
    "public_options",
]

HOOKS = (
    "optFlags",
    "optParameters",
    "subCommands",
    "defaultSubCommand",
    "parseArgs",
    "postOptions",
    "parseOptions",
    "getUsage",
    "getSynopsis",
)


class HelpRequested(Exception):  # noqa: N818  # a request, like SystemExit, is no error
    """The command line asks for a text instead of work: print `text` and exit with status 0."""

    def __init__(self, text: str):
        super().__init__(text)
        self.text = text


class VersionRequested(HelpRequested):
    """The text asked for is the version."""


class Options(_Mapping):
    """The options of a program: declared by class attributes, read from a command line.

    Override or set:
        optFlags: rows `[long, short, doc]`; the value is False or True.
        optParameters: rows `[long, short, default, doc, coerce]`. `coerce` makes the value of
            the text and may raise ValueError; the default is not coerced. `bool` reads yes
            and no.
        opt_NAME(self) or opt_NAME(self, value): called for each `--NAME`, in the order of the
            command line. `opt_x = opt_NAME` makes `-x` a short form. A ValueError or
            UsageError refuses the value.
        parseArgs(self, ...): takes the positional arguments.
        postOptions(self): called last; may raise UsageError.
        subCommands: rows `[name, shortcut, Options class, doc]`; `defaultSubCommand` names one.
        synopsis, longdesc: for the help text.

    Attributes:
        program: the command's name for help and errors; by default the running script's.
        subCommand, subOptions: the sub-command given and its Options; else None.
        parent: the Options that this is the sub-command of.
    """

    optFlags: Any = []
    optParameters: Any = []
    subCommands: Any = []
    defaultSubCommand: str | None = None
    synopsis: str | None = None
    longdesc: str | None = None
    program: str | None = None
    parent: Options | None = None
    subCommand: str | None = None
    subOptions: Options | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        refuse_misspelt_hooks(cls, HOOKS)
        table.declared(cls)
        table.check_subcommands(cls)

    def __init__(self) -> None:
        super().__init__(table.defaults(type(self)))

    @property
    def opts(self) -> Options:
        """The mapping itself, by the name early Twisted gave it."""
        return self

    @property
    def docs(self) -> dict[str, str]:
        """The documentation of every option, by its long name."""
        return {name: option.doc for name, option in table.declared(type(self)).items()}

    def __repr__(self) -> str:
        shown = (
            f"{name!r}: {HIDDEN if value and is_secret(str(name), value) else repr(value)}"
            for name, value in self.items()
        )
        return f"{type(self).__qualname__}({{{', '.join(shown)}}})"

    def __str__(self) -> str:
        return self.getUsage()

    def parseOptions(self, argv: list[str] | None = None) -> None:
        """Read a command line.

        Parameters:
            argv: the arguments without the program's name; None is the running program's.

        Raises:
            UsageError: it does not fit; the message never holds a secret option's value.
            HelpRequested, VersionRequested: `--help`, `--version`; the rest is then ignored.
        """
        grammar = self._grammar()
        given = parse(
            grammar.doc,
            sys.argv[1:] if argv is None else argv,
            prog=self.program_name(),
            options_first=bool(self.subCommands),
        )
        options = [(grammar.options[name], value) for name, value in given.occurrences]
        options.sort(key=lambda pair: pair[0].method not in REQUESTS)  # stable: order is kept
        positional = grammar.positional(given.arguments)
        try:
            for option, value in options:
                self._take(option, value)
            self._take_positional(positional)
            self.postOptions()
        except TapkitError as error:
            secrets = [(option.key, value) for option, value in options]
            hide_secrets(error, secrets + grammar.named(positional))
            raise

    def parseArgs(self, *args: Any, **kwargs: Any) -> None:
        """Take the positional arguments. This one takes none: override it with its own."""

    def postOptions(self) -> None:
        """Check what was given, once all of it is known. Raise UsageError to refuse it."""

    def opt_help(self) -> None:
        """Show this help."""
        raise HelpRequested(self.getUsage())

    opt_h = opt_help  # a class that wants -h for itself has it: a derived class wins

    def opt_version(self) -> None:
        """Show the version."""
        from tapkit import __version__

        raise VersionRequested(f"{self.program_name()} (tapkit) {__version__}\n")

    def program_name(self) -> str:
        """The command, as it is typed: `mktap web`."""
        if self.program:
            return self.program
        if self.parent is not None:
            return f"{self.parent.program_name()} {self.parent.subCommand}"
        return os.path.basename(sys.argv[0]) if sys.argv and sys.argv[0] else "program"

    def getSynopsis(self) -> str:
        """The first line of the help: how the command is typed."""
        synopsis = self._grammar().synopsis if self.synopsis is None else self.synopsis.strip()
        if synopsis.lower().startswith("usage:"):
            return synopsis
        return f"Usage: {self.program_name()} {synopsis}"

    def getUsage(self, width: int | None = None) -> str:
        """The help text.

        Parameters:
            width: columns of the terminal; None asks it.
        """
        width = width or terminal_width()
        shown_options = sorted(
            table.declared(type(self)).values(), key=lambda o: o.method in REQUESTS
        )
        parts = [self.getSynopsis() + "\n"]
        if self.longdesc:
            parts.append(paragraphs(self.longdesc, width))
        parts.append("Options:\n" + two_columns(map(_help_row, shown_options), width))
        if self.subCommands:
            rows = [
                (f"{name}, {short}" if short else name, doc or "")
                for name, short, _, doc in self.subCommands
            ]
            parts.append("Commands:\n" + two_columns(rows, width))
        return "\n".join(parts)

    def _grammar(self) -> Grammar:
        takes: tuple[list[str], int, str | None] = [], 0, None
        if self.subCommands:
            takes = ["command"], 0, "args"
        elif type(self).parseArgs is not Options.parseArgs:
            takes = table.positionals(self.parseArgs)
        return Grammar(table.declared(type(self)).values(), takes)

    def _take(self, option: Option, value: str | None) -> None:
        try:
            if option.method:
                getattr(self, option.method)(*([value] if option.takes_value else []))
            elif value is None:
                self[option.key] = True
            else:
                self[option.key] = _coerced(option.coerce, value)
        except (ValueError, TypeError, TapkitError) as error:
            # A method speaks for itself, and its TypeError is a fault of the program.
            if option.method and (value is None or not isinstance(error, ValueError)):
                raise
            secret = is_secret(option.key, value)
            raise _refused(option, value or "", error) from (None if secret else error)

    def _take_positional(self, values: list[str]) -> None:
        if self.subCommands and not values and self.defaultSubCommand is not None:
            values = [self.defaultSubCommand]
        if not self.subCommands or not values:
            self.parseArgs(*values)
            return
        for name, short, parser, _ in self.subCommands:
            if values[0] in (name, short):
                self.subCommand = name
                self.subOptions = parser()
                self.subOptions.parent = self
                self.subOptions.parseOptions(values[1:])
                return
        close = suggestion(values[0], [row[0] for row in self.subCommands])
        hint = None if close else f"see {self.program_name()} --help"
        raise UsageError(f"unknown command {shown(values[0])}{close}", None, hint)


_YES_NO = {"yes": True, "true": True, "on": True, "1": True}
_YES_NO |= {"no": False, "false": False, "off": False, "0": False}
_KINDS: dict[Any, str] = {int: "a whole number", float: "a number", bool: "yes or no"}


def _coerced(coerce: Callable[[str], Any] | None, value: str) -> Any:
    if coerce is None:
        return value
    if coerce is bool:  # bool("no") is True
        if value.lower() not in _YES_NO:
            raise ValueError
        return _YES_NO[value.lower()]
    return coerce(value)


def _refused(option: Option, value: str, error: Exception) -> UsageError:
    """What `coerce`, or a method, has against a value."""
    kind = _KINDS.get(option.coerce)
    if is_secret(option.key, value):
        return UsageError(f"{option.name}: the value {HIDDEN} is not {kind or 'valid'}")
    if kind:
        return UsageError(f"{option.name}: {value!r} is not {kind}")
    reason = "" if isinstance(error, TypeError) else str(error)
    if repr(value) in reason or value in [word.strip(":;,.()") for word in reason.split()]:
        return UsageError(f"{option.name}: {reason}")
    name = getattr(option.coerce, "__name__", "<lambda>")
    named = "valid" if name.startswith("<") else f"a valid {name}"
    return UsageError(f"{option.name}: {value!r}: {reason or 'not ' + named}")


def _help_row(option: Option) -> tuple[str, str]:
    shorts = "".join(f"-{short}, " for short in option.shorts) or "    "
    name = f"{shorts}--{option.long}" if option.long else shorts.rstrip(", ")
    if option.takes_value:
        name += "=" if option.long else " "
        name += (option.long or "value").rpartition("-")[2].upper()
    notes = [option.doc]
    if option.coerce in _KINDS:
        notes.append(f"({_KINDS[option.coerce]})".replace(" ", NO_BREAK))
    if option.default not in (None, "", False) and not is_secret(option.key, str(option.default)):
        notes.append(f"[default: {option.default}]".replace(" ", NO_BREAK))
    return name, " ".join(filter(None, notes))
