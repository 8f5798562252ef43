"""What each release's images look like: one application with every service class tapkit has.

    python -m tests.released

writes them in every form to tests/data/released/VERSION/, once, when a version is released. They
are never written again: what they show is that later code loads what that release saved.
"""

from __future__ import annotations

import os
import sys

from tapkit import __version__, application, internet, service
from tapkit.image import forms
from tapkit_plugins import qotd
from tests.place import ROOT

RELEASED = ROOT / "tests" / "data" / "released"


def everything() -> application.Application:
    """An application with an object of each class that tapkit's own modules save."""
    made = application.Application("everything", uid=1000, gid=1000)
    factory = qotd.QuoteFactory(qotd.StaticQuoter("An apple a day keeps the doctor away."))
    factory.served = 42
    servers = service.MultiService()
    servers.setName("servers")
    for number, one in enumerate(
        [
            internet.TCPServer("tcp:8007:interface=127.0.0.1:backlog=5", factory),
            internet.SSLServer(8443, factory, "cert.pem", "key.pem"),
            internet.UNIXServer("unix:/run/everything.sock:mode=660", factory),
            internet.UDPServer(8007, qotd.QuoteDatagrams(factory), "127.0.0.1"),
            internet.StreamServer(8008, qotd.read_fortunes),
        ]
    ):
        one.setName(f"server {number}")
        one.setServiceParent(servers)
    clients = service.MultiService()
    for client in [
        internet.TCPClient("localhost", 8007, factory, reconnect=True),
        internet.SSLClient("localhost", 8443, factory, cafile="ca.pem"),
        internet.UNIXClient("/run/everything.sock", factory, timeout=5.0),
        internet.TimerService(60.0, qotd.shortened, b"every minute"),
    ]:
        client.setServiceParent(clients)
    quoter = qotd.FortuneQuoter("/usr/share/games/fortunes/wisdom")
    spare = internet.TCPServer(0, qotd.QuoteFactory(quoter))
    spare.disabled = True  # type: ignore[attr-defined]  # an attribute the class does not know
    for one in (servers, clients, spare):
        one.setServiceParent(made)
    return made


def main() -> int:
    folder = RELEASED / __version__
    if folder.exists():
        print(f"{folder} is there already, and never written again", file=sys.stderr)
        return 1
    folder.mkdir(parents=True)
    for name in forms.names():
        made = everything()
        made.setStyle(name)
        application.save(made, os.path.join(folder, made.file_name()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
