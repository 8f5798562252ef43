"""UDP servers."""

from __future__ import annotations

import asyncio
import socket

import pytest

from tapkit.errors import ServiceError
from tapkit.internet import UDPServer
from tapkit.protocol import DatagramProtocol
from tests.loops import Run, running, until
from tests.loops import run as run
from tests.peers import HOST, DatagramEcho


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
