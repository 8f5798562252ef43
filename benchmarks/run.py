"""Measure tapkit beside its peers, in one run: medians and ratios on standard output.

    python benchmarks/run.py [--quick] [BENCHMARK ...]

Needs psutil; makes the virtual environments it measures itself. See benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks import (  # noqa: E402
    audit,
    connections,
    daemon,
    environment,
    forms,
    help_time,
    images,
    reload,
    snapshot,
    startup,
    trust,
)
from benchmarks.report import render  # noqa: E402

BENCHMARKS = {
    "connections": connections.measure,
    "startup": startup.measure,
    "daemon": daemon.measure,
    "help": help_time.measure,
    "images": images.measure,
    "forms": forms.measure,
    "audit": audit.measure,
    "snapshot": snapshot.measure,
    "reload": reload.measure,
    "trust": trust.measure,
}
LARGE = {"forms-large": forms.measure_large}
"""Run only when named: they take long, and gigabytes of memory."""


def main(argv: list[str]) -> int:
    arguments = _arguments(argv)
    print("preparing the virtual environments...", file=sys.stderr, flush=True)
    environments = environment.prepare()
    print(environments.describe(), flush=True)
    for name in arguments.benchmark or BENCHMARKS:
        print(f"measuring {name}...", file=sys.stderr, flush=True)
        for table in (BENCHMARKS | LARGE)[name](environments, quick=arguments.quick):
            print("", render(table), sep="\n", end="", flush=True)
    return 0


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure tapkit beside its peers, in one run.")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    names = ", ".join(BENCHMARKS | LARGE)
    parser.add_argument(
        "benchmark",
        nargs="*",
        metavar="BENCHMARK",
        help=f"of {names}; without any: all but {', '.join(LARGE)}",
    )
    arguments = parser.parse_args(argv)
    for name in arguments.benchmark:  # argparse's `choices` refuses an empty "*" on Python 3.10
        if name not in BENCHMARKS | LARGE:
            parser.error(f"no such benchmark: {name}; there are {names}")
    return arguments


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
