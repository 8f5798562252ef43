"""Live objects: what is refused with its path, what is left out, what fails while loading."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import io
import logging
import mmap
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tapkit import styles
from tapkit.errors import ImageError
from tapkit.image import dumping, live, offenders, refusals


class Box:
    """Anything with attributes."""

    def __init__(self, **attributes: Any):
        vars(self).update(attributes)


class Connection(styles.Ephemeral):
    """A live connection, with things that can't be saved."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


def refused(root: Any, name: str = "application") -> str:
    with pytest.raises(ImageError) as caught:
        dumping.dumps(root, name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def _open_file() -> Iterator[Any]:
    with open(__file__) as file:
        yield file


def _binary_file() -> Iterator[Any]:
    with open(__file__, "rb") as file:
        yield file


def _raw_file() -> Iterator[Any]:
    with open(__file__, "rb", buffering=0) as file:
        yield file


def _socket() -> Iterator[Any]:
    with socket.socket() as made:
        yield made


def _mmap() -> Iterator[Any]:
    with mmap.mmap(-1, 10) as made:
        yield made


def _process() -> Iterator[Any]:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        yield process


def _executor() -> Iterator[Any]:
    with concurrent.futures.ThreadPoolExecutor() as pool:
        yield pool


def _coroutine() -> Iterator[Any]:
    coroutine = asyncio.sleep(0)
    yield coroutine
    coroutine.close()


def _loop() -> Iterator[Any]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def _future() -> Iterator[Any]:
    loop = asyncio.new_event_loop()
    yield loop.create_future()
    loop.close()


def _task() -> Iterator[Any]:
    loop = asyncio.new_event_loop()
    task = loop.create_task(asyncio.sleep(0))
    yield task
    loop.run_until_complete(task)
    loop.close()


def _just(made: Callable[[], Any]) -> Callable[[], Iterator[Any]]:
    def make() -> Iterator[Any]:
        yield made()

    return make


REFUSED = [
    (_open_file, "an open file can't be saved", "keep its name, open it in startService"),
    (_binary_file, "an open file", "startService"),
    (_raw_file, "an open file", "startService"),
    (_mmap, "a memory-mapped file", "startService"),
    (_just(lambda: memoryview(b"x")), "a memoryview", "bytes"),
    (_socket, "an open socket", "startService"),
    (_just(ssl.create_default_context), "an SSL context", "paths of its certificates"),
    (_process, "a running process", "arguments"),
    (_executor, "a thread", "startService"),
    (_coroutine, "a coroutine", "function"),
    (_loop, "an event loop", "get_running_loop"),
    (_future, "a future", "startService"),
    (_task, "a running task", "startService"),
    (_just(asyncio.Queue), "an asyncio lock, event or queue", "volatile"),
    (_just(asyncio.Event), "an asyncio lock, event or queue", "volatile"),
    (_just(asyncio.Lock), "an asyncio lock, event or queue", "volatile"),
    (_just(threading.Lock), "a lock", "volatile"),
    (_just(threading.RLock), "a lock", "volatile"),
    (_just(threading.Condition), "a lock", "volatile"),
    (_just(threading.Event), "a lock", "volatile"),
    (_just(lambda: threading.Thread(target=print)), "a thread", "startService"),
    (_just(threading.local), "thread-local data", "volatile"),
    (_just(lambda: (n for n in ())), "a generator", "list"),
    (_just(lambda: sys._getframe()), "a traceback", "text"),
]


@pytest.mark.parametrize(("make", "what", "remedy"), REFUSED)
def test_what_cannot_be_saved(make: Any, what: str, remedy: str) -> None:
    """Each kind by its name, with its path and what to do instead."""
    for thing in make():
        said = refused(Box(services=[Box(factory=Box(log=thing))]))
        assert said.startswith(what)
        assert ": application.services[0].factory.log: " in said
        assert remedy in said.rpartition(": ")[2]


def test_refusals_name_what_exists() -> None:
    """Every type in the table is there in some supported Python, or in none by mistake."""
    found = {
        name
        for row in refusals.REFUSALS
        for name in row.types
        if hasattr(sys.modules.get(name.partition(":")[0]), name.partition(":")[2])
    }
    assert len(found) > 30


def test_all_offenders_at_once() -> None:
    """One error lists everything, nearest first, however it is reached."""
    lock, log = threading.Lock(), threading.Event()

    def hook() -> Any:
        return log

    root = Box(
        a={"key": [lock]},
        b=(1, Box(deep=threading.Lock())),
        hook=hook,
        fine=[1, 2],
        method=Box(lock=threading.RLock()).__init__,
    )
    said = refused(root)
    assert said.startswith("4 things can't be saved: ")
    assert "application.a['key'][0] (a lock can't be saved: " in said
    assert "application.b[1].deep (" in said
    assert "application.hook.<hook>.log (" in said
    assert "application.method.__self__.lock (" in said


def test_many_offenders_are_counted() -> None:
    """A thousand locks make one line that can be read."""
    said = refused([threading.Lock() for _ in range(1000)], "object")
    assert said.startswith("1000 things can't be saved: object[0] (")
    assert said.endswith(f"and {1000 - offenders.LISTED} more")


def test_objects_that_refuse_themselves() -> None:
    """What an object's own method raises is quoted with its path."""

    class Stubborn:
        def __getstate__(self) -> Any:
            raise TypeError("not me")

    said = refused(Box(x=[Stubborn()]))
    assert "Stubborn can't be saved (TypeError: not me): application.x[0]: " in said


def test_a_queue_that_pickles_itself() -> None:
    """A subclass that says how it is pickled is believed."""
    assert live.loads(dumping.dumps(Replayed()).payload).items == [1]


class Replayed(asyncio.Queue):  # type: ignore[type-arg]
    items: Any = None

    def __reduce__(self) -> Any:
        return Box, (), {"items": [1]}


def test_live_connections_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    """What is reachable only through them goes with them; each is logged with its path."""
    caplog.set_level(logging.INFO, "tapkit.image")
    root = Box(factory=Box(connections={Connection()}, last=Connection(), served=7))
    loaded = live.loads(dumping.dumps(root, "application").payload)
    assert loaded.factory.served == 7
    assert not loaded.factory.last
    assert [type(each) for each in loaded.factory.connections] == [styles.LeftOut]
    logged = [record.getMessage() for record in caplog.records]
    assert len(logged) == 2
    assert "application.factory.last: a live tests.test_live.Connection" in "\n".join(logged)


def test_what_is_reachable_besides_is_refused() -> None:
    """A lock that something else holds as well is an error there."""
    connection = Connection()
    said = refused(Box(a=connection, b=connection.lock))
    assert said.startswith("a lock can't be saved: application.b: ")


def test_many_connections_are_logged_briefly(caplog: pytest.LogCaptureFixture) -> None:
    """Ten thousand connections do not fill the log."""
    caplog.set_level(logging.INFO, "tapkit.image")
    dumping.dumps([Connection() for _ in range(50)])
    assert len(caplog.records) == dumping.LOGGED + 1
    assert "40 more" in caplog.records[-1].getMessage()


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_is_as_it_was(enabled: bool) -> None:
    """Off while dumping and loading, restored after success and failure."""
    seen: list[bool] = []

    class Looking:
        def __getstate__(self) -> Any:
            seen.append(gc.isenabled())
            return {}

    was = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        live.loads(dumping.dumps(Looking()).payload)
        with pytest.raises(ImageError):
            dumping.dumps(threading.Lock())
        assert gc.isenabled() is enabled
        assert seen == [False]
    finally:
        (gc.enable if was else gc.disable)()


class Fragile:
    """Can be saved, and fails when loaded."""

    def __setstate__(self, state: Any) -> None:
        raise ValueError("the state is not mine")


def test_a_failing_setstate() -> None:
    """The class, the method, the file and the line; the cause is chained."""
    fragile = Fragile()
    fragile.x = 1  # type: ignore[attr-defined]
    with pytest.raises(ImageError) as caught:
        live.loads(dumping.dumps(fragile).payload, None, "qotd.tap")
    said = str(caught.value)
    assert "loading a tests.test_live.Fragile (in its __setstate__) failed" in said
    assert "ValueError: the state is not mine" in said
    assert "qotd.tap, " in said
    assert "test_live.py:" in said
    assert isinstance(caught.value.__cause__, ValueError)


def test_a_class_that_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Module and name, and what to do; a missing module is another message."""
    payload = dumping.dumps(Fragile).payload
    monkeypatch.delattr(sys.modules[__name__], "Fragile")
    with pytest.raises(ImageError) as caught:
        live.loads(payload, None, "qotd.tap")
    assert "needs tests.test_live.Fragile, and tests.test_live has no 'Fragile'" in str(
        caught.value
    )
    gone = payload.replace(b"tests.test_live", b"tests.no_such__")
    with pytest.raises(
        ImageError, match=r"no module is named 'tests.no_such__': qotd.tap: install"
    ):
        live.loads(gone, None, "qotd.tap")


def test_a_module_that_breaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken inside is not missing: the line that raised is named."""
    (tmp_path / "brittle.py").write_text("class Thing:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    import brittle  # type: ignore[import-not-found]

    payload = dumping.dumps(brittle.Thing()).payload
    del sys.modules["brittle"]
    (tmp_path / "brittle.py").write_text("x = 1\n\nraise RuntimeError('no luck today')\n")
    with pytest.raises(ImageError) as caught:
        live.loads(payload, None, "qotd.tap")
    assert "importing brittle failed (RuntimeError: no luck today)" in str(caught.value)
    assert "brittle.py:3" in str(caught.value)


def test_no_pickle_at_all() -> None:
    """Bytes that are no pickle are an ImageError."""
    for payload in (b"", b"\x80\x05", b"garbage", b"\x80\x05N"):
        with pytest.raises(ImageError, match="can't be loaded"):
            live.loads(payload, None, "qotd.tap")


def test_what_the_pickler_knows() -> None:
    """Modules by name, code by value, buffers apart."""
    by_name = dumping.dumps(Box(path=Path("x")))
    assert "tests" in by_name.modules
    assert not by_name.by_value
    assert dumping.dumps(lambda: 1).by_value
    file = io.BytesIO(b"kept")
    assert live.loads(dumping.dumps(file).payload).read() == b"kept"
