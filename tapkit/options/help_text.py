"""The layout of help texts: paragraphs and two aligned columns, wrapped at the terminal's width.

`textwrap` is not used: it costs as much to import as a whole start of Python.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

NO_BREAK = "\xa0"  # in a text to wrap: a blank that stays within its line
_NARROWEST, _WIDEST = 40, 100  # beyond, lines get hard to read
_LEFT_COLUMN = 30


def terminal_width() -> int:
    """Columns of the terminal: `COLUMNS`, or what standard output says, or 80."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isascii() and columns.isdigit() and int(columns):
        width = int(columns)
    else:
        try:
            width = os.get_terminal_size(sys.__stdout__.fileno()).columns  # type: ignore[union-attr]
        except (AttributeError, OSError, ValueError):
            width = 80  # no standard output, or it is no terminal
    return max(_NARROWEST, min(width, _WIDEST))


def wrap(text: str, width: int) -> list[str]:
    """Lines of whole words, at most `width` long unless a word is longer."""
    lines: list[str] = []
    for word in filter(None, text.replace("\n", " ").split(" ")):
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += " " + word
        else:
            lines.append(word)
    return [line.replace(NO_BREAK, " ") for line in lines]


def paragraphs(text: str, width: int) -> str:
    """Text with its paragraphs wrapped; one that has indented lines is kept as it is."""
    lines = [line.rstrip() for line in text.strip("\n").expandtabs().split("\n")]
    margin = min((len(line) - len(line.lstrip()) for line in lines[1:] if line), default=0)
    body = "\n".join([lines[0].lstrip(), *(line[margin:] for line in lines[1:])])
    shown = []
    for paragraph in body.split("\n\n"):
        if any(line.startswith(" ") for line in paragraph.split("\n")):
            shown.append(paragraph.strip("\n"))
        else:
            shown.append("\n".join(wrap(paragraph, width)))
    return "\n\n".join(filter(None, shown)) + "\n"


def two_columns(rows: Iterable[tuple[str, str]], width: int) -> str:
    """Names and their descriptions, aligned; a long name has a line of its own."""
    rows = list(rows)
    longest = max((len(name) for name, _ in rows if len(name) <= _LEFT_COLUMN - 4), default=0)
    indent = longest + 4
    lines = []
    for name, description in rows:
        head = f"  {name}".ljust(indent)
        wrapped = wrap(description, width - indent)
        if len(name) + 4 > indent or not wrapped:
            lines.append(head.rstrip())
            head = " " * indent
        lines += [(" " * indent if number else head) + line for number, line in enumerate(wrapped)]
    return "\n".join(lines) + "\n" if lines else ""
