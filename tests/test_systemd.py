"""Under systemd: readiness, reload, watchdog and stop notified; sockets it opened taken."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tapkit.net import inherited
from tapkit.run.systemd import notify as systemd
from tests.place import PATIENCE, Place, ask, wait_for
from tests.reloads import COUNTER, Clients, count_at, reload
from tests.test_twistd import QUOTE, add_tap

ABSTRACT = sys.platform == "linux"


class Supervisor:
    """What systemd is to a service: a datagram socket that believes one process."""

    def __init__(self, place: Place, address: str):
        self.place = place
        self.told: list[dict[str, str]] = []
        self.senders: list[int] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.settimeout(PATIENCE)
        if ABSTRACT:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        place.env |= {"NOTIFY_SOCKET": address}

    def hear(self, name: str) -> str:
        """Wait for a fact of that name; what it says."""
        while not (self.told and name in self.told[-1]):
            data, ancillary, _flags, _address = self._socket.recvmsg(65536, 1024)
            lines = data.decode().splitlines()
            self.told.append(dict(line.split("=", 1) for line in lines))
            for _level, _kind, creds in ancillary:
                self.senders.append(int.from_bytes(creds[:4], sys.byteorder))
        return self.told.pop()[name] if name in self.told[-1] else ""

    def close(self) -> None:
        self._socket.close()


KINDS = ["path", *([pytest.param("abstract", marks=pytest.mark.slow)] if ABSTRACT else [])]


@pytest.fixture(params=KINDS)
def supervisor(
    request: pytest.FixtureRequest, place: Place, tmp_path: Path
) -> Iterator[Supervisor]:
    """A supervisor, reached by a path or by an abstract name."""
    short = f"@tapkit-test-{uuid.uuid4().hex}"
    made = Supervisor(place, str(tmp_path / "n") if request.param == "path" else short)
    yield made
    made.close()


def test_the_whole_life_is_notified(place: Place, supervisor: Supervisor) -> None:
    """READY with the pid and a status, WATCHDOG meanwhile, STOPPING at the end."""
    place.env |= {"WATCHDOG_USEC": "200000"}
    place.make("qotd", "--port", "0")
    with place.foreground("-n", "-f", "qotd.tap") as process:
        assert supervisor.hear("READY") == "1"
        assert supervisor.senders == [process.pid] * len(supervisor.senders)
        for _ in range(3):
            assert supervisor.hear("WATCHDOG") == "1"
        process.terminate()
        assert supervisor.hear("STOPPING") == "1"
        assert process.wait(PATIENCE) == 0


def test_a_reload_is_notified(place: Place, supervisor: Supervisor) -> None:
    """RELOADING, then READY with the new main process; whoever speaks is the main process."""
    add_tap(place, "counter", COUNTER)
    place.mktap("counter")
    with place.foreground("-n", "-f", "counter.tap") as process:
        supervisor.hear("READY")
        port = place.port("foreground.log")
        with Clients(("127.0.0.1", port)) as clients:
            clients.more()
            process.send_signal(signal.SIGHUP)
            assert int(supervisor.hear("MONOTONIC_USEC")) > 0
            main = int(supervisor.hear("MAINPID"))
            clients.more()
        assert clients.faults == []
        assert main == place.pid() != process.pid
        assert process.wait(PATIENCE) == 0, "systemd follows the new one: this one leaves"
        assert int(supervisor.hear("MAINPID")) == main
        if supervisor.senders:
            assert supervisor.senders[-1] == main
        assert count_at(port) == clients.answers + 1
        place.kill()
        assert supervisor.hear("STOPPING") == "1"


@pytest.mark.slow
def test_a_failed_reload_is_notified(place: Place, supervisor: Supervisor) -> None:
    """READY again, from the same process, with a status that says so."""
    add_tap(place, "counter", COUNTER)
    place.mktap("counter")
    with place.foreground("-n", "-f", "counter.tap") as process:
        supervisor.hear("READY")
        add_tap(place, "counter", "def broken(:\n")
        process.send_signal(signal.SIGHUP)
        supervisor.hear("RELOADING")
        assert "reload failed" in supervisor.hear("STATUS")
        assert process.poll() is None


@pytest.mark.slow
def test_children_do_not_inherit_it(place: Place, supervisor: Supervisor) -> None:
    """A service's own children see none of systemd's variables."""
    names = "NOTIFY_SOCKET WATCHDOG_USEC WATCHDOG_PID LISTEN_FDS LISTEN_PID LISTEN_FDNAMES"
    place.env |= {"WATCHDOG_USEC": "60000000", "LISTEN_FDS": "1", "LISTEN_PID": "1"}
    script = (
        "import os\nfrom tapkit.application import Application\n"
        "from tapkit.service import Service\n"
        "class Looking(Service):\n"
        "    def startService(self):\n"
        f"        seen = [n for n in {names.split()!r} if n in os.environ]\n"
        "        open('seen', 'w').write(repr(seen))\n"
        "        return super().startService()\n"
        "application = Application('looking')\n"
        "application.addService(Looking())\n"
    )
    (place.path / "looking.tac").write_text(script)
    with place.foreground("-n", "-y", "looking.tac") as process:
        supervisor.hear("READY")
        assert (place.path / "seen").read_text() == "[]"
        process.terminate()
        assert process.wait(PATIENCE) == 0


# Socket activation: the test binds, and passes descriptors 3 and on, as systemd does.

ACTIVATE = """
import os, sys
fds, names, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
for index in range(fds):
    os.set_inheritable(3 + index, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(fds), LISTEN_FDNAMES=names)
os.execv(command[0], command)
"""


@contextlib.contextmanager
def activated(
    place: Place, sockets: list[socket.socket], names: str, *arguments: str
) -> Iterator[subprocess.Popen[bytes]]:
    """twistd in the foreground with passed sockets, its log going to `foreground.log`."""

    def number_them() -> None:
        # Above all others first: the target numbers may be in use by sockets still to be moved.
        moved = [os.dup2(sock.fileno(), 100 + i) for i, sock in enumerate(sockets)]
        for index, fd in enumerate(moved):
            os.dup2(fd, 3 + index)
            os.close(fd)

    words = [sys.executable, "-c", ACTIVATE, str(len(sockets)), names]
    with open(place.path / "foreground.log", "w") as log:
        process = subprocess.Popen(
            [*words, *place.command("twistd", *arguments)],
            cwd=place.path,
            env=place.env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=number_them,
            close_fds=False,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def opened() -> Iterator[Callable[..., socket.socket]]:
    """A function that binds a socket, closed at the end."""
    made: list[socket.socket] = []

    def open_one(
        family: int = socket.AF_INET,
        kind: int = socket.SOCK_STREAM,
        address: object = ("127.0.0.1", 0),
    ) -> socket.socket:
        sock = socket.socket(family, kind)
        made.append(sock)
        sock.bind(address)
        if kind == socket.SOCK_STREAM:
            sock.listen()
        return sock

    yield open_one
    for sock in made:
        sock.close()


def test_a_socket_is_matched_by_address(place: Place, opened: Callable[..., socket.socket]) -> None:
    """Who connected before the service started is answered; after a reload as well."""
    tcp = opened()
    udp = opened(kind=socket.SOCK_DGRAM, address=tcp.getsockname())
    port = tcp.getsockname()[1]
    place.mktap("qotd", "--port", f"tcp:{port}:interface=127.0.0.1")
    early = socket.create_connection(("127.0.0.1", port), PATIENCE)
    with early, activated(place, [tcp, udp], "x:y", "-n", "-f", "qotd.tap") as process:
        assert early.recv(1000) == QUOTE
        reload(place)
        assert ask(port) == QUOTE
        log = place.log("foreground.log")
        assert "no service listens" not in log
        process.terminate()
        assert process.wait(PATIENCE) == 0


@pytest.mark.slow
def test_a_socket_is_matched_by_name(
    place: Place, opened: Callable[..., socket.socket], tmp_path: Path
) -> None:
    """A service named as the socket is gets it, wherever it listens; a path stays systemd's."""
    path = str(tmp_path / "activated")
    tcp, unix = opened(), opened(socket.AF_UNIX, address=path)
    (place.path / "two.tac").write_text(
        "from tapkit.application import Application\n"
        "from tapkit import internet\n"
        "async def hello(reader, writer):\n"
        "    writer.write(b'hello\\r\\n')\n"
        "application = Application('two')\n"
        "async def bye(reader, writer):\n"
        "    writer.write(b'bye\\r\\n')\n"
        "web = internet.StreamServer(1, hello, interface='127.0.0.1')\n"
        "local = internet.UNIXServer('elsewhere', bye)\n"
        "web.setName('web'); local.setName('local')\n"
        "application.addService(web); application.addService(local)\n"
    )
    with activated(place, [tcp, unix], "web:local", "-n", "-y", "two.tac") as process:
        assert ask(tcp.getsockname()[1]) == b"hello\r\n"
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE)
            client.connect(path)
            assert client.recv(100) == b"bye\r\n"
        wait_for("the start", lambda: "runs on" in place.log("foreground.log"))
        process.terminate()
        assert process.wait(PATIENCE) == 0
    assert os.path.exists(path), "systemd goes on listening there"
    assert "elsewhere" not in place.file_names()


@pytest.mark.slow
def test_one_socket_for_both_families(place: Place, opened: Callable[..., socket.socket]) -> None:
    """systemd's [::]:port takes IPv4 as well; a service on all addresses is content with it."""
    try:
        both = opened(socket.AF_INET6, address=("::", 0))
    except OSError:
        pytest.skip("no IPv6 here")
    if both.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY):
        pytest.skip("this system's IPv6 sockets take IPv6 alone")
    port = both.getsockname()[1]
    place.mktap("qotd", "--port", str(port))
    with activated(place, [both], "", "-n", "-f", "qotd.tap") as process:
        assert ask(port) == QUOTE
        assert ask(port, "::1") == QUOTE
        wait_for("the start", lambda: "runs on" in place.log("foreground.log"))
        process.terminate()
        assert process.wait(PATIENCE) == 0


@pytest.mark.slow
def test_a_socket_nobody_wants(place: Place, opened: Callable[..., socket.socket]) -> None:
    """It is closed, and the log says which; what is no socket is said as well."""
    tcp = opened()
    place.mktap("qotd", "--port", "tcp:0:interface=127.0.0.1")
    with activated(place, [tcp], "stray", "-n", "-f", "qotd.tap") as process:
        port = tcp.getsockname()[1]
        tcp.close()
        wait_for("the start", lambda: "runs on" in place.log("foreground.log"))
        said = f"no service listens on 127.0.0.1:{port} (stray): closed"
        wait_for(said, lambda: said in place.log("foreground.log"))
        with pytest.raises(ConnectionRefusedError):
            ask(port)
        process.terminate()
        assert process.wait(PATIENCE) == 0


# The pieces, without a process.


def test_variables_for_another_process_are_ignored() -> None:
    """A child that inherited them by accident neither notifies a watchdog nor takes sockets."""
    environment = {
        "NOTIFY_SOCKET": "/nowhere",
        "WATCHDOG_USEC": "1000000",
        "WATCHDOG_PID": str(os.getpid() + 1),
        "LISTEN_PID": str(os.getpid() + 1),
        "LISTEN_FDS": "1",
        "LISTEN_FDNAMES": "x",
        "HOME": "/",
    }
    assert systemd.notifier(environment).watchdog is None
    assert systemd.passed_sockets(environment) == []
    assert environment == {"HOME": "/"}


@pytest.mark.parametrize("address", ["", "relative", "vsock:2:1"])
def test_an_address_nobody_can_speak_to(address: str) -> None:
    """What is neither a path nor an abstract name is as good as none."""
    notifier = systemd.notifier({"NOTIFY_SOCKET": address})
    assert not notifier.listens
    notifier.ready("fine")


def test_a_supervisor_that_is_gone(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """It is said once, and nothing fails."""
    notifier = systemd.notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    with caplog.at_level(logging.WARNING):
        notifier.ready("one")
        notifier.status("two")
    assert len(caplog.records) == 1
    assert "can't notify the supervisor" in caplog.text


def test_a_status_is_one_line(tmp_path: Path) -> None:
    """A status with a line break can't pose as another fact."""
    address = str(tmp_path / "n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(address)
        ear.settimeout(PATIENCE)
        systemd.Notifier(address).status("well\nMAINPID=1")
        assert ear.recv(1000) == b"STATUS=well MAINPID=1"


def test_the_watchdog_hears_nothing_of_a_loop_that_hangs(tmp_path: Path) -> None:
    """Beats come from the event loop itself, at half of the time it was given."""
    address = str(tmp_path / "n")

    async def main(ear: socket.socket) -> int:
        notifier = systemd.Notifier(address, watchdog=0.1)
        notifier.beat()
        assert ear.recv(1000) == b"WATCHDOG=1"
        ear.setblocking(False)
        with pytest.raises(BlockingIOError):  # the loop does not turn while this runs
            ear.recv(1000)
        loop = asyncio.get_running_loop()
        started = loop.time()
        await asyncio.wait_for(loop.sock_recv(ear, 1000), PATIENCE)
        notifier.hush()
        assert notifier._beat is not None and notifier._beat.cancelled()
        return round((loop.time() - started) * 1000)

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(address)
        ear.settimeout(PATIENCE)
        assert asyncio.run(main(ear)) >= 40


@pytest.fixture
def registry() -> Iterator[None]:
    """The registry of handed sockets, empty before and after."""
    inherited.unclaimed()
    yield
    for group in inherited.unclaimed():
        for sock in group.sockets:
            sock.close()


@pytest.mark.usefixtures("registry")
def test_what_is_claimed_for_a_request(opened: Callable[..., socket.socket]) -> None:
    """The request counts before the name, the name before the address; each is taken once."""
    one, two, three = opened(), opened(), opened()
    request = inherited.request_of(socket.SOCK_STREAM, "", 0)
    inherited.hand(
        [
            inherited.Handed("", "web", [two]),
            inherited.Handed("", "", [three]),
            inherited.Handed(request, "", [one]),
        ]
    )
    assert inherited.claim(request, "web", socket.SOCK_STREAM) == [one]
    assert inherited.claim(request, "web", socket.SOCK_DGRAM) == []
    assert inherited.claim(request, "web", socket.SOCK_STREAM) == [two]
    assert inherited.claim(request, "web", socket.SOCK_STREAM) == []
    place = three.getsockname()
    assert inherited.claim_address(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)) is None
    assert inherited.claim_address(socket.AF_INET, socket.SOCK_STREAM, place) is three
    assert inherited.unclaimed() == []


@pytest.mark.slow
def test_a_save_that_fails_is_in_the_status(place: Place, supervisor: Supervisor) -> None:
    """`systemctl status` shows why a snapshot failed, and the next one that worked."""
    place.make("qotd", "--port", "0")
    with place.foreground("-n", "-f", "qotd.tap") as process:
        supervisor.hear("READY")
        in_the_way = place.path / "qotd-snapshot.tap"
        in_the_way.mkdir()
        process.send_signal(signal.SIGUSR2)
        assert "the state was not saved" in supervisor.hear("STATUS")
        in_the_way.rmdir()
        process.send_signal(signal.SIGUSR2)
        assert supervisor.hear("STATUS").startswith("saved qotd-snapshot.tap")
