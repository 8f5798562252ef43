"""No passphrase and no private key is anywhere but where its owner has put it."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tapkit.image import files
from tests.place import ROOT, Place, has_ended, wait_for
from tests.trusting import Machine

pyrage = pytest.importorskip("pyrage")
pytest.importorskip("cryptography")

PASSPHRASE = "canary-passphrase-7f3a9c"


class Watch:
    """What must not be seen, and where its owner keeps it."""

    def __init__(self, place: Place, *homes: Path):
        self.place = place
        self.homes = [home.resolve() for home in homes]
        self.secrets = [line for home in homes for line in _secret_lines(home.read_text())]
        assert self.secrets

    def look(self, *texts: str) -> None:
        """At some output, at every process here and at every file."""
        for process in self.place.processes():
            with contextlib.suppress(psutil.Error):
                texts += (" ".join(process.cmdline()), str(process.environ()))
        for text in texts:
            assert not any(secret in text for secret in self.secrets)
        for path in self.files():
            data = path.read_bytes()
            assert not any(secret.encode() in data for secret in self.secrets), path

    def files(self) -> list[Path]:
        return [
            path
            for root in {self.place.path, *(home.parent for home in self.homes)}
            for path in root.rglob("*")
            if path.is_file() and path.resolve() not in self.homes
        ]


def _secret_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith(("#", "-----"))]


def write(place: Place, name: str, text: str) -> Path:
    path = place.path / name
    files.write_atomic(str(path), text.encode())
    return path


def crash(place: Place) -> None:
    """Let the daemon dump core, if it does."""
    process = psutil.Process(place.pid())
    process.send_signal(signal.SIGABRT)
    wait_for("the daemon to end", lambda: has_ended(process))
    assert not [name for name in place.file_names() if name.startswith("core")]


def snapshot(place: Place, name: str) -> None:
    """Ask the daemon for a snapshot, and wait for it."""
    os.kill(place.pid(), signal.SIGUSR2)
    wait_for("a snapshot", lambda: name in place.file_names() and "snapshot" in place.log())


def test_keys(place: Place, machine: Machine) -> None:
    """An age identity and a signing key, through the life of a daemon that is then killed."""
    machine.take_in(place)
    identity = pyrage.x25519.Identity.generate()
    home = write(place, "id.txt", f"# public key: {identity.to_public()}\n{identity}\n")
    key = Path(machine.key("release"))
    watch = Watch(place, home, key)
    made = place.mktap(
        "--recipient", str(identity.to_public()), "--sign", key, "qotd", "--port", "0"
    )
    assert (made.returncode, made.stderr) == (0, "")
    started = place.twistd("--require-signature", "--identity", "id.txt", "qotd.etap")
    assert (started.returncode, started.stderr) == (0, "")
    own = machine.root / "state/keys/qotd.key"
    watch = Watch(place, home, key, own)
    snapshot(place, "qotd-snapshot.etap")
    watch.look(made.stdout, started.stdout)
    crash(place)
    watch.look(place.log())


@pytest.mark.slow
def test_a_passphrase(place: Place) -> None:
    """The same of a passphrase; its daemon dumps no core, wherever dumps go on this system."""
    watch = Watch(place, write(place, "pass", f"{PASSPHRASE}\n"))
    wrong = write(place, "wrong", "wrong\n")
    made = place.mktap("-e", "--passphrase-file", "pass", "qotd", "--port", "0")
    assert (made.returncode, made.stderr) == (0, "")
    refused = place.twistd("--passphrase-file", wrong, "qotd.etap")
    assert refused.returncode == 1
    os.truncate(place.path / "qotd.etap", os.path.getsize(place.path / "qotd.etap") - 5)
    damaged = place.twistd("--passphrase-file", "pass", "qotd.etap")
    assert "is damaged" in damaged.stderr
    (place.path / "qotd.etap").unlink()
    place.mktap("-e", "--passphrase-file", "pass", "qotd", "--port", "0")
    started = place.twistd("--passphrase-file", "pass", "qotd.etap")
    assert (started.returncode, started.stderr) == (0, "")
    watch.look(refused.stderr, damaged.stderr)
    if hasattr(psutil.Process, "rlimit"):
        assert psutil.Process(place.pid()).rlimit(psutil.RLIMIT_CORE)[0] == 1
    snapshot(place, "qotd-snapshot.etap")
    crash(place)
    watch.look(place.log())


ABORTING = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
if sys.argv[1] == "secret":
    from tapkit.image.seal.secret import Secret
    kept = Secret("canary")
os.abort()
"""


def test_core_files(tmp_path: Path) -> None:
    """A process that has held a passphrase leaves none; without one it would have, here."""
    left = {}
    for what in ("nothing", "secret"):
        folder = tmp_path / what
        folder.mkdir()
        subprocess.run(
            [sys.executable, "-c", ABORTING, what],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            timeout=60,
            check=False,
        )
        left[what] = [path.name for path in folder.iterdir()]
    assert left["secret"] == []
    if not left["nothing"]:
        pytest.skip(f"no cores here: {resource.getrlimit(resource.RLIMIT_CORE)}")
