"""Which services of a tree are journaled, and the names their journal knows them by."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from tapkit.errors import JournalError
from tapkit.service import path_of

if TYPE_CHECKING:
    from tapkit.journal import Journaled


def services_of(tree: Any) -> dict[str, Journaled]:
    """The journaled services below `tree`, by their paths of names: `bank`, `shop.Ledger`.

    A service without a name goes by its class's.

    Raises:
        JournalError: two have the same.
    """
    if "tapkit.journal" not in sys.modules:
        return {}  # then no class derives from it, and the start is spared its import
    from tapkit.journal import Journaled

    found: dict[str, Journaled] = {}
    todo = [(service, "") for service in getattr(tree, "services", ())]
    while todo:
        service, above = todo.pop()
        name = above + (getattr(service, "name", None) or type(service).__name__)
        if isinstance(service, Journaled):
            if name in found:
                raise JournalError(
                    f"two journaled services are called {name!r}",
                    f"{path_of(service)} and {path_of(found[name])}",
                    "give each a name, with setName or in its constructor",
                )
            found[name] = service
        todo.extend((inner, f"{name}.") for inner in getattr(service, "services", ()))
    return found
