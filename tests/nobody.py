"""tapkit's commands run by another user, where root runs the tests.

The Python and the checkout may be where other users can't read. So the process begins as root,
imports whatever may be needed, and becomes the other user for good before the command begins.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.place import ROOT, Place

NOBODY = 65534

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="needs root, to become another user")

_BECOME = f"""
import concurrent.futures.thread, importlib, json, os, pkgutil, sys
import docopt, msgpack, psutil
import tapkit.image.labels, tapkit.run, tapkit.scripts

for package in (tapkit.run, tapkit.scripts):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
with open(sys.argv[1]) as script:
    code = compile(script.read(), sys.argv[1], "exec")
del sys.argv[0]
os.setgroups([])
os.setgid({NOBODY})
os.setuid({NOBODY})
exec(code, {{"__name__": "__main__"}})
"""


def as_nobody(place: Place, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One of the scripts in bin/, run by an ordinary user to its end."""
    return run_as_nobody(place, str(ROOT / "bin" / name), *arguments)


def run_as_nobody(place: Place, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A Python script, run by an ordinary user to its end; it imports tapkit alone."""
    return subprocess.run(
        [sys.executable, "-c", _BECOME, script, *arguments],
        cwd=place.path,
        env=place.env,
        capture_output=True,
        text=True,
        timeout=60,
    )
