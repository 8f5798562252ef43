"""Saving and loading graphs of objects: against pickle and cloudpickle, and one they can't save."""

from __future__ import annotations

import json
import tempfile

from benchmarks import processes
from benchmarks.environment import HERE, Environments
from benchmarks.report import Samples, Table

_LIBRARIES = ("pickle", "cloudpickle", "tapkit")


def measure(environments: Environments, *, quick: bool) -> list[Table]:
    """Ratios on a flat list, and the cost an object of a deep chain."""
    rounds = 3 if quick else 9
    flat = 100_000
    deep = 100_000 if quick else 1_000_000
    flat_cases = {library: (library, "accounts", flat) for library in _LIBRARIES}
    deep_cases = {f"tapkit, {deep} deep": ("tapkit", "chain", deep)}
    tables = _tables(environments, f"{flat} objects in a list", flat_cases, rounds, _LIBRARIES[:2])
    return tables + _tables(
        environments,
        f"A chain of {deep} objects (pickle and cloudpickle end in RecursionError)",
        deep_cases,
        3,
        (),
    )


def _tables(
    environments: Environments,
    title: str,
    cases: dict[str, tuple[str, str, int]],
    rounds: int,
    bases: tuple[str, ...],
) -> list[Table]:
    saves: Samples = {name: [] for name in cases}
    loads: Samples = {name: [] for name in cases}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for name, (library, shape, count) in cases.items():
                told = _sample(environments, (library, shape, str(count)), folder)
                saves[name].append(told["save"] / count * 1e6)
                loads[name].append(told["load"] / count * 1e6)
    unit = "us an object, less is better"
    return [
        Table(f"{title}: save", unit, saves, bases),
        Table(f"{title}: load", unit, loads, bases),
    ]


def _sample(
    environments: Environments, case: tuple[str, str, str], folder: str
) -> dict[str, float]:
    words = [str(HERE / "image_sample.py"), *case]
    told: dict[str, float] = json.loads(
        processes.output([environments.tapkit.python, *words], folder)
    )
    return told
