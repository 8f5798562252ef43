"""The table of opcodes: what each byte of protocols 0 to 5 does to the machine.

An action is `action(machine, position) -> position`: from the position behind the opcode to
the one behind what it reads. Nothing is imported, called or looked up: a GLOBAL is a name.
`decompile` does the commonest opcodes by itself, for speed; the table has them all the same.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import NoReturn

from tapkit.image.actions import (
    by_id,
    do_additems,
    do_append,
    do_appends,
    do_build,
    do_dict,
    do_frozenset,
    do_global,
    do_inst,
    do_list,
    do_mark,
    do_memoize,
    do_newobj,
    do_newobj_ex,
    do_obj,
    do_reduce,
    do_setitem,
    do_setitems,
    do_stack_global,
    do_tuple,
    get,
    put,
    tuple_of,
)
from tapkit.image.literals import (
    block,
    constant,
    fixed,
    line,
    parse_ascii,
    parse_double,
    parse_escaped,
    parse_int,
    parse_long,
    parse_quoted,
    parse_text,
    short,
    signed,
    unsigned,
    value,
)
from tapkit.image.machine import Machine, RefusedError, TruncatedError
from tapkit.image.nodes import Buffer, Dict, Set
from tapkit.image.popped import do_dup, do_pop, do_pop_mark

NAMES: dict[int, str] = {
    getattr(pickle, name)[0]: name
    for name in pickle.__all__
    if type(getattr(pickle, name)) is bytes and len(getattr(pickle, name)) == 1
}
"""Opcodes by their byte."""


def do_proto(m: Machine, position: int) -> int:
    m.protocol = short(m, position, 1)[0]
    if m.protocol > pickle.HIGHEST_PROTOCOL:
        raise RefusedError(f"protocol {m.protocol} is unknown")
    return position + 1


def do_frame(m: Machine, position: int) -> int:
    end = position + 8 + unsigned(short(m, position, 8))
    if end > len(m.data):
        raise TruncatedError
    return position + 8


def do_next_buffer(m: Machine, position: int) -> int:
    if m.buffers is None:
        m.stack.append(Buffer(m.taken))
        m.taken += 1
        return position
    found = next(m.buffers, None)
    if found is None:
        raise RefusedError("there are not enough buffers")
    view = memoryview(found)
    m.stack.append(bytes(view) if view.readonly else bytearray(view))
    return position


def do_readonly_buffer(m: Machine, position: int) -> int:
    top = m.stack[-1]
    if type(top) is Buffer:
        m.stack[-1] = Buffer(top.number, readonly=True)
    elif type(top) is bytearray:
        m.stack[-1] = bytes(top)
    elif type(top) is not bytes:
        raise RefusedError(f"{type(top).__name__} is no buffer")
    return position


def refuse(why: str) -> Callable[[Machine, int], int]:
    """An action that refuses."""

    def do(m: Machine, position: int) -> NoReturn:
        raise RefusedError(why)

    return do


_PERSISTENT = "a persistent id means something only to the program that wrote it"
_EXTENSION = "what an extension code means depends on a registry of the program that loads it"

ACTIONS: dict[int, Callable[[Machine, int], int]] = {
    code[0]: action
    for code, action in {
        pickle.NONE: constant(lambda: None),
        pickle.NEWTRUE: constant(lambda: True),
        pickle.NEWFALSE: constant(lambda: False),
        pickle.INT: value(line, parse_int),
        pickle.BININT: fixed(4, signed),
        pickle.BININT1: fixed(1, unsigned),
        pickle.BININT2: fixed(2, unsigned),
        pickle.LONG: value(line, parse_long),
        pickle.LONG1: value(block(1), signed),
        pickle.LONG4: value(block(4), signed),
        pickle.FLOAT: value(line, float),
        pickle.BINFLOAT: fixed(8, parse_double),
        pickle.STRING: value(line, parse_quoted),
        pickle.BINSTRING: value(block(4), parse_ascii),
        pickle.SHORT_BINSTRING: value(block(1), parse_ascii),
        pickle.UNICODE: value(line, parse_escaped),
        pickle.SHORT_BINUNICODE: value(block(1), parse_text),
        pickle.BINUNICODE: value(block(4), parse_text),
        pickle.BINUNICODE8: value(block(8), parse_text),
        pickle.SHORT_BINBYTES: value(block(1), bytes),
        pickle.BINBYTES: value(block(4), bytes),
        pickle.BINBYTES8: value(block(8), bytes),
        pickle.BYTEARRAY8: value(block(8), bytearray),
        pickle.EMPTY_TUPLE: constant(tuple),
        pickle.EMPTY_LIST: constant(list),
        pickle.EMPTY_DICT: constant(Dict),
        pickle.EMPTY_SET: constant(Set),
        pickle.MARK: do_mark,
        pickle.TUPLE: do_tuple,
        pickle.TUPLE1: tuple_of(1),
        pickle.TUPLE2: tuple_of(2),
        pickle.TUPLE3: tuple_of(3),
        pickle.LIST: do_list,
        pickle.DICT: do_dict,
        pickle.FROZENSET: do_frozenset,
        pickle.APPEND: do_append,
        pickle.APPENDS: do_appends,
        pickle.SETITEM: do_setitem,
        pickle.SETITEMS: do_setitems,
        pickle.ADDITEMS: do_additems,
        pickle.MEMOIZE: do_memoize,
        pickle.PUT: by_id(put, 0),
        pickle.BINPUT: by_id(put, 1),
        pickle.LONG_BINPUT: by_id(put, 4),
        pickle.GET: by_id(get, 0),
        pickle.BINGET: by_id(get, 1),
        pickle.LONG_BINGET: by_id(get, 4),
        pickle.GLOBAL: do_global,
        pickle.STACK_GLOBAL: do_stack_global,
        pickle.INST: do_inst,
        pickle.OBJ: do_obj,
        pickle.REDUCE: do_reduce,
        pickle.NEWOBJ: do_newobj,
        pickle.NEWOBJ_EX: do_newobj_ex,
        pickle.BUILD: do_build,
        pickle.DUP: do_dup,
        pickle.POP: do_pop,
        pickle.POP_MARK: do_pop_mark,
        pickle.PROTO: do_proto,
        pickle.FRAME: do_frame,
        pickle.NEXT_BUFFER: do_next_buffer,
        pickle.READONLY_BUFFER: do_readonly_buffer,
        pickle.PERSID: refuse(_PERSISTENT),
        pickle.BINPERSID: refuse(_PERSISTENT),
        pickle.EXT1: refuse(_EXTENSION),
        pickle.EXT2: refuse(_EXTENSION),
        pickle.EXT4: refuse(_EXTENSION),
    }.items()
}
"""What each opcode does, STOP apart: that is `decompile`'s."""
