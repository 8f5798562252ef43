"""The machine that a pickle is a program for, with nodes in the place of objects."""

from __future__ import annotations

import _compat_pickle
from collections.abc import Iterable
from typing import Any

from tapkit.image.nodes import Global, Node, Object


class RefusedError(Exception):
    """Why an opcode cannot be read; `decompile` adds which, and where. Never leaves it."""


class TruncatedError(RefusedError):
    """The stream ends within what an opcode needs."""

    def __init__(self) -> None:
        super().__init__("the stream ends here")


class SparseMemoError(Exception):
    """An id was given out of order: the machine must start again with a memo that allows it."""


class SparseDict(dict[int, Node]):
    """A memo whose ids leave gaps."""

    def append(self, node: Node) -> None:
        """As MEMOIZE: the id is the number of ids in use."""
        self[len(self)] = node


class Machine:
    """The state of a pickle being read.

    Attributes:
        data: the whole stream.
        stack: the nodes above the last MARK.
        below: the stacks under each MARK, the innermost last.
        memo: nodes by id. A list, for memory; a dict with the same methods where the ids are
            not 0, 1, 2... (no pickler makes such).
        position: of the opcode that raised.
        protocol: as the stream last said.
        names: the Global for each (module, name).
        popped: calls popped off the stack: kept in case nothing else refers to them.
        met: what was fetched from the memo, values apart, by its id (Python's).
        takes_back: whether anything was popped or duplicated, so that `met` says too much or
            too little of what is shared.
        rebuilt: objects made twice for a cycle through their arguments.
    """

    def __init__(self, data: bytes, memo: Any, buffers: Iterable[Any] | None):
        self.data = data
        self.stack: list[Node] = []
        self.below: list[list[Node]] = []
        self.memo = memo
        self.position = 0
        self.protocol = 0
        self.names: dict[tuple[str, str], Global] = {}
        self.popped: list[Node] = []
        self.rebuilt: list[Object] = []
        self.met: dict[int, Node] = {}
        self.takes_back = False
        self.buffers = None if buffers is None else iter(buffers)
        self.taken = 0

    def take_marked(self) -> list[Node]:
        """What is above the last MARK, which goes."""
        marked = self.stack
        if not self.below:
            raise RefusedError("there is no mark")
        self.stack = self.below.pop()
        return marked

    def named(self, module: Any, name: Any) -> Global:
        """The Global for a name in the stream, Python 2's names made Python 3's."""
        if type(module) is not str or type(name) is not str:
            raise RefusedError("a global's module and name must be strings")
        if self.protocol < 3:
            mapped = _compat_pickle.NAME_MAPPING.get((module, name))
            if mapped is not None:
                module, name = mapped
            else:
                module = _compat_pickle.IMPORT_MAPPING.get(module, module)
        found = self.names.get((module, name))
        if found is None:
            found = self.names[module, name] = Global(module, name)
        return found
