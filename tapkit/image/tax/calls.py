"""Elements that are objects: `class=`, `new=`, `call=`, and references to them."""

from __future__ import annotations

from typing import Any

from tapkit.image import nodes
from tapkit.image.nodes import (
    AGAIN,
    EFFECT,
    ENTRIES,
    INSTANCE,
    MEMBERS,
    NEWOBJ,
    NEWOBJ_EX,
    REDUCE,
    STATE,
    Dict,
    Node,
    Object,
)
from tapkit.image.tax.builder import NAMED, PARTS, TEXT, UNKNOWN, Builder, FlawError, Frame, kept
from tapkit.image.tax.checks import named

CALL_PARTS = {
    "call": "once", "args": "once", "kwargs": "once", "item": "often", STATE: "often",
    nodes.ITEMS: "often", ENTRIES: "often", MEMBERS: "often", EFFECT: "often", AGAIN: "often",
}  # fmt: skip
"""What may be in an object that is written as a call."""


def new_object(builder: Builder, frame: Frame, how: str, call: Node = UNKNOWN) -> Object:
    """The object of a frame: a new one, or that of the code which is being unpacked."""
    node, builder.adopted = builder.adopted or Object(how, call), None
    node.how, node.call = how, call
    builder.identify(frame, node)
    return node


def enter_class(builder: Builder, frame: Frame) -> None:
    how = frame.attributes.get("state", "attributes")
    if how not in _STATES:
        raise FlawError(f'state="{how}" is unknown', f"there is {', '.join(_STATES)}", "state")
    new_object(builder, frame, NEWOBJ, named(frame, "class"))
    frame.out, frame.holds, frame.finish = Dict(), NAMED, _finish_class


def _finish_class(builder: Builder, frame: Frame) -> Node:
    how = frame.attributes.get("state", "attributes")
    if how == "empty" and frame.out:
        raise FlawError('state="empty" says that there are no attributes', "remove it", "state")
    if how == "slots":
        frame.node.steps = [STATE, (None, frame.out)]
    elif frame.out or how == "empty":
        frame.node.steps = [STATE, frame.out]
    return frame.node


_STATES = ("attributes", "slots", "empty")


def enter_ref(builder: Builder, frame: Frame) -> None:
    if "id" in frame.attributes:
        raise FlawError("what has ref= has no id of its own", "remove one of them", "id")
    frame.holds, frame.finish = TEXT, _finish_ref


def _finish_ref(builder: Builder, frame: Frame) -> Node:
    if "".join(frame.text).strip():
        raise FlawError("a reference holds nothing", "remove its text, or the ref=", ">")
    return builder.referred(frame.attributes["ref"], frame.offset)


def enter_call(builder: Builder, frame: Frame) -> None:
    kind = next(kind for kind in ("new", "call") if kind in frame.attributes)
    _enter_making(builder, frame, kind, named(frame, kind))


def _enter_making(builder: Builder, frame: Frame, kind: str, call: Node) -> None:
    how = frame.attributes.get("how")
    if how not in (None, INSTANCE) or (how and kind == "new"):
        raise FlawError(f'how="{how}" is unknown', 'with call= there may be how="instance"', "how")
    new_object(builder, frame, how or (NEWOBJ if kind == "new" else REDUCE), call)
    frame.holds, frame.parts, frame.finish = PARTS, CALL_PARTS, _finish_making


def enter_type_call(builder: Builder, frame: Frame) -> None:
    _enter_making(builder, frame, frame.attributes["type"], UNKNOWN)


def _finish_making(builder: Builder, frame: Frame) -> Node:
    node: Object = frame.node
    parts = list(zip(frame.out[::2], frame.out[1::2], strict=True))
    names = [name for name, _ in parts]
    if "item" in names and set(names) != {"item"}:
        raise FlawError("<item> stands beside other parts", "put arguments into <args>")
    if (node.call is UNKNOWN) != ("call" in names):
        raise FlawError("what is called is said twice, or not at all", "use call= or <call>")
    if "item" in names:
        parts = [("args", builder.tuple_of(frame.out[1::2], frame))]
    if node.how == NEWOBJ and "kwargs" in names:
        node.how = NEWOBJ_EX

    def complete() -> None:
        steps: list[Any] = []
        for name, part in parts:
            if name in ("call", "args", "kwargs"):
                setattr(node, name, kept(part))
            else:
                steps += [name, kept(part)]
        node.steps = steps

    builder.when_made([part for _, part in parts], complete, frame.offset)
    return node
