"""Pickles made to do harm: an audit names what they do, --restricted refuses them; nothing runs.

All cases are tried in one watched process, each restricted load in a child of it; what the audit
hook sees, in the children too, is told through shared memory.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tapkit.image import header, tap
from tests.hostile_pickles import CASES, Case
from tests.place import ROOT, Place

# A case a line on standard input; what became of each, a line on standard output.
WATCHER = """
import base64, contextlib, io, json, mmap, os, resource, sys, time, traceback

from tapkit.errors import TapkitError
from tapkit.image import header, restricted, forms, tap
from tapkit.image.permitted import Permitted
from tapkit.run import trial
from tapkit.scripts import ctl_audit, tapctl
import tapkit.image.audit, tapkit.image.live, tapkit.service, tapkit.application
import tapkit.image.tax.standard, tapkit.image.tax.code, tapkit.net.connections
import collections, copyreg, logging, tapkit.internet

seen = mmap.mmap(-1, 1 << 16)
FORBIDDEN = ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.forkpty",
             "socket.connect", "socket.getaddrinfo", "ctypes.dlopen", "os.remove", "os.putenv",
             "builtins.input", "webbrowser.open", "code.__new__", "exec", "compile", "os.kill",
             "shutil.rmtree", "tempfile.mkdtemp", "sqlite3.connect", "marshal.loads",
             "sys._getframe", "gc.get_objects", "socket.__new__")
FOREIGN = ("antigravity", "app_elsewhere", "yaml", "dill", "torch")
watching = False

def tell(text):
    at = int.from_bytes(seen[:4], "little")
    data = text.encode()[: len(seen) - 5 - at]
    seen[4 + at : 4 + at + len(data)] = data
    seen[:4] = (at + len(data)).to_bytes(4, "little")

def hook(event, args):
    if not watching:
        return
    if event in FORBIDDEN and not (event in ("os.kill", "ctypes.dlopen") and os.getpid() == PID):
        if not (event == "ctypes.dlopen" and args[0] is None):
            tell(f"{event} {args!r:.200}; ")
    elif event == "open" and "canary" in str(args[0]):
        tell(f"open {args!r:.200}; ")
    elif event == "import" and args[0] in FOREIGN:
        tell(f"import {args[0]}; ")

PID = os.getpid()
LIMITS = trial.Limits(512 << 20, 20, 60.0)
sys.addaudithook(hook)
doc = open(sys.argv[1]).read().split('\"\"\"')[1]

def one(case):
    global watching
    seen[:4] = bytes(4)
    with open("evil.tap", "wb") as file:
        file.write(base64.b64decode(case["image"]))
    data = open("evil.tap", "rb").read()
    out = io.StringIO()
    began = time.perf_counter()
    watching = True
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        status = tapctl.main(["audit", "--all", "evil.tap"], doc)
    audited = time.perf_counter()
    permitted = Permitted()
    row = forms.sniff(data, "evil.tap")
    try:
        trial.attempt(lambda: restricted.load(row, data, "evil.tap", permitted), LIMITS, "evil.tap")
        refused = None
    except TapkitError as error:
        refused = str(error)
    watching = False
    told = seen[4 : 4 + int.from_bytes(seen[:4], "little")].decode()
    return {"status": status, "report": out.getvalue(), "refused": refused, "told": told,
            "audit": audited - began, "trial": time.perf_counter() - audited}

lines = sys.stdin.read().splitlines()
one(json.loads(lines[0]))  # so that what is imported late is
one(json.loads(lines[-1]))
for line in lines:
    print(json.dumps(one(json.loads(line))), flush=True)
print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))
"""


def wrapped(payload: bytes) -> bytes:
    return b"".join(tap.write(payload, [], header.made_here([])))


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What became of each case, by name."""
    folder = tmp_path_factory.mktemp("hostile")
    place = Place(folder / "place")
    (place.path / "canary.py").write_text("open('canary', 'w')")
    lines = [
        json.dumps({"image": base64.b64encode(wrapped(case.payload)).decode()}) for case in CASES
    ]
    try:
        done = subprocess.run(
            [sys.executable, "-c", WATCHER, str(ROOT / "bin" / "tapctl")],
            input="\n".join(lines),
            cwd=place.path,
            env=place.env,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        *told, peak = map(json.loads, done.stdout.splitlines())
        found = {case.name: outcome for case, outcome in zip(CASES, told, strict=True)}
        found["peak"] = peak
        found["files"] = place.file_names()
        yield found
    finally:
        place.reap()


def test_there_are_enough() -> None:
    """At least 80 kinds, each with a name of its own."""
    assert len({case.name for case in CASES}) == len(CASES) >= 80


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_hostile_pickle(case: Case, outcomes: dict[str, Any]) -> None:
    """The audit names it, --restricted refuses it in words, and soon; nothing of it runs."""
    outcome = outcomes[case.name]
    known = case.audit.strip("()")
    assert known in outcome["report"], outcome["report"]
    assert outcome["status"] == (0 if case.audit.startswith("(") else 1), outcome["report"]
    assert outcome["refused"] is not None
    assert case.restricted in outcome["refused"]
    assert "Traceback" not in outcome["report"] + outcome["refused"]
    assert "\x1b" not in outcome["report"] + outcome["refused"]
    assert outcome["told"] == ""
    assert outcome["audit"] < 20
    assert outcome["trial"] < 60


def test_nothing_was_left_and_little_was_taken(outcomes: dict[str, Any]) -> None:
    """No case left a file; all of them together took less than half a gigabyte to look at."""
    assert outcomes["files"] == ["canary.py", "evil.tap"]
    assert outcomes["peak"] < 512 * 1024
