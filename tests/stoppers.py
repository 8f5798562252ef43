"""A drop-in for the tests of stops: services that stop well, badly, late or never."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from subprocess import Popen
from typing import Any

import psutil

from tapkit import application
from tests.place import PATIENCE, Place, has_ended, wait_for
from tests.test_twistd import add_tap

TAP = """
import asyncio, os, signal, sys, threading, time
from tapkit import internet, protocol, service, usage

class Options(usage.Options):
    optParameters = [["kinds", "k", "", "Names of the classes below, in order."]]

class Good(service.Service):
    stops = 0
    def stopService(self):
        self.stops += 1
        return super().stopService()

class Raising(Good):
    def stopService(self):
        raise ValueError("no luck")

class Hung(Good):
    async def stopService(self):
        print("hanging", flush=True)
        await asyncio.Event().wait()

class Stubborn(Good):
    async def stopService(self):
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                pass

class Patient(Good):
    stop_timeout = 20.0
    async def stopService(self):
        await asyncio.sleep(0.5)
        self.stops += 1

class Blocking(Good):
    def stopService(self):
        print("hanging", flush=True)
        time.sleep(3600)

class Unbreakable(Good):
    def stopService(self):
        signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
        time.sleep(3600)

class Thread(Good):
    def startService(self):
        threading.Thread(target=time.sleep, args=(3600,)).start()
        return super().startService()

class Exiting(Good):
    def startService(self):
        asyncio.get_running_loop().call_later(0.05, sys.exit, 3)
        return super().startService()

class Task(Good):
    async def fail(self):
        raise ValueError("a task's own fault")
    def startService(self):
        loop = asyncio.get_running_loop()
        loop.call_soon(self.call_nobody)
        loop.create_task(self.fail())
        thread = threading.Thread(target=self.call_nobody, name="worker")
        thread.start()
        thread.join()
        return super().startService()
    def call_nobody(self):
        raise KeyError("nobody")

class Aborting(Good):
    def stopService(self):
        os.abort()

class Connected(protocol.Protocol):
    def connectionMade(self):
        self.transport.write(b"hello")
    def dataReceived(self, data):
        print("heard", data)
        if data == b"block":
            time.sleep(3600)
        if data == b"much":
            self.transport.write(b"x" * 30_000_000)

class Holding(Connected):
    def service_stopping(self):
        print("holding", flush=True)

class Answering(Connected):
    def service_stopping(self):
        asyncio.get_running_loop().call_later(0.2, self.answer)
    def answer(self):
        self.transport.write(b", and the answer")
        self.transport.loseConnection()

class Producing(Connected):
    def dataReceived(self, data):
        self.transport.registerProducer(self)
        asyncio.get_running_loop().call_later(0.2, self.end)
    def end(self):
        self.transport.write(b", and the end")
        self.transport.unregisterProducer()

kept = []  # else the collector may end what only waits for itself

async def stuck(reader, writer):
    writer.write(b"hello")
    while True:
        kept.append(asyncio.Event())
        try:
            await kept[-1].wait()
        except asyncio.CancelledError:
            pass

class Stuck(internet.StreamServer):
    def __init__(self):
        super().__init__("tcp:0:interface=127.0.0.1", stuck)

def server(talk):
    factory = protocol.ServerFactory()
    factory.protocol = talk
    return internet.TCPServer(0, factory, interface="127.0.0.1")

def makeService(config):
    whole = service.MultiService()
    for kind in config["kinds"].split():
        made = globals()[kind]
        whole.addService(server(made) if issubclass(made, Connected) else made())
    return whole
"""


def image_of(place: Place, *kinds: str) -> None:
    """Make stop.tap, an application of such services."""
    add_tap(place, "stop", TAP)
    done = place.mktap("stop", "--kinds", " ".join(kinds))
    assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def running(place: Place, *options: str) -> Iterator[Popen[Any]]:
    """stop.tap in the foreground, ready."""
    with place.foreground("-n", *options, "-f", "stop.tap") as process:
        log_says(place, "stop runs on")
        yield process


def log_says(place: Place, what: str) -> None:
    wait_for(repr(what), lambda: what in place.log("foreground.log"))


def ended(process: Popen[Any]) -> int:
    """Its exit status, once it has ended."""
    return process.wait(PATIENCE)


def saved(place: Place) -> list[Any]:
    """The services of the saved state."""
    importlib.invalidate_caches()  # the drop-in was made a moment ago
    loaded = application.load(str(place.path / "stop-shutdown.tap"))
    return list(loaded.services[0].services)


def nothing_left(place: Place) -> None:
    """No pidfile, no process."""
    assert "twistd.pid" not in place.file_names()
    assert all(has_ended(p) for p in place.processes() if p.pid != psutil.Process().pid)
