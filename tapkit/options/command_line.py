"""Command lines, read with docopt; the errors and the order of options are ours.

docopt's own answer to a mistake is the usage text, it forgets the order of repeated options,
and it knows one spelling of a name. So the tokens are resolved here, against the options
docopt finds in the usage text (`_Scan`), and docopt's pattern matches what they resolve to.
docopt is imported when the first command line is read: it costs some 15 ms.
"""

from __future__ import annotations

import collections

from tapkit.errors import UsageError
from tapkit.names import suggestion
from tapkit.options.secrecy import is_secret, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


class Parsed:
    """A command line as it was read.

    `arguments` is docopt's mapping of names to values (`{"--port": "80", "NAME": "x"}`; an
    option given twice has its last value). `occurrences` is every option that was given,
    with its value (None for a flag), in the order of the command line.
    """

    __slots__ = ("arguments", "occurrences")

    def __init__(self, arguments: dict[str, Any], occurrences: list[tuple[str, str | None]]):
        self.arguments = arguments
        self.occurrences = occurrences


def parse(doc: str, argv: Sequence[str], *, prog: str, options_first: bool = False) -> Parsed:
    """Read a command line as the docopt usage text `doc` says.

    Parameters:
        doc: the usage text. `--help` and `--version` are options like any other.
        argv: the arguments, without the program's name.
        prog: the program, for the hint where to find help.
        options_first: what follows the first positional argument is positional too.

    Long options may be written with `-` or `_` and cut short as long as they are
    unambiguous. An option that is a whole line of the usage (`PROG --help`) makes the rest
    of the command line, if it has no mistakes, irrelevant.

    Raises:
        UsageError: the command line does not fit; the message names the token at fault and
            never contains the value of a secret option.
    """
    docopt = _docopt()
    sections = docopt.parse_docstring_sections(doc)
    options = [
        *docopt.parse_options(sections.before_usage),
        *docopt.parse_options(sections.after_usage),
    ]
    pattern = docopt.parse_pattern(docopt.formal_usage(sections.usage_body), options)
    explicit = set(pattern.flat(docopt.Option))
    for shortcut in pattern.flat(docopt.OptionsShortcut):
        shortcut.children = [option for option in options if option not in explicit]
    scan = _Scan(docopt, options, f"see {prog} --help")
    scan.hides_strays = any(is_secret(leaf.name) for leaf in pattern.flat(docopt.Argument))
    scan.read(argv, options_first)
    _fix(docopt, pattern)
    return Parsed(_match(docopt, pattern, scan), scan.occurrences)


def _docopt() -> Any:
    import docopt

    if not hasattr(docopt, "parse_docstring_sections"):
        raise UsageError(
            "the docopt module is not docopt-ng's",
            docopt.__file__,
            "pip uninstall docopt, then pip install --force-reinstall docopt-ng",
        )
    return docopt


class _Scan:
    """The tokens of a command line, resolved to docopt's options and arguments."""

    def __init__(self, docopt: Any, options: list[Any], hint: str):
        self.docopt = docopt
        self.hint = hint
        self.longs = {_dashed(o.longer): o for o in options if o.longer}
        self.shorts = {o.short: o for o in options if o.short}
        self.occurrences: list[tuple[str, str | None]] = []
        self.hides_strays = False
        self.options: list[Any] = []
        self.arguments: list[Any] = []
        self._tokens: list[str] = []
        self._next = 0
        self._after_secret: str | None = None
        self._strays: dict[int, str] = {}

    def read(self, argv: Sequence[str], options_first: bool) -> None:
        self._tokens = list(argv)
        while self._next < len(self._tokens):
            token = self._take()
            if token == "--":
                break
            if token.startswith("--"):
                self._long(token)
            elif token.startswith("-") and token != "-" and not self._is_number(token):
                self._cluster(token)
            else:
                self._argument(token)
                if options_first:
                    break
        while self._next < len(self._tokens):
            self._argument(self._take())

    def describe_stray(self, argument: Any) -> str:
        """An argument as an error may show it."""
        return "(not shown: part of a secret?)" if self.hides_strays else self._strays[id(argument)]

    def _take(self) -> str:
        self._next += 1
        return self._tokens[self._next - 1]

    def _is_number(self, token: str) -> bool:
        if token[:2] in self.shorts:
            return False
        try:
            float(token)
        except ValueError:
            return False
        return True

    def _argument(self, token: str) -> None:
        argument = self.docopt.Argument(None, token)
        self.arguments.append(argument)
        # A passphrase typed without quotes goes on in the arguments after its option.
        secret = self._after_secret
        self._strays[id(argument)] = (
            f"after {secret} (not shown: part of a secret?)" if secret else shown(token)
        )

    def _long(self, token: str) -> None:
        name, equals, value = token.partition("=")
        option = self._resolve(name)
        if not option.argcount:
            if equals:
                raise self._error(f"{option.longer} takes no value")
            self._option(option, None)
        else:
            self._option(option, value if equals else self._value_of(option))

    def _resolve(self, name: str) -> Any:
        dashed = _dashed(name)
        if dashed in self.longs:
            return self.longs[dashed]
        candidates = [long for long in self.longs if long.startswith(dashed) and dashed != "--"]
        if len(candidates) == 1:
            return self.longs[candidates[0]]
        if candidates:
            names = " or ".join(self.longs[long].longer for long in candidates)
            raise UsageError(f"{_plain(name)} is ambiguous: {names}?")
        raise self._unknown(_plain(name), self._closest(dashed))

    def _closest(self, name: str) -> str:
        """As names.suggestion, without the dashes that would make all names alike."""
        import difflib  # slow to import, and only mistakes need it

        known = [long[2:] for long in self.longs]
        close = difflib.get_close_matches(name[2:], known, n=1, cutoff=0.7)
        return f"; did you mean {self.longs['--' + close[0]].longer}?" if close else ""

    def _cluster(self, token: str) -> None:
        """Short options: `-n`, `-nq`, `-p 80`, `-p80`, `-np80`."""
        for position in range(1, len(token)):
            short = "-" + token[position]
            option = self.shorts.get(short)
            if option is None:
                close = self.longs.get(_dashed("-" + token))
                raise self._unknown(
                    _plain(short), f"; did you mean {close.longer}?" if close else ""
                )
            if option.argcount:
                self._option(option, token[position + 1 :] or self._value_of(option))
                return
            self._option(option, None)

    def _value_of(self, option: Any) -> str:
        if self._next == len(self._tokens) or self._tokens[self._next] == "--":
            raise self._error(f"{option.name} needs a value")
        return self._take()

    def _option(self, option: Any, value: str | None) -> None:
        name: str = option.name
        self.occurrences.append((name, value))
        self._after_secret = name if value is not None and is_secret(name, value) else None
        given = True if value is None else value
        self.options.append(self.docopt.Option(option.short, option.longer, option.argcount, given))

    def _unknown(self, name: str, close: str) -> UsageError:
        return self._error(f"unknown option {name}{close}", hint=not close)

    def _error(self, what: str, hint: bool = True) -> UsageError:
        return UsageError(what, None, self.hint if hint else None)


def _match(docopt: Any, pattern: Any, scan: _Scan) -> dict[str, Any]:
    """docopt's mapping of what was scanned, or the UsageError that says why there is none."""
    alternatives = _alternatives(docopt, pattern)
    given = _last_of_each(pattern, scan.options)
    alone = [option for option in given if _stands_alone(option, docopt, alternatives)]
    tokens = alone[:1] or given + scan.arguments
    matched, left, collected = pattern.match(tokens)
    if not matched or left:
        raise _misfit(docopt, alternatives, tokens, scan)
    arguments = {leaf.name: leaf.value for leaf in pattern.flat() + collected}
    for leaf in pattern.flat(docopt.Option):
        if type(leaf.value) is list and any(name == leaf.name for name, _ in scan.occurrences):
            # docopt gathers a repeated option anew for every usage line, on the same list.
            arguments[leaf.name] = [v for name, v in scan.occurrences if name == leaf.name]
    return arguments


def _fix(docopt: Any, pattern: Any) -> None:
    """As docopt's `pattern.fix()`: equal leaves become one, and gather values where they repeat.

    docopt compares every leaf with every other by their reprs, and writes out every alternative
    of the usage: 20 ms for twistd's options.
    """
    one: dict[Any, Any] = {}
    branches = [pattern]
    for branch in branches:
        for index, child in enumerate(branch.children):
            if hasattr(child, "children"):
                branches.append(child)
            else:
                branch.children[index] = one.setdefault(_key(docopt, child), child)
    counted = _most(docopt, pattern)
    for leaf in one.values():
        if counted[id(leaf)] < 2:
            continue
        if type(leaf) is docopt.Command or (type(leaf) is docopt.Option and not leaf.argcount):
            leaf.value = 0
        elif type(leaf.value) is not list:
            leaf.value = [] if leaf.value is None else leaf.value.split()


def _key(docopt: Any, leaf: Any) -> Any:
    """What makes two leaves one."""
    if type(leaf) is docopt.Option:
        return leaf.short, leaf.longer, leaf.argcount, repr(leaf.value)
    return type(leaf), leaf.name, repr(leaf.value)


def _most(docopt: Any, pattern: Any) -> collections.Counter[int]:
    """How often each leaf, by its id, can be met in one command line; 2 is as good as more."""
    if not hasattr(pattern, "children"):
        return collections.Counter({id(pattern): 1})
    counted: collections.Counter[int] = collections.Counter()
    for child in pattern.children:
        if type(pattern) is docopt.Either:
            counted |= _most(docopt, child)
        else:
            counted.update(_most(docopt, child))
    if type(pattern) is docopt.OneOrMore:
        counted.update(counted.copy())
    return counted


def _alternatives(docopt: Any, pattern: Any) -> list[Any]:
    """The lines of the usage."""
    while type(pattern) is docopt.Required and len(pattern.children) == 1:
        pattern = pattern.children[0]
    return list(pattern.children) if type(pattern) is docopt.Either else [pattern]


def _stands_alone(option: Any, docopt: Any, alternatives: list[Any]) -> bool:
    return not option.argcount and any(
        [leaf.name for leaf in line.flat()] == [option.name] for line in alternatives
    )


def _last_of_each(pattern: Any, options: list[Any]) -> list[Any]:
    """The last occurrence of every option, all of one that the usage lets repeat."""
    repeatable = {leaf.name for leaf in pattern.flat() if type(leaf.value) in (int, list)}
    last = {option.name: option for option in options}
    return [o for o in options if o.name in repeatable or last[o.name] is o]


def _misfit(docopt: Any, alternatives: list[Any], tokens: list[Any], scan: _Scan) -> UsageError:
    """Why the tokens fit no line of the usage, after the line that they fit best."""
    best: tuple[int, Any, list[Any]] | None = None
    for line in alternatives:
        missing, left = _first_missing(docopt, line, tokens)
        score = len(tokens) - len(left)
        if best is None or score > best[0] or (score == best[0] and best[1] and not missing):
            best = score, missing, left
    assert best is not None, "docopt refuses a text without a usage line"
    _, missing, left = best
    stray = next((token for token in left if type(token) is docopt.Argument), None)
    if missing is None or (stray is not None and type(missing) is not docopt.Command):
        return _left_over(stray, left, scan)
    if type(missing) is docopt.Argument:
        return scan._error(f"missing argument {missing.name.strip('<>').upper()}")
    if type(missing) is docopt.Command:
        commands = {leaf.name for line in alternatives for leaf in line.flat(docopt.Command)}
        if stray is None:
            return scan._error(f"missing command: {' or '.join(sorted(commands))}")
        close = suggestion(stray.value, commands)
        return scan._error(f"unknown command {scan.describe_stray(stray)}{close}", not close)
    names = " or ".join(leaf.name for leaf in missing.flat())
    return scan._error(f"{names} is required")


def _first_missing(docopt: Any, line: Any, tokens: list[Any]) -> tuple[Any, list[Any]]:
    """The first part of a usage line that is not met, if any, and what stays unused."""
    left: list[Any] = tokens
    collected: list[Any] = []
    missing = None
    for part in line.children if type(line) is docopt.Required else [line]:
        matched, left, collected = part.match(left, collected)
        if not matched and missing is None:
            leaves = part.flat()
            missing = leaves[0] if len(leaves) == 1 else part
            if part.flat(docopt.Command):
                break  # the arguments that follow depend on the command
    return missing, left


def _left_over(stray: Any, left: list[Any], scan: _Scan) -> UsageError:
    if stray is not None:
        return scan._error(f"unexpected argument {scan.describe_stray(stray)}")
    return scan._error(f"{left[0].name} does not go with the rest")


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _plain(text: str) -> str:
    """Text without what would play tricks on a terminal."""
    return text if text.isprintable() else ascii(text)[1:-1]
