"""Images that mean harm: a table of cases, each a file that must be refused.

A row more is a case more: add it to a module's `cases()`, or a module to `ALL`. Each is made in a
folder of its own and then loaded in one process whose audit hook watches; see `worker`.
"""

from __future__ import annotations

from tests.hostile import envelope, places, seals
from tests.hostile.case import Case

ALL = (envelope, places, seals)


def cases() -> list[Case]:
    """Every case there is on this machine; their names differ."""
    return [case for module in ALL for case in module.cases()]
