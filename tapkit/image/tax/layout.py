"""A .tax as a tree of places in its text: what is needed to change a part and keep the rest.

Only text that the reader has accepted is laid out here, so a regular expression is enough.
"""

from __future__ import annotations

import re

from tapkit.image.tax import escapes

_TOKEN = re.compile(
    r"<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>"
    r"""|<(/?)([^\s/>!?]+)([^>"']*(?:(?:"[^"]*"|'[^']*')[^>"']*)*)>""",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(r"""([^\s=]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_MARKUP = re.compile(r"<!--.*?-->|<!\[CDATA\[(.*?)\]\]>|<\?.*?\?>", re.DOTALL)


class Element:
    """Where an element is in a text: its start tag is text[start:inner], and so on.

    Attributes:
        start, inner, close, end: offsets of the start tag, the content, the end tag, and what
            follows. An element that is one tag has inner == close == end.
    """

    __slots__ = ("_attributes", "children", "close", "end", "inner", "name", "raw", "start")

    def __init__(self, name: str, raw: str, start: int, inner: int):
        self.name = name
        self.raw = raw
        self.start = start
        self.inner = self.close = self.end = inner
        self.children: list[Element] = []
        self._attributes: dict[str, str] | None = None

    @property
    def attributes(self) -> dict[str, str]:
        """Its attributes, as they are meant."""
        if self._attributes is None:
            self._attributes = {
                name: escapes.resolved(_spaces(double or single))
                for name, double, single in _ATTRIBUTE.findall(self.raw)
            }
        return self._attributes

    def meaning(self, text: str) -> str:
        """Its text, as it is meant: without comments, with references resolved."""
        inner = text[self.inner : self.close]
        if "<" not in inner:
            return escapes.resolved(inner)
        parts, at = [], 0
        for found in _MARKUP.finditer(inner):
            parts.append(escapes.resolved(inner[at : found.start()]))
            parts.append(found[1] or "")
            at = found.end()
        return "".join(parts) + escapes.resolved(inner[at:])


def _spaces(value: str) -> str:
    return value.replace("\n", " ").replace("\t", " ")


def layout(text: str) -> Element:
    """The outermost element of a text that is known to be well-formed."""
    root: Element | None = None
    stack: list[Element] = []
    for found in _TOKEN.finditer(text):
        slash, name, raw = found.groups()
        if name is None:
            continue
        if slash:
            element = stack.pop()
            element.close, element.end = found.span()
            continue
        element = Element(name, raw, *found.span())
        if stack:
            stack[-1].children.append(element)
        elif root is None:
            root = element
        if not raw.endswith("/"):
            stack.append(element)
    assert root is not None
    return root
