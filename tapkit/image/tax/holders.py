"""Elements that hold nodes: lists, tuples, dicts, and the standard types like them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tapkit.image import nodes
from tapkit.image.nodes import ENTRIES, REDUCE, Dict, Global, Node
from tapkit.image.tax.builder import ENTRY, ITEMS, NAMED, Builder, FlawError, Frame
from tapkit.image.tax.calls import new_object
from tapkit.image.tax.checks import named

Enter = Callable[[Builder, Frame], None]


def finish_node(builder: Builder, frame: Frame) -> Node:
    """The node that was made at the start tag."""
    return frame.node


def finish_tuple(builder: Builder, frame: Frame) -> Node:
    """The content as a tuple."""
    return builder.make_tuple(frame)


def enter_flat(make: Callable[[], Any]) -> Enter:
    def enter(builder: Builder, frame: Frame) -> None:
        frame.out = make()
        frame.holds, frame.finish = NAMED if type(frame.out) is Dict else ITEMS, finish_node
        builder.identify(frame, frame.out)

    return enter


def enter_tuple(builder: Builder, frame: Frame) -> None:
    frame.holds, frame.finish = ITEMS, finish_tuple
    builder.identify(frame)


def enter_entry(builder: Builder, frame: Frame) -> None:
    frame.holds, frame.finish = ENTRY, _finish_entry
    frame.parts = {"key": "once", "value": "once"}
    frame.slot = None


def _finish_entry(builder: Builder, frame: Frame) -> Node:
    parts = dict(zip(frame.out[::2], frame.out[1::2], strict=True))
    for name in ("key", "value"):
        if name not in parts:
            raise FlawError(f"<entry> lacks its <{name}>", "write <entry><key/><value/></entry>")
    return parts["key"], parts["value"]


def enter_deque(builder: Builder, frame: Frame) -> None:
    node = new_object(builder, frame, REDUCE, Global("collections", "deque"))
    length = frame.attributes.get("maxlen")
    if length is not None:
        if not (length.isascii() and length.isdigit() and len(length) < 20):
            raise FlawError(f"maxlen: {length!r} is not a length", "write digits", "maxlen")
        node.args = ((), int(length))
    frame.holds, frame.finish, frame.info = ITEMS, _finish_step, nodes.ITEMS


def enter_ordered_dict(builder: Builder, frame: Frame) -> None:
    new_object(builder, frame, REDUCE, Global("collections", "OrderedDict"))
    frame.out, frame.holds, frame.finish = Dict(), NAMED, _finish_entries


def enter_defaultdict(builder: Builder, frame: Frame) -> None:
    node = new_object(builder, frame, REDUCE, Global("collections", "defaultdict"))
    if "factory" in frame.attributes:
        node.args = (named(frame, "factory"),)
    frame.out, frame.holds, frame.finish = Dict(), NAMED, _finish_entries


def _finish_step(builder: Builder, frame: Frame) -> Node:
    if frame.out:
        frame.node.steps = [nodes.ITEMS, frame.out]
    return frame.node


def _finish_entries(builder: Builder, frame: Frame) -> Node:
    if frame.out:
        frame.node.steps = [ENTRIES, frame.out]
    return frame.node
