"""The docopt grammar of a table of options. Names only: the help and the errors are ours."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from tapkit.options.table import Option

# Methods whose options ask for a text: they win over whatever else is on the command line.
REQUESTS = ("opt_help", "opt_version")


class Grammar:
    """The docopt usage text of an Options: names only, since help and errors are ours."""

    def __init__(self, table: Iterable[Option], takes: tuple[list[str], int, str | None]):
        """`takes`: the positional arguments' names, how many are required, the rest's name."""
        self.options: dict[str, Option] = {}
        lines = []
        requests = []
        for option in table:
            for spelling in _docopt_spellings(option):
                name = spelling.split()[-1]
                self.options[name] = option
                lines.append(f"  {spelling}{'=VALUE' if option.takes_value else ''}")
                if option.method in REQUESTS and not option.takes_value:
                    requests.append(f"  program {name}\n")
        self._names, self._required, self._rest = takes
        self.synopsis = " ".join(["[options]", *self._arguments(str.upper)])
        usage = " ".join(["[options]", *self._arguments("<{}>".format)])
        self.doc = f"Usage:\n  program {usage}\n{''.join(requests)}\nOptions:\n" + "\n".join(lines)

    def _arguments(self, form: Callable[[str], str]) -> list[str]:
        names = [form(name) for name in self._names]
        words = names[: self._required] + [f"[{name}]" for name in names[self._required :]]
        return words + ([f"[{form(self._rest)}...]"] if self._rest else [])

    def positional(self, arguments: dict[str, Any]) -> list[str]:
        """The positional arguments, out of docopt's mapping."""
        values = [arguments[f"<{name}>"] for name in self._names]
        rest = arguments[f"<{self._rest}>"] if self._rest else []
        return [value for value in values if value is not None] + rest

    def named(self, values: list[str]) -> list[tuple[str, str]]:
        """Positional arguments with the names they have in `parseArgs`."""
        names = self._names + [self._rest or ""] * len(values)
        return list(zip(names, values, strict=False))


def _docopt_spellings(option: Option) -> list[str]:
    """docopt knows one short and one long form an option; further short ones stand alone."""
    if option.long is None:
        return [f"-{short}" for short in option.shorts]
    first = f"-{option.shorts[0]} --{option.long}" if option.shorts else f"--{option.long}"
    return [first] + [f"-{short}" for short in option.shorts[1:]]
