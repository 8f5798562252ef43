"""The steps of a stop, each service within its limit: in this process, on both event loops."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any

import pytest

from tapkit.application import Application
from tapkit.errors import DaemonError
from tapkit.internet import TCPServer
from tapkit.run.stopping import Stop, StopRules
from tapkit.service import MultiService, Service
from tests.loops import Run, connected, until
from tests.loops import run as run
from tests.peers import HOST, PlainEcho, Recorder, serve
from tests.trees import Noted, Slow


class Draining(Service):
    """Notes in which order a daemon calls it; misbehaves as told."""

    def __init__(self, name: str, events: list[str], fault: str = ""):
        self.name, self.events, self.fault = name, events, fault

    def stop_accepting(self) -> None:
        self.events.append(f"close {self.name}")
        if self.fault == "close":
            raise ValueError("can't close")

    async def drain(self) -> None:
        self.events.append(f"drain {self.name}")
        if self.fault == "drain":
            raise ValueError("can't drain")
        if self.fault == "hang":
            await asyncio.Event().wait()

    def stopService(self) -> Any:
        self.events.append(f"stop {self.name}")
        return super().stopService()


class HangingStop(Noted):
    async def stopService(self) -> None:
        self.events.append(f"hang {self.name}")
        await asyncio.Event().wait()


class HangingCollection(MultiService):
    """Stops its children, and then never ends."""

    async def stopService(self) -> None:
        await super().stopService()
        await asyncio.Event().wait()


def application(*services: Any) -> Application:
    made = Application("app")
    for service in services:
        made.addService(service)
    return made


async def stopped(root: Application, rules: StopRules, hurry_when: Any = None) -> list[str]:
    """Start and stop; what was not clean."""
    await root.privilegedStartService()
    await root.startService()
    stop = Stop(root, rules)
    stopping = asyncio.ensure_future(stop.run())
    if hurry_when is not None:
        await until(hurry_when)
        stop.hurry()
    await stopping
    return stop.faults


def test_the_order(run: Run) -> None:
    """Nobody is let in any more, then all are seen off, then they stop in reverse."""
    events: list[str] = []
    inner = MultiService()
    inner.addService(Draining("b", events))
    root = application(Draining("a", events), inner, Slow("c", events))
    assert run(stopped(root, StopRules())) == []
    steps = ["bind c", "start c", "close b", "close a", "drain b", "drain a"]
    assert events == [*steps, "stop c", "stop b", "stop a"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("close", "stop_accepting: ValueError: can't close"),
        ("drain", "drain: ValueError: can't drain"),
        ("hang", "its drain took too long"),
    ],
)
def test_a_fault_before_the_stop(
    run: Run, fault: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named by path and class; everybody else, and its own stop, go on."""
    monkeypatch.setattr("tapkit.run.stopping.GRACE", 0.05)
    events: list[str] = []
    root = application(Draining("a", events), Draining("b", events, fault))
    faults = run(stopped(root, StopRules(drain_timeout=0.05)))
    assert faults == [f"application.services[1] (Draining): {said}"]
    assert events[-4:-2] == ["drain b", "drain a"]
    assert events[-2:] == ["stop b", "stop a"]


def test_a_service_s_own_limit(run: Run) -> None:
    """stop_timeout on the service counts, shorter or longer than the process's."""
    events: list[str] = []
    short, long = HangingStop("short", events), Slow("long", events)
    short.stop_timeout, long.stop_timeout = 0.05, 3600.0
    faults = run(stopped(application(short, long), StopRules(stop_timeout=None)))
    (fault,) = faults
    assert fault.startswith(
        "application.services[0] (HangingStop): did not stop within 0.05 s; it waits in stopService"
    )
    assert "test_stopping.py:" in fault
    assert events[-2:] == ["stop long", "hang short"]


def test_a_collection_has_the_time_of_its_children(run: Run) -> None:
    """Its children are limited one by one; what it does beyond them is limited too."""
    events: list[str] = []
    inner = HangingCollection()
    for name in "ab":
        child = HangingStop(name, events)
        child.stop_timeout = 0.05
        inner.addService(child)
    inner.stop_timeout = 0.05
    faults = run(stopped(application(Noted("c", events), inner), StopRules()))
    assert [fault.partition(":")[0] for fault in faults] == [
        "application.services[1].services[1] (HangingStop)",
        "application.services[1].services[0] (HangingStop)",
    ]
    assert events[-3:] == ["hang b", "hang a", "stop c"]


def test_a_collection_that_hangs_after_its_children(
    run: Run, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named, as they are not to blame."""
    monkeypatch.setattr("tapkit.run.stopping.GRACE", 0.01)
    inner = HangingCollection()
    inner.addService(Noted("a", []))
    with caplog.at_level(logging.ERROR, "tapkit.stop"):
        (fault,) = run(stopped(application(inner), StopRules(stop_timeout=0.02)))
    assert fault.startswith("application.services[0] (HangingCollection): did not stop within")
    assert fault in caplog.text


def test_a_hurry_reaches_the_leaf(run: Run) -> None:
    """Deep in the tree the one that waits is cancelled; its collection is not to blame."""
    events: list[str] = []
    inner = MultiService()
    for service in (Slow("a", events), HangingStop("b", events)):
        inner.addService(service)
    root = application(Slow("c", events), inner)
    rules = StopRules(stop_timeout=3600)
    (fault,) = run(stopped(root, rules, lambda: "hang b" in events))
    assert fault.startswith("application.services[1].services[1] (HangingStop): was hurried")
    assert events[-2:] == ["stop a", "stop c"]


def test_what_was_not_clean_is_raised(run: Run) -> None:
    """All of it, in one error; nothing where all was well."""

    async def main() -> None:
        stop = Stop(application(), StopRules())
        await stop.run()
        stop.raise_unless_clean()
        stop.faults += ["one", "two"]
        with pytest.raises(DaemonError, match="the stop was not clean: one; two"):
            stop.raise_unless_clean()

    run(main())


@pytest.mark.parametrize("finishes", [True, False])
def test_a_foreign_protocol_is_told_as_well(run: Run, finishes: bool) -> None:
    """An asyncio.Protocol with the hook ends its connection itself; any other one is closed."""

    class Finishing(PlainEcho):
        def service_stopping(self) -> None:
            self.transport.write(b"bye")
            self.transport.close()

    async def main() -> None:
        service = TCPServer(0, Finishing if finishes else PlainEcho, HOST)
        root = application(service)
        await root.privilegedStartService()
        await root.startService()
        async with connected(service) as (reader, writer):
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            stop = Stop(root, StopRules())
            await stop.run()
            assert await reader.read() == (b"bye" if finishes else b"")
        assert stop.faults == []

    run(main())


def test_a_hook_that_raises_closes_its_connection(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """service_stopping is a hook like any other: its fault is logged, and costs only itself."""

    class Faulty(Recorder):
        def service_stopping(self) -> None:
            raise ValueError("no luck")

    async def main() -> None:
        service = serve(Faulty)
        root = application(service)
        await root.privilegedStartService()
        await root.startService()
        async with connected(service) as (reader, _):
            await until(lambda: service.factory.protocols)
            await Stop(root, StopRules()).run()
            assert await reader.read() == b""

    run(main())
    assert "Faulty.service_stopping failed for 127.0.0.1:" in caplog.text


@pytest.mark.parametrize("foreign", [True, False])
def test_who_was_accepted_last_is_no_error(
    run: Run, foreign: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """A connection between accept and its protocol when the stop comes ends in good order."""

    async def main() -> None:
        service = TCPServer(0, PlainEcho, HOST) if foreign else serve(Recorder)
        root = application(service)
        await root.privilegedStartService()
        await root.startService()
        address = (HOST, service.bound_port)
        clients = [socket.create_connection(address) for _ in range(5)]
        try:
            await asyncio.sleep(0)  # the turn in which they are accepted, or found to be there
            await asyncio.sleep(0)
            assert (await stop_of(root)).faults == []
        finally:
            for client in clients:
                client.close()

    run(main())
    assert caplog.records == []


async def stop_of(root: Application) -> Stop:
    stop = Stop(root, StopRules())
    await stop.run()
    return stop
