"""What is wrong in a .tax, said where it is: `file:line:column: what; hint`, the line, a caret."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from tapkit.errors import ImageError

MOST = 20
"""How many mistakes of one file are told."""

_WIDEST = 100


class Mistake(NamedTuple):
    """One thing wrong.

    Attributes:
        where: `file:line:column`, line and column counted from 1.
        what: what is wrong.
        hint: what would be right, or "".
        excerpt: the line, and under it a caret at the column.
    """

    where: str
    what: str
    hint: str
    excerpt: str

    def __str__(self) -> str:
        line = f"{self.where}: {self.what}"
        return f"{line}; {self.hint}" if self.hint else line


class TaxError(ImageError):
    """A .tax that cannot be read, or an image that has no .tax.

    Its first line is the first mistake, and is one line; under it are the line and a caret, and
    then the other mistakes likewise.

    Attributes:
        where: `file:line:column` of the first mistake.
        excerpt: the first mistake's line with a caret under it.
        mistakes: all of them, at most `MOST`.
    """

    def __init__(self, mistakes: Sequence[Mistake], more: int = 0):
        first = mistakes[0]
        super().__init__(first.what, first.where, first.hint or None)
        self.mistakes = list(mistakes)
        self.more = more
        self.excerpt = first.excerpt

    def __str__(self) -> str:
        lines = [f"{mistake}\n{mistake.excerpt}".rstrip() for mistake in self.mistakes]
        if self.more:
            lines.append(f"... and {self.more} more")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[type, tuple[list[Mistake], int]]:
        return type(self), (self.mistakes, self.more)


class Lines:
    """Finds lines in a file's bytes.

    Parameters:
        data: the file, in an encoding in which a newline is the byte 10.
        where: how messages name the file.
    """

    def __init__(self, data: bytes, where: str, encoding: str = "utf-8"):
        self._data = data
        self._file = where
        self._encoding = encoding
        self._starts: list[int] | None = None

    def mistake(self, offset: int, what: str, hint: str = "") -> Mistake:
        """What is wrong at a byte of the file."""
        line, column = self.place(offset)
        return self.mistake_at(line, column, what, hint)

    def mistake_at(self, line: int, column: int, what: str, hint: str = "") -> Mistake:
        """What is wrong at a line and column, both from 1."""
        excerpt = _excerpt(self._line(line), column)
        return Mistake(f"{self._file}:{line}:{column}", _one_line(what), _one_line(hint), excerpt)

    def place(self, offset: int) -> tuple[int, int]:
        """(line, column) of a byte; columns count characters."""
        starts = self._line_starts()
        line = bisect_right(starts, offset)
        before = self._data[starts[line - 1] : offset]
        return line, len(before.decode(self._encoding, "replace")) + 1

    def _line(self, line: int) -> str:
        starts = self._line_starts()
        if line > len(starts):
            return ""
        start = starts[line - 1]
        end = starts[line] if line < len(starts) else len(self._data)
        return self._data[start:end].decode(self._encoding, "replace").rstrip("\r\n")

    def _line_starts(self) -> list[int]:
        if self._starts is None:
            starts, at = [0], self._data.find(b"\n")
            while at >= 0:
                starts.append(at + 1)
                at = self._data.find(b"\n", at + 1)
            self._starts = starts
        return self._starts


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _excerpt(line: str, column: int) -> str:
    """The line with a caret under the column; of a long line, the part around it."""
    line = _one_line(line.expandtabs(1))
    start = max(0, column - _WIDEST // 2) if column > _WIDEST - 20 else 0
    shown = line[start : start + _WIDEST]
    if start:
        shown = "..." + shown[3:]
    return f"    {shown}\n    {' ' * (column - 1 - start)}^"
