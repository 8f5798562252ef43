"""Which names can be attributes in source, and come back as they were."""

from __future__ import annotations

import keyword
import unicodedata

from tapkit.image.nodes import Dict, Node

_names: dict[str, bool] = {}


def is_attribute(name: Node) -> bool:
    """Whether a key can be written as a keyword argument."""
    if type(name) is not str:
        return False
    found = _names.get(name)
    if found is None:
        found = name.isidentifier() and not keyword.iskeyword(name) and _is_normal(name)
        if len(_names) < 10_000:
            _names[name] = found
    return found


def _is_normal(name: str) -> bool:
    # Python takes names in the normal form NFKC, so any other name would come back changed.
    return name.isascii() or unicodedata.is_normalized("NFKC", name)


def attributes_only(state: Dict) -> bool:
    """Whether a state can be written as keyword arguments."""
    names = state[::2]
    return all(map(is_attribute, names)) and len(set(names)) == len(names)
