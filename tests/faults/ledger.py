"""An application whose state shows what was lost: a ledger, written to over TCP.

add N       journaled; `ok N` when it is on the disk, else `failed: ...`
plain N     the same, not journaled: at once
list        all numbers
poison      from now on the state holds what can't be saved
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from typing import Any

from tapkit import application, internet, journal, protocol, service


class Ledger(journal.Journaled, service.Service):
    """A list of numbers."""

    def __init__(self) -> None:
        self.entries: list[int] = []

    @journal.command
    def add(self, number: int) -> int:
        if not isinstance(number, int):
            raise ValueError(f"{number!r} is no number")
        self.entries.append(number)
        return number


class Book(protocol.LineReceiver):
    delimiter = b"\n"

    def lineReceived(self, line: bytes) -> None:
        verb, _, word = line.partition(b" ")
        ledger = self.factory.ledger
        if verb == b"add":
            self.when_durable(ledger, int(word))
        elif verb == b"plain":
            ledger.entries.append(int(word))
            self.sendLine(b"ok " + word)
        elif verb == b"grow":
            ledger.more = "x" * int(word), list(range(int(word)))
            self.sendLine(b"ok")
        elif verb == b"poison":
            ledger.lock = threading.Lock()
            self.sendLine(b"ok")
        else:
            self.sendLine(b" ".join(b"%d" % number for number in ledger.entries))

    def when_durable(self, ledger: Ledger, number: int) -> None:
        try:
            asyncio.ensure_future(ledger.add(number)).add_done_callback(self.answer)
        except Exception as error:
            self.sendLine(f"failed: {error}".encode())

    def answer(self, done: asyncio.Future[int]) -> None:
        error = done.exception()
        self.sendLine(f"failed: {error}".encode() if error else b"ok %d" % done.result())


class Factory(protocol.ServerFactory):
    protocol = Book

    def __init__(self, ledger: Ledger):
        self.ledger = ledger


class Plain(service.Service):
    """State without a journal. It can't be saved while there is a file `hold`."""

    def __init__(self) -> None:
        self.entries: list[int] = []

    def __getstate__(self) -> Any:
        while os.path.exists("hold"):
            time.sleep(0.01)
        return super().__getstate__()


def make(form: str = "pickle", journaled: bool = True, **state: Any) -> application.Application:
    """The application `ledger`, on a free port of the loopback."""
    ledger: Any = Ledger() if journaled else Plain()
    vars(ledger).update(state)
    made = application.new("ledger", ledger)
    internet.TCPServer(0, Factory(ledger), interface="127.0.0.1").setServiceParent(made)
    made.setStyle(form)
    return made


def write(folder: Any, form: str = "pickle", journaled: bool = True, **state: Any) -> str:
    """Its image in `folder`; the file's name."""
    made = make(form, journaled, **state)
    application.save(made, f"{folder}/{made.file_name()}")
    return made.file_name()


def entries_of(path: Any) -> list[int]:
    """What an image's ledger holds."""
    found: list[int] = application.load(str(path)).services[0].entries
    return found
