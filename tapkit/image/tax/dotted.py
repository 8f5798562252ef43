"""Globals as text: `package.module.Class`; `package.module:Class.method` if the name has dots.

The text says where the module ends: at the colon, or else at the last dot. Nothing is looked up.
"""

from __future__ import annotations

import functools
import re

from tapkit.image.nodes import Global

_PLAIN = re.compile(r"\w+(?:\.\w+)*")
_NAME = re.compile(r"(?:\w+|<(?:locals|lambda)>)(?:\.(?:\w+|<(?:locals|lambda)>))*")


def dotted(what: Global) -> str | None:
    """A global as text; None if its module or name is too odd for that."""
    module, name = what.module, what.name
    if type(module) is not str or type(name) is not str:
        return None
    if not _PLAIN.fullmatch(module) or not _NAME.fullmatch(name):
        return None
    return f"{module}:{name}" if "." in name else f"{module}.{name}"


@functools.lru_cache(maxsize=4096)
def parsed(text: str) -> Global:
    """The global a text names.

    Raises:
        ValueError: the text names none.
    """
    module, colon, name = text.partition(":")
    if not colon:
        module, _, name = text.rpartition(".")
    if not module and text:
        raise ValueError(f"{text!r} does not say which module it is in: write module.{text}")
    if not _PLAIN.fullmatch(module) or not _NAME.fullmatch(name):
        raise ValueError(f"{text!r} is no dotted name like package.module.Class")
    return Global(module, name)
