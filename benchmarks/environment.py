"""The virtual environments measured: one with this checkout and uvloop, one with the peers.

Two, because both bring a `twistd`. They are kept beside this file, out of git, for the next
run; the checkout is installed anew each time, as a user gets it: not in editable mode, whose
import hook costs time that no user pays.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent
_PARTS = ("tapkit", "tapkit_plugins", "bin", "pyproject.toml", "setup.py", "README.md")


class Environment(NamedTuple):
    """A virtual environment."""

    home: Path

    @property
    def python(self) -> Path:
        return self.home / "bin" / "python"

    def script(self, name: str) -> Path:
        return self.home / "bin" / name


class Environments(NamedTuple):
    """What contenders run in. With Twisted are jsonpickle, PyYAML, gunicorn and uvicorn."""

    tapkit: Environment
    twisted: Environment

    def describe(self) -> str:
        """The versions and the machine, for the head of a report."""
        code = "import importlib.metadata as m, sys; print(*map(m.version, sys.argv[1:]))"
        tapkit, uvloop = _output(self.tapkit, "-c", code, "tapkit", "uvloop").split()
        (twisted,) = _output(self.twisted, "-c", code, "Twisted").split()
        python = ".".join(map(str, sys.version_info[:3]))
        return (
            f"Python {python}, {psutil.cpu_count()} processors; "
            f"tapkit {tapkit}, uvloop {uvloop}, Twisted {twisted}"
        )


def prepare() -> Environments:
    """Make or refresh both environments; the first time downloads packages."""
    minor = f"{sys.version_info[0]}.{sys.version_info[1]}"
    twisted = _environment(f".venv-twisted-{minor}")
    if not all(_has(twisted, module) for module in ("twisted", "jsonpickle", "yaml", "uvicorn")):
        _pip(twisted, "Twisted", "jsonpickle", "PyYAML", "gunicorn", "uvicorn")
    tapkit = _environment(f".venv-tapkit-{minor}")
    with _copied() as copy:
        if not _has(tapkit, "uvloop"):
            _pip(tapkit, f"{copy}[fast]")
        if not _has(tapkit, "cryptography"):
            _pip(tapkit, "cryptography")
        _pip(tapkit, "--no-deps", "--force-reinstall", copy)
    return Environments(tapkit, twisted)


def prepare_compiled() -> Environment:
    """The same with the text forms compiled (see setup.py); the first time downloads mypy."""
    minor = f"{sys.version_info[0]}.{sys.version_info[1]}"
    compiled = _environment(f".venv-compiled-{minor}")
    if not _has(compiled, "mypyc"):
        _pip(compiled, "mypy", "setuptools>=68", "wheel")
    with _copied() as copy:
        if not _has(compiled, "cloudpickle"):
            _pip(compiled, copy)
        words = ("--no-build-isolation", "--no-deps", "--force-reinstall", copy)
        _pip(compiled, *words, TAPKIT_MYPYC="1")
    return compiled


@contextlib.contextmanager
def _copied() -> Iterator[str]:
    """A copy of the checkout: building in it would leave build/ and egg-info there."""
    with tempfile.TemporaryDirectory() as copy:
        for part in _PARTS:
            _copy(CHECKOUT / part, Path(copy) / part)
        yield copy


def _environment(name: str) -> Environment:
    home = HERE / name
    if not (home / "bin" / "pip").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
    return Environment(home)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def _has(environment: Environment, module: str) -> bool:
    code = f"import importlib.util as u, sys; sys.exit(u.find_spec({module!r}) is None)"
    return subprocess.run([environment.python, "-c", code]).returncode == 0


def _pip(environment: Environment, *arguments: str, **variables: str) -> None:
    command = [str(environment.python), "-m", "pip", "install", "--quiet", *arguments]
    subprocess.run(command, check=True, timeout=1200, env={**os.environ, **variables})


def _output(environment: Environment, *arguments: str) -> str:
    command = [str(environment.python), *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return done.stdout
