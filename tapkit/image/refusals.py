"""Which types can't be saved, and why: live things of a process, which no file can hold."""

from __future__ import annotations

import sys

from tapkit.records import Record


class Refusal(Record):
    """Why objects of some types can't be saved."""

    types: tuple[str, ...]
    """`module:name`; looked up only in modules that are imported already."""
    what: str
    remedy: str


_START = "make it in startService"
_FILE = "keep its name, open it in startService"
_LOCKS = "make it in startService, or name it in `volatile`"

REFUSALS = (
    Refusal(
        ("_io:FileIO", "_io:BufferedReader", "_io:BufferedWriter", "_io:BufferedRandom")
        + ("_io:BufferedRWPair", "_io:TextIOWrapper", "tempfile:_TemporaryFileWrapper"),
        "an open file",
        _FILE,
    ),
    Refusal(("mmap:mmap",), "a memory-mapped file", _FILE),
    Refusal(("builtins:memoryview",), "a memoryview", "keep the bytes it views"),
    Refusal(
        ("socket:socket", "_socket:socket", "ssl:SSLObject"),
        "an open socket",
        "keep its address, open it in startService",
    ),
    Refusal(
        ("ssl:SSLContext", "_ssl:_SSLContext"),
        "an SSL context",
        "keep the paths of its certificates, make it in startService",
    ),
    Refusal(
        ("asyncio.transports:BaseTransport", "asyncio.streams:StreamReader")
        + ("asyncio.streams:StreamWriter", "asyncio.subprocess:Process"),
        "an open connection",
        "make it in startService; mark what holds it with styles.Ephemeral",
    ),
    Refusal(("asyncio.events:AbstractServer",), "a listening server", _START),
    Refusal(
        ("asyncio.events:AbstractEventLoop",),
        "an event loop",
        "call asyncio.get_running_loop() where it is needed",
    ),
    Refusal(("asyncio.tasks:Task", "_asyncio:Task"), "a running task", _START),
    Refusal(
        ("asyncio.futures:Future", "_asyncio:Future", "concurrent.futures._base:Future"),
        "a future",
        _START,
    ),
    Refusal(("asyncio.events:Handle",), "a scheduled call", "schedule it in startService"),
    Refusal(
        ("asyncio.locks:Lock", "asyncio.locks:Event", "asyncio.locks:Condition")
        + ("asyncio.locks:Semaphore", "asyncio.locks:Barrier", "asyncio.queues:Queue"),
        "an asyncio lock, event or queue",
        _LOCKS,
    ),
    Refusal(
        ("_thread:lock", "_thread:LockType", "_thread:RLock", "threading:Condition")
        + ("threading:Event", "threading:Semaphore", "threading:Barrier", "threading:_RLock"),
        "a lock",
        _LOCKS,
    ),
    Refusal(("queue:Queue", "_queue:SimpleQueue"), "a thread's queue", _LOCKS),
    Refusal(("threading:Thread", "concurrent.futures._base:Executor"), "a thread", _START),
    Refusal(("_thread:_local",), "thread-local data", _LOCKS),
    Refusal(("subprocess:Popen",), "a running process", "keep its arguments, start it anew"),
    Refusal(
        ("builtins:generator", "types:GeneratorType", "types:AsyncGeneratorType"),
        "a generator",
        "keep what it iterates over, or a list of what it yields",
    ),
    Refusal(("types:CoroutineType",), "a coroutine", "keep the function, call it when needed"),
    Refusal(("types:FrameType", "types:TracebackType"), "a traceback", "keep its text"),
    Refusal(("sqlite3:Connection", "sqlite3:Cursor"), "a database connection", _FILE),
    Refusal(("select:epoll", "select:poll", "selectors:BaseSelector"), "a selector", _START),
    Refusal(("weakref:ReferenceType", "weakref:ProxyType"), "a weak reference", _LOCKS),
    Refusal(("_contextvars:Context", "_contextvars:Token"), "a context", _LOCKS),
)


class RefusedError(Exception):
    """An object of a type that can't be saved was met."""


def refusal(kind: type) -> Refusal | None:
    """Why objects of this type can't be saved; None if nothing is known against it.

    A subclass that says itself how it is pickled is let through.
    """
    for row in REFUSALS:
        for name in row.types:
            module, _, attribute = name.partition(":")
            # Looked up so that a module that is not loaded yet (`ssl`) stays so.
            refused = vars(sys.modules[module]).get(attribute) if module in sys.modules else None
            if isinstance(refused, type) and issubclass(kind, refused):
                return None if _pickles_itself(kind, refused) else row
    return None


def _pickles_itself(kind: type, refused: type) -> bool:
    own = kind.__mro__[: kind.__mro__.index(refused)]
    hooks = ("__reduce__", "__reduce_ex__", "__getstate__")
    return any(hook in vars(base) for base in own for hook in hooks)
