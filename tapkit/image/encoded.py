"""Values as the opcodes that push them, each in the shortest way of protocol 5."""

from __future__ import annotations

import pickle
import struct

from tapkit.errors import ImageError

_SMALL_INTS = [pickle.BININT1 + bytes([number]) for number in range(256)]
_SMALL_FETCHES = [pickle.BINGET + bytes([number]) for number in range(256)]
_BININT2, _LONG_BINGET = pickle.BININT2[0], pickle.LONG_BINGET[0]
_pack_double = struct.Struct(">d").pack
_pack_short = struct.Struct("<BH").pack
_pack_long = struct.Struct("<BI").pack


def encoded_int(number: int) -> bytes:
    """The opcode that pushes a number."""
    if 0 <= number <= 0xFF:
        return _SMALL_INTS[number]
    if 0 <= number <= 0xFFFF:
        return _pack_short(_BININT2, number)
    if -0x80000000 <= number <= 0x7FFFFFFF:
        return pickle.BININT + number.to_bytes(4, "little", signed=True)
    digits = number.to_bytes((number.bit_length() >> 3) + 1, "little", signed=True)
    return _sized(digits, (pickle.LONG1, pickle.LONG4, None))


def encoded_float(number: float) -> bytes:
    """The opcode that pushes a float, the payload of a NaN kept."""
    return pickle.BINFLOAT + _pack_double(number)


def encoded_str(text: str) -> bytes:
    """The opcode that pushes a string; lone surrogates survive."""
    sizes = (pickle.SHORT_BINUNICODE, pickle.BINUNICODE, pickle.BINUNICODE8)
    return _sized(text.encode("utf-8", "surrogatepass"), sizes)


def encoded_bytes(data: bytes) -> bytes:
    """The opcode that pushes bytes."""
    return _sized(data, (pickle.SHORT_BINBYTES, pickle.BINBYTES, pickle.BINBYTES8))


def fetch(number: int) -> bytes:
    """The opcode that pushes what has an id."""
    if number < 256:
        return _SMALL_FETCHES[number]
    return _pack_long(_LONG_BINGET, number)


def _sized(data: bytes, opcodes: tuple[bytes, bytes, bytes | None]) -> bytes:
    size = len(data)
    if size < 256:
        return opcodes[0] + bytes((size,)) + data
    if size < 1 << 32:
        return opcodes[1] + size.to_bytes(4, "little") + data
    if opcodes[2] is None:
        raise ImageError("an int is too long to be pickled", f"{size} bytes")
    return opcodes[2] + size.to_bytes(8, "little") + data
