"""The server's side of the control socket, on both event loops, with a daemon of our own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tapkit.application import Application
from tapkit.errors import DaemonError
from tapkit.internet import TCPServer
from tapkit.run.control import client as control_client
from tapkit.run.control import server as control
from tapkit.run.control import sockets as control_sockets
from tapkit.run.control.status import MOST_SERVICES, status
from tapkit.run.process.pidfile import PidFile
from tapkit.run.saving.policy import Saved, SavePolicy
from tapkit.service import MultiService, Service
from tests.loops import PATIENCE, Run, run, until

__all__ = ["run"]


class FakeDaemon:
    """What the control socket needs of a daemon."""

    def __init__(self) -> None:
        self.application = Application("fake")
        self.saving = SavePolicy(None, "it is a test")
        self.state = "running"
        self.last_save: Saved | None = None
        self.on_handed_over: list[Callable[[], None]] = []
        self.asked: list[str] = []

    def workers(self) -> list[dict[str, Any]]:
        return []

    def stop(self, why: str) -> None:
        self.asked.append(f"stop {why}")

    def quit(self, why: str) -> None:
        self.asked.append(f"quit {why}")

    async def snapshot(self, why: str) -> Saved:
        if not self.asked:
            raise ValueError("a fault of tapkit's")
        return Saved(why, "/there", 7, "now")

    async def reload(self, why: str, source: str = "") -> int:
        raise DaemonError(f"no reload {source!r}", None, "stop it")


@pytest.fixture
def pidfile(tmp_path: Path) -> Iterator[PidFile]:
    made = PidFile(str(tmp_path / "x.pid"))
    made.acquire()
    made.write()
    yield made
    made.remove()


async def ask(pidfile: PidFile, command: str, **arguments: Any) -> Any:
    """Ask from a thread, as tapctl does from its process."""
    loop = asyncio.get_running_loop()
    call = lambda: control_client.ask(pidfile.path, command, PATIENCE, **arguments)  # noqa: E731
    return await loop.run_in_executor(None, call)


def test_commands_call_the_daemon(run: Run, pidfile: PidFile) -> None:
    """Each command is a method; a stop is answered when the life is over, with the last save."""
    daemon = FakeDaemon()

    async def main() -> None:
        with control.control_socket(pidfile) as server:
            assert server is not None
            stops = []
            async with control.serving(server, daemon):
                assert (await ask(pidfile, "status"))["name"] == "fake"
                stops = [
                    asyncio.ensure_future(ask(pidfile, "stop", save=save)) for save in (True, False)
                ]
                await until(lambda: len(daemon.asked) == 2)
                assert not any(stop.done() for stop in stops)
                assert (await ask(pidfile, "snapshot"))["generation"] == 7
                daemon.last_save = Saved("stop", "/saved", 8, "later")
            saved = [(await stop)["saved"] for stop in stops]
            assert [row and row["path"] for row in saved] == ["/saved", None]

    run(main())
    assert sorted(daemon.asked) == ["quit tapctl stop", "stop tapctl stop"]
    assert not os.path.exists(control_sockets.path_beside(pidfile.path))


def test_refusals(run: Run, pidfile: PidFile, caplog: pytest.LogCaptureFixture) -> None:
    """Ours arrive with their parts; a fault of the program is logged, and told."""
    daemon = FakeDaemon()

    async def main() -> None:
        with control.control_socket(pidfile) as server:
            async with control.serving(server, daemon):
                with pytest.raises(DaemonError, match="no reload 'image': stop it"):
                    await ask(pidfile, "reload", source="image")
                with pytest.raises(DaemonError, match="it failed: ValueError: a fault of tapkit's"):
                    await ask(pidfile, "snapshot")

    run(main())
    assert "a control command failed: ValueError: a fault of tapkit's" in caplog.text


def test_an_unclean_end(run: Run, pidfile: PidFile) -> None:
    """Who asked for the stop is told what the life ended with, whatever it is."""

    async def main() -> None:
        for failure, told in ((DaemonError("not clean"), "not clean"), (KeyError("k"), "KeyError")):
            daemon = FakeDaemon()
            with control.control_socket(pidfile) as server:
                stop = None
                with pytest.raises(type(failure)):
                    async with control.serving(server, daemon):
                        stop = asyncio.ensure_future(ask(pidfile, "stop"))
                        await until(lambda d=daemon: d.asked)
                        raise failure
                assert stop is not None
                with pytest.raises(DaemonError, match=told):
                    await stop

    run(main())


def test_one_that_took_over(run: Run, pidfile: PidFile) -> None:
    """After a hand-over the old server answers nobody new, and leaves the path alone."""
    daemon = FakeDaemon()

    async def main() -> None:
        with control.control_socket(pidfile) as server:
            assert server is not None
            async with control.serving(server, daemon):
                (hand_over,) = daemon.on_handed_over
                hand_over()
                with pytest.raises(control_client.NoAnswerError):
                    await asyncio.get_running_loop().run_in_executor(
                        None, control_client.ask, pidfile.path, "status", 0.1
                    )
        assert os.path.exists(control_sockets.path_beside(pidfile.path))

    run(main())


def test_one_that_was_replaced(run: Run, pidfile: PidFile) -> None:
    """A socket another process has put in its place is not removed."""

    async def main() -> None:
        path = control_sockets.path_beside(pidfile.path)
        with control.control_socket(pidfile):
            other = control_sockets.bind(path)
        assert os.path.exists(path)
        other.close()

    run(main())


def test_a_lent_pidfile(run: Run, pidfile: PidFile, tmp_path: Path) -> None:
    """Until the process has taken over it answers nobody: the other one does."""
    daemon = FakeDaemon()
    lent = PidFile(pidfile.path)
    lent.borrow(os.dup(pidfile.fd))

    async def main() -> None:
        with control.control_socket(lent) as server:
            async with control.serving(server, daemon):
                asked = asyncio.ensure_future(ask(lent, "status"))
                await asyncio.sleep(0.05)
                assert not asked.done()
                lent.take_over()
                assert (await asked)["name"] == "fake"

    run(main())
    lent.leave()


# -- what a status holds


class Odd(Service):
    """A service whose attributes are not what they are elsewhere."""

    services = 7
    addresses = "nowhere"
    open_connections = "many"
    name = 5  # type: ignore[assignment]


def of(application: Application, workers: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    daemon = FakeDaemon()
    daemon.application = application
    daemon.workers = lambda: workers or []  # type: ignore[method-assign]

    async def main() -> dict[str, Any]:
        return status(daemon)  # type: ignore[arg-type]

    return asyncio.run(main())


def test_a_great_tree() -> None:
    """A thousand services are told, the rest are counted; the answer fits into a message."""
    application = Application("great")
    for _ in range(30):
        inner = MultiService()
        inner.services = [Service() for _ in range(100)]
        application.services.append(inner)
    told = of(application)
    assert len(told["services"]) == MOST_SERVICES
    assert told["services_left_out"] == 1 + 30 + 3000 - MOST_SERVICES
    assert told["services"][2]["path"] == "application.services[0].services[0]"


def test_an_odd_tree() -> None:
    """One that holds itself ends; a service with odd attributes is told as far as may be."""
    application = Application("odd")
    application.services = [Odd(), application]
    rows = of(application)["services"]
    assert [row["class"].rpartition(".")[2] for row in rows] == ["Application", "Odd"]
    assert (rows[1]["name"], rows[1]["ports"], rows[1]["connections"]) == (None, [], None)


def test_with_workers() -> None:
    """The master does not know what its workers count, and does not make it up."""
    application = Application("crew")
    application.services.append(TCPServer(0, object()))
    rows = [{"number": 1, "pid": 7, "state": "running", "restarts": 0, "age": 1.0}]
    told = of(application, rows)
    assert (told["connections"], told["workers"]) == (None, rows)
    assert {(row["running"], row["connections"]) for row in told["services"]} == {(None, None)}
