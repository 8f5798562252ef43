"""`--workers N`: one image, one set of ports, N processes; stopped and reloaded as one."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from tapkit.errors import UsageError
from tapkit.run.workers import master as workers
from tapkit.run.workers import worker
from tests.place import PATIENCE, Place, ask, wait_for
from tests.reloads import COUNTER, Clients, reload
from tests.test_twistd import add_tap, started

# Says which process answers; the first start of a process fails where a file says so.
NAMING = (
    COUNTER
    + """
class Failing(service.Service):
    def startService(self):
        if os.path.exists("fail"):
            raise OSError("no device " + open("fail").read())
        return super().startService()

def makeService(config, inner=makeService):
    both = inner(config)
    Failing().setServiceParent(both)
    return both
"""
)


def serving(place: Place, count: int, *options: str, image: tuple[str, ...] = ()) -> int:
    """A daemon with workers; its port."""
    add_tap(place, "naming", NAMING)
    made = place.mktap("naming", *image)
    assert made.returncode == 0, made.stderr
    return started(place, "--workers", str(count), *options, "-f", "naming.tap")


def who_answers(port: int) -> int:
    return int(ask(port).split()[1])


def crew(place: Place, count: int) -> list[int]:
    """The numbers of the workers: the children of the master's one child."""

    def there() -> list[int] | None:
        (server,) = psutil.Process(place.pid()).children()
        found = [child.pid for child in server.children()]
        return found if len(found) == count else None

    return sorted(wait_for(f"{count} workers", there))


@pytest.mark.parametrize("loop", [pytest.param("asyncio", marks=pytest.mark.slow), "uvloop"])
def test_many_serve_as_one(place: Place, loop: str) -> None:
    """Workers answer, the master does not; TERM stops them all, and no state is saved."""
    port = serving(place, 3, "-r", loop)
    pids = crew(place, 3)
    assert place.pid() not in pids
    with Clients(("127.0.0.1", port)) as clients:
        clients.more(50)
    assert clients.faults == []
    answered = {who_answers(port) for _ in range(20)}
    assert answered <= set(pids)
    assert "none of them owns it" in place.log()
    place.kill()
    wait_for("all to end", lambda: place.processes() == [])
    assert place.file_names() == ["lib", "naming.tap", "twistd.log"]


@pytest.mark.slow
def test_a_dead_worker_is_replaced(place: Place) -> None:
    """A killed worker is named in the log and replaced, by growing delays; who asks is served."""
    port = serving(place, 2)
    for _ in range(2):
        victim = crew(place, 2)[0]
        os.kill(victim, signal.SIGKILL)
        said = f"PID {victim}, died (killed by signal 9)"
        wait_for("the log to name it", lambda: said in place.log())  # noqa: B023
        wait_for("another", lambda: victim not in crew(place, 2))  # noqa: B023
        assert who_answers(port) in crew(place, 2)
    assert "restarted in 0.1 s" in place.log()
    place.kill()


@pytest.mark.slow
def test_unix_paths_are_the_masters(place: Place, tmp_path: Path) -> None:
    """A worker's end leaves the socket's path; the master's removes it."""
    path = str(tmp_path / "sock")
    serving(place, 2, image=("--path", path))
    with Clients(path, count=2) as clients:
        clients.more()
        victim = crew(place, 2)[0]
        os.kill(victim, signal.SIGTERM)
        wait_for("another", lambda: victim not in crew(place, 2))
        clients.more()
    assert clients.faults == []
    place.kill()
    assert not os.path.exists(path)


def test_workers_are_reloaded_as_one(place: Place) -> None:
    """HUP: a new master with new workers takes over, and nobody is refused."""
    port = serving(place, 2)
    before = crew(place, 2)
    with Clients(("127.0.0.1", port)) as clients:
        clients.more()
        reload(place)
        clients.more()
        after = crew(place, 2)
        wait_for("the old to leave", lambda: not any(map(psutil.pid_exists, before)))
        clients.more()
    assert clients.faults == []
    assert not set(before) & set(after)
    assert who_answers(port) in after
    place.kill()


@pytest.mark.slow
def test_a_reload_that_fails(place: Place) -> None:
    """A worker of the new master that does not start fails the reload; the old ones go on."""
    port = serving(place, 2)
    before = crew(place, 2)
    (place.path / "fail").write_text("today")
    with Clients(("127.0.0.1", port)) as clients:
        clients.more()
        os.kill(place.pid(), signal.SIGHUP)
        wait_for("the reason", lambda: "no device today" in place.log())
        wait_for("the end", lambda: "goes on as it is" in place.log())
        clients.more()
    assert clients.faults == []
    assert crew(place, 2) == before
    wait_for("what failed to end", lambda: len(place.processes()) == 4)
    place.kill()


def test_a_worker_that_does_not_start(place: Place) -> None:
    """It fails the whole start: status 1, the reason on stderr, nothing left."""
    add_tap(place, "naming", NAMING)
    place.mktap("naming")
    (place.path / "fail").write_text("here")
    done = place.twistd("--workers", "3", "-f", "naming.tap")
    assert done.returncode == 1
    assert done.stderr.startswith("twistd: a worker did not start: ")
    assert "no device here" in done.stderr
    wait_for("all to end", lambda: place.processes() == [])
    assert "twistd.pid" not in place.file_names()


@pytest.mark.slow
def test_a_dead_master_leaves_nobody(place: Place) -> None:
    """SIGKILL to the master, or to the fork server, and no worker serves on unattended."""
    add_tap(place, "naming", NAMING)
    place.mktap("naming")
    for index in range(2):
        assert place.twistd("--workers", "2", "-f", "naming.tap").returncode == 0
        crew(place, 2)
        master = psutil.Process(place.pid())
        victim = [master, *master.children()][index]
        victim.kill()
        wait_for("all to end", lambda: place.processes() == [])
        assert place.twistd("--workers", "2", "-f", "naming.tap").returncode == 0
        place.kill()
    assert "the fork server" in place.log()


@pytest.mark.slow
def test_the_pidfile_is_free_when_the_master_is_gone(place: Place) -> None:
    """Workers hold neither lock nor pipe: the command returned, and the next start works."""
    serving(place, 2)
    os.kill(place.pid(), signal.SIGKILL)
    wait_for("all to end", lambda: place.processes() == [])
    again = place.twistd("--workers", "2", "-f", "naming.tap")
    assert again.returncode == 0, again.stderr
    assert "stale pidfile" in again.stderr
    place.kill()


@pytest.mark.slow
def test_in_the_foreground(place: Place) -> None:
    """Ctrl-C, which every process of a terminal gets, stops all, cleanly."""
    place.make("qotd", "--port", "0")
    with place.foreground("-n", "--workers", "2", "-f", "qotd.tap") as process:
        wait_for("the start", lambda: "runs on asyncio" in place.log("foreground.log"))
        for pid in [process.pid, *crew(place, 2)]:
            os.kill(pid, signal.SIGINT)
        assert process.wait(PATIENCE) == 0
    assert "hurrying" not in place.log("foreground.log")
    assert place.processes() == []


@pytest.mark.slow
def test_one_worker_is_the_daemon_itself(place: Place) -> None:
    """--workers 1 is a daemon as ever: its state is saved."""
    serving(place, 1)
    assert psutil.Process(place.pid()).children() == []
    place.kill()
    assert "naming-shutdown.tap" in place.file_names()


@pytest.mark.parametrize("text", ["0", "many"])
def test_no_number_of_workers(place: Place, text: str) -> None:
    """A mistyped number is status 2 and touches nothing."""
    done = place.twistd(f"--workers={text}", "qotd")
    assert done.returncode == 2
    assert "no number of workers" in done.stderr
    assert place.file_names() == []


def test_auto_is_the_processors() -> None:
    """`auto` is as many as this process may run on."""
    assert workers.count_of("auto") == len(psutil.Process().cpu_affinity() or [])
    assert workers.count_of("7") == 7
    with pytest.raises(UsageError):
        workers.count_of("seven")


def test_delays_grow_and_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who dies soon again and again is restarted later and later; a long life clears it."""
    now = [0.0]
    monkeypatch.setattr(worker.time, "monotonic", lambda: now[0])
    one = worker.Worker(1)
    delays = [one.delay() for _ in range(12)]
    assert delays[:4] == [0.1, 0.2, 0.4, 0.8]
    assert delays[-1] == worker.LONGEST_DELAY
    now[0] = worker.SHORT_LIFE
    assert one.delay() == 0.0
    one.since = now[0]
    assert one.delay() == worker.FIRST_DELAY
