"""Pickle bytes to nodes: one loop over the opcodes. The theory is told in `pickled`."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable
from typing import Any, Final, NoReturn

from tapkit.errors import ImageError
from tapkit.image.actions import SAME
from tapkit.image.machine import (
    FilledInsideError,
    Machine,
    RefusedError,
    SparseDict,
    SparseMemoError,
    TruncatedError,
    own,
)
from tapkit.image.nodes import (
    AGAIN,
    ATOMS,
    ITEMS,
    NEWOBJ,
    STATE,
    VALUES,
    Dict,
    Global,
    Image,
    Node,
    Object,
    walk,
)
from tapkit.image.opcodes import ACTIONS, NAMES

# Opcodes, as numbers that a compiler sees: test_decompile compares them with pickle's
BINFLOAT: Final = 0x47
BINGET: Final = 0x68
BININT: Final = 0x4A
BININT1: Final = 0x4B
BININT2: Final = 0x4D
BUILD: Final = 0x62
EMPTY_DICT: Final = 0x7D
EMPTY_TUPLE: Final = 0x29
LONG_BINGET: Final = 0x6A
MARK: Final = 0x28
MEMOIZE: Final = 0x94
NEWFALSE: Final = 0x89
NEWTRUE: Final = 0x88
NONE: Final = 0x4E
SETITEMS: Final = 0x75
SHORT_BINUNICODE: Final = 0x8C
STOP: Final = 0x2E

# Of those that are read without `ACTIONS`, how many bytes come behind them
_OPERANDS = {BINGET: 1, LONG_BINGET: 4, BININT1: 1, BININT2: 2, SHORT_BINUNICODE: 1}

LAST = Global("tapkit.styles", "last")
SAME_NAME = (SAME.module, SAME.name)
unpack_int = struct.Struct("<i").unpack_from
unpack_double = struct.Struct(">d").unpack_from
PLAIN_DICT = b"}\x94("  # EMPTY_DICT MEMOIZE MARK
PLAIN_INSTANCE = b")\x81\x94}\x94("  # EMPTY_TUPLE NEWOBJ MEMOIZE EMPTY_DICT MEMOIZE MARK


def decompile(data: bytes, buffers: Iterable[Any] | None = None) -> Image:
    """The nodes of a pickle. Nothing is imported, looked up or called.

    A stream of the flat pickler (`tapkit.image.flat`) is known by its outermost call: each
    state comes back on its object, as if pickle had written it there.

    Parameters:
        data: one pickle, of any protocol, without anything behind it.
        buffers: the out-of-band buffers: their bytes are put in their places. Without them
            there are Buffer nodes there.

    Raises:
        ImageError: it is no pickle, or one whose meaning depends on the program that loads it
            (persistent ids, extension codes). `where` says the opcode and its offset in bytes.
    """
    data = bytes(data)
    kept = None if buffers is None else list(buffers)
    machine = Machine(data, [], kept)
    try:
        position = _run(machine)
    except (SparseMemoError, FilledInsideError):
        machine = Machine(data, SparseDict(), kept)
        position = _run(machine)
    if position != len(data):
        extra = f"{len(data) - position} bytes follow it"
        raise ImageError("the pickle ends before its data does", f"byte {position}", extra)
    return _image(machine)


def _run(machine: Machine) -> int:
    """Run a machine until STOP; the position behind that is returned."""
    position = 0
    while True:
        try:
            return _run_from(machine, position)
        except UnicodeDecodeError as error:
            position = _surrogates(machine, error)
        except (RefusedError, ValueError, OverflowError) as error:
            _fail(machine, str(error))
        except LookupError:
            _fail(machine, _lack(machine))


def _run_from(machine: Machine, position: int) -> int:  # noqa: C901  # see below
    """The loop. What images are made of is done here, all else by `ACTIONS`.

    A function call an opcode would double the cost of the whole, a longer chain of tests
    would add to it: so the tests are a tree, each branch of it ordered by frequency in images.
    A dict that is filled from the start is filled in place: it is itself the stack above its
    MARK, until SETITEMS. An opcode that raises leaves its position in the machine.
    """
    if type(machine.memo) is SparseDict:
        return _run_sparse(machine, position)
    data, stack, below, actions = machine.data, machine.stack, machine.below, ACTIONS
    memo: list[Node] = machine.memo
    met, values, dict_ = machine.met, VALUES, Dict
    try:
        while True:
            opcode = data[position]
            if opcode == BINGET:
                found = memo[data[position + 1]]
                stack.append(found)
                kind = type(found)
                if kind is not str and kind not in values:  # str: a key, mostly
                    met[id(found)] = found
                position += 2
                continue
            if opcode > BINGET:
                if opcode == SETITEMS and type(below[-1][-1]) is dict_ and not len(stack) & 1:
                    entries, stack = stack, below.pop()
                    filled: list[Node] = stack[-1]  # a list: what a compiler can extend
                    if filled is not entries:  # which were no list of their own
                        machine.stack = stack
                        machine.beware_of(filled)
                        filled.extend(entries)
                    position += 1
                    continue
                if opcode == LONG_BINGET:
                    low = data[position + 1] | data[position + 2] << 8
                    found = memo[low | data[position + 3] << 16 | data[position + 4] << 24]
                    stack.append(found)
                    kind = type(found)
                    if kind is not str and kind not in values:
                        met[id(found)] = found
                    position += 5
                    continue
                if opcode == SHORT_BINUNICODE:
                    end = position + 2 + data[position + 1]
                    text = data[position + 2 : end].decode()
                    stack.append(text)
                    position = end
                    if data[end] == MEMOIZE:  # as is behind most
                        memo.append(text)
                        position = end + 1
                    continue
                if opcode == EMPTY_DICT and data[position : position + 3] == PLAIN_DICT:
                    state = dict_()
                    memo.append(state)
                    stack.append(state)
                    below.append(stack)
                    stack = state
                    position += 3
                    continue
                if opcode == MEMOIZE:
                    memo.append(stack[-1])
                    position += 1
                    continue
                if opcode in (NEWTRUE, NEWFALSE):
                    stack.append(opcode == NEWTRUE)
                    position += 1
                    continue
            elif opcode == BUILD:
                if type(stack[-2]) is Object and not stack[-2].steps:
                    state = stack.pop()
                    made: Object = stack[-1]
                    made.steps = [STATE, state]
                    position += 1
                    continue
            elif opcode == BININT2:
                stack.append(data[position + 1] | data[position + 2] << 8)
                position += 3
                continue
            elif opcode == EMPTY_TUPLE:
                if data[position : position + 6] == PLAIN_INSTANCE and type(stack[-1]) is Global:
                    made = stack[-1] = Object(NEWOBJ, stack[-1])
                    memo.append(made)
                    state = dict_()
                    memo.append(state)
                    stack.append(state)
                    below.append(stack)
                    stack = state
                    position += 6
                else:
                    stack.append(())
                    position += 1
                continue
            elif opcode == BININT1:
                stack.append(data[position + 1])
                position += 2
                continue
            elif opcode == BININT and position + 5 <= len(data):
                stack.append(unpack_int(data, position + 1)[0])
                position += 5
                continue
            elif opcode == MARK:
                below.append(stack)
                stack = []
                position += 1
                continue
            elif opcode == NONE:
                stack.append(None)
                position += 1
                continue
            elif opcode == BINFLOAT and position + 9 <= len(data):
                stack.append(unpack_double(data, position + 1)[0])
                position += 9
                continue
            elif opcode == STOP:
                return position + 1
            machine.stack = stack
            position = actions[opcode](machine, position + 1)
            stack = machine.stack
    finally:
        machine.stack = stack
        machine.position = position


def _run_sparse(machine: Machine, position: int) -> int:
    """The same for a memo with gaps, which is rare, and need not be quick."""
    data = machine.data
    try:
        while data[position] != STOP:
            position = ACTIONS[data[position]](machine, position + 1)
    finally:
        machine.position = position
    return position + 1


def _surrogates(machine: Machine, error: UnicodeDecodeError) -> int:
    """Do again, slowly, a string that is no plain UTF-8; lone surrogates are allowed."""
    position = machine.position
    if machine.data[position] != SHORT_BINUNICODE:
        _fail(machine, str(error))
    try:
        return ACTIONS[SHORT_BINUNICODE](machine, position + 1)
    except (RefusedError, UnicodeDecodeError) as reason:
        _fail(machine, str(reason))


def _lack(machine: Machine) -> str:
    """Why something was not found in the stream, on the stack, in the memo or in the table."""
    data, position = machine.data, machine.position
    if position >= len(data):
        return str(TruncatedError())
    opcode = data[position]
    if opcode not in ACTIONS:
        return "there is no such opcode"
    end = position + 1 + _OPERANDS.get(opcode, 0)
    if end > len(data):
        return str(TruncatedError())
    if opcode in (BINGET, LONG_BINGET):
        number = int.from_bytes(data[position + 1 : end], "little")
        return f"nothing was given the id {number}"
    return "the stack is empty"


def _fail(machine: Machine, why: str) -> NoReturn:
    position = min(machine.position, len(machine.data))
    opcode = machine.data[position : position + 1]
    name = f" ({NAMES.get(opcode[0], hex(opcode[0]))})" if opcode else ""
    raise ImageError("the pickle cannot be read", f"byte {position}{name}", why) from None


def _image(machine: Machine) -> Image:
    if not machine.stack:
        _fail(machine, "the stack is empty")
    root = machine.stack.pop()
    # What is left on the stack is lost to the unpickler as well, but was made all the same.
    left = [node for stack in (*machine.below, machine.stack) for node in own(stack)]
    for again in machine.rebuilt:
        _forget_pointless(again)
    names = set(machine.names)
    last = _last_part(root)
    if last is not None:
        root = last[-1]
        names -= {(LAST.module, LAST.name), SAME_NAME}
    image = Image(root, sorted(names), _discarded(root, left + machine.popped))
    image.knots = list(machine.met.values())
    if not left and not machine.takes_back and SAME_NAME not in machine.names:
        machine.met.pop(id(()), None)
        image.shared = set(machine.met)
    return image


def _forget_pointless(again: Object) -> None:
    """Leave out steps AGAIN that say nothing: the graph itself has the cycle."""
    steps = again.steps
    while steps and steps[-2] is AGAIN and steps[-1] is None:
        steps = steps[:-2]
    if AGAIN not in steps[::2]:
        again.steps = steps


def _last_part(root: Node) -> list[Node] | None:
    """The parts of a flat pickler's stream; None for any other."""
    if type(root) is not Object or root.call != LAST or type(root.args) is not tuple:
        return None
    (parts,) = root.args if len(root.args) == 1 else (None,)
    if type(parts) is Object and parts.call == Global("builtins", "list") and parts.args == ():
        parts = parts.steps[1] if parts.steps[::2] == [ITEMS] else None
    return parts if type(parts) is list and parts else None


def _discarded(root: Node, candidates: list[Node]) -> list[Node]:
    """Of what was popped, the calls that nothing in the image refers to."""
    candidates = [node for node in candidates if type(node) not in ATOMS]
    if not candidates:
        return []
    seen: set[int] = set()
    deque(walk(root, seen=seen), maxlen=0)
    found = []
    for node in candidates:
        kinds = set(map(type, walk(node, seen=seen)))
        if Object in kinds:
            found.append(node)
    return found
