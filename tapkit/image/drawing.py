"""An image drawn as SVG: by graphviz's `dot` where it is installed, else by `layered`."""

from __future__ import annotations

import shutil
import subprocess
from typing import NamedTuple

from tapkit.image import layered
from tapkit.image.nodes import Image
from tapkit.image.sketch import BACK, CODE, OTHER, SERVED, SERVICE, SHARES, Sketch, sketch

COLOURS = {SERVICE: "#dbeafe", SERVED: "#dcfce7", CODE: "#f3f4f6", OTHER: "#ffffff"}
SHARED_COLOUR = "#2563eb"
BACK_COLOUR = "#9ca3af"

PATIENCE = 30.0
"""Seconds that `dot` gets."""


class Drawing(NamedTuple):
    """An SVG file.

    Attributes:
        svg: its text.
        fault: why `dot`, which is there, did not draw it; None if all is well.
    """

    svg: str
    fault: str | None = None


def draw(image: Image) -> Drawing:
    """The objects of an image and how they refer to each other.

    The same image is drawn the same each time; of a large one, its classes are drawn.
    """
    what = sketch(image)
    dot = shutil.which("dot")
    if dot is not None:
        svg, fault = _by_dot(dot, dot_text(what))
        if svg is not None:
            return Drawing(svg)
        return Drawing(layered.svg(what, COLOURS), fault)
    return Drawing(layered.svg(what, COLOURS))


def dot_text(what: Sketch) -> str:
    """A sketch in graphviz's language."""
    lines = [
        "digraph image {",
        f'  graph [label={_quoted(what.title)}, fontname="sans-serif", fontsize=10]',
        '  node [shape=box, style="filled,rounded", fontname="sans-serif", fontsize=10]',
        '  edge [fontname="sans-serif", fontsize=8]',
    ]
    for number, box in enumerate(what.boxes):
        text = _quoted("\n".join(box.lines))
        lines.append(f'  n{number} [label={text}, fillcolor="{COLOURS[box.kind]}"]')
    for arrow in what.arrows:
        style = ""
        if arrow.kind == BACK:
            style = f', style=dashed, constraint=false, color="{BACK_COLOUR}"'
        elif arrow.kind == SHARES:
            style = f', color="{SHARED_COLOUR}"'
        lines.append(f"  n{arrow.start} -> n{arrow.end} [label={_quoted(arrow.label)}{style}]")
    return "\n".join([*lines, "}\n"])


def _quoted(text: str) -> str:
    """A string of graphviz's: a backslash would begin one of its escapes, & an entity."""
    text = text.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')
    return '"' + text.replace("\n", "\\n") + '"'


def _by_dot(dot: str, text: str) -> tuple[str | None, str | None]:
    try:
        done = subprocess.run(
            [dot, "-Tsvg"], input=text.encode(), capture_output=True, timeout=PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, f"{dot} did not draw it ({error})"
    svg = done.stdout.decode("utf-8", "replace")
    if done.returncode or "</svg>" not in svg:
        said = " ".join(done.stderr.decode("utf-8", "replace").split())
        return None, f"{dot} did not draw it (exit status {done.returncode}: {said[:200]})"
    return svg, None
