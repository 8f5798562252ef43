"""Names of elements: the attribute's or key's own where that is an XML name, else an escape.

Inside an object or a dict an element's name is an attribute or a key. What cannot be a name is
`<attr name="odd name">`; what cannot even stand in an attribute of XML, or is no string, is
`<entry><key/><value/></entry>`.
"""

from __future__ import annotations

import re
from typing import Any

from tapkit.image import naming
from tapkit.image.nodes import ATOMS, FrozenSet, Global, Image, Node, Set
from tapkit.image.tax import escapes
from tapkit.image.tax.parts import Entry

# What every XML parser takes for a name, and expat's tables of XML 1.0 know
_NAME = re.compile(r"(?![xX][mM][lL])[A-Za-z_À-ÖØ-öø-ÿ][A-Za-z0-9_.À-ÖØ-öø-ÿ-]*")
RESERVED = frozenset({"attr", "entry"})
"""Names with a meaning of their own inside an object or a dict."""

_ATTR = 'attr name="'
_REMEMBERED = 10_000


def is_name(key: str) -> bool:
    """Whether a key can be the name of an element."""
    return _NAME.fullmatch(key) is not None and key not in RESERVED


def head_of(key: str) -> str | None:
    """What the start tag of a key's element begins with; None if it needs an entry."""
    if " " not in key and is_name(key):
        return key
    if key.isprintable() and not ("&" in key or '"' in key or "<" in key or ">" in key):
        return f'{_ATTR}{key}"'
    return f'{_ATTR}{escapes.attribute(key)}"' if escapes.legal(key) else None


def name_of(head: str) -> str:
    """The element's name, of what its start tag begins with."""
    return "attr" if head.startswith(_ATTR) else head


class Tags:
    """Finds the start tags of keys, and remembers those met before."""

    def __init__(self) -> None:
        self._heads: dict[str, str | None] = {}

    def head(self, key: str) -> str | None:
        """As `head_of`."""
        if key in self._heads:
            return self._heads[key]
        head = head_of(key)
        if len(self._heads) < _REMEMBERED:
            self._heads[key] = head
        return head

    def heads(self, keys: list[Node]) -> list[str] | None:
        """The start tags of all these keys; None if one is no name or comes twice."""
        if not keys or set(map(type, keys)) != {str} or len(set(keys)) != len(keys):
            return None
        heads = [head for head in map(self.head, keys) if head is not None]
        return heads if len(heads) == len(keys) else None

    def entries(self, pairs: list[Node]) -> list[tuple[str, str, Any]]:
        """The elements for keys and values by turns. A key that comes again is an entry."""
        children: list[tuple[str, str, Any]] = []
        seen: set[str] = set()
        parts = iter(pairs)
        for key, value in zip(parts, parts, strict=True):
            head = self.head(key) if type(key) is str and key not in seen else None
            if head is None:
                children.append(("entry", "entry", Entry(key, value)))
            else:
                seen.add(key)
                children.append((head, name_of(head), value))
        return children


def hint(head: str, node: Node, container: str, image: Image) -> str:
    """What to call a node by its place: the element it is, in the element it is in."""
    if node is image.root:
        return naming.root_hint(node)
    if head in ("item", "value", "key", "self", "root"):
        return naming.hint_of(node, container or "item")
    if head in ("args", "kwargs", "state", "effect", "again"):
        return naming.part_hint(container, head)
    return head[len(_ATTR) : -1] if head.startswith(_ATTR) else head


def settled(members: Set | FrozenSet) -> list[Node]:
    """The members of a set in an order that depends on them alone, as far as they tell it.

    A stream has them in the order of their hashes, which is another in each process. Values,
    and tuples of values, are sorted; the others come last, as they came.
    """
    ranked = [(_rank(member), number, member) for number, member in enumerate(members)]
    return [member for _, _, member in sorted(ranked, key=lambda each: each[:2])]


def _rank(member: Node) -> tuple[Any, ...]:
    kind = type(member)
    if kind in ATOMS or kind is Global:
        return _value_rank(member)
    if kind is tuple and all(type(part) in ATOMS for part in member):
        return ("~tuple", tuple(_value_rank(part) for part in member))
    return ("~~",)


def _value_rank(value: Node) -> tuple[Any, ...]:
    kind = type(value)
    if value is None:
        return ("NoneType",)
    if kind is float and value != value:
        return ("float", -float("inf"))
    return (kind.__name__, (value.module, value.name) if kind is Global else value)
