"""Nobody is let in before the whole start is done; what it need not wait for comes afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import socket
import subprocess
import sys

import pytest

from tapkit.run import afterwards
from tests.place import PATIENCE, ROOT, Place, wait_for
from tests.test_twistd import add_tap

SLOW = """
import asyncio, os
from tapkit import internet, protocol, service, usage

class Options(usage.Options):
    pass

class Teller(protocol.Protocol):
    def connectionMade(self):
        self.transport.write(b"after" if Slow.done else b"before")
        self.transport.loseConnection()

class Factory(protocol.ServerFactory):
    protocol = Teller

class Slow(service.Service):
    done = False

    async def startService(self):
        super().startService()
        while not os.path.exists("go"):
            await asyncio.sleep(0.01)
        for _ in range(20):  # turns of the loop, in which somebody might be let in
            await asyncio.sleep(0)
        if os.path.exists("fail"):
            raise RuntimeError("in vain")
        Slow.done = True

def makeService(config):
    made = service.MultiService()
    internet.TCPServer("tcp:0:interface=127.0.0.1", Factory()).setServiceParent(made)
    Slow().setServiceParent(made)
    return made
"""


def starting(place: Place, loop: str) -> tuple[subprocess.Popen[str], int]:
    """A daemon whose first service listens, and whose second waits for the file `go`."""
    add_tap(place, "slow", SLOW)
    assert place.mktap("slow").returncode == 0
    command = place.command("twistd", "-r", loop, "slow.tap")
    process = subprocess.Popen(
        command, cwd=place.path, env=place.env, stderr=subprocess.PIPE, text=True
    )
    wait_for("the start", lambda: "twistd.log" in place.file_names())
    return process, wait_for("a port", lambda: "listening on" in place.log() and place.port())


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    assert process.stderr is not None
    process.stderr.close()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), PATIENCE)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_nobody_is_let_in_before_all_is_ready(place: Place, loop: str) -> None:
    """Who connects to the first service while another still starts waits, and is then served."""
    process, port = starting(place, loop)
    try:
        with connect(port) as client:
            (place.path / "go").touch()
            assert client.recv(100) == b"after"
        assert process.wait(PATIENCE) == 0
    finally:
        end(process)


def test_who_waits_when_the_start_fails(place: Place) -> None:
    """It is not served; the port is free, and nothing is left."""
    process, port = starting(place, "asyncio")
    try:
        with connect(port) as client:
            (place.path / "fail").touch()
            (place.path / "go").touch()
            with contextlib.suppress(ConnectionResetError):
                assert client.recv(100) == b""
        assert process.wait(PATIENCE) == 1
        assert process.stderr is not None
        assert "RuntimeError: in vain" in process.stderr.read()
    finally:
        end(process)
    assert place.processes() == []


# -- afterwards


def test_the_rest_is_imported_afterwards() -> None:
    """Module after module, the loop going on in between."""
    code = (
        "import asyncio, sys\n"
        "from tapkit.run import afterwards\n"
        "async def main():\n"
        "    afterwards.catch_up()\n"
        "    turns = 0\n"
        "    while not sys.modules.keys() >= set(afterwards.MODULES):\n"
        "        turns += 1\n"
        "        await asyncio.sleep(0)\n"
        "    assert turns > len(afterwards.MODULES), turns\n"
        f"asyncio.run(asyncio.wait_for(main(), {PATIENCE}))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_what_can_not_be_imported_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever needs it is told; the others are imported all the same."""
    imported: list[str] = []
    monkeypatch.setattr(afterwards, "DELAY", 0.0)
    monkeypatch.setattr(afterwards, "MODULES", ("json", "no_such_module", "string"))
    known = importlib.import_module

    def importing(name: str) -> object:
        imported.append(name)
        return known(name)

    monkeypatch.setattr(importlib, "import_module", importing)

    async def main() -> None:
        afterwards.catch_up()
        while len(imported) < 3:
            await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(main(), PATIENCE))
    assert imported == ["json", "no_such_module", "string"]


def test_a_start_does_not_wait_for_it() -> None:
    """None of it is imported by what a start imports."""
    code = (
        "import sys\n"
        "from tapkit.run import lazily; lazily.import_asyncio()\n"
        "from tapkit.run import afterwards, launch\n"
        "from tapkit_plugins import qotd\n"
        "loaded = {name for name, module in sys.modules.items() if type(module) is type(sys)}\n"
        "early = loaded & set(afterwards.MODULES)\n"
        "assert not early, early"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
