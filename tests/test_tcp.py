"""TCP servers: binding, starting, stopping."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from typing import Any

import pytest

from tapkit.errors import ServiceError
from tapkit.internet import TCPServer, UDPServer
from tapkit.net import listening
from tapkit.protocol import Factory
from tapkit.service import MultiService
from tests.loops import Run, ask, connected, running, small_client, until
from tests.loops import run as run
from tests.peers import (
    HOST,
    MEGABYTE,
    QUOTE,
    DatagramEcho,
    EchoFactory,
    QuoteFactory,
    port_is_free,
    taken_port,
)

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
