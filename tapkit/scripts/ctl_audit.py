"""tapctl audit: what an image would import, call and build, with what is suspicious in front."""

from __future__ import annotations

import json

from tapkit.errors import EXIT_FAILED, EXIT_OK, ImageError, UsageError

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing for --help
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tapkit.image.audit import Audit, Named
    from tapkit.image.audit.carried import Code

USAGE = """
Tell what an image would import, call and build. It is not loaded; nothing is imported or run.

Usage:
  tapctl audit [options] [--allow=PACKAGE]... IMAGE
  tapctl audit (-h | --help)

IMAGE is a file of any form, or - for standard input. Findings come first: names known to be
dangerous, calls of what is itself computed, code that is carried by value, and what is outside
of the standard library, tapkit and the packages declared: those that the header of a .tap names
(a text form has no header) and those allowed here. An image without findings is not thereby a
good one: only who made it counts. See docs/security.md.

Options:
  --allow=PACKAGE  Expect this package or module in it; repeatable.
  --undeclared     Take no package as declared by the image's own header.
  --json           Print it as JSON, described in the module tapkit.scripts.ctl_audit.
  --all            Show all names and all code, however many.
  --passphrase-file=FILE  The passphrase of an encrypted image is the first line of FILE; without
                   it, it is asked for at the terminal.
  --passphrase-fd=N  It comes from the open descriptor N.
  --identity=FILE  Open it with this age identity, or ssh key; repeatable.
  -h, --help       Show this.

Exit status: 0 there are no findings, 1 there are, or it is no image, 2 the command line is
mistyped.
"""

# The JSON is one object:
#   file, form, objects (how many), findings (how many)
#   fault: why its pickle can't be followed to the end, or null
#   names: an array of module, name, verdict ("dangerous", "computed", "code by value",
#     "outside", "declared", "standard", "tapkit"), why, use (how often: referred, called, built,
#     states, filled), first (an attribute path or null); findings first, worst first
#   computed: an array of what, count, first
#   code: an array of name, file, line, uses, place
#   skimmed: null, or of a pickle that can't be followed: extensions, persistent, calls, builds,
#     states, stops, opcodes, end

REPEATED = ("--identity",)

_MOST = 50  # lines of a list, unless all are wanted


def main(arguments: dict[str, Any]) -> int:
    """Run the command; `arguments` are docopt's."""
    from tapkit.image.collector import no_collector

    for name in arguments["--allow"]:
        if not all(part.isidentifier() for part in name.split(".")):
            raise UsageError(f"{name!r} names no package", "--allow", "such as --allow numpy")
    with no_collector():
        where, form, found = _audited(arguments)
        if arguments["--json"]:
            print(json.dumps(_facts(where, form, found), indent=2))
        else:
            most = None if arguments["--all"] else _MOST
            print("\n".join(_report(where, form, found, most)))
    return EXIT_FAILED if found.findings else EXIT_OK


def _audited(arguments: dict[str, Any]) -> tuple[str, str, Audit]:
    """(place, form, audit) of an image; one whose pickle is bent is skimmed."""
    from tapkit.image import audit, tap
    from tapkit.image.audit import linear
    from tapkit.scripts import images

    allowed = arguments["--allow"]
    where, data, row = images.read(arguments["IMAGE"], None, arguments)
    try:
        nodes, info = row.decode(data, where)
    except ImageError as error:
        if not tap.sniff(data):
            raise
        _, payload, _ = tap.read(data, where)  # raises where the envelope is the fault
        return where, row.name, audit.skimmed(linear.skim(bytes(payload)), str(error), allowed)
    declared = [] if arguments["--undeclared"] or row.name != "pickle" else list(info.modules)
    return where, row.name, audit.audit(nodes, [*declared, *allowed])


def _facts(where: str, form: str, found: Audit) -> dict[str, Any]:
    import dataclasses

    facts = {"file": where, "form": form, "findings": found.findings}
    facts |= {
        "objects": found.objects,
        "fault": found.fault,
        "names": [dataclasses.asdict(each) for each in found.names],
        "computed": [dataclasses.asdict(each) for each in found.computed],
        "code": [dataclasses.asdict(each) for each in found.code],
    }
    skimmed = found.skimmed
    facts["skimmed"] = skimmed and {k: v for k, v in skimmed._asdict().items() if k != "uses"}
    return facts


def _report(where: str, form: str, found: Audit, most: int | None) -> Iterator[str]:
    from tapkit.image.audit import judgement
    from tapkit.image.labels import printable

    yield f"image:     {printable(where)}, {form}, {found.objects} objects"
    yield f"findings:  {found.findings or 'none'}"
    if found.fault is not None:
        yield from ("", "It can't be followed to its end, so these are its opcodes' names:")
        yield f"  {printable(found.fault)}"
        yield from _skimmed(found)
    by_verdict: dict[str, list[str]] = {}
    for named in found.names:
        by_verdict.setdefault(named.verdict, []).extend(_named(named))
    computed = [f"  {c.what} is called {_times(c.count)}{_at(c.first)}" for c in found.computed]
    sections = [
        ("Known to be dangerous", by_verdict.get(judgement.DANGEROUS, [])),
        ("Computed, then called", computed),
        ("Makes code that it carries by value", by_verdict.get(judgement.CODE, [])),
        ("Code by value", [_code(each) for each in found.code]),
        (
            "Outside the standard library, tapkit and what is declared",
            by_verdict.get(judgement.OUTSIDE, []),
        ),
        ("Declared", by_verdict.get(judgement.DECLARED, [])),
        ("Standard library", by_verdict.get(judgement.STANDARD, [])),
        ("tapkit", by_verdict.get(judgement.TAPKIT, [])),
    ]
    for title, lines in sections:
        if lines:
            yield from ("", f"{title}:", *lines[:most])
            if most is not None and len(lines) > most:
                yield f"  ... and {len(lines) - most} more: see --all"


def _skimmed(found: Audit) -> Iterator[str]:
    told = found.skimmed
    if told is None:
        return
    yield f"  {told.calls} calls, {told.builds} instances made, {told.states} states given"
    if told.extensions:
        yield f"  extension codes: {', '.join(map(str, told.extensions[:20]))}"
    if told.persistent:
        yield f"  {told.persistent} persistent ids"
    if told.stops > 1:
        yield f"  {told.stops} pickles, one after the other"


def _named(named: Named) -> Iterator[str]:
    why = f": {named.why}" if named.why else ""
    yield f"  {named.module}.{named.name}{why}"
    use = named.use
    words = [
        f"{verb} {_times(count)}"
        for verb, count in (
            ("called", use.called),
            ("built", use.built),
            ("given state", use.states),
            ("filled", use.filled),
            ("referred to", use.referred),
        )
        if count
    ]
    yield f"      {', '.join(words) or 'imported only'}{_at(named.first)}"


def _code(code: Code) -> str:
    uses = f", uses {', '.join(code.uses)}" if code.uses else ""
    return f"  {code.name}, {code.file}:{code.line}{_at(code.place)}{uses}"


def _at(place: str | None) -> str:
    return f" at {place}" if place else ""


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
