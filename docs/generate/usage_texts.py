"""The usage texts of all commands, taken apart: they are the one place that says how it is."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path
from typing import NamedTuple

from tapkit.scripts import tapctl

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAMS = ("mktap", "tapconvert", "tapctl", "twistd")

_OPTION = re.compile(r"  (-\S.*?)(?:  +(\S.*))?$")  # names, then two blanks, then what it does
_NAME = re.compile(r"(--?[\w-]+)(?:[= ]([A-Z=]+))?")


class Option(NamedTuple):
    """An option: its spellings, the name of its value (None: it takes none), what it does."""

    shorts: tuple[str, ...]
    longs: tuple[str, ...]
    value: str | None
    about: str


class Text(NamedTuple):
    """A command's usage text: `name` is "twistd" or "tapctl status"."""

    name: str
    summary: str
    usage: list[str]
    paragraphs: list[str]
    options: list[Option]
    exit_status: str

    @property
    def arguments(self) -> list[str]:
        """The names of its positional arguments, in the order they are met."""
        words = re.findall(r"(?<![=\w])[A-Z]+\b", " ".join(self.usage))
        return list(dict.fromkeys(words))

    @property
    def words(self) -> list[str]:
        """The words it takes as they are: `bash` of `tapctl completion bash`."""
        plain = [re.sub(r"--?\S+|[\[\]()|]|\.\.\.", " ", line).split() for line in self.usage]
        rest = [word for line in plain for word in line[len(self.name.split()) :]]
        return list(dict.fromkeys(word for word in rest if word.islower() and word != "options"))


def programs() -> list[Text]:
    """The commands in bin/."""
    return [taken_apart(name, _docstring(ROOT / "bin" / name)) for name in PROGRAMS]


def tapctl_commands() -> list[Text]:
    """The commands of tapctl, in the order of the alphabet."""
    return [
        taken_apart(f"tapctl {name}", importlib.import_module(module).USAGE)
        for name, (module, _) in sorted(tapctl.COMMANDS.items())
    ]


def taken_apart(name: str, text: str) -> Text:
    """The parts of a usage text."""
    summary, *blocks = text.strip().split("\n\n")
    usage: list[str] = []
    paragraphs: list[str] = []
    options: list[Option] = []
    exit_status = ""
    for block in blocks:
        heading, _, rest = block.partition(":")
        if heading == "Usage":
            lines, _, after = rest.strip("\n").partition("\n\n")
            usage += [line.strip() for line in lines.splitlines() if line.startswith("  ")]
            paragraphs += [line for line in [after.strip()] if line]
        elif heading == "Options":
            options += _options(rest.strip("\n"))
        elif heading == "Exit status":
            exit_status = " ".join(rest.split())
        else:
            paragraphs.append(block)
    return Text(name, " ".join(summary.split()), usage, paragraphs, options, exit_status)


def _docstring(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text()), clean=False)
    assert text, f"{path} has no docstring"
    return text


def _options(rows: str) -> list[Option]:
    found: list[tuple[str, list[str]]] = []
    for line in rows.splitlines():
        if met := _OPTION.fullmatch(line):
            found.append((met[1], [met[2]] if met[2] else []))
        else:
            found[-1][1].append(line.strip())
    return [_option(names, " ".join(about)) for names, about in found]


def _option(names: str, about: str) -> Option:
    spellings = [_NAME.fullmatch(name.strip()) for name in names.split(", ")]
    assert all(spellings), f"not understood as an option: {names!r}"
    told = [met for met in spellings if met is not None]
    values = [met[2] for met in told if met[2]]
    shorts = tuple(met[1] for met in told if not met[1].startswith("--"))
    longs = tuple(met[1] for met in told if met[1].startswith("--"))
    return Option(shorts, longs, values[0] if values else None, about)
