"""How the flat pickler cuts cycles: modes, to be tried in their order.

- `shells`: an object that is met inside one of its own descendants is written as a shell, and
  completed when it is left. A TangledError is raised if it is then found to refer back to a
  strict node above it: the shell came too early. That is rare.
- `whole`: every node is strict, there are no shells. Cycles are written whole, by plain
  recursion; a RecursionError means that one is too deep for that.
- `loose`: only the containers that hash their members by value are strict. An object may see
  siblings in a shared container incomplete while its own state arrives, where plain pickle
  would have shown it the container half filled.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Literal, TypeVar

T = TypeVar("T")

Mode = Literal["shells", "whole", "loose"]
MODES: tuple[Mode, ...] = ("shells", "whole", "loose")


class TangledError(Exception):
    """A shell was written of an object that turned out to refer to a strict node above it."""


def in_first_mode(dump: Callable[[Mode], T]) -> T:
    """What `dump` returns for the first mode that is able to save the graph."""
    for mode in MODES[:-1]:
        try:
            return dump(mode)
        except TangledError:
            pass  # cycles of containers and instances: the next mode is for them
        except (RecursionError, pickle.PicklingError) as error:
            if not is_too_deep(error):
                raise
    return dump(MODES[-1])


def is_too_deep(error: BaseException) -> bool:
    """Whether this is a RecursionError, or cloudpickle's way of saying it."""
    return isinstance(error, RecursionError) or isinstance(error.__cause__, RecursionError)
