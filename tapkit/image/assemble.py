"""Nodes to pickle bytes, protocol 5. The theory is told in `pickled`."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, TypeAlias

from tapkit.errors import ImageError
from tapkit.image.encoded import encoded_bytes, encoded_float, encoded_int, encoded_str, fetch
from tapkit.image.nodes import (
    AGAIN,
    EFFECT,
    ENTRIES,
    INSTANCE,
    ITEMS,
    KINDS,
    MEMBERS,
    NEWOBJ,
    NEWOBJ_EX,
    REDUCE,
    STATE,
    Buffer,
    Dict,
    FrozenSet,
    Global,
    Image,
    Node,
    Object,
    Set,
)

PROTOCOL = 5
FRAME_SIZE = 64 * 1024
BATCH = 1000  # even: a batch of keys and values ends with a value
_FRAME_MIN = 4  # C: no frame for less

Kids: TypeAlias = Generator[Node, None, None]

_TUPLES = {1: pickle.TUPLE1, 2: pickle.TUPLE2, 3: pickle.TUPLE3}
_CALLS = {
    REDUCE: pickle.REDUCE,
    NEWOBJ: pickle.NEWOBJ,
    NEWOBJ_EX: pickle.NEWOBJ_EX,
    INSTANCE: pickle.OBJ,
}
_PARTS = {ITEMS: pickle.APPENDS, ENTRIES: pickle.SETITEMS, MEMBERS: pickle.ADDITEMS}
_CONSTANTS = {None: pickle.NONE, True: pickle.NEWTRUE, False: pickle.NEWFALSE}
_CONTAINERS = {
    list: (pickle.EMPTY_LIST + pickle.MEMOIZE, pickle.APPENDS),
    Dict: (pickle.EMPTY_DICT + pickle.MEMOIZE, pickle.SETITEMS),
    Set: (pickle.EMPTY_SET + pickle.MEMOIZE, pickle.ADDITEMS),
}
# EMPTY_TUPLE NEWOBJ MEMOIZE EMPTY_DICT MEMOIZE MARK ... SETITEMS BUILD: most of any image
_PLAIN_INSTANCE = b")\x81\x94}\x94("
_PLAIN_END = pickle.SETITEMS + pickle.BUILD


def assemble(image: Image | Node) -> bytes:
    """A pickle, protocol 5, of an image or of the graph that begins at a node.

    The stream is nested as plain pickle's is, however deep: C's unpickler does not recurse.

    Raises:
        ImageError: what is in the graph is no node; a tuple, frozenset or object needs itself
            before it can be made; buffers are not in the order of their numbers.
    """
    if type(image) is not Image:
        image = Image(image)
    writer = Writer()
    for call in image.discarded:
        # Not POP, which has other meanings before a GET or on an object: see `popped`.
        writer.out += pickle.MARK
        writer.write(call)
        writer.out += pickle.POP_MARK
    writer.write(image.root)
    return writer.finish()


class Writer:
    """Writes nodes as opcodes, with a stack of its own.

    Attributes:
        out: the frame being written.
        memo: ids by what they were given to: the `id()` of a node that has an identity; of
            values, a str itself, a tuple of a bytes, a tuple of a global's two names. (One
            dict, so that its length is the next id.)
    """

    def __init__(self) -> None:
        self.out = bytearray()
        self.memo: dict[Any, int] = {}
        self._frames = [pickle.PROTO + bytes((PROTOCOL,))]
        self._fetches: dict[str, bytes] = {}  # of strings met twice
        self._heads: dict[int, bytes] = {}  # by id of a class: how its plain instances begin
        self._entered: dict[int, int] = {}  # by id of what is being made: ids given till then
        self._making: dict[int, int] = {}  # by id of what is made AGAIN: how often it is begun
        self._done: dict[int, int] = {}  # and how many of its steps are written
        self._buffers = 0
        self._values: dict[type, Callable[[Any], None]] = {
            bool: self._constant,
            type(None): self._constant,
            float: self._float,
            bytes: self._bytes,
            Global: self._global,
        }
        self._makers: dict[type, Callable[[Any], Kids]] = {
            tuple: self._tuple,
            FrozenSet: self._frozenset,
            Object: self._object,
            bytearray: self._bytearray,
            Buffer: self._buffer,
        }

    def write(self, root: Node) -> None:
        """Write a graph.

        The stack holds what is left of each container that is open: an iterator over its kids
        and the opcodes that close it. What images are made of is done here; the rest are
        generators that yield their kids and write opcodes in between.
        """
        out, memo, fetches, values = self.out, self.memo, self._fetches, self._values
        stack: list[tuple[Iterator[Node], bytes]] = []
        kids: Iterator[Node] = iter((root,))
        close = b""
        while True:
            for node in kids:
                kind = type(node)
                if kind is str:
                    out += fetches.get(node) or self._string(node)
                elif kind is int:
                    out += encoded_int(node)
                elif kind in values:
                    values[kind](node)
                elif (number := memo.get(id(node))) is not None:
                    out += fetch(number)
                else:
                    stack.append((kids, close))
                    kids, close = self._open(kind, node)
                    break
            else:
                out += close
                if not stack:
                    return
                if len(out) > FRAME_SIZE:
                    self.end_frame()
                kids, close = stack.pop()

    def end_frame(self) -> None:
        """Close the frame, and begin another."""
        size = len(self.out)
        if size >= _FRAME_MIN:
            self._frames.append(pickle.FRAME + size.to_bytes(8, "little"))
        self._frames.append(bytes(self.out))
        self.out.clear()

    def finish(self) -> bytes:
        """The whole pickle."""
        self.out += pickle.STOP
        self.end_frame()
        return b"".join(self._frames)

    # -- values

    def _string(self, text: str) -> bytes:
        number = self.memo.get(text)
        if number is not None:
            found = self._fetches[text] = fetch(number)
            return found
        self.memo[text] = len(self.memo)
        return self._outside(encoded_str(text)) + pickle.MEMOIZE

    def _bytes(self, data: bytes) -> None:
        # A tuple, because a str and a bytes of the same ASCII have the same hash: they would be
        # compared, which `python -bb` forbids.
        number = self.memo.get((data,))
        if number is not None:
            self.out += fetch(number)
            return
        self.memo[(data,)] = len(self.memo)
        opcode = self._outside(encoded_bytes(data))  # may replace the frame, so not in one line
        self.out += opcode + pickle.MEMOIZE

    def _constant(self, node: bool | None) -> None:
        self.out += _CONSTANTS[node]

    def _float(self, number: float) -> None:
        self.out += encoded_float(number)

    def _outside(self, opcode: bytes) -> bytes:
        """What of an opcode belongs in the frame: nothing if it is as large as a frame."""
        if len(opcode) <= FRAME_SIZE:
            return opcode
        self.end_frame()
        self._frames.append(opcode)
        return b""

    def _global(self, node: Global) -> None:
        key = (node.module, node.name)
        number = self.memo.get(key)
        if number is None:
            self.out += self._string(node.module)
            self.out += self._string(node.name)
            self.out += pickle.STACK_GLOBAL + pickle.MEMOIZE
            number = self.memo[key] = len(self.memo)
        else:
            self.out += fetch(number)
        self._heads[id(node)] = fetch(number) + _PLAIN_INSTANCE

    # -- containers and objects

    def _open(self, kind: type, node: Node) -> tuple[Iterator[Node], bytes]:
        """Begin a node: its kids, and the opcodes behind them."""
        memo = self.memo
        if kind is Object:
            head, state = self._plain(node)
            if head is not None:
                self.out += head
                memo[id(node)] = len(memo)
                memo[id(state)] = len(memo)
                return iter(state), _PLAIN_END
        elif kind in _CONTAINERS:
            begin, end = _CONTAINERS[kind]
            self.out += begin
            memo[id(node)] = len(memo)
            if not node:
                return iter(()), b""
            if len(node) > BATCH:
                return self._batches(node, end), b""
            self.out += pickle.MARK
            return iter(node), end
        elif kind not in self._makers:
            raise ImageError("this is no node", repr(node)[:60])
        return self._makers[kind](node), b""

    def _plain(self, node: Object) -> tuple[bytes | None, Node]:
        """How the stream begins for a plain instance and its state; None for any other."""
        steps = node.steps
        if node.how == NEWOBJ and node.args == () and len(steps) == 2 and steps[0] == STATE:
            state = steps[1]
            if type(state) is Dict and state and id(state) not in self.memo:
                return self._heads.get(id(node.call)), state
        return None, None

    def _batches(self, node: list[Node], end: bytes) -> Kids:
        """The kids of a long container, so that neither a frame nor the stack grows with it."""
        for start in range(0, len(node), BATCH):
            self.out += pickle.MARK
            yield from node[start : start + BATCH]
            self.out += end
            if len(self.out) > FRAME_SIZE:
                self.end_frame()

    def _tuple(self, node: tuple[Node, ...]) -> Kids:
        size = len(node)
        if not size:
            self.out += pickle.EMPTY_TUPLE
            return
        self._enter(node)
        if size > 3:
            self.out += pickle.MARK
        yield from node
        if not self._made_meanwhile(node, pickle.POP * size if size <= 3 else pickle.POP_MARK):
            self.out += _TUPLES.get(size, pickle.TUPLE)
            self._memoize(node)

    def _frozenset(self, node: FrozenSet) -> Kids:
        self._enter(node)
        self.out += pickle.MARK
        yield from node
        if not self._made_meanwhile(node, pickle.POP_MARK):
            self.out += pickle.FROZENSET
            self._memoize(node)

    def _object(self, node: Object) -> Kids:
        steps = node.steps
        if AGAIN in steps[::2]:
            yield from self._made_twice(node)
            return
        yield from self._call(node)
        if not self._made_meanwhile(node, pickle.POP):
            self._memoize(node)
            yield from self._steps(node.each_step())

    def _made_twice(self, node: Object) -> Kids:
        """An object with steps AGAIN: each stands for one making around the innermost one."""
        key = id(node)
        depth = self._making.get(key, 0)
        outer = [value for verb, value in node.each_step() if verb == AGAIN]
        self._making[key] = depth + 1
        dropped = outer[-1 - depth] if depth < len(outer) else None
        yield from self._call(node, dropped)
        self._making[key] = depth
        if self._made_meanwhile(node, pickle.POP):
            pass
        elif dropped is None:
            self._memoize(node)
        else:  # an edited graph: the cycle is gone, so it is not made yet
            self.out += pickle.POP
            yield from self._call(node)
            self._memoize(node)
        yield from self._steps(self._next_steps(node))

    def _call(self, node: Object, instead: Object | None = None) -> Kids:
        self._enter(node)
        call = instead or node
        if call.how == INSTANCE:
            self.out += pickle.MARK
            yield call.call
            yield from call.args
        else:
            yield call.call
            yield call.args
        if call.how == NEWOBJ_EX:
            yield call.kwargs
        self.out += _CALLS[call.how]

    def _steps(self, steps: Iterable[tuple[str, Any]]) -> Kids:
        for verb, value in steps:
            if verb == STATE:
                yield value
                self.out += pickle.BUILD
            elif verb == EFFECT:
                yield value
                self.out += pickle.POP
            elif verb != AGAIN:
                yield from self._batches(value, _PARTS[verb])

    def _next_steps(self, node: Object) -> list[tuple[str, Any]]:
        """Of the steps of what is made AGAIN, those that are due: up to the next AGAIN.

        All that are left, if it is not being made any more.
        """
        steps = list(node.each_step())
        start = self._done.get(id(node), 0)
        stop = len(steps)
        if self._making[id(node)]:
            verbs = [verb for verb, _ in steps]
            stop = verbs.index(AGAIN, start) if AGAIN in verbs[start:] else stop
        self._done[id(node)] = stop + 1
        return steps[start:stop]

    def _bytearray(self, node: bytearray) -> Kids:
        size = len(node).to_bytes(8, "little")
        self.out += self._outside(pickle.BYTEARRAY8 + size + bytes(node))
        self._memoize(node)
        yield from ()

    def _buffer(self, node: Buffer) -> Kids:
        if node.number != self._buffers:
            why = f"buffer {node.number} comes where buffer {self._buffers} is due"
            raise ImageError("the buffers are out of order", why, "keep their order")
        self._buffers += 1
        self.out += pickle.NEXT_BUFFER + (pickle.READONLY_BUFFER if node.readonly else b"")
        self._memoize(node)
        yield from ()

    def _memoize(self, node: Node) -> None:
        self.memo[id(node)] = len(self.memo)
        self.out += pickle.MEMOIZE

    def _enter(self, node: Node) -> None:
        """Note that something is being made that gets its id only when it is complete.

        It may be met again inside itself and is then made there, first; but if no id was given
        between the two meetings, the next round would go the same way, and so on for ever.
        """
        given = len(self.memo)
        if self._entered.get(id(node)) == given:
            what = f"this {KINDS[type(node)]} must be there before it can be made"
            raise ImageError(what, repr(getattr(node, "call", type(node).__name__))[:60])
        self._entered[id(node)] = given

    def _made_meanwhile(self, node: Node, pops: bytes) -> bool:
        """Whether a node was made inside its own kids; if so, write that and drop this one."""
        self._entered.pop(id(node), None)
        number = self.memo.get(id(node))
        if number is None:
            return False
        self.out += pops + fetch(number)
        return True
