"""How a class says what of it is saved.

`volatile` names what lives only while the process does; `Versioned` upgrades old state;
`Ephemeral` marks whole objects that are never saved.
"""

from __future__ import annotations

from typing import Any, ClassVar


class Persistent:
    """Objects that leave their `volatile` attributes out of what is saved.

    `volatile` adds up over the base classes. A volatile attribute found in loaded state (an
    older image, a hand edit) is dropped too: it says nothing about this process.
    """

    volatile: ClassVar[tuple[str, ...]] = ()

    def __getstate__(self) -> Any:
        forgotten = _volatile_names(type(self))
        return {name: value for name, value in vars(self).items() if name not in forgotten}

    def __setstate__(self, state: dict[str, Any]) -> None:
        forgotten = _volatile_names(type(self))
        vars(self).update({name: value for name, value in state.items() if name not in forgotten})


def _volatile_names(cls: type) -> set[str]:
    names: set[str] = set()
    for base in cls.__mro__:
        names.update(vars(base).get("volatile", ()))
    return names
