"""The machine that a pickle is a program for, with nodes in the place of objects."""

from __future__ import annotations

import _compat_pickle
from collections.abc import Iterable
from typing import Any

from tapkit.image.nodes import Dict, Global, Node, Object

_MOST_LOOKS = 10_000_000  # half a second; only a hostile pickle needs more than some thousands


class RefusedError(Exception):
    """Why an opcode cannot be read; `decompile` adds which, and where. Never leaves it."""


class TruncatedError(RefusedError):
    """The stream ends within what an opcode needs."""

    def __init__(self) -> None:
        super().__init__("the stream ends here")


class SparseMemoError(Exception):
    """An id was given out of order: the machine must start again with a memo that allows it."""


class FilledInsideError(Exception):
    """A dict is filled while it is being filled: as SparseMemoError, for then none is in place."""


class SparseDict(dict[int, Node]):
    """A memo whose ids leave gaps, of a machine that fills nothing in place."""

    def append(self, node: Node) -> None:
        """As MEMOIZE: the id is the number of ids in use."""
        self[len(self)] = node


class Machine:
    """The state of a pickle being read.

    Unless its memo is a SparseDict, the stack above a MARK may be the Dict beneath it, which so
    is filled in place. Else what is above a MARK is a list of its own.

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
        looked: how many stacks `beware_of` has looked at.
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
        self.looked = 0

    def take_marked(self) -> list[Node]:
        """What is above the last MARK, which goes."""
        marked = self.stack
        if not self.below:
            raise RefusedError("there is no mark")
        self.stack = self.below.pop()
        return own(marked)

    def beware_of(self, target: Node) -> None:
        """Make sure that a Dict which is to be filled now is not being filled in place.

        Raises:
            FilledInsideError: it is, which no pickler does; or it would take too long to know.
        """
        # Where it is filled in place it could only be met again by fetching it.
        if type(self.memo) is SparseDict or id(target) not in self.met:
            return
        self.looked += len(self.below)
        if self.looked > _MOST_LOOKS or any(target is each for each in (*self.below, self.stack)):
            raise FilledInsideError

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


def own(marked: list[Node]) -> list[Node]:
    """What is above a MARK as a list of its own, if it is about to fill a Dict in place."""
    if type(marked) is not Dict:
        return marked
    found = list(marked)
    marked.clear()
    return found
