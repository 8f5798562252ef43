"""Going into the background, with real forks: the parent always learns how it went."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.place import PATIENCE, ROOT, has_ended, wait_for

# The body runs in the daemon; `report` is its end. The parent prints the verdict.
PARENT = """
import os, signal, sys, time
from tapkit.run.process import daemonize

role = daemonize.detach()
if isinstance(role, daemonize.Waiting):
    verdict = role.wait({limit})
    print(verdict.status, verdict.message)
    sys.exit()
report = role
with open("pid", "w") as file:
    file.write(str(os.getpid()))
os.rename("pid", "daemon.pid")
{body}
os._exit(0)
"""


def detach(folder: Path, body: str, limit: float | None = None) -> str:
    """What the parent printed."""
    done = subprocess.run(
        [sys.executable, "-c", PARENT.format(body=body, limit=limit)],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.stderr == ""
    return done.stdout.strip()


def daemon_is_gone(folder: Path) -> bool:
    """Whether the daemon has ended."""
    try:
        return has_ended(psutil.Process(int((folder / "daemon.pid").read_text())))
    except psutil.NoSuchProcess:
        return True


def test_ready_is_success(tmp_path: Path) -> None:
    """The parent returns 0 once the daemon is ready, and says nothing."""
    assert detach(tmp_path, "report.ready()") == "0"


def test_the_daemon_leads_no_session_and_outlives_its_watcher(tmp_path: Path) -> None:
    """It can't get a controlling terminal, and is nobody's child once it is ready."""
    body = """
watcher = os.getppid()
report.ready()
while os.getppid() == watcher:
    time.sleep(0.005)
open("facts", "w").write(f"{os.getsid(0) != os.getpid()}")
os.rename("facts", "told")
"""
    assert detach(tmp_path, body) == "0"
    told = tmp_path / "told"
    wait_for("the daemon to see its watcher leave", told.exists)
    assert told.read_text() == "True"


def test_a_failure_is_told_whole(tmp_path: Path) -> None:
    """The message arrives uncut, however long, with the exit status."""
    assert detach(tmp_path, "report.failed(2, 'no luck: ' + 'x' * 200_000)") == (
        "2 no luck: " + "x" * 200_000
    )


@pytest.mark.parametrize(
    ("death", "said"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "killed by SIGKILL"),
        ("os.abort()", "killed by SIGABRT"),
        ("os._exit(3)", "exit status 3"),
    ],
)
def test_a_death_before_the_verdict_is_told(tmp_path: Path, death: str, said: str) -> None:
    """A daemon that can't report is reported dead, and how; nobody waits for ever."""
    told = detach(tmp_path, death)
    assert told == f"1 the daemon died before it was ready ({said}): see its log"


def test_a_start_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    """At the limit the daemon is ended and the command says so."""
    told = detach(tmp_path, "signal.pause()", limit=0.5)
    assert told == "1 not ready after 0.5 seconds, so it was stopped: see its log"
    assert daemon_is_gone(tmp_path)


def test_an_interrupted_wait_stops_the_daemon(tmp_path: Path) -> None:
    """Ctrl-C while waiting leaves no half-started daemon behind."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT.format(body="signal.pause()", limit=None)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    ) as parent:
        wait_for("the daemon", (tmp_path / "daemon.pid").exists)
        parent.send_signal(2)
        _, errors = parent.communicate(timeout=PATIENCE)
    assert "KeyboardInterrupt" in errors
    assert daemon_is_gone(tmp_path)
