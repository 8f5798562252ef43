"""Elements with a form of their own: methods, builtin types, code, what is discarded."""

from __future__ import annotations

from tapkit.image.nodes import REDUCE, Global, Node, Object
from tapkit.image.tax import shapes
from tapkit.image.tax.atoms import from_text
from tapkit.image.tax.builder import PARTS, TEXT, Builder, FlawError, Frame, kept
from tapkit.image.tax.calls import new_object
from tapkit.image.tax.checks import named, needed

_GETATTR = Global("builtins", "getattr")


def enter_member(builder: Builder, frame: Frame) -> None:
    """getattr(class, name)"""
    needed(frame, "class")
    if frame.name == "attr":
        raise FlawError("<attr> has name= already", "use <entry>", "name")
    node = new_object(builder, frame, REDUCE, _GETATTR)
    node.args = (named(frame, "class"), needed(frame, "name"))
    frame.holds, frame.finish = PARTS, _finish_node


def enter_method(builder: Builder, frame: Frame) -> None:
    """A method bound to the object `ref=` means, or to the one in `<self>`."""
    given = frame.attributes
    named_here = "name" in given and frame.name != "attr"
    if named_here == ("function" in given):
        raise FlawError("a method has name= or function=", 'add name="..."')
    if given.get("via", "getattr") != "getattr":
        raise FlawError("via= is unknown", 'there is via="getattr"', "via")
    if "function" in given:
        named(frame, "function")
    new_object(builder, frame, REDUCE)
    frame.holds, frame.finish = PARTS, _finish_method
    frame.parts = {} if "ref" in given else {"self": "once"}


def _finish_method(builder: Builder, frame: Frame) -> Node:
    given, node = frame.attributes, frame.node
    if "ref" in given:
        owner = builder.referred(given["ref"], frame.offset)
    elif frame.out:
        owner = frame.out[1]
    else:
        raise FlawError("a method lacks its object", "add ref= or <self>")

    def complete() -> None:
        _bind(builder, frame, node, kept(owner))

    builder.when_made([owner], complete, frame.offset)
    return node


def _bind(builder: Builder, frame: Frame, node: Object, owner: Node) -> None:
    given = frame.attributes
    if builder.flawed:
        return  # what the object is may be unknown for that
    if "via" in given:
        node.call, node.args = _GETATTR, (owner, given["name"])
        return
    if "function" in given:
        function = named(frame, "function")
    elif type(owner) is Object and type(owner.call) is Global:
        function = Global(owner.call.module, f"{owner.call.name}.{given['name']}")
    else:
        hint = 'say function="module:Class.method"'
        raise FlawError("the class the method is of cannot be told from its object", hint, "name")
    node.call, node.args = builtin(builder, "MethodType"), (function, owner)


def builtin(builder: Builder, name: str) -> Object:
    """The node of a builtin type: one for each name in a whole image."""
    node = builder.builtins.get(name)
    if node is None:
        node = builder.builtins[name] = Object(REDUCE, shapes.BUILTIN_TYPE, (name,))
    return node


def enter_builtin(builder: Builder, frame: Frame) -> None:
    frame.holds, frame.finish = TEXT, _finish_builtin


def _finish_builtin(builder: Builder, frame: Frame) -> Node:
    name = "".join(frame.text).strip()
    if not (name.isascii() and name.isidentifier()):
        raise FlawError(f"{name!r} is no builtin type", "write a name like MethodType", ">")
    return builtin(builder, name)


def _finish_node(builder: Builder, frame: Frame) -> Node:
    return frame.node


def enter_code(builder: Builder, frame: Frame) -> None:
    """Packed code. What it uses comes first, so its references find it."""
    if builder.unpacking:
        raise FlawError("packed code cannot be in packed code")
    new_object(builder, frame, REDUCE)
    frame.holds, frame.finish = PARTS, _finish_code
    frame.parts = {"uses": "once", "data": "once"}


def _finish_code(builder: Builder, frame: Frame) -> Node:
    parts = dict(zip(frame.out[::2], frame.out[1::2], strict=True))
    if type(parts.get("data")) is not str:
        raise FlawError("code lacks its <data>")
    try:
        packed = from_text(parts["data"], "base64")
    except ValueError as error:
        raise FlawError(
            f"the packed code is damaged: {error}", "take it from the original"
        ) from None
    builder.adopted, builder.unpacking = frame.node, True
    try:
        builder.unpacked(builder, packed, frame)
    finally:
        builder.adopted, builder.unpacking = None, False
    return frame.node


def enter_image(builder: Builder, frame: Frame) -> None:
    """An image with calls whose results are thrown away."""
    if builder.stack:
        raise FlawError('type="image" is for the outermost element', "", "type")
    frame.holds, frame.finish = PARTS, _finish_image
    frame.parts = {"discarded": "once", "root": "once"}


def _finish_image(builder: Builder, frame: Frame) -> Node:
    parts = dict(zip(frame.out[::2], frame.out[1::2], strict=True))
    if "root" not in parts:
        raise FlawError(f"<{frame.name}> lacks its <root>")
    builder.discarded = parts.get("discarded", [])
    return parts["root"]
