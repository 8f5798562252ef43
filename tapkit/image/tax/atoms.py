"""The types whose whole value is text: what stands between the tags, and what it means.

One table, `ATOMS`, serves the reader; the writer spells the most common ones itself, in its loop.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
import textwrap
from collections.abc import Callable, Mapping
from typing import NamedTuple

from tapkit.image.nodes import Global, Node
from tapkit.image.tax import escapes
from tapkit.image.tax.dotted import parsed

DECIMAL_BITS = 14000
"""Ints of more bits are written in hexadecimal: Python reads 4300 decimal digits at most."""

BASE64_WIDTH = 76

_PRINTABLE = re.compile(rb"[\x20-\x7e\n]*")
_HEX_INT = re.compile(r"[+-]?0[xX][0-9A-Fa-f]+")
_DECIMAL_INT = re.compile(r"[+-]?[0-9]+")
_FLOAT = re.compile(r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|inf|nan)")
_NAN = struct.pack(">d", float("nan"))
_SPACE = re.compile(r"\s+")


class Atom(NamedTuple):
    """A type whose value is text.

    Attributes:
        make: (text, attributes) -> node, or ValueError.
        what: the type in words, for messages: `an int`.
        hint: what its text looks like.
        attributes: the attributes it may have, beside `type` and `id`.
    """

    make: Callable[[str, Mapping[str, str]], Node]
    what: str
    hint: str = ""
    attributes: tuple[str, ...] = ()


def bits(value: float) -> str:
    """The 64 bits of a float in hexadecimal."""
    return struct.pack(">d", value).hex()


def float_text(value: float) -> tuple[str, str]:
    """(attributes, text) of a float: the bits where `repr` would lose some."""
    if value != value and struct.pack(">d", value) != _NAN:
        return f' bits="{bits(value)}"', ""
    return "", repr(value)


def int_text(value: int) -> str:
    """An int in decimal, or in hexadecimal where decimal could not be read again."""
    return hex(value) if value.bit_length() > DECIMAL_BITS else str(value)


def bytes_text(value: bytes, indent: str) -> tuple[str, str]:
    """(attributes, text) of bytes: as they are where they print, else base64."""
    if _PRINTABLE.fullmatch(value):
        return "", escapes.content(value.decode("ascii"))[1]
    text = base64.b64encode(value).decode("ascii")
    if len(text) > BASE64_WIDTH:
        text = f"\n{textwrap.fill(text, BASE64_WIDTH)}\n"
        text = text.replace("\n", "\n" + indent + "  ")[:-2]
    return ' encoding="base64"', text


def _make_str(text: str, attributes: Mapping[str, str]) -> str:
    return text  # `escape=` is seen to for every type


def _make_none(text: str, attributes: Mapping[str, str]) -> None:
    if text.strip():
        raise ValueError("none has no value")


def _make_bool(text: str, attributes: Mapping[str, str]) -> bool:
    return {"true": True, "false": False}[text.strip()]


def _make_int(text: str, attributes: Mapping[str, str]) -> int:
    text = text.strip()
    if _DECIMAL_INT.fullmatch(text):
        if len(text) > 4300:
            raise ValueError(f"an int of {len(text)} digits must be hexadecimal: 0x...")
        return int(text)
    if not _HEX_INT.fullmatch(text):
        raise KeyError(text)
    return int(text, 16)


def _make_float(text: str, attributes: Mapping[str, str]) -> float:
    text = text.strip()
    if "bits" in attributes:
        number = attributes["bits"]
        if text or len(number) != 16:
            raise ValueError("bits= holds 16 hexadecimal digits, and there is no text then")
        return float(struct.unpack(">d", bytes.fromhex(number))[0])
    if not _FLOAT.fullmatch(text):
        raise KeyError(text)
    return float(text)


def _make_bytes(text: str, attributes: Mapping[str, str]) -> bytes:
    encoding = attributes.get("encoding", "ascii")
    if encoding == "ascii":
        if not text.isascii():
            raise ValueError('bytes beyond ASCII need encoding="base64" or encoding="hex"')
        return text.encode("ascii")
    return from_text(text, encoding)


def from_text(text: str, encoding: str) -> bytes:
    """Bytes in base64 or hexadecimal, white space aside.

    Raises:
        ValueError: they are not.
    """
    packed = _SPACE.sub("", text)
    if encoding == "hex":
        return bytes.fromhex(packed)
    if encoding != "base64":
        raise ValueError(f'encoding="{encoding}" is unknown; there is ascii, base64 and hex')
    try:
        return base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"this is not base64: {error}") from None


def _make_bytearray(text: str, attributes: Mapping[str, str]) -> bytearray:
    return bytearray(_make_bytes(text, attributes))


def _make_global(text: str, attributes: Mapping[str, str]) -> Global:
    return parsed(text.strip())


ATOMS: dict[str, Atom] = {
    "str": Atom(_make_str, "a str", "", ("escape",)),
    "none": Atom(_make_none, "none", "write nothing between the tags"),
    "bool": Atom(_make_bool, "a bool", "write true or false"),
    "int": Atom(_make_int, "an int", "write digits like 8007 or 0x1f47"),
    "float": Atom(_make_float, "a float", "write a number like 0.5, inf or nan", ("bits",)),
    "bytes": Atom(_make_bytes, "bytes", "", ("encoding",)),
    "bytearray": Atom(_make_bytearray, "a bytearray", "", ("encoding",)),
    "global": Atom(_make_global, "a global", "write package.module.name"),
}
"""The types that are no objects. A ValueError's text is told as it is; a KeyError means that the
text is simply not of the type."""
