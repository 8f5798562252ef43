"""What the README says, done: in a fresh checkout, in a fresh virtual environment."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.network import own_network
from tests.place import PATIENCE, ROOT, Place, ask, reap, wait_for

README = (ROOT / "README.md").read_text()
SETUP = re.findall(r"```sh\n(.*?)```", README, re.S)
SESSION = re.findall(r"```\n(% mktap.*?)```", README, re.S)[0]
MARK = uuid.uuid4().hex
IGNORED = shutil.ignore_patterns(".git", ".venv*", "__pycache__", ".*_cache", "*.egg-info", "build")


def fresh_checkout(folder: Path) -> Path:
    """A copy of the project as a newcomer gets it."""
    return Path(shutil.copytree(ROOT, folder / "checkout", ignore=IGNORED, symlinks=True))


@pytest.fixture(scope="module", autouse=True)
def _reaped() -> Iterator[None]:
    """What a failing step leaves running is ended."""
    yield
    reap(MARK)


def newcomer(**more: str) -> dict[str, str]:
    """A newcomer's environment: this Python is python3, and nothing of ours is about."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PY")}
    python = os.path.dirname(os.path.realpath(sys.executable))
    env |= {"PATH": python + os.pathsep + env["PATH"], "COLUMNS": "80"}
    return env | {"TAPKIT_TEST_MARK": MARK} | more


def in_shell(command: str, cwd: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A shell command done without a terminal."""
    return subprocess.run(
        ["bash", "-c", command],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )


def in_terminal(command: str, cwd: Path, env: dict[str, str]) -> str:
    """What a terminal shows of a shell command.

    Ctrl-D is typed at once: some versions of nc wait for it after the server has closed.
    """
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        ["bash", "-c", command], cwd=cwd, env=env, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    os.write(ours, b"\x04")
    shown = b""
    try:
        while data := _read(ours):
            shown += data
        assert process.wait(PATIENCE) == 0, shown.decode()
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return shown.decode().replace("\r", "")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux says EIO when the last process has left the terminal
        return b""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The bin/ of the virtual environment that the README's first command makes."""
    checkout = fresh_checkout(tmp_path_factory.mktemp("newcomer"))
    # pip needs the machine's network, what follows must have one of its own.
    before, _, after = SETUP[0].partition(" && mktap ")
    make, activate, install = before.split(" && ")
    done = in_shell(f"{make} && {activate} && {install}", checkout, newcomer())
    assert done.returncode == 0, done.stdout + done.stderr
    with own_network(8007):
        done = in_shell(f"{activate} && mktap {after}", checkout, newcomer())
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout == (
            "Saving qotd application to qotd.tap...\nSaved.\n"
            "An apple a day keeps the doctor away.\n"
        )
        wait_for("the daemon to stop", lambda: not (checkout / "twistd.pid").exists())
        assert (checkout / "qotd-shutdown.tap").exists()
    yield checkout / ".venv" / "bin"


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bin/ that stands for the installed one: our commands, run from here by this Python."""
    folder = tmp_path_factory.mktemp("bin")
    for name in ("mktap", "twistd"):
        script = f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} {ROOT / "bin" / name} "$@"\n'
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    return folder


@pytest.mark.parametrize("where", ["commands", pytest.param("installed", marks=pytest.mark.slow)])
def test_the_session_byte_for_byte(
    where: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Each line of the README's session shows on a terminal what the README shows."""
    env = newcomer()
    env["PATH"] = str(request.getfixturevalue(where)) + os.pathsep + env["PATH"]
    steps = re.findall(r"% (.*)\n((?:(?!% ).*\n)*)", SESSION)
    assert [command.split()[0] for command, _ in steps] == ["mktap", "twistd", "nc", "kill", "ls"]
    with own_network(8007):
        for command, expected in steps:
            assert in_terminal(command, tmp_path, env) == expected
            if command.startswith("kill"):
                wait_for("the daemon to stop", lambda: not (tmp_path / "twistd.pid").exists())


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["-n", "-f", "qotd.tap"],
        ["-n", "qotd.tap"],
        ["-n", "-y", str(ROOT / "samples" / "quotes.tac")],
        ["-n", "qotd", "--port", "0"],
    ],
    ids=["-n", "positional", "-y", "builder"],
)
def test_the_other_ways_to_run(installed: Path, tmp_path: Path, arguments: list[str]) -> None:
    """The installed twistd in the foreground, from an image, a script, and a TAP builder."""
    env = newcomer(QUOTES_PORT="0")
    made = [installed / "mktap", "qotd", "--port", "0"]
    subprocess.run(made, cwd=tmp_path, env=env, check=True, stdout=subprocess.DEVNULL)
    log = tmp_path / "log"
    with open(log, "w") as stdout:
        process = subprocess.Popen(
            [installed / "twistd", *arguments], cwd=tmp_path, env=env, stdout=stdout
        )
    try:
        port = wait_for(
            "a port in the log", lambda: re.search(r"listening on [\d.]+:(\d+)", log.read_text())
        )
        assert ask(int(port[1])).endswith(b"\r\n")
        process.terminate()
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
    from_image = "qotd.tap" in arguments
    assert (tmp_path / "qotd-shutdown.tap").exists() == from_image
    assert not (tmp_path / "twistd.pid").exists()


@pytest.mark.slow
def test_the_test_command(tmp_path: Path) -> None:
    """The README's second command installs what the tests need and runs them."""
    # One file stands for all: .ci/run runs the same command without this.
    env = newcomer(PYTEST_ADDOPTS="tests/test_names.py -p no:cacheprovider")
    done = in_shell(SETUP[1], fresh_checkout(tmp_path), env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d+ passed", done.stdout)


def test_the_readmes_own_server(place: Place) -> None:
    """The code blocks of "Write your own" make a server that greets and counts."""
    blocks = re.findall(r"```python\n# (\S+)\n(.*?)```", README, re.S)
    assert [name for name, _ in blocks] == ["hello/hellotap.py", "hello/plugins.tml"]
    place.add_module("hello/__init__.py", "")
    for name, text in blocks:
        place.add_module(name, text)
    assert "  hello  Greets whoever says a name.\n" in place.mktap("--help").stdout
    assert place.mktap("hello", "--port", "tcp:0:interface=127.0.0.1").returncode == 0
    started = place.twistd("-f", "hello.tap")
    assert (started.returncode, started.stderr) == (0, "")
    assert ask(place.port(), say=b"Ada\r\n", half_close=True) == b"Hello, Ada\r\n"
    place.kill()
    assert place.file_names() == ["hello-shutdown.tap", "hello.tap", "lib", "twistd.log"]
