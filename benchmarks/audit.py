"""What looking costs: an audit, and a restricted load, in turns with loading, in one process."""

from __future__ import annotations

import json

from benchmarks import processes
from benchmarks.environment import HERE, Environments
from benchmarks.report import Samples, Table

SHAPES = ("application", "accounts")
TARGET = 6.0
"""Times what loading takes, that an audit may, at 1,000,000 objects."""


def measure(environments: Environments, *, quick: bool) -> list[Table]:
    """A table a shape and size; CPU time."""
    counts = (10_000,) if quick else (100_000, 1_000_000)
    tables = []
    for count in counts:
        for shape in SHAPES:
            command = [environments.tapkit.python, HERE / "audit_sample.py", shape, str(count), "3"]
            samples: Samples = json.loads(processes.output(command, HERE))
            shown = {name: [second * 1e3 for second in each] for name, each in samples.items()}
            tables.append(
                Table(
                    f"{count} objects ({shape}): looking and loading",
                    "ms of CPU, less is better",
                    shown,
                    ("load",),
                    targets={"audit": TARGET},
                )
            )
    return tables
