"""Loads every case in this process, with an audit hook that watches: one line of JSON each.

    python -m tests.hostile.worker FOLDER

One process for all: an audit hook can't be taken out again, and hundreds of processes would take
minutes. So what is true of each case is true after all those before it.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import tracemalloc
from pathlib import Path

import pytest

from tapkit import application
from tapkit.errors import ImageError, describe
from tapkit.image.seal.encryption import Keys
from tapkit.image.seal.policy import Policy
from tapkit.image.seal.secret import Secret
from tests.hostile import cases, seals
from tests.hostile.case import CANARY, Case, bomb
from tests.trusting import Machine

MEMORY = 2 << 30  # bytes of address space, for everything
BANNED = ("pickle.find_class", "os.", "subprocess.", "socket.", "ctypes.", "shutil.", "pty.")
HARMLESS = ("os.listdir", "os.scandir", "os.walk")  # a near name is looked for

seen: list[str] = []


def main(folder: Path) -> None:
    os.chdir(folder)
    machine = Machine(folder / "machine")
    with pytest.MonkeyPatch.context() as patch:
        machine.enter(patch)
        seals.prepare(machine)
        made = [(case, prepared(case, folder / str(n))) for n, case in enumerate(cases())]
        control = prepared(Case("control", lambda inner: bomb(), ""), folder / "control")
        warm_up(control)
        sys.addaudithook(watch)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        tracemalloc.start()
        print(json.dumps(tried(Case("control", lambda inner: b"", ""), control)))
        Path(CANARY).unlink()  # it does go off
        for case, path in made:
            print(json.dumps(tried(case, path)), flush=True)


def prepared(case: Case, folder: Path) -> str:
    folder.mkdir()
    return case.made(folder)


def warm_up(path: str) -> None:
    """Whatever a load imports is imported before anybody watches."""
    application.image.load(path)
    Path(CANARY).unlink()


def watch(event: str, arguments: tuple[object, ...]) -> None:
    if event.startswith(BANNED) and event not in HARMLESS:
        seen.append(event)


def tried(case: Case, path: str) -> dict[str, object]:
    """What came of loading it."""
    seen.clear()
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    began = time.monotonic()
    said, kind = "", ""
    policy = Policy(require=case.demands, source="the worker")
    keys = Keys(lambda where: Secret("password"), [seals.KNOWN["identity"]])
    try:
        application.load(path, keys=keys, policy=policy)
    except ImageError as error:
        said = str(error)
    except BaseException as error:
        kind = describe(error)
    return {
        "name": case.name,
        "said": said,
        "other": kind,
        "seconds": time.monotonic() - began,
        "bytes": tracemalloc.get_traced_memory()[1] - before,
        "events": sorted(set(seen)),
        "ran": os.path.exists(CANARY),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
