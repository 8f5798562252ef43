"""The built-in qotd: its options, its quoters, and quotes over real sockets."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tapkit import image, service
from tapkit.errors import ServiceError, UsageError
from tapkit_plugins import qotd
from tests.place import ask

APPLE = b"An apple a day keeps the doctor away.\r\n"
LOOPBACK = "tcp:0:interface=127.0.0.1"
PATIENCE = 10.0


def options(*argv: str) -> qotd.Options:
    """Options that have read a command line."""
    config = qotd.Options()
    config.program = "mktap qotd"
    config.parseOptions(list(argv))
    return config


def made(*argv: str) -> service.MultiService:
    """The service a command line makes."""
    return qotd.makeService(options(*argv))


@asynccontextmanager
async def serving(together: service.MultiService) -> AsyncIterator[service.MultiService]:
    """A service between its start and its stop."""
    await together.privilegedStartService()
    try:
        await together.startService()
        yield together
    finally:
        await together.stopService()


def with_served(together: service.MultiService, use: Callable[[service.MultiService], Any]) -> Any:
    """What `use`, a blocking client in a thread, makes of a running service."""

    async def run() -> Any:
        async with serving(together):
            return await asyncio.wait_for(asyncio.to_thread(use, together), PATIENCE)

    return asyncio.run(run())


def port_of(server: Any) -> int:
    """The port a running server got."""
    port: int = server.bound_port
    return port


def tcp_quote(together: service.MultiService) -> bytes:
    return ask(port_of(together.services[0]))


def udp_answers(together: service.MultiService, questions: list[bytes]) -> list[bytes]:
    """The answers to datagrams sent one after the other."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE)
        client.connect(("127.0.0.1", port_of(together.services[-1])))
        answers = []
        for question in questions:
            client.send(question)
            answers.append(client.recv(65536))
        return answers


def fortune_file(folder: Path, content: bytes) -> str:
    path = folder / "fortunes"
    path.write_bytes(content)
    return str(path)


class FakeTransport:
    """What a datagram protocol writes to, for senders no test can be."""

    def __init__(self, port: int):
        self.port = port
        self.written: list[tuple[bytes, Any]] = []

    def write(self, data: bytes, address: Any) -> None:
        self.written.append((data, address))

    def getHost(self) -> tuple[str, int]:
        return ("127.0.0.1", self.port)


# Over the wire.


def test_default_quote_over_tcp() -> None:
    """Whoever connects gets the tutorial's quote, CR LF, and the end."""
    assert with_served(made("--port", LOOPBACK), tcp_quote) == APPLE


def test_every_datagram_is_answered() -> None:
    """RFC 865 over UDP: any datagram, also an empty one, is answered with a quote."""
    together = made("--port", LOOPBACK)
    answers = with_served(together, lambda t: udp_answers(t, [b"", b"x", b"\0" * 1000]))
    assert answers == [APPLE] * 3


def test_what_a_client_says_is_thrown_away() -> None:
    """A client that talks, even much, gets its quote, and so does the next one."""

    def use(running: service.MultiService) -> list[bytes]:
        address = ("127.0.0.1", port_of(running.services[0]))
        with socket.create_connection(address, PATIENCE) as client:
            client.sendall(b"hello\r\n" * 100)
            # One read: as it closes at once, TCP may end with a reset behind the quote.
            return [client.recv(4096), tcp_quote(running)]

    assert with_served(made("--port", LOOPBACK), use) == [APPLE, APPLE]


def test_tcp_and_udp_share_the_number() -> None:
    """A port that is named is the same one for connections and datagrams."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        number = probe.getsockname()[1]
    together = made("--port", str(number), "--interface", "127.0.0.1")

    def use(running: service.MultiService) -> tuple[bytes, list[bytes]]:
        assert [port_of(server) for server in running] == [number, number]
        return tcp_quote(running), udp_answers(running, [b""])

    assert with_served(together, use) == (APPLE, [APPLE])


def test_interface_limits_both() -> None:
    """--interface is for TCP and UDP; a description's own interface wins over it."""
    both = made("--port", "0", "--interface", "127.0.0.1")
    hosts = with_served(both, lambda t: [server.addresses[0].host for server in t])
    assert hosts == ["127.0.0.1", "127.0.0.1"]
    own = made("--port", LOOPBACK, "--interface", "::1")
    hosts = with_served(own, lambda t: [server.addresses[0].host for server in t])
    assert hosts == ["127.0.0.1", "127.0.0.1"]


def test_unix_socket_serves_connections_only(tmp_path: Path) -> None:
    """A UNIX socket has no datagram side here."""
    path = tmp_path / "qotd.sock"

    def use(running: service.MultiService) -> bytes:
        assert len(running.services) == 1
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE)
            client.connect(os.fspath(path))
            return client.recv(4096, socket.MSG_WAITALL)

    assert with_served(made("--port", f"unix:{path}"), use) == APPLE


def test_udp_alone() -> None:
    """`udp:PORT` serves datagrams and no connections."""
    together = made("--port", "udp:0:interface=127.0.0.1")
    assert len(together.services) == 1
    assert with_served(together, lambda running: udp_answers(running, [b""])) == [APPLE]


def test_many_connections_at_once() -> None:
    """Every one of 50 clients that wait together gets the whole quote."""
    together = made("--port", LOOPBACK)

    def use(running: service.MultiService) -> set[bytes]:
        address = ("127.0.0.1", port_of(running.services[0]))
        clients = [socket.create_connection(address, PATIENCE) for _ in range(50)]
        answers = set()
        for client in clients:
            with client:
                answers.add(client.recv(4096, socket.MSG_WAITALL))
        return answers

    assert with_served(together, use) == {APPLE}


# What is sent.


def test_lines_end_with_cr_lf(tmp_path: Path) -> None:
    """Newlines inside a quote become CR LF; those that are stay."""
    path = fortune_file(tmp_path, b"one\ntwo\r\nthree\n%\n")
    assert with_served(made("-p", LOOPBACK, "-f", path), tcp_quote) == b"one\r\ntwo\r\nthree\r\n"
    assert with_served(made("-p", LOOPBACK, "-s", "a\nb"), tcp_quote) == b"a\r\nb\r\n"


def test_bytes_in_are_bytes_out(tmp_path: Path) -> None:
    """A file that is no UTF-8 is served byte for byte."""
    content = bytes(byte for byte in range(256) if byte not in b"\r\n%")
    path = fortune_file(tmp_path, content + b"\n")
    assert with_served(made("-p", LOOPBACK, "-f", path), tcp_quote) == content + b"\r\n"


def test_static_quote_keeps_its_bytes() -> None:
    """A command line that is no UTF-8 is served as it was typed."""
    typed = os.fsdecode("café ☕ ".encode() + b"\xe9")
    answer = with_served(made("-p", LOOPBACK, "-s", typed), tcp_quote)
    assert answer == "café ☕ ".encode() + b"\xe9\r\n"


def test_long_quote_is_whole_over_tcp_and_cut_over_udp() -> None:
    """512 bytes is the most a datagram carries; TCP has no such limit."""
    long = "é" * 3000

    def use(running: service.MultiService) -> tuple[bytes, bytes]:
        return tcp_quote(running), udp_answers(running, [b""])[0]

    whole, cut = with_served(made("-p", LOOPBACK, "-s", long), use)
    assert whole == long.encode() + b"\r\n"
    assert len(cut) <= 512
    assert cut == b"\xc3\xa9" * 255 + b"\r\n"


@pytest.mark.parametrize("character", ["x", "é", "€", "😀"])
@pytest.mark.parametrize("offset", range(4))
def test_cut_falls_between_characters(character: str, offset: int) -> None:
    """No character is cut in two, wherever the limit falls."""
    quote = ("a" * offset + character * 600).encode() + b"\r\n"
    cut = qotd.shortened(quote)
    assert 512 - 4 < len(cut) <= 512
    assert cut.endswith(b"\r\n")
    assert set(cut.decode()) <= {"a", character, "\r", "\n"}


def test_short_quote_is_not_cut() -> None:
    """What fits, to the byte, is left alone."""
    quote = b"x" * 510 + b"\r\n"
    assert qotd.shortened(quote) is quote
    assert len(qotd.shortened(b"x" + quote)) == 512


def test_cut_within_other_bytes_ends_too() -> None:
    """Bytes that look like the middle of characters, all of them, are cut all the same."""
    cut = qotd.shortened(b"\x80" * 2000)
    assert 500 < len(cut) <= 512


# Datagrams nobody should answer.


@pytest.mark.parametrize("port", [7, 17, 19, 1023, 8007])
def test_servers_are_not_answered(port: int) -> None:
    """A datagram from a server's port is forged: an answer would go to and fro for ever."""
    factory = qotd.QuoteFactory(qotd.StaticQuoter("x"))
    datagrams = qotd.QuoteDatagrams(factory)
    transport = FakeTransport(8007)
    datagrams.makeConnection(transport)
    datagrams.datagramReceived(b"", ("127.0.0.1", port))
    assert (transport.written, factory.served) == ([], 0)
    datagrams.datagramReceived(b"", ("127.0.0.1", 1024))
    assert transport.written == [(b"x\r\n", ("127.0.0.1", 1024))]


# Files that are of no use.


def missing(path: Path) -> None:
    """No file at all."""


@pytest.mark.parametrize("where", [LOOPBACK, "udp:0:interface=127.0.0.1"], ids=["tcp", "udp"])
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (missing, "No such file or directory"),
        (Path.mkdir, "no regular file"),
        (os.mkfifo, "no regular file"),
        (lambda path: path.write_bytes(b""), "no quote"),
        (lambda path: path.write_bytes(b"\n%\n  \n%\n%"), "no quote"),
    ],
    ids=["missing", "directory", "fifo", "empty", "only separators"],
)
def test_useless_file_is_told_when_making_and_when_starting(
    tmp_path: Path, make: Callable[[Path], object], said: str, where: str
) -> None:
    """mktap says what is wrong with the file, and so does a daemon that starts without it."""
    path = tmp_path / "fortunes"
    path.write_bytes(b"fine")
    together = made("--port", where, "--file", str(path))
    path.unlink()
    make(path)
    with pytest.raises(ServiceError, match=said) as told:
        made("--port", where, "--file", str(path))
    assert told.value.where == str(path)
    assert told.value.remedy

    async def start() -> None:
        async with serving(together):
            pytest.fail("it started")

    with pytest.raises(ServiceError, match=said):
        asyncio.run(start())


# What is saved.


def test_counter_counts_tcp_and_udp_and_is_saved() -> None:
    """`served` goes on counting in what was saved and loaded, in one factory for both sides."""

    def use(running: service.MultiService) -> None:
        tcp_quote(running)
        udp_answers(running, [b"", b""])

    together = made("--port", LOOPBACK)
    with_served(together, use)
    loaded = image.loads(image.dumps(together))
    assert loaded.services[0].factory.served == 3
    with_served(loaded, use)
    assert loaded.services[0].factory.served == 6


# The command line.


def test_relative_file_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon may run elsewhere than mktap did."""
    path = fortune_file(tmp_path, b"x")
    monkeypatch.chdir(tmp_path)
    assert options("-f", "fortunes")["file"] == path


def test_defaults() -> None:
    """Port 8007 on every interface, and the tutorial's quote."""
    config = options()
    assert (config["port"], config["interface"]) == ("8007", "")
    together = qotd.makeService(config)
    assert [server.port for server in together] == [8007, 8007]
    assert together.services[0].factory.next_quote() == APPLE


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--static", "x", "--file", "y"], "--static and --file contradict each other"),
        (["--static", "", "--file", "y"], "--static and --file contradict each other"),
        (["--port", "abc"], "abc"),
        (["--port", "70000"], "70000"),
        (["--port", "tcp:1:interfce=x"], "did you mean interface"),
        (["--prot", "1"], "did you mean --port"),
        (["extra"], "extra"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistyped(argv: list[str], said: str) -> None:
    """Every mistake names what was typed, and helps."""
    with pytest.raises(UsageError, match=said):
        options(*argv)


def test_options_stay_plain() -> None:
    """What was given can be written into an image's header: text, not objects."""
    config = options("--port", "tcp:1234:interface=::1".replace("::1", r"\:\:1"))
    assert all(value is None or isinstance(value, str) for value in config.values())
