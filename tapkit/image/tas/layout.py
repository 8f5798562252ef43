"""How expressions are laid out on lines: as black would, so that black changes nothing.

What fits is one line. What does not is exploded, one part a line, each with a comma behind it,
which tells black to leave it so at any line length. A line that may be longer for black than
for us (wide characters) is exploded sooner. Strings are wrapped only where they would exceed
100 columns, because black at 100 joins what fits.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any, Final, TypeAlias

WIDTH: Final = 88
WIDEST: Final = 100
SHORT: Final = 48  # a string of so many characters is never wrapped, whatever they are
DEEPEST: Final = 12  # brackets within brackets; Python's own limit is 200

Expr: TypeAlias = Any
"""A `str` (never broken), a `Text` or a `Group`."""


class Text:
    """A string or bytes that may be wrapped."""

    __slots__ = ("flat", "value")

    def __init__(self, value: str | bytes, flat: str):
        self.value = value
        self.flat = flat


class Group:
    """Brackets around parts, each with a prefix (`port=`, `"key": `).

    Attributes:
        flat: all of it on a line, None if that is too long.
        depth: levels of brackets.
    """

    __slots__ = ("close", "depth", "flat", "open", "parts")

    def __init__(self, opening: str, parts: Iterable[tuple[str, Expr]], close: str):
        self.open = opening
        self.parts = list(parts)
        self.close = close
        depths = [expr.depth for _, expr in self.parts if isinstance(expr, Group)]
        self.depth: int = 1 + max(depths, default=0)
        self.flat: str | None = None
        size = len(opening) + len(close) - 2
        for prefix, expr in self.parts:
            size += len(prefix) + len(flat_of(expr) or _TOO_LONG) + 2
            if size > WIDTH:
                return
        inner = ", ".join([prefix + (flat_of(expr) or "") for prefix, expr in self.parts])
        comma = "," if opening == "(" and len(self.parts) == 1 else ""
        self.flat = f"{opening}{inner}{comma}{close}"


class Row(Group):
    """Brackets around parts that are never broken, which is all that most have: cheaper."""

    __slots__ = ("texts",)

    def __init__(self, opening: str, texts: list[str], close: str):
        self.open = opening
        self.texts = texts
        self.close = close
        self.depth = 1
        self.flat = None
        if len(opening) + len(close) - 2 + sum(map(len, texts)) + 2 * len(texts) <= WIDTH:
            self.flat = f"{opening}{', '.join(texts)}{close}"

    @property
    def parts(self) -> list[tuple[str, Expr]]:  # type: ignore[override]
        """As those of a Group."""
        return [("", text) for text in self.texts]


_TOO_LONG = " " * 200


def flat_of(expr: Expr) -> str | None:
    """An expression on one line, None if it must be exploded."""
    return expr if type(expr) is str else expr.flat


def quoted(value: str) -> str:
    """A string literal, with the quotes black would choose."""
    text = repr(value)
    if '"' not in text:
        return f'"{text[1:-1]}"'
    if text[0] == '"' or "'" not in value:
        return text
    if value.count('"') > value.count("'"):
        return text
    return '"' + text[1:-1].replace("\\'", "'").replace('"', '\\"') + '"'


def quoted_bytes(value: bytes) -> str:
    """A bytes literal, with the quotes black would choose."""
    text = repr(value)
    if b'"' not in value:
        return f'b"{text[2:-1]}"' if text[1] == "'" else text
    if b"'" not in value or value.count(b'"') > value.count(b"'"):
        return text
    return 'b"' + text[2:-1].replace("\\'", "'").replace('"', '\\"') + '"'


def text(value: str | bytes) -> Expr:
    """A string or bytes, to be wrapped if it is long."""
    flat = quoted(value) if isinstance(value, str) else quoted_bytes(value)
    return flat if len(flat) <= SHORT + 2 else Text(value, flat)


def fits(line: str, width: int = WIDTH) -> bool:
    """Whether a line is at most so wide, whatever width black gives its characters."""
    if len(line) > width:
        return False
    return line.isascii() or len(line) + len(line) - len(line.encode("ascii", "ignore")) <= width


def too_wide(line: str) -> bool:
    """Whether a line is wider than any black may be told to allow."""
    if len(line) <= WIDEST or line.isascii():
        return len(line) > WIDEST
    return sum(not unicodedata.combining(char) for char in line) > WIDEST


def lay(out: list[str], indent: str, prefix: str, expr: Expr, suffix: str = "") -> None:
    """Put the lines of `prefix`, an expression and `suffix` on `out`."""
    flat = flat_of(expr)
    line = f"{indent}{prefix}{flat}{suffix}"
    if type(expr) is Text:
        if too_wide(f"{indent}    {flat}"):
            _wrap(out, indent, prefix, expr.value, suffix)
        else:
            out.append(line)
    elif type(expr) is str or (flat is not None and fits(line)):
        out.append(line)
    elif type(expr) is Row:
        between = f",\n{indent}    "
        lines = between.join(expr.texts)
        out.append(
            f"{indent}{prefix}{expr.open}{between[1:]}{lines},\n{indent}{expr.close}{suffix}"
        )
    else:
        out.append(f"{indent}{prefix}{expr.open}")
        inner = indent + "    "
        for name, part in expr.parts:
            if type(part) is str:
                out.append(f"{inner}{name}{part},")
            else:
                lay(out, inner, name, part, ",")
        out.append(f"{indent}{expr.close}{suffix}")


def _wrap(out: list[str], indent: str, prefix: str, value: Any, suffix: str) -> None:
    """A string in pieces, which Python puts together again."""
    out.append(f"{indent}{prefix}(")
    inner = indent + "    "
    out.extend(f"{inner}{piece}" for piece in _pieces(value, max(WIDTH - len(inner), 40)))
    out.append(f"{indent}){suffix}")


def _pieces(value: Any, width: int) -> Iterable[str]:
    """Literals of at most `width`, broken after line ends and at spaces where there are any."""
    quote = quoted if isinstance(value, str) else quoted_bytes
    line_end, space = ("\n", " ") if isinstance(value, str) else (b"\n", b" ")
    start = 0
    while start < len(value):
        size = _size(value, start, width)
        end = start + size
        line = value.find(line_end, start, end)
        if line >= 0:
            end = line + 1
        elif end < len(value):
            blank = value.rfind(space, start + size // 2, end)
            end = blank + 1 if blank >= 0 else end
        yield quote(value[start:end])
        start = end


def _size(value: Any, start: int, width: int) -> int:
    """How many characters from `start` make a literal of at most `width`."""
    quote = quoted if isinstance(value, str) else quoted_bytes
    size = width - 3
    while size > 1 and not fits(quote(value[start : start + size]), width):
        size = size * 3 // 4
    return size


def are_short(key: str | None, value: str | None) -> bool:
    """Whether an entry surely fits on a line: nobody should want to explode its key."""
    return key is not None and value is not None and len(key) + len(value) < 30 and key.isascii()
