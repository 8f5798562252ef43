"""What the attributes of an element say it is: `type=`, `class=`, `new=`, `call=`, `ref=`.

One table, `TYPES`, has a row for each word `type=` may have; `enter` finds the row and gives the
frame its form.
"""

from __future__ import annotations

from typing import NamedTuple

from tapkit.image.nodes import Dict, FrozenSet, Node, Set
from tapkit.image.tax.atoms import ATOMS
from tapkit.image.tax.builder import ITEMS, NAMED, Builder, FlawError, Frame
from tapkit.image.tax.calls import CALL_PARTS, enter_call, enter_class, enter_ref, enter_type_call
from tapkit.image.tax.checks import MAKERS, check_attributes
from tapkit.image.tax.holders import (
    enter_defaultdict,
    enter_deque,
    enter_entry,
    enter_flat,
    enter_ordered_dict,
    enter_tuple,
    finish_tuple,
)
from tapkit.image.tax.special import (
    enter_builtin,
    enter_code,
    enter_image,
    enter_member,
    enter_method,
)
from tapkit.image.tax.standard import SPELLINGS
from tapkit.image.tax.texts import Enter, enter_atom
from tapkit.names import suggestion

_PLAIN_PARTS = {"args": ITEMS, "items": ITEMS, "members": ITEMS, "kwargs": NAMED, "entries": NAMED}
"""Parts that are content and no node, if they do not say that they are one."""


class Type(NamedTuple):
    """A word `type=` may have.

    Attributes:
        enter: gives the frame its form.
        attributes: those it may have, beside `type` and `id`.
    """

    enter: Enter
    attributes: tuple[str, ...] = ()


def enter(builder: Builder, frame: Frame) -> None:
    """Give a frame its form by its attributes.

    Raises:
        FlawError: they are wrong.
    """
    given = frame.attributes
    parent = builder.stack[-1] if builder.stack else None
    if parent is not None and parent.holds is NAMED and frame.name == "entry":
        check_attributes(frame, ())
        enter_entry(builder, frame)
        return
    kind = given.get("type")
    if kind is not None:
        _enter_type(builder, frame, kind)
        return
    makers = [maker for maker in MAKERS if maker in given]
    if len(makers) > 1:
        raise FlawError(f"{makers[0]}= and {makers[1]}= exclude each other", "", makers[1])
    if makers:
        allowed, form = _FORMS[makers[0]]
        check_attributes(frame, (*allowed, makers[0]))
        form(builder, frame)
    elif parent is not None and frame.name in parent.parts and _plain(frame, parent):
        return
    else:
        check_attributes(frame, ("escape",))
        enter_atom(ATOMS["str"])(builder, frame)


def _plain(frame: Frame, parent: Frame) -> bool:
    """Whether a part is content, or says nothing: then it gets that form."""
    if frame.name == "uses" or (frame.name == "discarded" and parent.parts is not CALL_PARTS):
        frame.holds, frame.finish = ITEMS, _finish_out
    elif frame.name in _PLAIN_PARTS and parent.parts is CALL_PARTS:
        frame.holds = _PLAIN_PARTS[frame.name]
        if frame.holds is NAMED:
            frame.out = Dict()
        frame.finish = finish_tuple if frame.name == "args" else _finish_out
    else:
        return False
    check_attributes(frame, ())
    return True


def _enter_type(builder: Builder, frame: Frame, kind: str) -> None:
    row = TYPES.get(kind)
    if row is None:
        hint = suggestion(kind, TYPES)[2:] or suggestion(kind.lower(), TYPES)[2:]
        hint = hint or "an object of a class of your own has class= instead"
        raise FlawError(f'type="{kind}" is unknown', hint, "type")
    check_attributes(frame, (*row.attributes, "type"))
    row.enter(builder, frame)


def _finish_out(builder: Builder, frame: Frame) -> Node:
    return frame.out


_FORMS: dict[str, tuple[tuple[str, ...], Enter]] = {
    "ref": ((), enter_ref),
    "class": (("state",), enter_class),
    "new": (("how",), enter_call),
    "call": (("how",), enter_call),
}

_ZONED = {"at": "once", "tzinfo": "once"}
_PARTS = {"datetime": _ZONED, "time": _ZONED, "global": {"module": "once", "name": "once"}}

TYPES: dict[str, Type] = {
    **{name: Type(enter_atom(atom, _PARTS.get(name)), atom.attributes)
       for name, atom in ATOMS.items()},
    **{name: Type(enter_atom(row.atom, _PARTS.get(name)), (*row.atom.attributes, "escape"))
       for name, row in SPELLINGS.items()},
    "list": Type(enter_flat(list)),
    "dict": Type(enter_flat(Dict)),
    "set": Type(enter_flat(Set)),
    "frozenset": Type(enter_flat(FrozenSet)),
    "tuple": Type(enter_tuple),
    "deque": Type(enter_deque, ("maxlen",)),
    "OrderedDict": Type(enter_ordered_dict),
    "defaultdict": Type(enter_defaultdict, ("factory",)),
    "method": Type(enter_method, ("ref", "name", "function", "via")),
    "member": Type(enter_member, ("class", "name")),
    "builtin": Type(enter_builtin),
    "code": Type(enter_code, ("what",)),
    "call": Type(enter_type_call, ("how",)),
    "new": Type(enter_type_call, ("how",)),
    "image": Type(enter_image),
}  # fmt: skip
"""Every word `type=` may have."""
