"""Hot restarts of a daemon with a journal: one writer at a time, nothing acknowledged is lost."""

from __future__ import annotations

import os
import signal

import pytest

from tests.place import Place, ask, wait_for
from tests.reloads import Clients, reload
from tests.test_twistd import add_tap, started

BANK = r"""
from tapkit import internet, journal, protocol, service, usage

class Options(usage.Options):
    pass

class Bank(journal.Journaled, service.Service):
    total = 0

    @journal.command
    def deposit(self, amount):
        self.total += amount
        return self.total

class Teller(protocol.LineReceiver):
    def lineReceived(self, line):
        self.factory.bank.deposit(int(line)).add_done_callback(self.acknowledge)

    def acknowledge(self, done):
        self.sendLine(b"sorry" if done.exception() else b"%d" % done.result())
        self.transport.loseConnection()

class Window(protocol.ServerFactory):
    protocol = Teller

    def __init__(self, bank):
        self.bank = bank

def makeService(config):
    both = service.MultiService()
    bank = Bank()
    bank.setName("bank")
    bank.setServiceParent(both)
    internet.TCPServer(0, Window(bank), interface="127.0.0.1").setServiceParent(both)
    return both
"""


def balance(port: int) -> int:
    return int(ask(port, say=b"0\r\n"))


@pytest.mark.slow
@pytest.mark.parametrize("edited", [False, True])
def test_nothing_acknowledged_is_lost(place: Place, edited: bool) -> None:
    """Over reloads, with the state carried or the file taken and the journal replayed; and
    after a SIGKILL."""
    add_tap(place, "bank", BANK)
    place.mktap("bank")
    port = started(place, "-f", "bank.tap")
    with Clients(("127.0.0.1", port), count=2, say=b"1\r\n") as clients:
        for _ in range(2):
            clients.more()
            if edited:
                os.utime(place.path / "bank.tap", ns=(1, place.pid()))
            reload(place)
            clients.more()
    assert clients.faults == []
    assert balance(port) == clients.answers
    place.kill(signal=signal.SIGKILL)
    assert place.twistd("--resume", "-f", "bank.tap").returncode == 0
    assert balance(place.port()) == clients.answers
    place.kill()


@pytest.mark.slow
def test_after_a_reload_that_failed_it_is_written_again(place: Place) -> None:
    """The old process takes its journal up again, and what it acknowledges then is kept."""
    add_tap(place, "bank", BANK)
    place.mktap("bank")
    port = started(place, "-f", "bank.tap")
    pid = place.pid()
    assert ask(port, say=b"5\r\n") == b"5\r\n"
    hook = (
        "    def startService(self):\n"
        f"        import os\n        if os.getpid() != {pid}: raise OSError('a bad day')\n"
        "        return super().startService()\n"
    )
    add_tap(place, "bank", BANK.replace("    total = 0\n", "    total = 0\n" + hook))
    os.kill(pid, signal.SIGHUP)
    wait_for("the failure", lambda: "goes on as it is" in place.log())
    wait_for("the services", lambda: place.log().count("listening on") > 1)
    assert ask(port, say=b"2\r\n") == b"7\r\n"
    add_tap(place, "bank", BANK)
    place.kill(signal=signal.SIGKILL)
    assert place.twistd("-f", "bank.tap").returncode == 0
    assert balance(place.port()) == 7
    place.kill()
