"""tapkit.internet: from descriptions to services, and services in a tree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tapkit import internet
from tapkit.errors import UsageError
from tapkit.internet import SSLServer, TCPServer, UNIXServer
from tapkit.service import MultiService
from tests.loops import Run, ask
from tests.loops import run as run
from tests.peers import HOST, QUOTE, QuoteFactory, port_is_free

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
