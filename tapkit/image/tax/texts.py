"""Elements whose value is text."""

from __future__ import annotations

from collections.abc import Callable

from tapkit.image.nodes import Global, Node
from tapkit.image.tax import escapes
from tapkit.image.tax.atoms import Atom
from tapkit.image.tax.builder import PARTS, TEXT, Builder, FlawError, Frame, kept
from tapkit.image.tax.standard import SPELLINGS

Enter = Callable[[Builder, Frame], None]


def enter_atom(atom: Atom, parts: dict[str, str] | None = None) -> Enter:
    """A type whose value is text; or, where it has such, parts."""

    def finish(builder: Builder, frame: Frame) -> Node:
        if frame.holds is PARTS:
            return _finish_atom_parts(builder, frame)
        return made(atom, frame)

    def enter(builder: Builder, frame: Frame) -> None:
        frame.holds, frame.finish, frame.parts = TEXT, finish, parts or {}
        builder.identify(frame)

    return enter


def made(atom: Atom, frame: Frame) -> Node:
    """The node a frame's text stands for."""
    text = "".join(frame.text)
    try:
        if "escape" in frame.attributes:
            text = unescape(text, frame.attributes["escape"])
        return atom.make(text, frame.attributes)
    except KeyError:
        shown = " ".join(text.split())
        shown = repr(shown if len(shown) <= 40 else shown[:37] + "...")
        name = frame.attributes.get("name", frame.name) if frame.name == "attr" else frame.name
        raise FlawError(f"{name}: {shown} is not {atom.what}", atom.hint, ">") from None
    except ValueError as error:
        raise FlawError(f"{frame.name}: {error}", atom.hint, ">") from None


def unescape(text: str, how: str) -> str:
    """Text of an element with `escape=`."""
    if how != "backslash":
        raise ValueError(f'escape="{how}" is unknown; there is escape="backslash"')
    return escapes.unescaped(text)


def _finish_atom_parts(builder: Builder, frame: Frame) -> Node:
    """A global with an odd name; a moment with a time zone that is more than an offset."""
    parts = dict(zip(frame.out[::2], frame.out[1::2], strict=True))
    missing = [f"<{name}>" for name in frame.parts if name not in parts]
    if missing:
        raise FlawError(f"<{frame.name}> lacks {' and '.join(missing)}")
    if "module" in parts:
        return Global(parts["module"], parts["name"])
    node = parts["at"]
    kind = frame.attributes["type"]
    if type(node) is not str:
        raise FlawError("<at> holds text", "remove its type=")
    try:
        moment = SPELLINGS[kind].atom.make(node, {})
    except (KeyError, ValueError) as error:
        hint = SPELLINGS[kind].atom.hint
        raise FlawError(f"{frame.name}: {node!r} is not a {kind}: {error}", hint) from None
    packed, zone = moment.args[0], parts["tzinfo"]
    moment.args = ()

    def complete() -> None:
        moment.args = (packed, kept(zone))

    builder.when_made([zone], complete, frame.offset)
    return moment
