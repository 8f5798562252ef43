"""Readable spellings for objects of standard types that hold other objects.

`find` tells which one an object has, and the content that goes with it. As in `standard`, an
object that is not made in just the usual way has none, and is written as the call it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tapkit.image.nodes import (
    ENTRIES,
    ITEMS,
    NEWOBJ,
    REDUCE,
    STATE,
    VALUES,
    Dict,
    Global,
    Node,
    Object,
)
from tapkit.image.tax import escapes, shapes
from tapkit.image.tax.dotted import dotted
from tapkit.image.tax.moments import datetime_text, time_text
from tapkit.image.tax.parts import Moment

if TYPE_CHECKING:
    from tapkit.image.tax.writer import Writer

Found = tuple[str, "Sequence[Any] | Iterator[Any]"]
"""Attributes of the element, and the elements in it."""


def find(node: Object, head: str, writer: Writer) -> Found | None:
    """The readable spelling of an object; None if there is none for it.

    Parameters:
        head: what its start tag begins with: an <attr name=""> can have no other `name=`.
    """
    call = node.call
    if node.kwargs is not None or type(node.args) is not tuple or id(node.args) in writer.shared:
        return None
    if type(call) is Global:
        if node.how == NEWOBJ and not node.args:
            return _attributes(node, writer)
        spell = _SPELLINGS.get((call.module, call.name))
        if spell is None or node.how != REDUCE or (spell is _member and " " in head):
            return None
        return spell(node, writer)
    is_method = node.how == REDUCE and not node.steps and writer.builtin(call) == "MethodType"
    return _method(node, head, writer) if is_method else None


def _attributes(node: Object, writer: Writer) -> Found | None:
    """Attributes in slots, or a state that is there and empty."""
    text, state = dotted(node.call), shapes.slots(node, writer.shared)
    if text is None:
        return None
    if state is not None:
        return f'class="{text}" state="slots"', writer.entries(state)
    if node.steps[::2] != [STATE] or type(node.steps[1]) is not Dict or node.steps[1]:
        return None
    shared = id(node.steps[1]) in writer.shared
    return None if shared else (f'class="{text}" state="empty"', [])


def _method(node: Object, head: str, writer: Writer) -> Found | None:
    """MethodType(function, object): a bound method, of the object's own class mostly."""
    args = node.args
    if len(args) != 2 or type(args[0]) is not Global or type(args[1]) in VALUES or args[1] == ():
        return None
    function, owner = dotted(args[0]), args[1]
    if function is None:
        return None
    name = _of_own_class(args[0], owner)
    what = f'function="{function}"' if name is None or " " in head else f'name="{name}"'
    return _bound(what, owner, writer)


def _of_own_class(function: Global, owner: Node) -> str | None:
    """The name of a function that is a method of the owner's class itself."""
    if type(owner) is not Object or type(owner.call) is not Global:
        return None
    module, name = owner.call.module, owner.call.name
    if function.module != module or not function.name.startswith(f"{name}."):
        return None
    rest = function.name[len(name) + 1 :]
    return rest if rest.isidentifier() else None


def _member(node: Object, writer: Writer) -> Found | None:
    """getattr(object, "name")."""
    args = node.args
    if len(args) != 2 or node.steps or type(args[1]) is not str or not escapes.legal(args[1]):
        return None
    owner, name = args[0], escapes.attribute(args[1])
    if type(owner) is Global:
        text = dotted(owner)
        return None if text is None else (f'type="member" class="{text}" name="{name}"', [])
    if type(owner) in VALUES or owner == ():
        return None
    return _bound(f'name="{name}" via="getattr"', owner, writer)


def _bound(what: str, owner: Node, writer: Writer) -> Found:
    label = writer.written.get(id(owner))
    if label is not None:
        return f'type="method" ref="{label}" {what}', []
    return f'type="method" {what}', [("self", "self", owner)]


def _deque(node: Object, writer: Writer) -> Found | None:
    items = _step(node, ITEMS)
    if items is None:
        return None
    if not node.args:
        return 'type="deque"', writer.items(items)
    if len(node.args) != 2 or node.args[0] != () or type(node.args[1]) is not int:
        return None
    if not 0 <= node.args[1] < 1 << 63:
        return None
    return f'type="deque" maxlen="{node.args[1]}"', writer.items(items)


def _ordered_dict(node: Object, writer: Writer) -> Found | None:
    entries = _step(node, ENTRIES)
    if entries is None or node.args:
        return None
    return 'type="OrderedDict"', writer.entries(entries)


def _defaultdict(node: Object, writer: Writer) -> Found | None:
    entries = _step(node, ENTRIES)
    if entries is None or len(node.args) > 1:
        return None
    if not node.args:
        return 'type="defaultdict"', writer.entries(entries)
    factory = node.args[0]
    text = dotted(factory) if type(factory) is Global else None
    if text is None:
        return None
    return f'type="defaultdict" factory="{text}"', writer.entries(entries)


def _step(node: Object, verb: str) -> Any:
    """The value of an object's only step, empty if it has none; None if it has others."""
    if not node.steps:
        return Dict() if verb == ENTRIES else []
    if node.steps[::2] != [verb] or not node.steps[1]:
        return None
    return node.steps[1]


def _datetime(node: Object, writer: Writer) -> Found | None:
    return _zoned(node, "datetime", datetime_text)


def _time(node: Object, writer: Writer) -> Found | None:
    return _zoned(node, "time", time_text)


def _zoned(node: Object, kind: str, text_of: Callable[[bytes], str | None]) -> Found | None:
    """A moment whose time zone is more than an offset, or is shared."""
    args: tuple[Node, ...] = node.args
    if len(args) != 2 or type(args[0]) is not bytes or node.steps:
        return None
    text = text_of(args[0])
    if text is None:
        return None
    return f'type="{kind}"', [("at", "at", Moment(text)), ("tzinfo", "tzinfo", args[1])]


_SPELLINGS: dict[tuple[str, str], Callable[[Object, Writer], Found | None]] = {
    ("builtins", "getattr"): _member,
    ("collections", "deque"): _deque,
    ("collections", "OrderedDict"): _ordered_dict,
    ("collections", "defaultdict"): _defaultdict,
    ("datetime", "datetime"): _datetime,
    ("datetime", "time"): _time,
}
