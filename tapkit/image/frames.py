"""A node of the flat pickler's walk."""

from __future__ import annotations

from typing import Any


class Frame:
    """A node being walked, and what is known of it so far."""

    __slots__ = ("depth", "hashing", "height", "holds", "low", "mark", "obj", "reduction") + (
        ("run", "shellable", "shelled", "strict")
    )

    def __init__(self, obj: Any, reduction: Any, depth: int):
        self.obj = obj
        self.reduction = reduction  # None: a container
        self.depth = depth
        self.height = 0  # levels below it that are not yet written
        self.run = 0  # containers that lead here with no instance in between
        self.mark = 0  # how much was waiting when it was entered
        self.holds = False  # what is below it waits until it is left
        self.low: Frame | None = None  # outermost strict node that is referred to from below
        self.strict = False
        self.hashing = False  # a container that hashes its members by value
        self.shellable = False  # an instance whose arguments are complete
        self.shelled = False


def outer(one: Frame | None, other: Frame) -> Frame:
    """The one nearer to the root."""
    return other if one is None or other.depth < one.depth else one
