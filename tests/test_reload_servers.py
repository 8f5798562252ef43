"""Hot restarts of services whose connections asyncio itself accepts: TLS, foreign protocols."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme

from tests.place import Place
from tests.reloads import Clients, reload
from tests.test_twistd import add_tap, started

FOREIGN = """
import asyncio
from tapkit import internet, service, usage

class Options(usage.Options):
    optParameters = [["certificate", "c", "", "Serve TLS with this."]]

class Greeting(asyncio.Protocol):
    def connection_made(self, transport):
        transport.write(b"hello\\r\\n")
        transport.close()

def makeService(config):
    if config["certificate"]:
        return internet.SSLServer(0, Greeting, config["certificate"], "", "127.0.0.1")
    return internet.TCPServer(0, Greeting, interface="127.0.0.1")
"""

pytestmark = pytest.mark.slow
LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


@LOOPS
def test_a_foreign_protocol(place: Place, loop: str) -> None:
    """An asyncio server closes between accept and protocol; nobody is lost in between."""
    add_tap(place, "foreign", FOREIGN)
    place.mktap("foreign")
    port = started(place, "-r", loop, "-f", "foreign.tap")
    with Clients(("127.0.0.1", port)) as clients:
        for _ in range(5):
            clients.more()
            reload(place)
            clients.more()
    assert clients.faults == []
    place.kill()


@LOOPS
def test_tls(place: Place, loop: str, tmp_path: Path) -> None:
    """Who is shaking hands is served, before the old process leaves."""
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
        str(tmp_path / "server.pem")
    )
    context = ssl.create_default_context()
    authority.configure_trust(context)
    add_tap(place, "foreign", FOREIGN)
    made = place.mktap("foreign", "-c", str(tmp_path / "server.pem"))
    assert made.returncode == 0, made.stderr
    port = started(place, "-r", loop, "-f", "foreign.tap")
    with Clients(("127.0.0.1", port), tls=context) as clients:
        for _ in range(5):
            clients.more()
            reload(place)
            clients.more()
    assert clients.faults == []
    place.kill()
