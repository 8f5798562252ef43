"""Hostile images: each refused in words, in little time and memory, and nothing of it has run."""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.hostile import cases
from tests.hostile.case import Case
from tests.place import ROOT

for library in ("pyrage", "cryptography", "zstandard"):
    pytest.importorskip(library)

SECONDS = 10.0  # on a machine that does other things as well; most take milliseconds
MEMORY = 100 << 20  # bytes that Python allocated; the largest file is of 4 MB
PATIENCE = 300


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What came of each case, by its name: one process runs them all."""
    lines = map(json.loads, output(tmp_path_factory.mktemp("hostile")).splitlines())
    return {line["name"]: line for line in lines}


def output(folder: Path) -> str:
    """What the worker says."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.hostile.worker", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@functools.cache
def all_cases() -> list[Case]:
    return cases()


def test_there_are_many(results: dict[str, Any]) -> None:
    """At least 200, each by its own name; and every one of them was tried."""
    names = [case.name for case in all_cases()]
    assert len(names) == len(set(names)) >= 200
    assert set(names) == set(results) - {"control"}


def test_the_hook_sees(results: dict[str, Any]) -> None:
    """An image that is not refused does run, and is seen to: the silence of the others counts."""
    assert results["control"]["ran"]
    assert {"pickle.find_class", "os.system"} <= set(results["control"]["events"])


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.name)
def test_refused(case: Case, results: dict[str, Any]) -> None:
    """An ImageError with the right words; no event, no canary, bounded time and memory."""
    found = results[case.name]
    assert found["other"] == ""
    assert re.search(case.said, found["said"]), found["said"]
    assert not found["ran"]
    assert found["events"] == []
    assert found["seconds"] < SECONDS
    assert found["bytes"] < MEMORY
