"""The control socket: who is heard, what is answered, and that nothing sent to it does harm."""

from __future__ import annotations

import json
import os
import socket
import stat
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import psutil
import pytest

from tapkit.errors import DaemonError
from tapkit.run.control import client as control_client
from tapkit.run.control import protocol
from tapkit.run.control import server as control
from tapkit.run.control import sockets as control_sockets
from tests.nobody import NOBODY, as_nobody, needs_root, run_as_nobody
from tests.place import PATIENCE, Place, ask, wait_for
from tests.running_daemon import running_qotd

QUOTE = b"An apple a day keeps the doctor away.\r\n"
SOCKET = ".twistd.pid.ctl"


@pytest.fixture
def qotd(place: Place) -> Place:
    """A running daemon."""
    place.make("qotd", "--port", "0")
    done = place.twistd("qotd.tap")
    assert (done.returncode, done.stderr) == (0, "")
    return place


@pytest.fixture(scope="module")
def quotes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A running daemon that is only asked."""
    with running_qotd(tmp_path_factory.mktemp("control")) as place:
        yield place


def asked(place: Place, command: str, **arguments: Any) -> Any:
    return control_client.ask(str(place.path / "twistd.pid"), command, PATIENCE, **arguments)


def raw(place: Place) -> socket.socket:
    return control_sockets.connect(str(place.path / SOCKET), PATIENCE)


def test_it_lies_beside_the_pidfile_for_its_user_alone(qotd: Place) -> None:
    """A socket of mode 0600 while the daemon runs; nothing when it has stopped."""
    found = (qotd.path / SOCKET).stat()
    assert stat.S_ISSOCK(found.st_mode)
    assert stat.S_IMODE(found.st_mode) == 0o600
    assert asked(qotd, "status")["pid"] == qotd.pid()
    qotd.kill()
    assert qotd.file_names() == ["qotd-shutdown.tap", "qotd.tap", "twistd.log"]


def test_a_stale_one_is_replaced(qotd: Place) -> None:
    """What a killed daemon leaves is in nobody's way; until then its absence is clear."""
    qotd.kill(signal=9)
    assert SOCKET in qotd.file_names()
    with pytest.raises(control_client.NobodyListensError):
        asked(qotd, "status")
    assert qotd.twistd("qotd.tap").returncode == 0
    assert asked(qotd, "status")["pid"] == qotd.pid()


@pytest.mark.slow
def test_a_file_in_its_place(place: Place) -> None:
    """Somebody's directory of that name is left alone: the daemon serves without, and says so."""
    place.make("qotd", "--port", "0")
    (place.path / SOCKET).mkdir()
    assert place.twistd("qotd.tap").returncode == 0
    assert ask(place.port()) == QUOTE
    assert "no control socket, so tapctl can't ask this daemon" in place.log()
    shown = place.run("tapctl", "status")
    assert (shown.returncode, shown.stdout) == (4, "")
    assert len(shown.stderr.splitlines()) == 1
    place.kill()
    assert (place.path / SOCKET).is_dir()


def test_long_paths(place: Place, tmp_path: Path) -> None:
    """A UNIX socket's path has 108 bytes; a run directory may have a longer one."""
    place.make("qotd", "--port", "0")
    folder = place.path / ("d" * 100) / ("e" * 100)
    folder.mkdir(parents=True)
    name = "p" * 200 + ".pid"
    started = place.twistd("-d", folder, "--pidfile", name, "-f", "qotd.tap")
    assert (started.returncode, started.stderr) == (0, "")
    shown = place.run("tapctl", "status", "--json", folder / name)
    assert json.loads(shown.stdout)["pidfile"] == str(folder / name)
    listed = json.loads(place.run("tapctl", "list", "--json").stdout)
    assert str(folder / name) in [row["pidfile"] for row in listed]
    stopped = place.run("tapctl", "stop", folder)
    assert (stopped.returncode, stopped.stderr) == (0, "")
    assert sorted(os.listdir(folder)) == ["qotd-shutdown.tap", "twistd.log"]


GARBAGE = [
    b"",
    b"\x00",
    b"\x00\x00\x00\x00",
    b"\xff\xff\xff\xff",
    b"GET / HTTP/1.0\r\n\r\n",
    protocol.frame({})[:-1],
    protocol.frame({}),
    protocol.frame({"command": 7}),
    protocol.frame({"command": "status", "arguments": [1]}),
    protocol.frame({"command": "status", "arguments": {}}) + b"more",
    struct.pack(">I", 3) + b"\xc1\xc1\xc1",
    struct.pack(">I", 4) + msgpack.packb([1, 2, 3]),
    struct.pack(">I", 60000) + b"\x91" * 60000,
    struct.pack(">I", 5) + b"\xdd\xff\xff\xff\xff",
    struct.pack(">I", 10) + b"\x81\xd6\xff\x00\x00\x00\x00\x01xx",
    os.urandom(1000),
]


def test_garbage_does_no_harm(quotes: Place) -> None:
    """Whatever is sent, whole or cut short: an end or a refusal, and the daemon goes on."""
    for data in GARBAGE:
        with raw(quotes) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            try:
                while more := connection.recv(65536):
                    answer += more
            except ConnectionResetError:
                continue
        if answer:
            told = protocol.message_of(answer[protocol.HEAD :])
            assert told["ok"] or told["error"]["what"], data
    assert asked(quotes, "status")["state"] == "running"
    assert "Traceback" not in quotes.log()


def test_an_unknown_command(quotes: Place) -> None:
    """A newer tapctl is told what is the matter."""
    with pytest.raises(DaemonError, match="knows no 'staus'; did you mean status") as refused:
        asked(quotes, "staus")
    assert "different versions" in str(refused.value)


@pytest.mark.slow
def test_more_connections_than_are_heard(qotd: Place) -> None:
    """Beyond the most at a time a connection is closed; who idles is dropped, and all is well."""
    idle = [raw(qotd) for _ in range(control.MOST_CONNECTIONS)]
    try:
        wait_for("it to be full", lambda: is_full(qotd))
        began = time.monotonic()
        for connection in idle:
            assert connection.recv(1) == b""  # nobody asks nothing for long
        assert time.monotonic() - began < control.QUESTION_LIMIT + PATIENCE
    finally:
        for connection in idle:
            connection.close()
    assert asked(qotd, "status")["state"] == "running"


def test_a_place_is_free_once_its_connection_is_closed(qotd: Place) -> None:
    """Who was told that it is over may ask again at once, and is not too many."""
    idle = [raw(qotd) for _ in range(control.MOST_CONNECTIONS - 1)]
    try:
        for _ in range(100):
            with raw(qotd) as connection:
                connection.sendall(protocol.frame(protocol.question("status", {})))
                assert b"".join(iter(lambda: connection.recv(65536), b""))
    finally:
        for connection in idle:
            connection.close()


def is_full(place: Place) -> bool:
    try:
        asked(place, "status")
    except control_client.NoAnswerError as error:
        return "closed without an answer" in str(error)
    return False


def test_a_daemon_that_does_not_answer(qotd: Place) -> None:
    """The time limit holds, for the command as for the library: status 4."""
    psutil.Process(qotd.pid()).suspend()
    began = time.monotonic()
    with pytest.raises(control_client.NoAnswerError, match=r"no answer within 0\.3 seconds"):
        control_client.ask(str(qotd.path / "twistd.pid"), "status", 0.3)
    assert time.monotonic() - began < PATIENCE
    listed = qotd.run("tapctl", "list").stdout
    (mine,) = [line for line in listed.splitlines() if str(qotd.path) in line]
    assert mine.split() == ["-", "-", "unknown", "-", "-", "-", "-", f"{qotd.path}/twistd.pid"]
    psutil.Process(qotd.pid()).resume()
    assert asked(qotd, "status")["state"] == "running"


@needs_root
def test_another_user_is_not_heard(open_place: Place) -> None:
    """Neither by the socket's mode, nor, were that open, by the daemon: the kernel tells."""
    place = open_place
    place.make("qotd", "--port", "0")
    assert place.twistd("qotd.tap").returncode == 0
    script = place.path / "ask.py"
    script.write_text(
        "from tapkit.run.control import client\n"
        f"print(client.ask({str(place.path / 'twistd.pid')!r}, 'stop'))\n"
    )
    denied = run_as_nobody(place, str(script))
    assert "DeniedError: you may not ask this daemon" in denied.stderr
    shown = as_nobody(place, "tapctl", "status")
    assert (shown.returncode, shown.stdout) == (4, "")
    assert "you may not ask this daemon" in shown.stderr
    (place.path / SOCKET).chmod(0o666)
    unheard = run_as_nobody(place, str(script))
    assert "closed without an answer" in unheard.stderr
    assert f"user {NOBODY} may not control this daemon" in place.log()
    assert asked(place, "status")["state"] == "running"


@needs_root
@pytest.mark.slow
def test_after_privileges_are_shed(open_place: Place) -> None:
    """The socket goes to whom the daemon becomes: that user is heard, and so is root."""
    place = open_place
    place.mktap(f"--uid={NOBODY}", "qotd", "--port", "0")
    os.chown(place.path, NOBODY, NOBODY)
    started = place.twistd("qotd.tap")
    assert (started.returncode, started.stderr) == (0, "")
    assert (place.path / SOCKET).stat().st_uid == NOBODY
    assert asked(place, "status")["uid"] == NOBODY
    shown = as_nobody(place, "tapctl", "status", "--json")
    assert json.loads(shown.stdout)["uid"] == NOBODY
    stopped = as_nobody(place, "tapctl", "stop")
    assert (stopped.returncode, stopped.stderr) == (0, "")
    assert place.file_names() == ["qotd-shutdown.tap", "qotd.tap", "twistd.log"]


@needs_root
@pytest.mark.slow
def test_in_a_chroot(open_place: Place) -> None:
    """Reached by its outside name, which it tells; and gone after the stop."""
    place = open_place
    place.make("qotd", "--port", "0")
    started = place.twistd("--chroot", place.path, "qotd.tap")
    assert (started.returncode, started.stderr) == (0, "")
    told = asked(place, "status")
    assert told["pidfile"] == str(place.path / "twistd.pid")
    assert told["log"] == str(place.path / "twistd.log")
    assert told["image"] == str(place.path / "qotd.tap")
    assert place.run("tapctl", "stop").returncode == 0
    assert SOCKET not in place.file_names()


# -- the protocol alone


@pytest.mark.parametrize(
    "body", [b"", b"\xc1", b"\x93\x01", b"\x91" * 5000, b"\x80\x80", b"\x93\x01\x02\x03"]
)
def test_bodies_that_are_no_message(body: bytes) -> None:
    """Always the one error."""
    with pytest.raises(DaemonError, match="message"):
        protocol.message_of(body)


def test_lengths_are_bounded() -> None:
    """Before anything of that length is read, or sent."""
    assert protocol.length_of(b"\0\0\0\x09", 9) == 9
    with pytest.raises(DaemonError, match="10 bytes, where 9"):
        protocol.length_of(b"\0\0\0\x0a", 9)
    with pytest.raises(DaemonError, match="the most"):
        protocol.frame(protocol.result("x" * protocol.LARGEST_ANSWER))


def test_what_is_no_text_goes_through() -> None:
    """A path that is no UTF-8 arrives as it was."""
    name = os.fsdecode(b"/tmp/\xff.pid")
    answer = protocol.message_of(protocol.frame(protocol.result(name))[protocol.HEAD :])
    assert protocol.answered(answer) == name


@pytest.mark.parametrize("answer", [{}, {"ok": 1}, {"ok": False}, {"ok": False, "error": "x"}])
def test_an_answer_that_is_none(answer: dict[str, Any]) -> None:
    """Is an error, not a result."""
    with pytest.raises(DaemonError, match="an answer that is none"):
        protocol.answered(answer)


def test_a_refusal_arrives_with_its_parts() -> None:
    """What, where, and what to do."""
    refusal = protocol.refusal(DaemonError("no", "here", "so"))
    with pytest.raises(DaemonError) as told:
        protocol.answered(protocol.message_of(protocol.frame(refusal)[protocol.HEAD :]))
    assert (told.value.what, told.value.where, told.value.remedy) == ("no", "here", "so")


def test_one_pidfile_one_socket(tmp_path: Path) -> None:
    """Different pidfiles of a directory never share a socket, however long their names."""
    names = ["a", "a.pid", "a.ctl", "b" * 250, "b" * 249 + "c"]
    paths = {control_sockets.path_beside(str(tmp_path / name)) for name in names}
    assert len(paths) == len(names)
    assert all(len(os.path.basename(path)) < 100 for path in paths)


def test_binding_fails_and_leaves_nothing(tmp_path: Path) -> None:
    """Where something that is no socket is in the way."""
    (tmp_path / "x" / "y").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        control_sockets.bind(str(tmp_path / "x"))
    assert os.listdir(tmp_path) == ["x"]
    with pytest.raises(FileNotFoundError):
        control_sockets.bind(str(tmp_path / "no" / "x"))
