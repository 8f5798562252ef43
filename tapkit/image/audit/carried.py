"""Code that an image carries by value: what each code object says of itself, uncompiled."""

from __future__ import annotations

import dataclasses

from tapkit.image.labels import clipped, printable
from tapkit.image.nodes import Global, Node, Object

_MAKERS = frozenset(
    {("tapkit.styles", "compiled"), ("types", "CodeType"), ("builtins", "code"), ("new", "code")}
)
_NAMES = 8  # of CodeType's arguments, on every supported Python, the names the code uses


@dataclasses.dataclass(frozen=True)
class Code:
    """A code object. It may lie: what it says of itself was written by who made the image.

    Attributes:
        name: qualified, where it says so; file, line: where it was written.
        uses: the names of globals and attributes it uses.
        place: the attribute path at which it is, if one leads there.
    """

    name: str
    file: str
    line: int
    uses: list[str]
    place: str | None = None


def is_code(node: Object) -> bool:
    """Whether loading the object makes a code object."""
    call = node.call
    if type(call) is Global:
        return (call.module, call.name) in _MAKERS
    # cloudpickle before tapkit's: _builtin_type("CodeType")(...)
    return type(call) is Object and call.args == ("CodeType",)


def code(node: Object, place: str | None) -> Code:
    """What a code object says of itself."""
    parts = node.args if type(node.args) is tuple else ()
    texts = [at for at, part in enumerate(parts) if type(part) is str]
    if len(texts) > 2:
        texts = texts[:3] if texts[2] == texts[1] + 1 else texts[:2]
    name = _text(parts[texts[-1]]) if len(texts) > 1 else "(unnamed)"
    numbers = [part for part in parts[texts[-1] :] if type(part) is int] if texts else []
    used = parts[_NAMES] if len(parts) > _NAMES else ()
    return Code(
        name=name,
        file=_text(parts[texts[0]]) if texts else "(nowhere)",
        line=numbers[0] if numbers and abs(numbers[0]) < 1 << 31 else 0,
        uses=[_text(part) for part in used] if type(used) is tuple else [],
        place=place,
    )


def _text(part: Node) -> str:
    return clipped(printable(part), 200) if type(part) is str else "(computed)"
