"""tapctl check: whether an image fits the code that is here."""

from __future__ import annotations

import json

from tapkit.errors import EXIT_FAILED, EXIT_OK

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing for --help
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tapkit.image.requirements import Miss, Version
    from tapkit.image.schema import Problem, SavedClass

USAGE = """
Tell whether an image fits the code that is here: modules, classes, upgrade steps, attributes.

Usage:
  tapctl check [options] IMAGE
  tapctl check (-h | --help)

IMAGE is a file of any form, or - for standard input. None of its objects is built; but the
modules of its classes are imported, and so run: do not check what you would not run. (tapctl
audit imports nothing.)

Problems are modules that can't be found, compiled code of another Python, classes that are
missing, upgrade steps (upgradeToVersionN) that are missing between the version saved and the
code's, and state that is newer than the code. Attributes that a class does not speak of any
more, and modules of another version than when it was saved, are told as warnings.

Options:
  --strict    Take warnings for problems.
  --json      Print it as JSON: file, form, classes (name, count, versions, attributes), misses
              (what, remedy), problems and warnings (kind, what, why), other_versions (module,
              saved, here).
  --passphrase-file=FILE  The passphrase of an encrypted image is the first line of FILE; without
              it, it is asked for at the terminal.
  --passphrase-fd=N  It comes from the open descriptor N.
  --identity=FILE  Open it with this age identity, or ssh key; repeatable.
  -h, --help  Show this.

Exit status: 0 it fits, 1 it does not or is no image, 2 the command line is mistyped.
"""

REPEATED = ("--identity",)


def main(arguments: dict[str, Any]) -> int:
    """Run the command; `arguments` are docopt's."""
    from tapkit.image import header, requirements, schema
    from tapkit.image.collector import no_collector
    from tapkit.scripts.images import opened

    with no_collector():
        image = opened(arguments["IMAGE"], None, arguments)
        rows = schema.table(image.nodes)
    misses = header.misses(image.info)
    found = schema.problems(rows)
    versions = requirements.other_versions(image.info) if image.form.name == "pickle" else []
    problems = [each for each in found if each.kind != "unknown attribute"]
    warnings = [each for each in found if each.kind == "unknown attribute"]
    if arguments["--json"]:
        facts = {"file": image.where, "form": image.form.name}
        print(json.dumps(facts | _facts(rows, misses, problems, warnings, versions), indent=2))
    else:
        print(f"image: {image.where}, {image.form.name}")
        print("\n".join(_report(rows, misses, problems, warnings, versions)))
    bad = misses or problems or (arguments["--strict"] and (warnings or versions))
    return EXIT_FAILED if bad else EXIT_OK


def _facts(
    rows: list[SavedClass],
    misses: list[Miss],
    problems: list[Problem],
    warnings: list[Problem],
    versions: list[Version],
) -> dict[str, Any]:
    import dataclasses

    return {
        "classes": [
            {
                "name": row.name,
                "count": row.count,
                "versions": {key: sorted(found) for key, found in row.versions.items()},
                "attributes": sorted(row.attributes),
            }
            for row in rows
        ],
        "misses": [miss._asdict() for miss in misses],
        "problems": [dataclasses.asdict(each) for each in problems],
        "warnings": [dataclasses.asdict(each) for each in warnings],
        "other_versions": [each._asdict() for each in versions],
    }


def _report(
    rows: list[SavedClass],
    misses: list[Miss],
    problems: list[Problem],
    warnings: list[Problem],
    versions: list[Version],
) -> Iterator[str]:
    from tapkit.image.labels import printable

    sections = (
        ("Classes", [f"  {_class(row)}" for row in rows]),
        ("Missing", [f"  {miss.what}: {miss.remedy}" for miss in misses]),
        ("Problems", [f"  {each.kind}: {each.what} ({each.why})" for each in problems]),
        ("Warnings", [f"  {each.kind}: {each.what} ({each.why})" for each in warnings]),
        (
            "Other versions",
            [f"  {each.module} {each.here} (saved with {each.saved})" for each in versions],
        ),
    )
    for title, lines in sections:
        if lines:
            yield ""
            yield f"{title}:"
            yield from map(printable, lines)
    if not misses and not problems:
        yield ""
        yield "It fits the code that is here."


def _class(row: SavedClass) -> str:
    versions = sorted({version for found in row.versions.values() for version in found})
    said = f" (version {', '.join(map(str, versions))})" if versions else ""
    names = f": {', '.join(sorted(row.attributes))}" if row.attributes else ""
    return f"{row.count} {row.name}{said}{names}"
