"""asyncio without what a plain server never uses, until it is used: nothing else is different."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.place import ROOT, Place

pytest.importorskip("_ssl")


def run(code: str) -> None:
    """Run code in a process that has imported asyncio this way; it must not fail."""
    begin = (
        "import sys, types\n"
        "from tapkit.run import lazily\n"
        "lazily.import_asyncio()\n"
        "import asyncio, asyncio.sslproto, inspect, ssl\n"
        "assert not any(type(finder) is lazily._Finder for finder in sys.meta_path)\n"
    )
    subprocess.run([sys.executable, "-c", begin + code], cwd=ROOT, check=True, timeout=60)


def test_a_server_without_tls() -> None:
    """Serving in the clear loads none of it, nor does importing it again."""
    run(
        "import socket\n"
        "def ask(port):\n"
        "    with socket.create_connection(('127.0.0.1', port), 30) as client:\n"
        "        return client.recv(100)\n"
        "async def main():\n"
        "    server = await asyncio.start_server(lambda r, w: w.close(), '127.0.0.1', 0)\n"
        "    port = server.sockets[0].getsockname()[1]\n"
        "    assert await asyncio.to_thread(ask, port) == b''\n"
        "asyncio.run(main())\n"
        "import inspect, ssl\n"
        "from asyncio import sslproto\n"
        "assert not {'_ssl', 'ast'} & sys.modules.keys()"
    )


def test_it_is_there_when_it_is_used() -> None:
    """One attribute asked for, set or deleted, and it is the ordinary module."""
    run(
        "assert ssl.create_default_context().check_hostname\n"
        "assert type(ssl) is types.ModuleType and '_ssl' in sys.modules\n"
        "assert ssl.__spec__.loader is ssl.__loader__ and ssl.__file__.endswith('ssl.py')\n"
        "assert issubclass(asyncio.sslproto.SSLProtocol, asyncio.BaseProtocol)\n"
        "assert asyncio.sslproto.ssl is ssl is asyncio.base_events.ssl\n"
        "assert inspect.iscoroutinefunction(asyncio.sleep) and type(inspect) is types.ModuleType"
    )
    run("ssl.mine = 1\nassert ssl.mine == 1 and ssl.SSLContext and '_ssl' in sys.modules")


def test_many_threads_at_once() -> None:
    """It is loaded once, and nobody sees half of it."""
    run(
        "import threading, importlib\n"
        "sys.setswitchinterval(1e-6)\n"
        "loads, real = [], ssl.__spec__.loader.exec_module\n"
        "def load(module):\n"
        "    loads.append(module)\n"
        "    real(module)\n"
        "ssl.__spec__.loader.exec_module = load\n"
        "found = []\n"
        "def look():\n"
        "    barrier.wait()\n"
        "    found.append((ssl.SSLContext, ssl.create_default_context))\n"
        "threads = [threading.Thread(target=look) for _ in range(20)]\n"
        "barrier = threading.Barrier(len(threads))\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()\n"
        "assert len(loads) == 1 and len(found) == 20 and len(set(found)) == 1"
    )


def test_a_load_that_fails() -> None:
    """Whoever asked hears of it, and it is tried again."""
    run(
        "real = ssl.__spec__.loader.exec_module\n"
        "def fail(module):\n"
        "    raise ImportError('libssl is gone')\n"
        "ssl.__spec__.loader.exec_module = fail\n"
        "try:\n"
        "    ssl.SSLContext\n"
        "except ImportError as error:\n"
        "    assert 'libssl is gone' in str(error)\n"
        "else:\n"
        "    raise AssertionError\n"
        "ssl.__spec__.loader.exec_module = real\n"
        "assert ssl.SSLContext"
    )


@pytest.mark.parametrize("before", ["import asyncio", "import ssl"])
def test_left_as_it_is(before: str) -> None:
    """What is imported already stays."""
    code = (
        f"{before}\n"
        "import sys, types\n"
        "from tapkit.run import lazily\n"
        "lazily.import_asyncio()\n"
        "import asyncio, ssl\n"
        "assert type(ssl) is types.ModuleType"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_python_without_openssl() -> None:
    """asyncio finds out by itself."""
    code = (
        "import sys\n"
        "from importlib.machinery import PathFinder\n"
        "from tapkit.run import lazily\n"
        "find = PathFinder.find_spec\n"
        "def without(name, *where):\n"
        "    if name == '_ssl':\n"
        "        sys.modules['ssl'] = None\n"
        "        return None\n"
        "    return find(name, *where)\n"
        "PathFinder.find_spec = without\n"
        "lazily.import_asyncio()\n"
        "assert sys.modules['asyncio.sslproto'].ssl is None"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_all_of_it_before_a_fork_or_a_chroot() -> None:
    """What is imported for later is loaded, too."""
    run("from tapkit.run import afterwards\nafterwards.at_once()\nassert 'ast' in sys.modules")
    run(
        "from tapkit.run.process import preload\npreload.all_that_may_be_needed()\n"
        "assert '_ssl' in sys.modules and type(asyncio.sslproto) is types.ModuleType"
    )


def test_a_start_without_tls(place: Place) -> None:
    """twistd loads and rehearses an application that has no TLS without it."""
    place.make("qotd", "--port", "0")
    script = place.command("twistd")[-1]
    command = [sys.executable, "-X", "importtime", script, "--check", "qotd.tap"]
    done = subprocess.run(
        command, cwd=place.path, env=place.env, capture_output=True, text=True, check=True
    )
    assert "asyncio.base_events" in done.stderr
    assert " _ssl\n" not in done.stderr
