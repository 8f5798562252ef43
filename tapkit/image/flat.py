"""The flat pickler: any graph, however deep, through the C pickler, in one pickle.

It is for the graphs, and the threads, that the plain pickler can't serve: see `plain`.

Theory of operation
-------------------
The C pickler recurses: a chain of a few hundred linked objects ends in RecursionError. What
it has memoised, though, it writes as a reference. So a walk in Python, with a stack of its own,
goes ahead of it and hands it the graph in *parts*, leaves first: whatever a part refers to is
memoised already, and no save is deep. The walk only decides the order. Whatever it missed,
the C pickler meets by itself and writes as plain pickle would.

Layout of the stream (protocol 5, one STOP):

1. A graph of at most `LOOSE` instances is one part: *exactly* cloudpickle's stream.
2. Any other is `tapkit.styles.last(parts)`: GLOBAL last, then the list `builtins.list()` made
   by REDUCE, MARK part... APPENDS in batches, then TUPLE1, REDUCE, STOP. The value of the
   pickle is the last part, the root: nothing but `pickle.loads` is needed to load it.
3. A part is one of
   - `None`: filler, first of each batch. (C looks one item ahead at a batch's start, and
     what the walk decides next may depend on what was written.)
   - an object or container, whole: its call, items, entries and state as plain pickle writes
     them, everything that was walked before by reference. The object may have been written
     inside an earlier part; then the part is a reference to it (GET), and means nothing.
   - `tapkit.styles.same(obj)` by REDUCE, followed by the items (APPENDS), entries (SETITEMS)
     and state (BUILD, or a state setter's REDUCE and POP, its argument being the result of
     `same`) that belong to `obj`: the rest of an object that was written as a *shell*.
4. A shell is an object's call alone (NEWOBJ, NEWOBJ_EX or REDUCE, then MEMOIZE), where the
   object is first met inside one of its own descendants. Only cycles make shells.

What plain pickle promises is kept:

- BUILDs, APPENDS and SETITEMS of instances run in plain pickle's post-order: descendants before
  the object, earlier siblings before later ones. (Calls run in post-order too; in plain pickle an
  object's call comes before those of what its state holds.)
- Arguments of a call, keys of a dict and members of a set are complete before they are used,
  except where plain pickle leaves them incomplete too.
- `__reduce_ex__` and `__getstate__` are called once for each object.

All come from leaves-first, but for what refers back to a *strict* node: one that can't be a
shell. That is a container (its items are all or nothing for C), a call whose arguments are still
being walked, a function by value. Such a reference in an early part would write the strict node
too early, with what it holds incomplete. So what refers back to a strict node, and whatever
follows, is *held* until the node is left and then written inside it, in plain pickle's own
order, by plain recursion, where at most `DEEPEST` levels are allowed.

There are three modes, see `modes`; this was the first, `shells`.

Left to RecursionError, never to a crash: cycles of more than `DEEPEST` levels through nothing but
containers, or through a container and the hashes of its members; and classes by value, to C's
own. A cycle through the arguments of calls makes objects twice, as in plain pickle.

Not promised where cycles lead through what is hashed by value, or through arguments of calls: that
it is complete whenever it is in plain pickle's stream. Of 48,000 random graphs, tangled on purpose,
ten were not, and some of those could not be loaded. Such a graph comes here only if it is too deep
for the plain pickler, or is saved in another thread.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Generator, Iterator
from typing import Any

from tapkit import styles
from tapkit.image import scan
from tapkit.image.frames import Frame, outer
from tapkit.image.modes import Mode, TangledError
from tapkit.image.reducing import Reducer, ReducingPickler

LOOSE = 50
"""Instances a graph may have and still be one part."""
TALL = 10
"""Levels of containers in containers that may be written by one recursion."""
DEEPEST = 400
"""Levels of held nodes that may be written by one recursion; C takes some 1,000 at least."""

_BATCH = 1000  # items the C pickler writes between MARK and APPENDS
_OPEN = -1  # in `_seen`: a strict node that is being walked
_ARGS_DONE: Any = object()


class _Stand:
    """Stands for a call the stream needs; its reduction waits in `FlatPickler._ready`."""

    __slots__ = ()


class FlatPickler(ReducingPickler):
    """A pickler with a stack that does not grow with the graph. One dump each.

    Parameters:
        file, reducer_for, buffer_callback: as `ReducingPickler`.
        mode: how cycles are cut; see `modes`.
    """

    def __init__(
        self,
        file: Any,
        reducer_for: Callable[[type], Reducer | None] = lambda kind: None,
        buffer_callback: Callable[[Any], Any] | None = None,
        mode: Mode = "shells",
    ):
        super().__init__(file, reducer_for, buffer_callback)
        self._exact = mode != "loose"
        self._shells = mode != "whole"
        self._flat = False  # once there is a part, every node left is one
        self._seen: dict[int, int] = {}  # id of each node met -> its height, 0 or _OPEN
        self._open: dict[int, Frame] = {}  # instances being walked
        self._ready: dict[int, tuple[Any, Any]] = {}  # walked, not yet written: (obj, reduction)
        self._waiting: list[Any] = []  # what will be parts, before `_flat`
        self._loose = 0  # instances in it and in what is in it
        self._strict: dict[int, Frame] = {}  # what must not be written before that node is left
        self._hashing: list[Frame] = []  # containers being walked that hash by value
        self._lows: dict[int, Frame] = {}  # walked, not written: what it waits for
        self._hold: Frame | None = None  # what all that is left now must wait for

    def dump(self, root: Any) -> None:
        """Write the pickle of `root`.

        Raises whatever the graph's own reducers raise, `pickle.PicklingError`, TypeError; and
        RecursionError, or a PicklingError caused by it, for what is left to recursion.
        """
        try:
            parts = self._walk(root)
            first = next(parts)
            if first is root:
                parts.close()
                super().dump(root)
                return
            everything, inner = _Stand(), _Stand()
            self._ready[id(everything)] = (everything, (styles.last, (inner,)))
            self._ready[id(inner)] = (inner, (list, (), None, _padded(first, parts)))
            super().dump(everything)
        finally:
            # Python 3.13 frees a chain of objects by recursion, beyond a small stack's end.
            for frame in (*self._strict.values(), *self._lows.values()):
                frame.low = None

    def reducer_override(self, obj: Any) -> Any:
        """What C asks about each object it has not memoised, save exact built-in types."""
        key = id(obj)
        ready = self._ready.pop(key, None)
        if ready is not None:
            return ready[1]
        frame = self._open.get(key)
        if frame is None or not frame.shellable:
            self.note(obj)
            return self.reduce(obj)
        if key in self._strict:
            return frame.reduction  # about to be hashed by its value: it must be whole
        frame.shelled = True
        return frame.reduction[:2]

    # -- the walk

    def _walk(self, root: Any) -> Generator[Any, None, None]:  # noqa: C901  # the hot loop
        """The parts, in the order they must be written; the last is `root`."""
        seen, ready, lows = self._seen, self._ready, self._lows
        seen[id(_ARGS_DONE)] = 0
        frame = Frame(None, None, 0)
        frames: list[Frame] = []
        todo = [root]  # kids, the next one last; None below a node's kids: they are all done
        if type(root) in scan.LEAVES:
            todo.clear()
        while todo:
            kid = todo.pop()
            if kid is None:
                parent = frames.pop()
                if self._leave(frame, parent):
                    if not self._flat:
                        yield from self._write_waiting()
                    if frame.shelled:
                        yield self._rest(frame)
                    elif frame.low is None:
                        yield frame.obj
                frame = parent
                continue
            key = id(kid)
            height = seen.get(key)
            if height is None:
                seen[key] = 0
                scan_kids = scan.SCANS.get(type(kid))
                if scan_kids is None:
                    entered = self._enter_instance(kid, key, frame, todo)
                    if entered is None:
                        if key in ready and self._is_due(kid, key):
                            if not self._flat:
                                yield from self._write_waiting()
                            else:
                                yield kid
                        continue
                else:
                    kids = scan_kids(kid)
                    if not kids:
                        continue
                    entered = self._enter_container(kid, key, frame)
                    todo.append(None)
                    kids.reverse()
                    todo += kids
                entered.mark = len(self._waiting)
                frames.append(frame)
                frame = entered
            elif height:
                if height is _OPEN:
                    low = self._strict.get(key) or self._make_strict(key, frames, frame)
                else:
                    if frame.height < height:
                        frame.height = height
                    low = lows.get(key)
                if (
                    low is not None
                    and low.strict
                    and (not frame.low or low.depth < frame.low.depth)
                ):
                    frame.low = low
            elif kid is _ARGS_DONE:
                self._end_arguments(frame)
        yield root

    def _enter_container(self, obj: Any, key: int, parent: Frame) -> Frame:
        frame = Frame(obj, None, parent.depth + 1)
        frame.run = parent.run + 1
        self._seen[key] = _OPEN
        if type(obj) not in (list, tuple) and scan.hashes_by_value(obj):
            frame.hashing = frame.strict = True
            self._hashing.append(frame)
            self._strict[key] = frame
        return frame

    def _enter_instance(self, obj: Any, key: int, parent: Frame, todo: list[Any]) -> Frame | None:
        """Put the kids of an instance on `todo`, and return its frame.

        One without kids needs no frame, it is ready; nor does what is saved by name.
        """
        kind = type(obj)
        self.note(obj)
        reducer = self._reducers.get(kind)
        reduction = self.reduce(obj) if reducer is None else reducer(obj)
        if type(reduction) is not tuple or not 2 <= len(reduction) <= 6 or issubclass(kind, type):
            return None  # by name; or nonsense, and C says so
        args = reduction[1]
        kids, reduction = scan.state(reduction)
        in_args = None
        if not scan.only_leaves(map(type, args)):
            in_args = scan.items(args)
        elif not kids:
            self._ready[key] = (obj, reduction)
            return None
        frame = self._open[key] = Frame(obj, reduction, parent.depth + 1)
        by_value = kind is types.FunctionType
        frame.shellable = in_args is None and not by_value and self._shells
        if self._exact and not frame.shellable:
            frame.strict = True
            self._strict[key] = frame
            self._seen[key] = _OPEN
        elif self._hashing:
            self._hashed(frame, key)
        todo.append(None)
        kids.reverse()
        todo += kids
        if in_args is not None:
            if not by_value:
                todo.append(_ARGS_DONE)
            todo += in_args[::-1]
        return frame

    def _end_arguments(self, frame: Frame) -> None:
        """From here on an instance can be a shell."""
        key = id(frame.obj)
        if not self._shells:
            return
        if frame.strict:
            self._seen[key] = 0
        self._end_strict(frame, key)
        frame.shellable = True
        if self._hashing:
            self._hashed(frame, key)

    def _hashed(self, frame: Frame, key: int) -> None:
        """What is hashed by value, perhaps by a container being walked, waits for that."""
        if scan.hashed_by_value(type(frame.obj)):
            self._strict[key] = self._hashing[-1]
            self._seen[key] = _OPEN

    def _leave(self, frame: Frame, parent: Frame) -> bool:
        """Whether something must be written now that all below a node is walked."""
        key = id(frame.obj)
        if self._strict or frame.low is not None:
            self._leave_strict(frame, parent, key)
        height = frame.height + 1
        if height > DEEPEST:
            raise RecursionError("cycles too deep for plain recursion")
        self._seen[key] = 0
        if not self._flat:
            del self._waiting[frame.mark :]  # they are below it, and written with it
        if frame.reduction is not None:
            del self._open[key]
            if frame.shelled:
                return True
            self._ready[key] = (frame.obj, frame.reduction)
            if self._flat and frame.low is None:
                return True
            height += 2
        elif frame.low is None and (height > TALL or (self._flat and frame.holds)):
            return True
        if not self._flat and self._wait(frame.obj, frame.reduction is not None):
            return True
        self._seen[key] = height
        if parent.height < height:
            parent.height = height
        return False

    def _is_due(self, obj: Any, key: int) -> bool:
        """Whether an instance without kids must be written at once."""
        if self._hold is not None:
            self._lows[key] = self._hold
            self._seen[key] = 1
        if self._flat:
            return self._hold is None
        return self._wait(obj, True)

    def _wait(self, obj: Any, instance: bool) -> bool:
        """Put off writing a node, as long as there are no parts; whether that is too many."""
        self._waiting.append(obj)
        self._loose += instance
        return instance and self._loose > LOOSE

    def _write_waiting(self) -> Iterator[Any]:
        """What waited, in the order it was left. From now on only what is held waits."""
        self._flat = True
        for obj in self._waiting:
            low = self._lows.get(id(obj))
            if low is None or not low.strict:
                yield obj
        self._waiting.clear()

    def _rest(self, frame: Frame) -> Any:
        """What completes the shell that was written of an object."""
        rest = _Stand()
        self._ready[id(rest)] = (rest, (styles.same, (frame.obj,), *frame.reduction[2:]))
        return rest

    # -- strict nodes

    def _make_strict(self, key: int, frames: list[Frame], frame: Frame) -> Frame | None:
        """A container being walked is referred to from below: found when that happens first."""
        if not self._exact:
            if frame.run > DEEPEST:
                raise RecursionError("containers that contain themselves, too deep")
            return None
        found = frame
        depth = len(frames)
        while id(found.obj) != key:  # mostly it is the nearest; each is looked for only once
            depth -= 1
            found = frames[depth]
        found.strict = True
        self._strict[key] = found
        return found

    def _end_strict(self, frame: Frame, key: int) -> None:
        frame.strict = False
        if frame.low is frame:
            frame.low = None
        if self._hold is frame:
            self._hold = None
        if frame.hashing:
            self._hashing.pop()
        self._strict.pop(key, None)

    def _leave_strict(self, frame: Frame, parent: Frame, key: int) -> None:
        """Find whether a node must wait for a strict node that is still being walked."""
        self._end_strict(frame, key)
        hold = self._hold
        if hold is not None and not (self._flat and frame.reduction is None):
            frame.low = outer(frame.low, hold)
        low = frame.low
        if low is None:
            if not self._strict:
                self._lows.clear()
            return
        if frame.shelled:
            if self._exact:
                raise TangledError
            return
        self._lows[key] = low
        parent.holds = True
        parent.low = outer(parent.low, low)
        if self._exact and (self._flat or frame.reduction is not None):
            self._hold = outer(hold, low)


def _padded(first: Any, parts: Iterator[Any]) -> Iterator[Any]:
    """The parts, each batch of the C pickler begun with a filler."""
    yield None
    yield first
    for number, part in enumerate(parts, 1):
        if number % (_BATCH - 1) == 0:
            yield None
        yield part
