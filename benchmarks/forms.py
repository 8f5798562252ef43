"""The three forms of one application graph: against C pickle, and beside libraries of their kind.

CPU time, in turns with C pickle (protocol 5, as it comes) in one process; each peer in a
process of its own, in turns with C pickle too. At the end with the text forms compiled (setup.py).
"""

from __future__ import annotations

import json
import tempfile

from benchmarks import processes
from benchmarks.environment import HERE, Environment, Environments, prepare_compiled
from benchmarks.report import Samples, Table

SAVE, LOAD = "pickle save", "pickle load"
TARGETS = {
    ".tap save": 1.4,
    ".tax save": 5.0,
    ".tas save": 5.0,
    ".tax to .tas": 9.0,
    ".tas to .tax": 9.0,
    ".tap load": 0.5,
    ".tax load": 4.0,
    ".tax load, edited": 8.0,
    ".tas load": 5.0,
}
"""Times C pickle, at 100,000 objects; conversions are compared with its save."""
GROWTH = 12.0
"""Times the cost of 100,000 objects that 1,000,000 may take."""
PEERS = ("jsonpickle", "PyYAML", "AOT")

_UNIT = "ms of CPU, less is better"


def measure(environments: Environments, *, quick: bool) -> list[Table]:
    """The forms at several sizes, the peers beside them, and the memory they take."""
    counts = (1_000, 10_000) if quick else (1_000, 10_000, 100_000)
    tables = []
    for count in counts:
        tables += _forms(_sample(environments.tapkit, "tapkit", count, 5), f"{count} objects")
    if not quick:
        compiled = prepare_compiled()
        for count in counts[1:]:
            title = f"{count} objects, compiled"
            tables += _forms(_sample(compiled, "tapkit", count, 5), title)
    tables.append(_peers(environments, 1_000 if quick else 10_000, PEERS))
    if not quick:
        tables.append(_peers(environments, 100_000, PEERS))
    return [*tables, *_memory(environments, counts[-1])]


def measure_large(environments: Environments, *, quick: bool) -> list[Table]:
    """A million objects, and how that compares with a hundred thousand."""
    few, many = (
        _sample(environments.tapkit, "tapkit", count, 3 if quick else 5)
        for count in (100_000, 1_000_000)
    )
    growth = {
        name: [large / small for large, small in zip(many[name], few[name], strict=True)]
        for name in many
    }
    told = f"a million objects may take {GROWTH:g} times what a hundred thousand do"
    table = Table("1,000,000 objects against 100,000", "times the CPU", growth, (), told)
    shown = zip((few, many), ("100000 objects", "1000000 objects"), strict=True)
    return [*(each for taken, title in shown for each in _forms(taken, title)), table]


def _forms(taken: Samples, title: str) -> list[Table]:
    loads = {name: each for name, each in taken.items() if " load" in name}
    saves = {name: each for name, each in taken.items() if name not in loads}
    return [
        _table(f"{title}: save and convert", saves, SAVE),
        _table(f"{title}: load", loads, LOAD),
    ]


def _table(title: str, taken: Samples, base: str) -> Table:
    shown = {name: [second * 1e3 for second in each] for name, each in taken.items()}
    targets = {name: TARGETS[name] for name in taken if name in TARGETS}
    return Table(title, _UNIT, shown, (base,), "", targets)


def _peers(environments: Environments, count: int, peers: tuple[str, ...]) -> Table:
    """Each peer's times as multiples of the C pickle that ran in turns with it."""
    multiples: Samples = {}
    missing = []
    for peer in peers:
        try:
            taken = _sample(environments.twisted, peer, count, 5)
        except processes.BenchmarkError as error:
            missing.append(f"{peer}: {str(error).strip().splitlines()[-1]}")
            continue
        for kind, base in (("save", SAVE), ("load", LOAD)):
            pairs = zip(taken[f"{peer} {kind}"], taken[base], strict=True)
            multiples[f"{peer} {kind}"] = [theirs / plain for theirs, plain in pairs]
    title, unit = f"{count} objects: peers", "times C pickle, less is better"
    return Table(title, unit, multiples, (), "\n".join(missing))


def _memory(environments: Environments, count: int) -> list[Table]:
    """Peak memory of one save, and of one load, each in a process that does nothing else."""
    peaks: Samples = {}
    contenders = [(form, environments.tapkit) for form in ("pickle", ".tap", ".tax", ".tas")]
    contenders.append(("jsonpickle", environments.twisted))
    for name, environment in contenders:
        with tempfile.TemporaryDirectory() as folder:
            for _ in ("save", "load"):  # the first leaves what the second loads
                words = [name, str(count), "memory", folder]
                for told, peak in _run(environment, words).items():
                    peaks[told] = [peak]
    return [
        Table(
            f"{count} objects: peak memory of a {kind}",
            "MB beside what is saved or loaded from, less is better",
            {name: each for name, each in peaks.items() if name.endswith(kind)},
            (f"jsonpickle {kind}",),
        )
        for kind in ("save", "load")
    ]


def _sample(environment: Environment, library: str, count: int, rounds: int) -> Samples:
    samples: Samples = _run(environment, [library, str(count), str(rounds)])
    return samples


def _run(environment: Environment, words: list[str]) -> dict[str, list[float]]:
    command = [environment.python, HERE / "form_sample.py", *words]
    told: dict[str, list[float]] = json.loads(processes.output(command, HERE))
    return told
