"""Imported before a chroot, or before becoming a user who may not read Python's own files: what
an import could not reach any more.

tapkit imports much only where it is needed, and so do the standard library and C's own library.
All of tapkit is imported here, and the list below is what the others import on the way: a test
compares it with the imports inside tapkit's functions. An application's modules must import at
their top; one that comes too late is told why.
"""

from __future__ import annotations

import contextlib
import encodings
import importlib
import os
import pkgutil
import socket
import sys
import time
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

from tapkit.errors import DaemonError
from tapkit.run import lazily
from tapkit.run.process import privileges

STANDARD = (
    # of asyncio and concurrent.futures: the executor that resolves names
    "concurrent.futures.thread",
    "concurrent.futures.process",
    "asyncio.sslproto",
    "asyncio.subprocess",
    "ssl",
    # of text, besides all codecs
    "stringprep",
    "unicodedata",
    # of messages: tracebacks, suggestions
    "bdb",
    "cmd",
    "difflib",
    "linecache",
    "pdb",
    "pstats",
    "tokenize",
    "traceback",
    "tracemalloc",
    # of users, times, sizes, files
    "_strptime",
    "configparser",
    "cProfile",
    "datetime",
    "fcntl",
    "grp",
    "gzip",
    "hashlib",
    "importlib.metadata",
    "inspect",
    "json",
    "locale",
    "mmap",
    "multiprocessing",
    "profile",
    "pwd",
    "resource",
    "shlex",
    "shutil",
    "subprocess",
    "tempfile",
    "zipfile",
)
"""Modules that the standard library or tapkit import when they first need them."""

OPTIONAL = (
    "_sha2",
    "_sha256",
    "cloudpickle",
    "cryptography.exceptions",
    "cryptography.hazmat.primitives.asymmetric",
    "msgpack",
    "psutil",
    "pyrage",
    "setproctitle",
    "uvloop",
    "zstandard",
)
"""What not every Python has, and other people's, where they are installed."""

LEFT_OUT = ("tapkit.scripts",)
"""What a running daemon does not need."""


def all_that_may_be_needed() -> None:
    """Import it, and let C's library load what it loads by name."""
    for name in STANDARD:
        lazily.import_whole(name)
    for name in (*OPTIONAL, *_codecs(), *_own()):
        with contextlib.suppress(ImportError):  # an extra that is not installed
            importlib.import_module(name)
    _load_shared_libraries()


def _codecs() -> list[str]:
    return [module.name for module in pkgutil.iter_modules(encodings.__path__, "encodings.")]


def _own() -> list[str]:
    package = sys.modules[__name__.partition(".")[0]]
    found = pkgutil.walk_packages(package.__path__, "tapkit.")
    return [module.name for module in found if not module.name.startswith(LEFT_OUT)]


def _load_shared_libraries() -> None:
    import ctypes
    import pwd

    with contextlib.suppress(KeyError):
        pwd.getpwuid(0)  # glibc's modules for looking up users
    with contextlib.suppress(OSError):
        socket.getaddrinfo("localhost", 0)  # and hosts
    with contextlib.suppress(OSError):
        ctypes.CDLL("libgcc_s.so.1")  # without it glibc aborts when a thread is made to exit
    time.localtime()  # /etc/localtime


def within_reach(uid: int, gid: int) -> bool:
    """Whether that user could go on importing from where root now does. Asked as root."""
    places = [path for path in sys.path if os.path.exists(path)]
    try:
        with privileges.borrowed(uid, gid):
            return all(_readable(path) for path in places)
    except DaemonError:
        return True  # it can't become that user at all, as will be said


def _readable(path: str) -> bool:
    try:
        with os.scandir(path) if os.path.isdir(path) else open(path, "rb"):
            return True
    except OSError:
        return False


class _Explain:
    """The last of the finders: whoever asks it asks for what is out of reach now."""

    def __init__(self, why: str):
        self.why = why

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        raise ModuleNotFoundError(
            f"No module named {name!r} can be reached {self.why}; import it at the top of the "
            "module that needs it",
            name=name,
        )


def explain_late_imports(why: str) -> None:
    """From now on a failing import says that it may only come too late."""
    sys.meta_path.append(_Explain(why))
