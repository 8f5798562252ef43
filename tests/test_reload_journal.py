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


def snapshots(place: Place, count: int) -> None:
    """Take so many, after which the journal begins where the last but one ends."""
    for number in range(1, count + 1):
        ask(place.port(), say=b"1\r\n")
        os.kill(place.pid(), signal.SIGUSR2)
        wait_for("a snapshot", lambda n=number: place.log().count("stood still") >= n)


def hup_in_vain(place: Place) -> str:
    """Reload; why it failed."""
    pid = place.pid()
    os.kill(pid, signal.SIGHUP)
    wait_for("the failure", lambda: "goes on as it is" in place.log())
    assert place.pid() == pid
    wait_for("the services", lambda: place.log().count("listening on") > 1)
    return place.log().partition("the reload failed: ")[2]


@pytest.mark.slow
def test_an_edited_image_that_the_journal_does_not_reach(place: Place) -> None:
    """The journal begins after it: the reload is refused with what to do, and nothing is lost."""
    add_tap(place, "bank", BANK)
    place.mktap("bank")
    port = started(place, "-f", "bank.tap")
    snapshots(place, 3)
    os.utime(place.path / "bank.tap", (1, 1))
    told = hup_in_vain(place)
    assert "the journal" in told
    assert balance(port) == 3
    assert ask(port, say=b"4\r\n") == b"7\r\n"
    place.kill(signal=signal.SIGKILL)
    assert place.twistd("--resume", "-f", "bank.tap").returncode == 0
    assert balance(place.port()) == 7
    place.kill()


@pytest.mark.slow
def test_an_edited_image_with_state_of_its_own(place: Place) -> None:
    """What was edited in is taken, and every command since is run again on it."""
    add_tap(place, "bank", BANK)
    place.mktap("-t", "source", "bank")
    port = started(place, "-f", "bank.tas")
    assert ask(port, say=b"5\r\n") == b"5\r\n"
    image = place.path / "bank.tas"
    text = image.read_text()
    edited = text.replace("instance(Bank, ", "instance(Bank, total=1000, ", 1)
    assert edited != text
    image.write_text(edited)
    reload(place)
    assert balance(port) == 1005
    place.kill()
