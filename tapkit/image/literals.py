"""Opcodes that push one value, and what the others read from the stream."""

from __future__ import annotations

import codecs
import struct
import warnings
from collections.abc import Callable

from tapkit.image.machine import Machine, RefusedError, TruncatedError
from tapkit.image.nodes import Node


def line(m: Machine, position: int) -> tuple[bytes, int]:
    """The text up to a line's end, and the position behind it."""
    end = m.data.find(b"\n", position)
    if end < 0:
        raise TruncatedError
    return m.data[position:end], end + 1


def block(size: int) -> Callable[[Machine, int], tuple[bytes, int]]:
    """A reader of bytes that come behind their length, itself of `size` bytes."""

    def read(m: Machine, position: int) -> tuple[bytes, int]:
        start = position + size
        end = start + int.from_bytes(m.data[position:start], "little")
        if end > len(m.data):
            raise TruncatedError
        return m.data[start:end], end

    return read


def short(m: Machine, position: int, size: int) -> bytes:
    """Exactly `size` bytes."""
    found = m.data[position : position + size]
    if len(found) < size:
        raise TruncatedError
    return found


# -- opcodes that only push a value: a way to read, a way to understand


def value(
    read: Callable[[Machine, int], tuple[bytes, int]], parse: Callable[[bytes], Node]
) -> Callable[[Machine, int], int]:
    """An action that pushes what `parse` makes of what `read` finds."""

    def push(m: Machine, position: int) -> int:
        text, position = read(m, position)
        m.stack.append(parse(text))
        return position

    return push


def constant(make: Callable[[], Node]) -> Callable[[Machine, int], int]:
    """An action that pushes a new node."""

    def push(m: Machine, position: int) -> int:
        m.stack.append(make())
        return position

    return push


def fixed(size: int, parse: Callable[[bytes], Node]) -> Callable[[Machine, int], int]:
    """An action that pushes what `parse` makes of `size` bytes."""

    def push(m: Machine, position: int) -> int:
        m.stack.append(parse(short(m, position, size)))
        return position + size

    return push


def unsigned(text: bytes) -> int:
    """A little-endian number."""
    return int.from_bytes(text, "little")


def signed(text: bytes) -> int:
    """A little-endian number in two's complement."""
    return int.from_bytes(text, "little", signed=True)


def parse_int(text: bytes) -> Node:
    """INT: a number, but 00 and 01 are False and True."""
    if text in (b"00", b"01"):  # in two statements: one that is compiled makes an int of a bool
        return text == b"01"
    return int(text, 0)


def parse_long(text: bytes) -> int:
    """LONG: a number with an L behind it."""
    return int(text[:-1] if text.endswith(b"L") else text, 0)


def parse_quoted(text: bytes) -> str:
    """STRING: a quoted Python 2 string."""
    if len(text) < 2 or text[:1] not in (b"'", b'"') or text[0] != text[-1]:
        raise RefusedError("a string must be in quotes")
    with warnings.catch_warnings():  # of escapes that newer Pythons dislike
        warnings.simplefilter("ignore")
        unescaped: bytes = codecs.escape_decode(text[1:-1])[0]
    return parse_ascii(unescaped)


def parse_ascii(text: bytes) -> str:
    """A Python 2 string, which `pickle.loads` takes for ASCII unless told otherwise."""
    return text.decode("ascii")


def parse_text(text: bytes) -> str:
    """UTF-8, lone surrogates allowed."""
    return text.decode("utf-8", "surrogatepass")


def parse_escaped(text: bytes) -> str:
    """UNICODE: one line, the rest escaped."""
    return text.decode("raw-unicode-escape")


def parse_double(text: bytes) -> float:
    """A big-endian double; the payload of a NaN stays."""
    found: float = struct.unpack(">d", text)[0]
    return found
