"""asyncio without what a plain server never uses of it: 9 of the 44 ms that importing it takes.

asyncio imports `ssl`, OpenSSL with it, for servers that have TLS and for those that have not,
and `inspect` for odd callables and messages. Here these, and `asyncio.sslproto`, which looks
into `ssl` at once, are modules that load themselves when an attribute of theirs is first asked
for. tapkit itself asks `inspect` only where a type does not say it all.

Rejected: `importlib.util.LazyLoader`, whose modules are loaded by a second `import` of them
already, which looks at their `__spec__`; and to hide `ssl` from asyncio, which would then have
no TLS for good.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
import threading
import types
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from typing import Any

TLS = frozenset({"ssl", "asyncio.sslproto"})
NAMES = TLS | {"inspect"}
_QUIET = frozenset({"__class__", "__dict__", "__spec__"})  # what the import system looks at
_lock = threading.RLock()
_loading: set[str] = set()


def import_asyncio() -> None:
    """Import asyncio, and NAMES only once they are used.

    What was imported already is left as it is, and so is `ssl` where Python was built without:
    asyncio has to find that out.
    """
    if "asyncio" in sys.modules:
        return
    names = NAMES
    if "ssl" in sys.modules or importlib.machinery.PathFinder.find_spec("_ssl") is None:
        names -= TLS
    sys.meta_path.insert(0, _Finder(names))
    try:
        import asyncio  # noqa: F401  # so that nobody else is the first
    finally:
        del sys.meta_path[0]


def import_whole(name: str) -> None:
    """Import a module, and have it loaded if it puts that off."""
    _ = importlib.import_module(name).__name__


class _Finder:
    """Finds modules as Python does, and puts off their loading."""

    def __init__(self, names: frozenset[str]):
        self._names = names

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in self._names:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None:
            spec.loader = _Loader(spec.loader)  # type: ignore[assignment]  # it is one by duty
        return spec


class _Loader:
    """Loads nothing yet. The module has its own loader again, for when it does."""

    def __init__(self, loader: Any):
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> None:
        """The import system's own kind of module will do."""

    def exec_module(self, module: Any) -> None:
        module.__spec__.loader = module.__loader__ = self._loader
        module.__class__ = _Later


class _Later(types.ModuleType):
    """A module until it is used; then it is loaded, and an ordinary one."""

    def __getattribute__(self, name: str) -> Any:
        if name not in _QUIET:
            _load(self)
        return types.ModuleType.__getattribute__(self, name)  # it is no _Later any more

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _QUIET:
            _load(self)
        types.ModuleType.__setattr__(self, name, value)


def _load(module: _Later) -> None:
    """Load a module once; other threads wait until it is whole."""
    with _lock:
        spec = module.__spec__
        if type(module) is not _Later or spec is None or spec.name in _loading:
            return
        _loading.add(spec.name)
        try:
            spec.loader.exec_module(module)  # type: ignore[union-attr]  # it has one
            module.__class__ = types.ModuleType  # type: ignore[assignment]
        finally:
            _loading.discard(spec.name)
