"""A snapshot of a running process: how long the service stands still, by fork and in the loop."""

from __future__ import annotations

import json
import tempfile

from benchmarks import processes
from benchmarks.environment import HERE, Environments
from benchmarks.report import Samples, Table

_LOOPS = ("asyncio", "uvloop")
_TARGET = 1 / 20


def measure(environments: Environments, *, quick: bool) -> list[Table]:
    """The longest pause, for the loop and as a client sees it, and what the save takes."""
    count = 100_000 if quick else 1_000_000
    tables = []
    for loop in _LOOPS:
        taken: dict[str, Samples] = {
            what: {"in the loop": [], "by fork": []} for what in ("gap", "wait", "took")
        }
        for _ in range(3 if quick else 5):
            told = _sample(environments, loop, count)
            for what, samples in taken.items():
                samples["in the loop"].append(told[f"loop {what}"] * 1000)
                samples["by fork"].append(told[f"fork {what}"] * 1000)
        title = f"Snapshot of {count} objects under load, {loop}"
        tables += [
            Table(
                f"{title}: the longest pause of the event loop",
                "ms, less is better",
                taken["gap"],
                ["in the loop"],
                targets={"by fork": _TARGET},
            ),
            Table(
                f"{title}: the longest a client waited",
                "ms, less is better",
                taken["wait"],
                ["in the loop"],
            ),
            Table(f"{title}: until it is on the disk", "ms", taken["took"], ["in the loop"]),
        ]
    return tables


def _sample(environments: Environments, loop: str, count: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        words = [str(HERE / "snapshot_sample.py"), loop, str(count), folder]
        told: dict[str, float] = json.loads(
            processes.output([environments.tapkit.python, *words], folder)
        )
    return told
