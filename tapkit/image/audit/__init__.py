"""What an image would import, call and build, told from its nodes. Nothing is imported or run.

An audit does not say that an image is good: nothing that only looks at it can. It says what is
in it, with what a reader must look at first in front: see `judgement`.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Collection

from tapkit.image.audit import judgement
from tapkit.image.audit.called import called
from tapkit.image.audit.carried import Code, code, is_code
from tapkit.image.audit.excuses import EXCUSES, excused
from tapkit.image.audit.linear import Skimmed
from tapkit.image.audit.places import Places
from tapkit.image.audit.survey import Name, Survey, Use
from tapkit.image.labels import class_name, printable
from tapkit.image.nodes import Image, Object

MOST_PLACES = 1000
"""Of code objects, how many are told with their paths."""


@dataclasses.dataclass(frozen=True)
class Named:
    """A name in an image, what the image does with it, and what is known of it.

    Attributes:
        verdict: one of `judgement`'s; why: in words, or empty.
        use: how often it is referred to, called, built, given state, filled.
        first: the attribute path at which it is met first; None where no path leads to it.
    """

    module: str
    name: str
    verdict: str
    why: str
    use: Use
    first: str | None


@dataclasses.dataclass(frozen=True)
class Computed:
    """Calls of something that is itself the result of a call."""

    what: str
    count: int
    first: str | None


@dataclasses.dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes:
        names: findings first, worst first.
        computed: what is called without being named.
        code: the code objects that are carried by value.
        skimmed: of a pickle that can't be followed to its end, what its opcodes name.
        fault: why it can't be followed; None: it can.
        objects: how many it has.
    """

    names: list[Named]
    computed: list[Computed]
    code: list[Code]
    objects: int
    skimmed: Skimmed | None = None
    fault: str | None = None

    @property
    def findings(self) -> int:
        """How many things there are that somebody must look at."""
        named = sum(each.verdict in judgement.FINDINGS for each in self.names)
        return named + len(self.computed) + (self.fault is not None)


def audit(image: Image, declared: Collection[str] = ()) -> Audit:
    """Look through an image.

    Parameters:
        declared: top-level modules and packages that are expected in it.
    """
    survey = Survey(image)
    calls = _calls_of_excusable(survey)
    computed = _computed(survey)
    codes = [node for node in reversed(survey.others) if is_code(node)]
    unused = Use()
    used = [name for name, use in survey.uses.items() if use != unused]
    wanted = [nodes[-1] for nodes in (*computed.values(), *calls.values())] + codes[:MOST_PLACES]
    places = Places(image, used, wanted)
    names = [
        _judged(name, use, declared, calls.get(name), places) for name, use in survey.uses.items()
    ]
    return Audit(
        names=sorted(names, key=_order),
        computed=[
            Computed(what, len(nodes), places.of_object(nodes[-1]))
            for what, nodes in sorted(computed.items())
        ],
        code=[code(node, places.of_object(node)) for node in codes],
        objects=survey.objects,
    )


def skimmed(found: Skimmed, fault: str, declared: Collection[str] = ()) -> Audit:
    """The audit of a pickle that can't be followed: what its opcodes name.

    Loading such a pickle runs it as far as it goes, so what it names counts all the same.
    """
    names = [
        Named(module, name, *judgement.verdict(module, name, declared), use, None)
        for (module, name), use in found.uses.items()
    ]
    return Audit(sorted(names, key=_order), [], [], 0, found, fault)


def _calls_of_excusable(survey: Survey) -> dict[Name, list[Object]]:
    """Of names that have excuses, the calls that are not excused, or an empty list left out."""
    found: dict[Name, list[Object]] = defaultdict(list)
    for node in survey.others:
        named = called(node)
        if named is not None:
            name = (named.module, named.name)
            if name in EXCUSES and not excused(node):
                found[name].append(node)
    return dict(found)


def _computed(survey: Survey) -> dict[str, list[Object]]:
    found: dict[str, list[Object]] = defaultdict(list)
    for node in survey.others:
        if called(node) is None and not is_code(node):
            found[f"what {class_name(node.call)} makes"].append(node)
    return dict(found)


def _judged(
    name: Name,
    use: Use,
    declared: Collection[str],
    unexcused: list[Object] | None,
    places: Places,
) -> Named:
    verdict, why = judgement.verdict(*name, declared)
    first = places.of_name(name)
    if name in EXCUSES:
        if unexcused:
            first = places.of_object(unexcused[-1]) or first
        elif not use.referred and not use.built:
            verdict, why = judgement.STANDARD, EXCUSES[name][1]
    return Named(printable(name[0]), printable(name[1]), verdict, why, use, first)


def _order(named: Named) -> tuple[int, int, str, str]:
    verdicts = (*judgement.FINDINGS, judgement.DECLARED, judgement.STANDARD, judgement.TAPKIT)
    use = named.use
    return (
        verdicts.index(named.verdict),
        -(use.called + use.built + use.referred),
        named.module,
        named.name,
    )
