"""Network services over real sockets, on both event loops."""

from __future__ import annotations

import asyncio
import copy
import errno
import logging
import os
import pickle
import socket
import ssl
import stat
from pathlib import Path
from typing import Any

import pytest
import trustme

from tapkit import internet
from tapkit.errors import ServiceError, UsageError
from tapkit.internet import (
    SSLClient,
    SSLServer,
    StreamServer,
    TCPClient,
    TCPServer,
    TimerService,
    UDPServer,
    UNIXClient,
    UNIXServer,
)
from tapkit.net import listening
from tapkit.protocol import ClientFactory, DatagramProtocol, Factory, Protocol
from tapkit.service import MultiService
from tests.loops import (
    NEW_LOOP,
    Run,
    ask,
    connected,
    run_with,
    runner,
    running,
    small_client,
    until,
)

MEGABYTE = 1 << 20
HOST = "127.0.0.1"
QUOTE = b"An apple a day keeps the doctor away.\r\n"


@pytest.fixture(params=list(NEW_LOOP))
def run(request: pytest.FixtureRequest) -> Run:
    return runner(request.param)


class Quote(Protocol):
    def connectionMade(self) -> None:
        self.transport.write(QUOTE)
        self.transport.loseConnection()


class QuoteFactory(Factory):
    protocol = Quote


class Echo(Protocol):
    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data)

    def connectionLost(self, reason: BaseException) -> None:
        self.factory.lost.append(reason)


class EchoFactory(Factory):
    protocol = Echo

    def __init__(self) -> None:
        self.lost: list[BaseException] = []
        self.events: list[str] = []

    def startFactory(self) -> None:
        self.events.append("start")

    def stopFactory(self) -> None:
        self.events.append(f"stop after {len(self.lost)} lost")


class PlainEcho(asyncio.Protocol):
    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class BufferedEcho(asyncio.BufferedProtocol):
    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.buffer = bytearray(1000)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, size: int) -> None:
        self.transport.write(bytes(self.buffer[:size]))


class TapkitEcho(Protocol):
    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data)


async def echo_stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1000):
        writer.write(data)
        await writer.drain()


class DatagramEcho(DatagramProtocol):
    def __init__(self) -> None:
        self.events: list[Any] = []

    def startProtocol(self) -> None:
        self.events.append("start")

    def stopProtocol(self) -> None:
        self.events.append("stop")

    def datagramReceived(self, data: bytes, address: Any) -> None:
        if data == b"bad":
            raise ValueError("a bad datagram")
        self.transport.write(data, address)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def pems(tmp_path: Path, authority: trustme.CA) -> dict[str, str]:
    """Paths of PEM files: a server's certificate and key, the authority, someone else's key."""
    names = {"certificate", "privkey", "both", "authority", "other"}
    paths = {name: str(tmp_path / f"{name}.pem") for name in names}
    issued = authority.issue_cert("localhost", HOST)
    issued.cert_chain_pems[0].write_to_path(paths["certificate"])
    issued.private_key_pem.write_to_path(paths["privkey"])
    issued.private_key_and_cert_chain_pem.write_to_path(paths["both"])
    authority.cert_pem.write_to_path(paths["authority"])
    authority.issue_cert("other").private_key_pem.write_to_path(paths["other"])
    return paths


def client_context(pems: dict[str, str]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=pems["authority"])


def taken_port() -> socket.socket:
    """A socket that listens on some port of this host."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((HOST, 0))
    sock.listen()
    return sock


def port_is_free(port: int) -> bool:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((HOST, port))
            sock.listen()
        except OSError:
            return False
        return True


# Binding, starting, stopping.


def test_a_bound_port_queues_clients_until_the_start(run: Run) -> None:
    """Who connects between the privileged start and the start is served then."""

    async def main() -> None:
        service = TCPServer(0, QuoteFactory(), HOST)
        service.privilegedStartService()
        assert not service.running
        async with connected(service) as (reader, _):
            await service.startService()
            assert await reader.read() == QUOTE
        await service.stopService()

    run(main())


def test_a_bound_port_is_released_without_a_start() -> None:
    """stopService after the privileged start alone needs no event loop, and frees the port."""
    service = TCPServer(0, QuoteFactory(), HOST)
    service.privilegedStartService()
    port = service.bound_port
    assert port
    assert not port_is_free(port)
    service.privilegedStartService()  # has its port already
    assert service.bound_port == port
    service.stopService()
    assert port_is_free(port)
    assert service.addresses == []
    assert service.bound_port is None


def test_the_same_port_again_and_again(run: Run) -> None:
    """A service can be started again at once, on the same port."""

    async def main() -> None:
        service = TCPServer(0, EchoFactory(), HOST)
        for _ in range(3):
            async with running(service):
                service.port = service.bound_port
                assert await ask(service, b"x") == b"x"
            assert not service.running
        assert service.factory.events == [
            "start",
            "stop after 1 lost",
            "start",
            "stop after 2 lost",
            "start",
            "stop after 3 lost",
        ]

    run(main())


def test_starting_twice_is_starting_once(run: Run) -> None:
    """A second startService of a running service changes nothing."""

    async def main() -> None:
        service = TCPServer(0, EchoFactory(), HOST)
        async with running(service):
            await service.startService()
            assert service.factory.events == ["start"]
            assert await ask(service, b"x") == b"x"
        await service.stopService()

    run(main())


def test_no_interface_is_all_of_them(run: Run) -> None:
    """Interface "" serves IPv4 and IPv6 on one port number, also when the system chose it."""

    async def main() -> None:
        async with running(TCPServer(0, QuoteFactory())) as service:
            assert [address.host for address in service.addresses] == ["0.0.0.0", "::"]
            assert {address.port for address in service.addresses} == {service.bound_port}
            for host in (HOST, "::1"):
                reader, writer = await asyncio.open_connection(host, service.bound_port)
                assert await reader.read() == QUOTE
                writer.close()
                await writer.wait_closed()

    run(main())


@pytest.mark.parametrize("number", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL])
def test_a_machine_without_ipv6_serves_ipv4(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """IPv6 that is not there is left out; alone asked for, it is an error."""
    refuse_bind(monkeypatch, number, family=socket.AF_INET6)
    service = TCPServer(0, QuoteFactory())
    service.privilegedStartService()
    assert [address.host for address in service.addresses] == ["0.0.0.0"]
    service.stopService()
    with pytest.raises(ServiceError, match=r"can't listen on \[::1\]:80: "):
        TCPServer(80, QuoteFactory(), "::1").privilegedStartService()


def refuse_bind(monkeypatch: pytest.MonkeyPatch, number: int, family: int | None = None) -> None:
    class Refusing(socket.socket):
        def bind(self, address: Any) -> None:
            if family is None or self.family == family:
                raise OSError(number, os.strerror(number))
            super().bind(address)

    monkeypatch.setattr(listening.socket, "socket", Refusing)


def test_one_port_for_both_families_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the chosen IPv4 port is taken on IPv6, another one is chosen."""
    ports: list[int] = []

    class Unlucky(socket.socket):
        def bind(self, address: Any) -> None:
            super().bind(address)
            if self.family == socket.AF_INET6:
                ports.append(address[1])
                if len(ports) < 3:
                    raise OSError(errno.EADDRINUSE, "taken")

    monkeypatch.setattr(listening.socket, "socket", Unlucky)
    service = TCPServer(0, QuoteFactory())
    service.privilegedStartService()
    assert len(ports) == 3
    assert service.bound_port == ports[-1]
    service.stopService()


def test_a_host_name_is_all_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that resolves to several addresses is served on each, once."""

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        assert host == "here"
        row = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        v6 = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0))
        return [(*row, ("127.0.0.1", port)), (*row, ("127.0.0.1", port)), v6]

    monkeypatch.setattr(listening.socket, "getaddrinfo", resolve)
    service = TCPServer(0, QuoteFactory(), "here")
    service.privilegedStartService()
    assert [address.host for address in service.addresses] == ["127.0.0.1", "::1"]
    service.stopService()


def test_a_busy_port_is_said_before_the_start() -> None:
    """Though SO_REUSEADDR lets it bind, a taken port is an error with its remedy."""
    with taken_port() as sock:
        port = sock.getsockname()[1]
        with pytest.raises(ServiceError) as caught:
            TCPServer(port, QuoteFactory(), HOST).privilegedStartService()
    assert str(caught.value) == (
        f"can't listen on 127.0.0.1:{port}: Address already in use: "
        "stop what listens there, or choose another port"
    )


def test_a_busy_port_stops_the_tree_and_frees_the_others() -> None:
    """In a tree the message has the service's path, and what was bound before is released."""
    with taken_port() as sock:
        port = sock.getsockname()[1]
        tree = MultiService()
        first = TCPServer(0, QuoteFactory(), HOST)
        tree.addService(first)
        tree.addService(TCPServer(port, QuoteFactory()))
        with pytest.raises(ServiceError, match=rf"services\[1\]|port {port}: Address") as caught:
            tree.privilegedStartService()
        assert caught.value.where == "MultiService.services[1]"
        assert first.addresses == []


@pytest.mark.parametrize(
    ("number", "interface", "message"),
    [
        (errno.EACCES, HOST, "can't listen on 127.0.0.1:80: Permission denied: a port below 1024"),
        (errno.EACCES, "", "can't listen on port 80: Permission denied: a port below 1024"),
        (errno.EADDRNOTAVAIL, "192.0.2.1", "192.0.2.1:80: Cannot assign .*: this machine has no"),
        (errno.EMFILE, HOST, "can't listen on 127.0.0.1:80: Too many open files"),
    ],
)
def test_why_a_port_cannot_be_had(
    monkeypatch: pytest.MonkeyPatch, number: int, interface: str, message: str
) -> None:
    """The system's reason, and what to do about it."""
    refuse_bind(monkeypatch, number)
    with pytest.raises(ServiceError, match=message):
        TCPServer(80, QuoteFactory(), interface).privilegedStartService()


@pytest.mark.parametrize("interface", ["no-such-host.invalid", "a" * 100, "bad\0name"])
def test_an_unknown_interface_is_said(interface: str) -> None:
    """An interface that is no address of this machine names itself and the remedy."""
    with pytest.raises(ServiceError, match=r"can't listen on .*:80: .*such as 127\.0"):
        TCPServer(80, QuoteFactory(), interface).privilegedStartService()


def test_sockets_are_not_inherited() -> None:
    """A child process does not keep the port."""
    service = TCPServer(0, QuoteFactory(), HOST)
    service.privilegedStartService()
    assert not any(sock.get_inheritable() for sock in service._listener._sockets)
    service.stopService()


def test_a_start_outside_a_loop_says_so() -> None:
    """Without an event loop the start fails in words, and the port is free again."""
    service = TCPServer(0, QuoteFactory(), HOST)
    service.privilegedStartService()
    port = service.bound_port
    with pytest.raises(ServiceError, match="no event loop is running"):
        service.startService()
    assert not service.running
    assert port_is_free(port)


def test_a_failing_start_factory_frees_the_port(run: Run) -> None:
    """What startFactory raises is the failure of the start; nothing is left behind."""

    class Broken(Factory):
        def startFactory(self) -> None:
            raise ValueError("no database")

    async def main() -> None:
        service = TCPServer(0, Broken(), HOST)
        service.privilegedStartService()
        port = service.bound_port
        with pytest.raises(ValueError, match="no database"):
            await service.startService()
        assert not service.running
        assert port_is_free(port)

    run(main())


def test_a_stop_overtakes_its_start(run: Run) -> None:
    """A stop right after the start leaves nothing listening, and the factory as it was."""

    async def main() -> None:
        service = TCPServer(0, EchoFactory(), HOST)
        service.privilegedStartService()
        port = service.bound_port
        starting = service.startService()
        await service.stopService()
        await asyncio.wait({starting})  # cancelled, or already over
        assert not service.running
        assert service.factory.events in ([], ["start", "stop after 0 lost"])
        await until(lambda: port_is_free(port))

    run(main())


def test_a_start_says_where(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """One line at INFO: listening on HOST:PORT, with a word before that for datagrams."""

    async def main() -> list[str]:
        async with (
            running(TCPServer(0, QuoteFactory(), HOST)) as tcp,
            running(UDPServer(0, DatagramEcho())) as udp,
        ):
            both = f"udp 0.0.0.0:{udp.bound_port} and [::]:{udp.bound_port}"
            return [f"listening on 127.0.0.1:{tcp.bound_port}", f"listening on {both}"]

    with caplog.at_level(logging.INFO, "tapkit"):
        expected = run(main())
    assert [record.getMessage() for record in caplog.records] == expected


# What is stopped, finishes.


def test_a_stop_flushes_open_connections(run: Run) -> None:
    """What was written before the stop arrives whole; connectionLost and stopFactory are done."""

    async def main() -> None:
        service = TCPServer(0, EchoFactory(), HOST)
        await service.startService()
        async with connected(service) as (reader, writer):
            writer.write(b"x")
            await reader.readexactly(1)
            (live,) = service._listener.connections.open
            live.write(b"y" * 8 * MEGABYTE)
            reading = asyncio.ensure_future(reader.read())
            reading.add_done_callback(lambda _: writer.close())
            await service.stopService()
            assert len(service.factory.lost) == 1
            assert service.factory.events == ["start", "stop after 1 lost"]
            assert await reading == b"y" * 8 * MEGABYTE

    run(main())


def test_a_stop_does_not_wait_for_ever(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """After drain_timeout what is left is aborted, told of, and counted."""

    async def main() -> None:
        service = TCPServer(0, EchoFactory(), HOST)
        service.drain_timeout = 0.05
        await service.startService()
        clients = [small_client(service) for _ in range(2)]
        await until(lambda: len(service._listener.connections.open) == 2)
        for live in list(service._listener.connections.open):
            live.write(b"y" * 16 * MEGABYTE)
        await service.stopService()
        assert [type(reason) for reason in service.factory.lost] == [ConnectionAbortedError] * 2
        assert service.factory.events == ["start", "stop after 2 lost"]
        for client in clients:
            client.close()

    run(main())
    assert "aborted 2 connections that were still open 0.05 s after the stop" in caplog.text


def test_a_cancelled_stop_aborts(run: Run) -> None:
    """Who hurries a stop by cancelling it leaves no connection open, and no port taken."""

    async def main() -> None:
        service = TCPServer(0, EchoFactory(), HOST)
        await service.startService()
        port = service.bound_port
        client = small_client(service)
        await until(lambda: service._listener.connections.open)
        (live,) = service._listener.connections.open
        live.write(b"y" * 16 * MEGABYTE)
        stopping = service.stopService()
        await asyncio.sleep(0)
        stopping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopping
        await until(lambda: service.factory.lost)
        await until(lambda: port_is_free(port))
        client.close()

    run(main())


# Whatever serves a connection.


@pytest.mark.parametrize(
    "factory", [PlainEcho, BufferedEcho, TapkitEcho, echo_stream, EchoFactory()]
)
def test_any_kind_of_factory_serves(run: Run, factory: Any) -> None:
    """asyncio protocols, our Protocol class, a coroutine and a Factory all serve and stop."""

    async def main() -> None:
        service = TCPServer(0, factory, HOST)
        async with running(service):
            assert await ask(service, b"hello") == b"hello"
            async with connected(service) as (reader, writer):
                writer.write(b"x")
                assert await reader.readexactly(1) == b"x"
                await service.stopService()
                assert await reader.read() == b""

    run(main())


def test_a_plain_protocol_that_hangs_is_aborted(run: Run) -> None:
    """A foreign protocol with data nobody reads does not hold up a stop."""

    async def main() -> None:
        made: list[Any] = []

        class Hung(PlainEcho):
            def connection_made(self, transport: Any) -> None:
                made.append(self)
                transport.write(b"y" * 16 * MEGABYTE)

            def connection_lost(self, error: BaseException | None) -> None:
                made.append("lost")

        service = TCPServer(0, Hung, HOST)
        service.drain_timeout = 0.05
        await service.startService()
        client = small_client(service)
        await until(lambda: made)
        await service.stopService()
        assert made[1:] == ["lost"]
        client.close()

    run(main())


@pytest.mark.parametrize("factory", [lambda: 1 / 0, lambda: "no protocol"])
def test_a_bad_callable_closes_the_connection(
    run: Run, caplog: pytest.LogCaptureFixture, factory: Any
) -> None:
    """A factory that raises, or makes no protocol, is logged; asyncio would say nothing."""

    async def main() -> None:
        async with running(TCPServer(0, factory, HOST)) as service:
            assert await ask(service) == b""

    run(main())
    assert "ZeroDivisionError" in caplog.text or "which is no protocol" in caplog.text


def test_what_cannot_serve_is_refused_at_start(run: Run) -> None:
    """Something that is no factory at all fails the start in words."""

    async def main() -> None:
        with pytest.raises(ServiceError, match=r"builtins\.int can't serve connections"):
            await TCPServer(0, 3, HOST).startService()

    run(main())


# StreamServer.


def test_a_stream_server_echoes_and_stops(run: Run) -> None:
    """A coroutine serves; when the service stops it reads the end, and may still answer."""
    ended: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1000):
            writer.write(data)
        writer.write(b"bye")
        ended.append(b"ended")

    async def main() -> None:
        service = StreamServer(0, handler, HOST)
        await service.startService()
        assert await ask(service, b"hello") == b"hellobye"
        async with connected(service) as (reader, writer):
            writer.write(b"x")
            assert await reader.readexactly(1) == b"x"
            await service.stopService()
            assert await reader.read() == b"bye"
        assert ended == [b"ended", b"ended"]

    run(main())


def test_a_stream_handler_is_cancelled_after_the_drain(run: Run) -> None:
    """A handler that does not end by itself is cancelled, and over when the stop is."""
    events: list[str] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        events.append("begun")
        try:
            await asyncio.Event().wait()
        finally:
            events.append("cancelled")

    async def main() -> None:
        service = StreamServer(0, handler, HOST)
        service.drain_timeout = 0.05
        await service.startService()
        async with connected(service):
            await until(lambda: events)
            await service.stopService()
            assert events == ["begun", "cancelled"]

    run(main())


def test_a_failing_stream_handler_is_logged(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """With traceback and peer; a peer that merely left is no error."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.read():
            raise ValueError("a bad handler")
        raise ConnectionResetError("gone")

    async def main() -> None:
        async with running(StreamServer(0, handler, HOST)) as service:
            assert await ask(service, b"x") == b""
            assert await ask(service) == b""

    with caplog.at_level(logging.INFO, "tapkit.protocol"):
        run(main())
    (record,) = caplog.records[:]
    assert "handler failed for 127.0.0.1:" in record.getMessage()
    assert record.exc_info


# UNIX sockets.


def test_a_unix_server_serves_and_cleans_up(run: Run, tmp_path: Path) -> None:
    """The socket has its mode, is the service's address, and is gone after the stop."""
    path = str(tmp_path / "s")

    async def main() -> None:
        service = UNIXServer(path, QuoteFactory(), mode=0o600)
        for _ in range(2):
            async with running(service):
                assert service.addresses == [path]
                assert service.bound_port is None
                assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
                assert await ask(service) == QUOTE
            assert not os.path.exists(path)

    run(main())


def test_a_unix_path_relative_to_another_directory(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path is removed though the process changed its directory after the bind."""
    monkeypatch.chdir(tmp_path)
    service = UNIXServer("s", QuoteFactory())
    service.privilegedStartService()
    monkeypatch.chdir("/")

    async def main() -> None:
        await service.startService()
        await service.stopService()

    run(main())
    assert list(tmp_path.iterdir()) == []


def stale_socket(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        sock.listen()


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    """A socket file whose server was killed does not keep the next one from starting."""
    path = str(tmp_path / "s")
    stale_socket(path)
    service = UNIXServer(path, QuoteFactory())
    service.privilegedStartService()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
    service.stopService()
    assert not os.path.exists(path)


def test_a_live_socket_is_in_use(tmp_path: Path) -> None:
    """Someone listens there, even with a full backlog: the start fails, the socket stays."""
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        sock.listen(0)
        with pytest.raises(ServiceError, match=f"can't listen on {path}: Address already in use"):
            UNIXServer(path, QuoteFactory()).privilegedStartService()
        with socket.socket(socket.AF_UNIX) as waiting:
            waiting.setblocking(False)
            waiting.connect_ex(path)
            with pytest.raises(ServiceError, match="Address already in use: stop what listens"):
                UNIXServer(path, QuoteFactory()).privilegedStartService()
        assert os.path.exists(path)


def test_a_file_that_is_no_socket_stays(tmp_path: Path) -> None:
    """A path with something else there is refused, and that is left alone."""
    path = tmp_path / "s"
    path.write_text("precious")
    with pytest.raises(ServiceError, match="a file that is no socket is there: move it away"):
        UNIXServer(str(path), QuoteFactory()).privilegedStartService()
    assert path.read_text() == "precious"


def test_another_ones_socket_is_not_removed(tmp_path: Path) -> None:
    """A path that became someone else's meanwhile stays at the stop."""
    path = str(tmp_path / "s")
    service = UNIXServer(path, QuoteFactory())
    service.privilegedStartService()
    os.unlink(path)
    stale_socket(path)
    service.stopService()
    assert os.path.exists(path)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("none/s", "No such file or directory: make the directory first"),
        ("x" * 200, "AF_UNIX path too long"),
    ],
)
def test_why_a_unix_socket_cannot_be_made(tmp_path: Path, path: str, message: str) -> None:
    """The system's reason and, where there is one, the remedy."""
    with pytest.raises(ServiceError, match=message):
        UNIXServer(str(tmp_path / path), QuoteFactory()).privilegedStartService()


def test_a_unix_socket_half_made_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure after bind() leaves no file."""

    def refuse(*_: Any) -> None:
        raise PermissionError(errno.EPERM, "no chmod")

    monkeypatch.setattr(listening.os, "chmod", refuse)
    with pytest.raises(ServiceError, match="Operation not permitted"):
        UNIXServer(str(tmp_path / "s"), QuoteFactory()).privilegedStartService()
    assert list(tmp_path.iterdir()) == []


# TLS.


def test_an_ssl_server_speaks_tls(run: Run, pems: dict[str, str]) -> None:
    """With the key in its own file or in the certificate's."""

    async def main() -> None:
        for files in ((pems["certificate"], pems["privkey"]), (pems["both"],)):
            service = SSLServer(0, EchoFactory(), *files, interface=HOST)
            service.privilegedStartService()
            async with (
                running(service),
                connected(service, ssl=client_context(pems)) as (reader, writer),
            ):
                writer.write(b"hello")
                assert await reader.readexactly(5) == b"hello"

    run(main())


def test_tls_flushes_before_it_closes(run: Run, pems: dict[str, str]) -> None:
    """loseConnection after megabytes: all of them arrive; half-closing is refused in words."""
    refusals: list[str] = []

    class Big(Protocol):
        def connectionMade(self) -> None:
            try:
                self.transport.loseWriteConnection()
            except Exception as error:
                refusals.append(str(error))
            self.transport.write(b"z" * 8 * MEGABYTE)
            self.transport.loseConnection()

    async def main() -> None:
        service = SSLServer(0, Big, pems["both"], interface=HOST)
        async with running(service), connected(service, ssl=client_context(pems)) as (reader, _):
            assert await reader.read() == b"z" * 8 * MEGABYTE

    run(main())
    assert len(refusals) == 1
    assert "a TLS connection can't be closed one way only" in refusals[0]


def test_tls_echo_is_bounded_too(run: Run, pems: dict[str, str]) -> None:
    """Back-pressure holds over TLS: a late reader gets all of it."""
    total = 8 * MEGABYTE

    async def main() -> None:
        service = SSLServer(0, TapkitEcho, pems["both"], interface=HOST)
        async with running(service), connected(service, ssl=client_context(pems)) as (r, w):
            w.write(b"e" * total)
            assert len(await r.readexactly(total)) == total

    run(main())


def test_what_is_wrong_with_a_certificate(tmp_path: Path, pems: dict[str, str]) -> None:
    """Every bad file is told by its path at the privileged start, and no port is bound."""
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("garbage")
    key = trustme.CA().issue_cert("x").private_key_pem.bytes()
    locked = tmp_path / "locked.pem"
    locked.write_bytes(encrypted(key))
    cases = {
        ("none.pem", ""): "can't read the certificate: No such file or directory: none.pem",
        (pems["both"], "none.pem"): "can't read the private key: No such file",
        (pems["certificate"], pems["other"]): "the private key does not belong to the certificate",
        (pems["certificate"], str(garbage)): "no certificate and private key there",
        (pems["certificate"], str(locked)): "the private key is encrypted: .*without a passphrase",
    }
    for files, message in cases.items():
        service = SSLServer(0, QuoteFactory(), *files, interface=HOST)
        with pytest.raises(ServiceError, match=message):
            service.privilegedStartService()
        assert service.addresses == []


def encrypted(key: bytes) -> bytes:
    from cryptography.hazmat.primitives import serialization as pem

    return pem.load_pem_private_key(key, None).private_bytes(
        pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.BestAvailableEncryption(b"secret")
    )


# UDP.


def ask_udp(port: int, data: bytes, host: str = HOST) -> bytes:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.sendto(data, (host, port))
        answer, address = sock.recvfrom(65536)
        assert address[:2] == (host, port)
        return answer


def test_a_udp_server_answers(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """On IPv4 and IPv6; a failing hook is logged with its peer, and the next one is served."""

    async def main() -> None:
        service = UDPServer(0, DatagramEcho())
        service.privilegedStartService()
        loop = asyncio.get_running_loop()
        early = loop.run_in_executor(None, ask_udp, service.bound_port, b"early")
        for _ in range(2):
            async with running(service):
                port = service.bound_port
                assert await early == b"early"
                assert [address.port for address in service.addresses] == [port, port]
                assert service.protocol.transport.getHost() == ("0.0.0.0", port)
                for host in (HOST, "::1"):
                    answer = await loop.run_in_executor(None, ask_udp, port, b"hello", host)
                    assert answer == b"hello"
                with socket.socket(type=socket.SOCK_DGRAM) as sock:
                    sock.sendto(b"bad", (HOST, port))
                await until(lambda: "a bad datagram" in caplog.text)
                with socket.socket(type=socket.SOCK_DGRAM) as sock:
                    sock.bind((HOST, 0))
                    sock.setblocking(False)
                    service.protocol.transport.write(b"unasked", sock.getsockname())
                    assert await loop.sock_recv(sock, 100) == b"unasked"
        assert service.protocol.events == ["start", "stop"] * 2
        await service.stopService()
        assert service.protocol.events == ["start", "stop"] * 2

    run(main())
    assert "DatagramEcho.datagramReceived failed for 127.0.0.1:" in caplog.text


def test_a_udp_port_is_taken_once() -> None:
    """A second service on the port is refused; a bound one is released without a loop."""
    service = UDPServer(0, DatagramEcho(), HOST)
    service.privilegedStartService()
    with pytest.raises(ServiceError, match="Address already in use"):
        UDPServer(service.bound_port, DatagramEcho(), HOST).privilegedStartService()
    port = service.bound_port
    service.stopService()
    again = UDPServer(port, DatagramEcho(), HOST)
    again.privilegedStartService()
    again.stopService()


def test_a_failing_start_protocol_frees_the_port(run: Run) -> None:
    """What startProtocol raises is the failure of the start."""

    class Broken(DatagramProtocol):
        def startProtocol(self) -> None:
            raise ValueError("no start")

    async def main() -> None:
        service = UDPServer(0, Broken(), HOST)
        with pytest.raises(ValueError, match="no start"):
            await service.startService()
        assert not service.running
        assert service.addresses == []

    run(main())


# Clients.


class Asking(Protocol):
    """Sends a line, and notes what it gets."""

    def connectionMade(self) -> None:
        self.factory.events.append("made")
        self.transport.write(b"hello")

    def dataReceived(self, data: bytes) -> None:
        self.factory.events.append(data)


class AskingFactory(ClientFactory):
    protocol = Asking

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.again = 0

    def startedConnecting(self, connector: Any) -> None:
        self.events.append("connecting")

    def clientConnectionFailed(self, connector: Any, reason: BaseException) -> None:
        self.events.append(("failed", type(reason).__name__))
        self.retry(connector)

    def clientConnectionLost(self, connector: Any, reason: BaseException) -> None:
        self.events.append(("lost", type(reason).__name__))
        self.retry(connector)

    def retry(self, connector: Any) -> None:
        if self.again:
            self.again -= 1
            connector.connect()


def test_a_client_asks_and_is_told(run: Run) -> None:
    """The factory's hooks tell the whole story, in order."""

    async def main() -> None:
        async with running(TCPServer(0, QuoteFactory(), HOST)) as server:
            client = TCPClient(HOST, server.bound_port, AskingFactory())
            async with running(client):
                await until(lambda: len(client.factory.events) == 4)
        assert client.factory.events[:3] == ["connecting", "made", QUOTE]
        assert client.factory.events[3][0] == "lost"

    run(main())


def test_a_client_may_be_told_to_connect_again(run: Run) -> None:
    """connector.connect() from a hook connects at once, as often as it is called."""

    async def main() -> None:
        async with running(TCPServer(0, QuoteFactory(), HOST)) as server:
            client = TCPClient(HOST, server.bound_port, AskingFactory())
            client.factory.again = 2
            async with running(client):
                await until(lambda: client.factory.events.count("made") == 3)
                await until(lambda: client._link.task.done())
                client.connect()
                await until(lambda: client.factory.events.count("made") == 4)

    run(main())


def test_a_client_comes_back(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """With reconnect it connects until the server is there, and again when it was lost."""

    async def main() -> None:
        with taken_port() as sock:
            port = sock.getsockname()[1]
        client = TCPClient(
            HOST, port, AskingFactory(), reconnect=True, initial_delay=0.01, max_delay=0.02
        )
        async with running(client):
            events = client.factory.events
            await until(lambda: events.count(("failed", "ConnectionRefusedError")) >= 3)
            async with running(TCPServer(port, EchoFactory(), HOST)) as server:
                await until(lambda: b"hello" in events)
                client.disconnect()
                await until(lambda: events.count(b"hello") == 2)
                assert len(server.factory.lost) == 1
        client.connect()
        client.disconnect()
        assert events[-1][0] in ("lost", "failed")
        assert "Connection refused" in caplog.text

    run(main())


def test_a_stopped_client_stays_stopped(run: Run) -> None:
    """A stop closes the connection, tells the factory, and ends the reconnecting."""

    async def main() -> None:
        async with running(TCPServer(0, EchoFactory(), HOST)) as server:
            client = TCPClient(HOST, server.bound_port, AskingFactory(), reconnect=True)
            await client.startService()
            await client.startService()
            await until(lambda: b"hello" in client.factory.events)
            await client.stopService()
            assert client.factory.events[-1] == ("lost", "ConnectionDone")
            assert client.factory.numPorts == 0
            await client.stopService()
            await until(lambda: server.factory.lost)

    run(main())


def test_a_client_gives_up_in_time(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """An attempt that takes longer than `timeout` has failed; a stop ends one under way."""

    class Silent(TCPClient):
        async def dial(self, make: Any) -> Any:
            await asyncio.Event().wait()

    async def main() -> None:
        client = Silent(HOST, 1, AskingFactory(), timeout=0.01)
        async with running(client):
            await until(lambda: ("failed", "TimeoutError") in client.factory.events)
        client.timeout = 30
        async with running(client):
            await until(lambda: client.factory.events[-1] == "connecting")

    run(main())
    assert "can't connect to 127.0.0.1:1: no answer in time" in caplog.text


def test_a_failing_client_hook_is_logged(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """An exception in a factory's hook does not end the client."""

    class Broken(AskingFactory):
        def startedConnecting(self, connector: Any) -> None:
            raise ValueError("a bad hook")

    async def main() -> None:
        async with (
            running(TCPServer(0, QuoteFactory(), HOST)) as server,
            running(TCPClient(HOST, server.bound_port, Broken())) as client,
        ):
            await until(lambda: QUOTE in client.factory.events)

    run(main())
    assert "startedConnecting failed for 127.0.0.1:" in caplog.text


def test_unix_and_plain_clients(run: Run, tmp_path: Path) -> None:
    """A UNIX client, with a callable that returns an asyncio.Protocol for its factory."""
    got: list[bytes] = []

    class Plain(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            got.append(data)

    async def main() -> None:
        path = str(tmp_path / "s")
        async with running(UNIXServer(path, QuoteFactory())), running(UNIXClient(path, Plain)):
            await until(lambda: got)
            assert b"".join(got) == QUOTE

    run(main())


def test_an_ssl_client_checks_the_server(
    run: Run, pems: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """It trusts its authorities alone, may show a certificate, and says which file is bad."""

    async def main() -> None:
        async with running(SSLServer(0, QuoteFactory(), pems["both"], interface=HOST)) as server:
            port = server.bound_port
            good = SSLClient(
                HOST, port, AskingFactory(), pems["authority"], pems["certificate"], pems["privkey"]
            )
            async with running(good):
                await until(lambda: QUOTE in good.factory.events)
            async with running(SSLClient(HOST, port, AskingFactory())) as bad:
                await until(lambda: len(bad.factory.events) == 2)
                assert bad.factory.events[1] == ("failed", "SSLCertVerificationError")
            missing = SSLClient(HOST, port, AskingFactory(), "none.pem")
            with pytest.raises(ServiceError, match="can't read the certificate authorities"):
                await missing.startService()
            assert not missing.running
            empty = SSLClient(HOST, port, AskingFactory(), pems["privkey"])
            with pytest.raises(ServiceError, match="no certificate authorities: "):
                await empty.startService()

    run(main())


# Timers.


class Ticks:
    """Counts the calls of a timer, and fails where told."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def tick(self, *args: Any, **kwargs: Any) -> None:
        self.calls.append((args, kwargs))
        if len(self.calls) == 2:
            raise ValueError("a bad tick")

    async def slow_tick(self) -> None:
        self.calls.append("begun")
        await asyncio.sleep(0.02)
        self.calls.append("ended")

    async def hung_tick(self) -> None:
        self.calls.append("begun")
        await asyncio.Event().wait()


def test_a_timer_ticks_at_once_and_goes_on(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """It calls with its arguments at the start, then every step, whatever a call raises."""
    ticks = Ticks()

    async def main() -> None:
        service = TimerService(0.005, ticks.tick, 1, two=2)
        async with running(service):
            await service.startService()
            await until(lambda: len(ticks.calls) >= 4)
        count = len(ticks.calls)
        assert ticks.calls[0] == ((1,), {"two": 2})
        async with running(service):
            await until(lambda: len(ticks.calls) > count)

    run(main())
    assert "Ticks.tick failed: ValueError: a bad tick" in caplog.text


def test_a_timer_keeps_to_its_grid(run: Run) -> None:
    """Calls that take longer than a step neither overlap nor pile up, and nothing drifts."""

    async def main() -> None:
        times: list[float] = []
        loop = asyncio.get_running_loop()

        async def tick() -> None:
            times.append(loop.time())
            if len(times) == 2:
                await asyncio.sleep(0.07)  # longer than a step

        async with running(TimerService(0.05, tick)):
            await until(lambda: len(times) == 5)
        off_grid = [(time - times[0] + 0.025) % 0.05 - 0.025 for time in times]
        assert all(abs(off) < 0.024 for off in off_grid)
        assert times[2] - times[1] > 0.07
        assert times[4] - times[0] > 0.2

    run(main())


def test_a_timer_finishes_its_call(run: Run) -> None:
    """A stop waits for the call under way, and cancels one that does not end in time."""

    async def main() -> None:
        ticks = Ticks()
        service = TimerService(10, ticks.slow_tick)
        await service.startService()
        await until(lambda: ticks.calls)
        await service.stopService()
        assert ticks.calls == ["begun", "ended"]
        hung = TimerService(10, ticks.hung_tick)
        hung.drain_timeout = 0.01
        await hung.startService()
        await until(lambda: len(ticks.calls) == 3)
        await hung.stopService()

    run(main())


@pytest.mark.parametrize("step", [0, -1, "1", None, float("inf"), float("nan")])
def test_a_step_is_a_time(step: Any) -> None:
    """A step that is no number of seconds above 0 is refused, also in a hand-edited image."""
    with pytest.raises(ServiceError, match="a timer's step is a number of seconds above 0"):
        TimerService(step, print)
    timer = TimerService(1, print)
    timer.step = step
    with pytest.raises(ServiceError, match="TimerService"):
        timer.startService()


def test_a_timer_needs_a_loop() -> None:
    """Without an event loop a timer or a client says so, and does not run."""
    for service in (TimerService(1, print), TCPClient(HOST, 1, AskingFactory())):
        with pytest.raises(ServiceError, match="no event loop is running"):
            service.startService()
        assert not service.running


# What is saved.


def kinds(pems: dict[str, str], directory: str) -> dict[str, Any]:
    """A server of each class, and what makes a client of it."""
    files = (pems["certificate"], pems["privkey"])
    return {
        "tcp": TCPServer(0, EchoFactory(), HOST),
        "ssl": SSLServer(0, EchoFactory(), *files, HOST),
        "unix": UNIXServer(f"{directory}/s", EchoFactory()),
        "stream": StreamServer(0, echo_stream, HOST),
        "plain": TCPServer(0, PlainEcho, HOST),
        "udp": UDPServer(0, DatagramEcho(), HOST),
        "timer": TimerService(0.01, len, ()),
    }


@pytest.mark.parametrize("kind", ["tcp", "ssl", "unix", "stream", "plain", "udp", "timer"])
def test_a_running_service_is_saved_as_a_stopped_one(
    run: Run, pems: dict[str, str], tmp_path: Path, kind: str
) -> None:
    """With live connections too: the image of a running service is that of a stopped one."""
    service = kinds(pems, str(tmp_path))[kind]
    before = vars(pickle.loads(pickle.dumps(service))).keys()

    async def main() -> None:
        async with running(service):
            if kind in ("udp", "timer"):
                check_saved(service, before)
            else:
                tls = {"ssl": client_context(pems)} if kind == "ssl" else {}
                async with connected(service, **tls) as (reader, writer):
                    writer.write(b"x")
                    assert await reader.readexactly(1) == b"x"
                    loaded = check_saved(service, before)
        async with running(service):
            pass
        if kind not in ("udp", "timer"):
            async with running(loaded):
                assert await ask(loaded, b"y", **tls) == b"y" if kind != "ssl" else True

    run(main())


def check_saved(service: Any, before: Any) -> Any:
    loaded = pickle.loads(pickle.dumps(service))
    assert vars(loaded).keys() == before
    assert type(loaded) is type(service)
    assert not loaded.running
    assert not copy.copy(service).running
    assert getattr(loaded, "addresses", []) == []
    return loaded


def test_a_running_client_is_saved_as_a_stopped_one(run: Run, pems: dict[str, str]) -> None:
    """Clients too, with their numbers and without their connection."""

    async def main() -> None:
        async with running(SSLServer(0, EchoFactory(), pems["both"], interface=HOST)) as server:
            client = SSLClient(
                HOST, server.bound_port, AskingFactory(), pems["authority"], reconnect=True
            )
            before = vars(client).keys() - {"running"}
            async with running(client):
                await until(lambda: b"hello" in client.factory.events)
                loaded = check_saved(client, before)
            assert (loaded.reconnect, loaded.max_delay) == (True, 60.0)
            async with running(loaded):
                await until(lambda: loaded.factory.events.count(b"hello") == 2)

    run(main())


def test_a_saved_service_is_paths_and_numbers() -> None:
    """What an administrator finds in the image is what he may edit."""
    service = TCPServer("tcp:8007:interface=[::1]:backlog=5", None)
    assert vars(service) == {"factory": None, "port": 8007, "interface": "::1", "backlog": 5}
    assert vars(StreamServer(80, echo_stream)) == {
        "handler": echo_stream,
        "port": 80,
        "interface": "",
        "backlog": 128,
    }


def test_a_hand_edited_port_is_checked_at_the_start() -> None:
    """A port that an image says wrongly is an error before anything is bound."""
    service = TCPServer(8007, QuoteFactory(), HOST)
    service.port = 99999
    with pytest.raises(UsageError, match="there is no port 99999"):
        service.privilegedStartService()
    service.port = f"tcp:0:interface={HOST}"
    service.privilegedStartService()
    assert service.addresses[0].host == HOST
    service.stopService()


@pytest.mark.parametrize("name", sorted(set(internet.__all__) - {"server", "datagram_server"}))
def test_images_name_services_by_their_public_place(name: str) -> None:
    """Wherever a class is written down, an image says tapkit.internet."""
    cls = getattr(internet, name)
    assert cls.__module__ == "tapkit.internet"
    assert pickle.loads(pickle.dumps(cls)) is cls
    assert b"tapkit.internet" in pickle.dumps(cls)


# From descriptions to services.

SERVERS: dict[Any, dict[str, Any]] = {
    8007: {"class": TCPServer, "port": 8007, "interface": "", "backlog": 128},
    "tcp:8007:interface=127.0.0.1": {"class": TCPServer, "port": 8007, "interface": HOST},
    "ssl:443:certificate=c:privkey=k": {"class": SSLServer, "certificate": "c", "privkey": "k"},
    "unix:/s:mode=660:backlog=3": {"class": UNIXServer, "path": "/s", "mode": 0o660, "backlog": 3},
}


@pytest.mark.parametrize(("description", "expected"), list(SERVERS.items()), ids=map(str, SERVERS))
def test_a_description_makes_its_service(description: Any, expected: dict[str, Any]) -> None:
    """server() returns the class the description names, with what it says."""
    factory = QuoteFactory()
    service = internet.server(description, factory)
    assert type(service) is expected["class"]
    assert service.factory is factory
    assert {name: getattr(service, name) for name in expected if name != "class"} == {
        name: value for name, value in expected.items() if name != "class"
    }


def test_defaults_of_a_description() -> None:
    """server() and datagram_server() fill in what the description leaves open."""
    assert internet.server("80", None, interface=HOST).interface == HOST
    assert internet.server("ssl:443", None, certificate="c").certificate == "c"
    assert internet.datagram_server("53", None, interface=HOST).interface == HOST
    assert internet.datagram_server("udp:53", None).port == 53
    assert UNIXServer("unix:/s:mode=600", None).mode == 0o600
    assert SSLServer("ssl:443:certificate=c", None).certificate == "c"
    assert SSLServer(443, None, "c").port == 443


def test_a_description_of_another_kind_is_refused() -> None:
    """A class takes its own kind of port; server() takes connections, datagram_server() udp."""
    with pytest.raises(UsageError, match="a TCPServer has no udp port: udp:53: use tapkit"):
        TCPServer("udp:53", None)
    with pytest.raises(UsageError, match="a udp port has no connections"):
        internet.server("udp:53", None)
    with pytest.raises(UsageError, match="a tcp port has no datagrams"):
        internet.datagram_server("tcp:53", None)
    with pytest.raises(UsageError, match="an ssl port needs a certificate"):
        SSLServer(443, None)


# In a tree.


def test_a_tree_of_services_starts_and_stops(run: Run, tmp_path: Path) -> None:
    """Privileged start, start and stop of a whole tree, as a daemon does it."""

    async def main() -> None:
        tree = MultiService()
        services = [
            TCPServer(0, QuoteFactory(), HOST),
            UNIXServer(str(tmp_path / "s"), QuoteFactory()),
        ]
        for service in services:
            service.setServiceParent(tree)
        await tree.privilegedStartService()
        await tree.startService()
        for service in services:
            assert await ask(service) == QUOTE
        late = TCPServer(0, QuoteFactory(), HOST)
        await late.setServiceParent(tree)
        assert await ask(late) == QUOTE
        await late.disownServiceParent()
        assert late.addresses == []
        await tree.stopService()
        assert [service.addresses for service in services] == [[], []]

    run(main())


def test_an_override_that_drops_the_awaitable_is_waited_for(run: Run) -> None:
    """`def startService(self): super().startService()` starts and stops all the same."""

    class Forgetful(TCPServer):
        def startService(self) -> None:
            super().startService()

        def stopService(self) -> None:
            super().stopService()

    async def main() -> None:
        tree = MultiService()
        service = Forgetful(0, QuoteFactory(), HOST)
        tree.addService(service)
        await tree.startService()
        assert await ask(service) == QUOTE
        port = service.bound_port
        await tree.stopService()
        assert port_is_free(port)

    run(main())


def test_the_helper_finds_what_is_left_behind() -> None:
    """These tests themselves: a task left behind fails them."""

    async def leave() -> None:
        leave.task = asyncio.ensure_future(asyncio.sleep(100))  # type: ignore[attr-defined]

    with pytest.raises(AssertionError, match="tasks left behind"):
        run_with(NEW_LOOP["asyncio"], leave())
