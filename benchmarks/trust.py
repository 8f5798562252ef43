"""Opening an image of 100 MB whose signature is checked, against one that has none."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from benchmarks import processes
from benchmarks.environment import HERE, Environments
from benchmarks.report import Table

TARGET = 1.3
KINDS = {
    "buffers": "100 MB in one buffer, which is read and checked alone",
    "objects": "100 MB in 100,000 strings",
}


def measure(environments: Environments, *, quick: bool) -> list[Table]:
    """A table for each kind of image; the goal is at most 1.3 times the unsigned one."""
    tables = []
    with tempfile.TemporaryDirectory() as folder:
        for kind, about in KINDS.items():
            samples = _samples(environments, Path(folder), kind, 3 if quick else 9)
            tables.append(
                Table(
                    f"opening an image of {about}",
                    "milliseconds, less is better",
                    samples,
                    ("unsigned",),
                    "",
                    {"signed and trusted": TARGET},
                )
            )
    return tables


def _samples(
    environments: Environments, folder: Path, kind: str, rounds: int
) -> dict[str, list[float]]:
    command = [
        environments.tapkit.python,
        HERE / "trust_sample.py",
        folder,
        kind,
        str(rounds),
    ]
    seconds = json.loads(processes.output(command, folder))
    return {name: [second * 1000 for second in taken] for name, taken in seconds.items()}
