"""The nodes of elements that a pattern has matched."""

from __future__ import annotations

from typing import Any

from tapkit.image.nodes import NEWOBJ, STATE, Dict, Object
from tapkit.image.tax.builder import Builder, Promise
from tapkit.image.tax.patterns import Part, Pattern
from tapkit.image.tax.plans import DoubtError


def taken(  # noqa: C901  # hot
    pattern: Pattern, groups: tuple[Any, ...], builder: Builder, met: set[str]
) -> list[Any]:
    """The node of an element, and before it its key, if a group says that.

    The values stand in the order of the text. The parts are made from the last one on, so that
    what is within a part is made before it; each takes its values' place.

    Parameters:
        met: ids that are referred to are added.

    Raises:
        DoubtError: an id is there twice.
    """
    values: list[Any] = list(groups)
    for place, convert in pattern.changes:
        values[place] = convert(values[place])
    for place in pattern.nones:
        values[place] = None
    for part in pattern.labelled:  # before any reference to it
        values[part.start - 1] = _claimed(part, values[part.start - 1], builder)
    promised = bool(pattern.references) and _refer(pattern.references, values, builder, met)
    for part in pattern.parts:
        start, keys, call = part.start, part.keys, part.call
        end = start + part.size
        state: Any = values[start:end]
        if keys is not None:
            content, state = state, Dict(keys)
            state[1::2] = content
        made = state
        if part.is_labelled:
            start -= 1
            made = values[start]
            if call is None:
                made += state
                state = made
        elif call is not None:
            made = Object(NEWOBJ, call)
        if call is not None and state:
            made.steps = [STATE, state]
        if promised:
            builder.await_promises(state)
        values[start:end] = [made]
    return values


def _claimed(part: Part, label: str, builder: Builder) -> Any:
    """The node of a part that has an id, still empty."""
    if builder.is_claimed(label):
        raise DoubtError
    made: Any = Dict()
    if part.call is not None:
        made = Object(NEWOBJ, part.call)
    elif part.keys is None:
        made = []
    builder.claim(label, made)
    return made


def _refer(places: list[int], values: list[Any], builder: Builder, met: set[str]) -> bool:
    """Replace ids by what has them; whether any is not there yet."""
    ids = builder.ids
    promised = False
    for place in places:
        met.add(values[place])
        found = ids.get(values[place])
        if type(found) is not Object:
            found = builder.referred(values[place], 0)
            promised = promised or type(found) is Promise
        values[place] = found
    return promised
