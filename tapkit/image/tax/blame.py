"""Where a .tax names something: for a class that cannot be had when the image is loaded."""

from __future__ import annotations

import re

from tapkit.image.nodes import Global
from tapkit.image.tax.careful import utf8
from tapkit.image.tax.dotted import dotted
from tapkit.image.tax.faults import Lines, TaxError
from tapkit.names import suggestion

_NAMES = re.compile(
    rb"""\b(?:class|new|call|function|factory)\s*=\s*["']([^"'<>]+)["']|type="global"[^>]*>([^<]+)<"""
)


def blame(data: bytes, where: str, module: str, name: str, what: str) -> TaxError | None:
    """The error that says where a text names what cannot be had; None if it does not name it.

    Parameters:
        data, where: the text and how messages name its file, as for `read`.
        module, name: what cannot be had.
        what: what is wrong with it: `no module named 'TwistedQuots'`.
    """
    data = utf8(data, where)
    wanted = {dotted(Global(module, name)), f"{module}:{name}"}
    place, others = None, set()
    for found in _NAMES.finditer(data):
        group = 1 if found[1] else 2
        text = found[group].decode("utf-8").strip()
        if text not in wanted:
            others.add(text)
        elif place is None:
            place = found.start(group)
    if place is None:
        return None
    hint = ""
    if "did you mean" not in what:  # else it is known what the module does have
        modules = {other.rpartition(".")[0] for other in others}
        known = (f"{module}.{name}", others) if module in modules else (module, modules)
        hint = suggestion(known[0], sorted(known[1]))[2:]
    return TaxError([Lines(data, where).mistake(place, what, hint)])
