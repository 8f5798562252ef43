"""What is wrong in a .tas, or goes beyond what is read, said where it is."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from tapkit.errors import ImageError
from tapkit.image.tax.faults import Lines, Mistake


class SourceError(ImageError):
    """A .tas that cannot be read: `file:line:column: what; hint`, the line and a caret.

    As with `.tax`, its first line is the first mistake; under the excerpt come the others.

    Attributes:
        excerpt: the line, and under it a caret at the column.
        others: what else is wrong, at most `MOST` with the first.
        more: how many mistakes are not told.
    """

    def __init__(
        self,
        what: str,
        where: str,
        hint: str | None = None,
        excerpt: str = "",
        others: Sequence[Mistake] = (),
        more: int = 0,
    ):
        super().__init__(what, where, hint)
        self.excerpt = excerpt
        self.others = list(others)
        self.more = more

    @property
    def mistakes(self) -> list[Mistake]:
        """All mistakes that are told."""
        first = Mistake(self.where or "", self.what, self.remedy or "", self.excerpt)
        return [first, *self.others]

    def __str__(self) -> str:
        lines = [f"{mistake}\n{mistake.excerpt}".rstrip() for mistake in self.mistakes]
        if self.more:
            lines.append(f"... and {self.more} more")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        words = (self.what, self.where, self.remedy, self.excerpt, self.others, self.more)
        return type(self), words


class SourceBeyondError(SourceError):
    """A .tas that is Python, but more than what is read without being run."""


class FaultError(Exception):
    """What is wrong at a node of the syntax tree; `Places` makes a SourceError of it."""

    def __init__(self, at: ast.AST | None, what: str, hint: str = "", beyond: bool = False):
        super().__init__(what)
        self.at = at
        self.what = what
        self.hint = hint
        self.beyond = beyond


class FollowingError(Exception):
    """Nothing is wrong here but what was wrong before: this needs it."""


RUN_IT = "`twistd -s` or `--run` would run it"


def beyond(at: ast.AST | None, what: str) -> FaultError:
    """The construct at `at` is more than is read."""
    what = f"{what} is more than is read without running the file"
    return FaultError(at, what, RUN_IT, beyond=True)


class Places:
    """Makes errors about one file."""

    def __init__(self, source: str, where: str):
        self._source = source
        self._where = where
        self._lines: Lines | None = None

    def error(self, fault: FaultError, line: int, chunk: str) -> SourceError:
        """The error for a fault in the chunk of source that begins on `line`."""
        row = getattr(fault.at, "lineno", 1)
        offset = getattr(fault.at, "col_offset", 0)
        lines = chunk.split("\n", row)
        text = lines[row - 1] if row <= len(lines) else ""
        column = len(text.encode("utf-8", "surrogatepass")[:offset].decode("utf-8", "replace"))
        return self.at(line + row - 1, column + 1, fault.what, fault.hint, fault.beyond)

    def syntax(self, error: SyntaxError, line: int) -> SourceError:
        """The error for source that is no Python."""
        row = (error.lineno or 1) + line - 1
        return self.at(row, error.offset or 1, f"this is not Python ({error.msg})")

    def at(
        self, line: int, column: int, what: str, hint: str = "", beyond: bool = False
    ) -> SourceError:
        """The error at a place of the whole file, counted from 1."""
        if self._lines is None:
            self._lines = Lines(self._source.encode("utf-8", "surrogatepass"), self._where)
        mistake = self._lines.mistake_at(line, max(column, 1), what, hint)
        kind = SourceBeyondError if beyond else SourceError
        return kind(mistake.what, mistake.where, mistake.hint or None, mistake.excerpt)
