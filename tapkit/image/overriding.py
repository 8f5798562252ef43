"""What the C pickler asks about each object: the one call in Python that an object costs.

Functions that close over the types, and no methods: it is a tenth quicker, and they can be
compiled (see setup.py), which a pickler can't.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tapkit.image.classes import Met


def asking(met: dict[type, Met]) -> Callable[[object], Any]:
    """A `reducer_override` that asks the hook of an object's type.

    Parameters:
        met: the types; one that is not in it is added when it is looked up.
    """

    def reducer_override(obj: object) -> Any:
        hook = met[type(obj)].hook
        return NotImplemented if hook is None else hook(obj)

    return reducer_override


def counting(met: dict[type, Met]) -> Callable[[object], Any]:
    """The same, and it counts. (One that asked the other would cost as much as all else here.)"""

    def reducer_override(obj: object) -> Any:
        known = met[type(obj)]
        known.count += 1
        hook = known.hook
        return NotImplemented if hook is None else hook(obj)

    return reducer_override
