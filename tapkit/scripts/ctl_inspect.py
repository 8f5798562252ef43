"""tapctl inspect: what is in an image, and a drawing of it."""

from __future__ import annotations

import json

from tapkit.errors import EXIT_OK, ImageError, UsageError

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing for --help
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tapkit.image.overview import Overview, Service
    from tapkit.scripts.images import Opened

USAGE = """
Tell what is in an image of any form. It is not loaded.

Usage:
  tapctl inspect [options] IMAGE
  tapctl inspect (-h | --help)

IMAGE is a file, or - for standard input. Shown are what its header says, the service tree with
its ports, the classes and how many instances each has, the calls that loading would make, and
the modules it needs.

Options:
  --all         Show all services and classes, however many.
  --graph=FILE  Draw the objects, what they share and how they refer to each other, as SVG;
                with graphviz's `dot` where it is installed.
  --source      Print the source text that the image carries, file after file, instead.
  --json        Print it as JSON, described in the module tapkit.scripts.ctl_inspect.
  --passphrase-file=FILE  The passphrase of an encrypted image is the first line of FILE; without
                it, it is asked for at the terminal.
  --passphrase-fd=N  It comes from the open descriptor N.
  --identity=FILE  Open it with this age identity, or ssh key; repeatable.
  -h, --help    Show this.

Exit status: 0 it is an image, 1 it is none or could not be read, 2 the command line is mistyped.
"""

# The JSON is one object. From the header of a .tap, and null for a text form, which has none:
#   tapkit, python, implementation, cloudpickle, created, tap_type, options, encoding
# Of the file: file, form, size (in bytes), name (the application's, or null).
# From the nodes, as `tapkit.image.overview.Overview` describes them:
#   root, services (an array of path, depth, class_name, name, settings, serves), objects,
#   classes, calls, names, modules (name -> version when saved, or null), missing, code
HEADER = (
    "tapkit",
    "python",
    "implementation",
    "cloudpickle",
    "created",
    "tap_type",
    "options",
    "encoding",
)

REPEATED = ("--identity",)

_MOST = 50  # lines of a list, unless all are wanted
_INDENTED = 20  # levels of the tree that are indented


def main(arguments: dict[str, Any]) -> int:
    """Run the command; `arguments` are docopt's."""
    from tapkit.image.collector import no_collector
    from tapkit.image.overview import overview
    from tapkit.scripts.images import opened

    if arguments["--source"]:
        return _print_sources(arguments)
    target = arguments["--graph"]
    if target is not None and not target.endswith(".svg"):
        raise UsageError("a drawing is SVG", target, "name a file that ends in .svg")
    with no_collector():
        image = opened(arguments["IMAGE"], arguments=arguments)
        seen = overview(image.nodes)
        if arguments["--json"]:
            print(json.dumps(_facts(image, seen), indent=2))
        else:
            most = None if arguments["--all"] else _MOST
            print("\n".join(_report(image, seen, most)))
        if target is not None:
            _draw(image, target)
    return EXIT_OK


def _print_sources(arguments: dict[str, Any]) -> int:
    from tapkit.image.carrying import carried_in
    from tapkit.image.labels import printable
    from tapkit.scripts.images import opened

    others = [option for option in ("--graph", "--json", "--all") if arguments[option]]
    if others:
        raise UsageError(f"--source and {others[0]} contradict each other")
    image = opened(arguments["IMAGE"], arguments=arguments)
    packages = list(carried_in(image.nodes))
    if not packages:
        raise ImageError("it carries no source", image.where, "mktap --carry puts it there")
    for package in packages:
        print(f"# {package.name}, SHA-256 {package.digest}")
        for path, text in package.files.items():
            shown = text if isinstance(text, str) else f"# {len(text)} bytes, not shown\n"
            print(f"\n# {package.name}/{printable(path)}\n\n{_printable_lines(shown)}", end="")
    return EXIT_OK


def _printable_lines(text: str) -> str:
    """A text for the terminal: its lines, but none of its control sequences."""
    from tapkit.image.labels import printable

    return "".join(printable(line) + "\n" for line in text.split("\n")[:-1] or [text])


def _facts(image: Opened, seen: Overview) -> dict[str, Any]:
    import dataclasses

    facts: dict[str, Any] = {"file": image.where, "form": image.form.name, "size": len(image.data)}
    facts["name"] = image.info.name
    facts |= {key: getattr(image.info, key) if _has_header(image) else None for key in HEADER}
    facts |= dataclasses.asdict(seen)
    facts["options"] = _plain(facts["options"])
    facts["modules"] = {name: _version(image, name) for name in seen.modules}
    return facts


def _has_header(image: Opened) -> bool:
    return image.form.name == "pickle"


def _version(image: Opened, module: str) -> str | None:
    return image.info.modules.get(module) if _has_header(image) else None


def _plain(options: dict[str, Any] | None) -> dict[str, Any] | None:
    """Options as JSON can hold them: msgpack has bytes, too."""
    if options is None:
        return None
    return {
        key: repr(value) if isinstance(value, bytes) else value for key, value in options.items()
    }


def _report(image: Opened, seen: Overview, most: int | None) -> Iterator[str]:
    from tapkit.image.labels import printable

    for title, text in _heading(image, seen):
        yield f"{title + ':':<11}{printable(text)}"
    sections = (
        ("Services", [_service_line(service) for service in seen.services]),
        ("Classes", _counted(seen.classes)),
        ("Calls", _counted(seen.calls)),
        ("Code by value", [f"  {what}" for what in seen.code]),
        ("Modules", [_module_line(image, seen, name) for name in seen.modules]),
    )
    for title, lines in sections:
        if lines:
            yield ""
            yield f"{title}:"
            yield from lines[:most]
            if most is not None and len(lines) > most:
                yield f"  ... and {len(lines) - most} more: see --all"


def _heading(image: Opened, seen: Overview) -> Iterator[tuple[str, str]]:
    info = image.info
    yield "image", f"{image.where}, {image.form.name} ({image.form.extensions[0]})"
    yield "size", f"{len(image.data)} bytes, {seen.objects} objects"
    yield "holds", f"{seen.root} {info.name!r}" if info.name else seen.root
    if not _has_header(image):
        return
    if info.tap_type:
        given = [
            f"--{key}={value}" for key, value in info.options.items() if value not in (None, "")
        ]
        yield "made with", " ".join(["mktap", info.tap_type, *given])
    python = f"{info.implementation} {info.python}"
    yield "saved", f"{info.created} by tapkit {info.tapkit}, {python}"
    if info.by_value:
        yield (
            "needs",
            f"{info.implementation} {info.python.rpartition('.')[0]}: it carries compiled code",
        )


def _service_line(service: Service) -> str:
    from tapkit.image.labels import printable

    words = [service.class_name]
    if service.name is not None:
        words.append(repr(service.name))
    words += [f"{name}={value}" for name, value in service.settings.items()]
    words += [f"{name}={value}" for name, value in service.serves.items()]
    return "  " + "  " * min(service.depth, _INDENTED) + printable(" ".join(words))


def _counted(counts: dict[str, int]) -> list[str]:
    width = max((len(str(count)) for count in counts.values()), default=0)
    return [f"  {count:>{width}} {name}" for name, count in counts.items()]


def _module_line(image: Opened, seen: Overview, name: str) -> str:
    version = _version(image, name)
    words = [name] if version is None else [name, version]
    if name in seen.missing:
        words.append("(not found here)")
    return "  " + " ".join(words)


def _draw(image: Opened, target: str) -> None:
    from tapkit.image import files
    from tapkit.image.drawing import draw
    from tapkit.scripts.console import complain

    drawing = draw(image.nodes)
    if drawing.fault is not None:
        complain("tapctl inspect", f"warning: {drawing.fault}: drawn without it")
    files.write_atomic(target, drawing.svg.encode(), mode=0o644)
