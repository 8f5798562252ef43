"""A pickle's opcodes one after the other, without following what they do.

For what cannot be followed: a pickle that is cut short or bent runs all the same until it fails,
so an audit must tell what it names. And for limits: what no pickler writes, and a loader should
not be asked to read.
"""

from __future__ import annotations

import pickle
from typing import NamedTuple

from tapkit.errors import ImageError
from tapkit.image.audit.survey import Name, Use
from tapkit.image.labels import printable

_LINE, _LINES = -1, -2  # arguments that end with a line
_SIZED = {-3: 1, -4: 4, -5: 8}  # arguments that begin with their length, in as many bytes


def _lengths() -> list[int | None]:
    """Of each opcode, how long its argument is in bytes, or one of the kinds above."""
    lengths: list[int | None] = [None] * 256
    table = {
        0: "MARK STOP POP POP_MARK DUP NONE REDUCE APPEND BUILD DICT EMPTY_DICT APPENDS LIST"
        " EMPTY_LIST OBJ SETITEM TUPLE EMPTY_TUPLE SETITEMS BINPERSID NEWOBJ TUPLE1 TUPLE2 TUPLE3"
        " NEWTRUE NEWFALSE EMPTY_SET ADDITEMS FROZENSET NEWOBJ_EX STACK_GLOBAL MEMOIZE"
        " NEXT_BUFFER READONLY_BUFFER",
        1: "BININT1 BINGET BINPUT PROTO EXT1",
        2: "BININT2 EXT2",
        4: "BININT LONG_BINGET LONG_BINPUT EXT4",
        8: "BINFLOAT FRAME",
        _LINE: "FLOAT INT LONG PERSID STRING UNICODE GET PUT",
        _LINES: "GLOBAL INST",
        -3: "SHORT_BINUNICODE SHORT_BINBYTES LONG1 SHORT_BINSTRING",
        -4: "BINUNICODE BINBYTES LONG4 BINSTRING",
        -5: "BINUNICODE8 BINBYTES8 BYTEARRAY8",
    }
    for length, names in table.items():
        for name in names.split():
            lengths[getattr(pickle, name)[0]] = length
    return lengths


_LENGTHS = _lengths()
_CALLS = {pickle.REDUCE[0], pickle.OBJ[0], pickle.INST[0]}
_BUILDS = {pickle.NEWOBJ[0], pickle.NEWOBJ_EX[0]}
_TEXTS = {
    code[0]
    for code in (
        pickle.SHORT_BINUNICODE,
        pickle.BINUNICODE,
        pickle.BINUNICODE8,
        pickle.SHORT_BINSTRING,
        pickle.BINSTRING,
    )
}
_QUOTED = {pickle.STRING[0], pickle.UNICODE[0]}
_PUTS = {pickle.PUT[0], pickle.BINPUT[0], pickle.LONG_BINPUT[0]}
_GETS = {pickle.GET[0], pickle.BINGET[0], pickle.LONG_BINGET[0]}
_IN_DIGITS = {pickle.PUT[0], pickle.GET[0]}
_EXTENSIONS = {pickle.EXT1[0], pickle.EXT2[0], pickle.EXT4[0]}
_PERSISTENT = {pickle.PERSID[0], pickle.BINPERSID[0]}
_COMPUTED = "(computed)"


class Skimmed(NamedTuple):
    """What the opcodes of a pickle say.

    Attributes:
        uses: by name. Calls and such are not known to be of a name: they are counted once all
            told, in `calls`.
        extensions: the extension codes; persistent: how many persistent ids.
        calls, builds, states: how many opcodes call, make an instance, give state.
        stops: how many pickles end in it; more than one if others were appended.
        opcodes: how many could be read; end: the position where that ended.
    """

    uses: dict[Name, Use]
    extensions: list[int]
    persistent: int
    calls: int
    builds: int
    states: int
    stops: int
    opcodes: int
    end: int


def skim(data: bytes) -> Skimmed:
    """Read as many opcodes as there are, also behind a STOP; never raises."""
    reading = _Reading()
    position = 0
    while True:
        following = _after(data, position)
        if following is None:
            break
        reading.take(data[position], data[position + 1 : following])
        position = following
    return reading.found(position)


def _after(data: bytes, position: int) -> int | None:
    """The position of the next opcode; None if there is no whole one at this."""
    if position >= len(data):
        return None
    length = _LENGTHS[data[position]]
    start = position + 1
    if length is None:
        return None
    if length in _SIZED:
        size = _SIZED[length]
        length = size + int.from_bytes(data[start : start + size], "little")
    elif length < 0:
        end = data.find(b"\n", start)
        if length == _LINES and end >= 0:
            end = data.find(b"\n", end + 1)
        return end + 1 or None
    return start + length if start + length <= len(data) else None


class _Reading:
    """The strings pushed last, and what they were remembered as: enough to name a STACK_GLOBAL."""

    def __init__(self) -> None:
        self._memo: dict[int, str | None] = {}
        self._texts: list[str | None] = [None, None]
        self._uses: dict[Name, Use] = {}
        self._extensions: list[int] = []
        self._seen = [0] * 256

    def take(self, opcode: int, argument: bytes) -> None:
        self._seen[opcode] += 1
        if opcode in _TEXTS or opcode in _QUOTED:
            self._push(_text(opcode, argument))
        elif opcode == pickle.MEMOIZE[0]:
            self._memo[len(self._memo)] = self._texts[-1]
        elif opcode in _PUTS:
            self._memo[_id(opcode, argument)] = self._texts[-1]
        elif opcode in _GETS:
            self._push(self._memo.get(_id(opcode, argument)))
        elif opcode == pickle.STACK_GLOBAL[0]:
            self._name(*(text or _COMPUTED for text in self._texts[-2:]))
        elif opcode in (pickle.GLOBAL[0], pickle.INST[0]):
            module, name, _ = argument.decode("utf-8", "backslashreplace").split("\n")
            self._name(module, name)
        elif opcode in _EXTENSIONS:
            self._extensions.append(int.from_bytes(argument, "little"))
        elif opcode not in (pickle.FRAME[0], pickle.PROTO[0]):
            self._push(None)

    def _push(self, text: str | None) -> None:
        self._texts = [self._texts[-1], text]

    def _name(self, module: str, name: str) -> None:
        use = self._uses.setdefault((printable(module), printable(name)), Use())
        use.referred += 1
        self._push(None)

    def found(self, end: int) -> Skimmed:
        seen = self._seen
        return Skimmed(
            self._uses,
            self._extensions,
            sum(seen[opcode] for opcode in _PERSISTENT),
            sum(seen[opcode] for opcode in _CALLS),
            sum(seen[opcode] for opcode in _BUILDS),
            seen[pickle.BUILD[0]],
            seen[pickle.STOP[0]],
            sum(seen),
            end,
        )


def _id(opcode: int, argument: bytes) -> int:
    if opcode in _IN_DIGITS:
        return int(argument) if argument.strip().isdigit() and len(argument) < 20 else -1
    return int.from_bytes(argument, "little")


def _text(opcode: int, argument: bytes) -> str:
    if opcode in _QUOTED:
        return argument.strip(b"\n'\"").decode("utf-8", "backslashreplace")
    size = 1 if opcode in (pickle.SHORT_BINUNICODE[0], pickle.SHORT_BINSTRING[0]) else 4
    if opcode == pickle.BINUNICODE8[0]:
        size = 8
    return argument[size:].decode("utf-8", "backslashreplace")


# -- limits

MOST_OPCODES = 200_000_000
_WATCHED = {
    pickle.DUP[0]: "DUP, which no pickler writes",
    pickle.PERSID[0]: "a persistent id",
    pickle.BINPERSID[0]: "a persistent id",
    pickle.EXT1[0]: "an extension code",
    pickle.EXT2[0]: "an extension code",
    pickle.EXT4[0]: "an extension code",
}
_FAST = [
    length if length is not None and code not in {*_WATCHED, *_PUTS} else -9
    for code, length in enumerate(_lengths())
]


def check_limits(data: bytes) -> None:
    """Refuse a pickle with what no pickler writes, before anybody follows it.

    That is: duplicates, persistent ids, extension codes, and memo ids beyond the number of
    opcodes (one such makes C's unpickler allocate gigabytes).

    Raises:
        ImageError: naming the first, and its offset in bytes.
    """
    position = opcodes = 0
    end = len(data)
    fast = _FAST
    while position < end:
        opcode = data[position]
        length = fast[opcode]
        opcodes += 1
        if length >= 0:
            position += 1 + length
            continue
        following = _after(data, position)
        if following is None:
            return  # `decompile` says it better
        _check_watched(opcode, data[position + 1 : following], position, opcodes)
        position = following
    if opcodes > MOST_OPCODES:
        raise _beyond(f"{opcodes} opcodes, of at most {MOST_OPCODES}", 0)


def _check_watched(opcode: int, argument: bytes, position: int, opcodes: int) -> None:
    if opcode in _WATCHED:
        raise _beyond(_WATCHED[opcode], position)
    if opcode in _PUTS and not 0 <= _id(opcode, argument) <= opcodes:
        raise _beyond(f"memo id {_id(opcode, argument)}, a bomb", position)


def _beyond(what: str, position: int) -> ImageError:
    return ImageError(
        f"refused by --restricted: the pickle has {what}", f"byte {position}", "who made it?"
    )
