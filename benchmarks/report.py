"""Samples into medians and ratios, and those into a table to read."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

Samples = dict[str, list[float]]


class Table(NamedTuple):
    """One measured quantity.

    Attributes:
        title: what was measured.
        unit: of the samples, with which way is better: `conn/s, more is better`.
        samples: by contender, in rounds; sample N of each was taken in round N.
        bases: the contenders that the others are compared with.
        note: what a reader must know to judge the figures.
        targets: by contender, how many times the first base it may be.
    """

    title: str
    unit: str
    samples: Samples
    bases: Sequence[str]
    note: str = ""
    targets: Mapping[str, float] | None = None


def interleave(contenders: Mapping[str, Callable[[], float]], rounds: int) -> Samples:
    """Take samples A B C A B C: what else the machine does meanwhile hits all alike."""
    samples: Samples = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, measure in contenders.items():
            samples[name].append(measure())
    return samples


def ratio(samples: Samples, name: str, base: str) -> float:
    """How many times `base` the contender `name` is: the median over the rounds.

    Each round's two samples were taken side by side, so a slow drift of the machine cancels.
    """
    pairs = zip(samples[name], samples[base], strict=True)
    return statistics.median(ours / theirs for ours, theirs in pairs)


def render(table: Table) -> str:
    """The table as text: a line a contender, with its median, its range and its ratios."""
    targets = table.targets or {}
    header = ["", "median", "lowest", "highest", *(f"x {base}" for base in table.bases)]
    rows = [header + ["target"] * bool(targets)]
    for name, taken in table.samples.items():
        figures = [statistics.median(taken), min(taken), max(taken)]
        ratios = ["-" if name == b else f"{ratio(table.samples, name, b):.2f}" for b in table.bases]
        target = [f"{targets[name]:g}" if name in targets else "-"] * bool(targets)
        rows.append([name, *map(_short, figures), *ratios, *target])
    lines = [f"{table.title} ({table.unit})", *_align(rows)]
    return "\n".join([*lines, *([table.note] if table.note else [])]) + "\n"


def _align(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
        for row in rows
    ]


def _short(figure: float) -> str:
    """Three or four digits that mean something."""
    return f"{figure:.0f}" if figure >= 1000 else f"{figure:.4g}"
