"""Pickles made to do harm: (name, payload, what an audit says, what --restricted says).

Each would leave a file named canary, or show in an audit hook, if it were run. What an audit says
is a part of its report; where the audit has no finding, because looking alone cannot know that a
number is too large, `audit` is in brackets. `COMMAND` is what they would run.
"""

# ruff: noqa: E501  # a case is a line

from __future__ import annotations

import pickle
import struct
from typing import NamedTuple

import cloudpickle

COMMAND = "echo > canary"


class Case(NamedTuple):
    name: str
    payload: bytes
    audit: str
    restricted: str


def s(text: str) -> bytes:
    data = text.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def i(number: int) -> bytes:
    return pickle.dumps(number, 2)[2:-1]


def g(name: str) -> bytes:
    """STACK_GLOBAL of `module:name`."""
    module, _, name = name.partition(":")
    return s(module) + s(name) + b"\x93"


def call(what: bytes | str, *args: bytes | str, how: bytes = b"R") -> bytes:
    """The call of something, by name or as it stands on the stack; str arguments are strings."""
    callee = g(what) if isinstance(what, str) else what
    return callee + b"(" + b"".join(s(a) if isinstance(a, str) else a for a in args) + b"t" + how


def p(body: bytes, protocol: int = 4) -> bytes:
    return b"\x80" + bytes([protocol]) + body + b"."


class _Bomb:
    def __init__(self, *call: object):
        self._call = call

    def __reduce__(self) -> tuple:
        return self._call[0], self._call[1:]


def _simple(name: str, *args: bytes | str, says: str = "", but: str = "") -> Case:
    """The call of one name."""
    shown = says or name.replace(":", ".")
    return Case(f"call {name}", p(call(name, *args)), shown, but or shown)


def _colliding(count: int, opening: bytes, closing: bytes, value: bytes) -> bytes:
    """A dict or set whose keys all have the hash 0."""
    prime = (1 << 61) - 1
    keys = b"".join(i(number * prime) + value for number in range(1, count))
    return p(opening + b"(" + keys + closing)


FORTY_TWO = i(42)
INSTANCE = g("tapkit.service:Service") + b")\x81"
IMPORTED_OS = call("builtins:__import__", "os")
DEEP_TUPLE = b")" + b"\x85" * 200_000
OTHER_PYTHON = call(
    "tapkit.styles:compiled",
    i(0), i(0), i(0), i(0), i(1), i(64), b"C\x02S\x00", b")", b"(" + s("system") + b"t", b")",
    "evil.py", "evil", "evil", i(7), b"C\x00", b"C\x00", b")", b")", "cpython-27 62211",
)  # fmt: skip

CALLS = [
    _simple("os:system", COMMAND),
    _simple("posix:system", COMMAND),
    _simple("os:popen", COMMAND),
    _simple("os:execv", "/bin/true", b"("+ s("true") + b"t"),
    _simple("os:posix_spawn", "/bin/true", b"(" + s("true") + b"t", b"}"),
    _simple("os:fork"),
    _simple("os:kill", FORTY_TWO, i(9)),
    _simple("os:remove", "evil.tap"),
    _simple("os:putenv", "A", "b"),
    _simple("subprocess:Popen", COMMAND),
    _simple("subprocess:check_output", COMMAND),
    _simple("_posixsubprocess:fork_exec"),
    _simple("pty:spawn", "/bin/true"),
    _simple("webbrowser:open", "http://127.0.0.1:1/"),
    _simple("multiprocessing:Process"),
    _simple("asyncio:run", FORTY_TWO),
    _simple("builtins:eval", "__import__('os').system('echo > canary')"),
    _simple("builtins:exec", "open('canary', 'w')"),
    _simple("builtins:compile", "1", "x", "eval"),
    _simple("builtins:__import__", "antigravity"),
    _simple("builtins:open", "canary", "w"),
    _simple("builtins:setattr", INSTANCE, "a", "b"),
    _simple("builtins:vars", INSTANCE),
    _simple("builtins:globals"),
    _simple("builtins:type", "T", b")", b"}"),
    _simple("builtins:print", "hello"),
    _simple("builtins:map", g("os:system"), b"(" + s(COMMAND) + b"t"),
    _simple("importlib:import_module", "antigravity"),
    _simple("pkgutil:resolve_name", "os:system"),
    _simple("pydoc:locate", "os.system"),
    _simple("pydoc:pipepager", "x", COMMAND),
    _simple("runpy:run_path", "canary.py"),
    _simple("runpy:_run_code", "open('canary', 'w')", b"}"),
    _simple("code:interact"),
    _simple("pdb:run", "open('canary', 'w')"),
    _simple("timeit:timeit", "open('canary', 'w')"),
    _simple("cProfile:run", "open('canary', 'w')"),
    _simple("logging.config:dictConfig", b"}"),
    _simple("logging:FileHandler", "canary"),
    _simple("socket:create_connection", b"(" + s("127.0.0.1") + i(1) + b"t"),
    _simple("socket:socket"),
    _simple("socket:gethostbyname", "localhost"),
    _simple("urllib.request:urlopen", "http://127.0.0.1:1/"),
    _simple("smtplib:SMTP", "localhost"),
    _simple("ctypes:CDLL", "libc.so.6"),
    _simple("ctypes:string_at", i(0)),
    _simple("marshal:loads", b"C\x01N"),
    _simple("pickle:loads", b"C\x02N."),
    _simple("_pickle:loads", b"C\x02N."),
    _simple("shelve:open", "canary"),
    _simple("copyreg:add_extension", "os", "system", i(1)),
    _simple("shutil:rmtree", "canary"),
    _simple("tempfile:mkdtemp"),
    _simple("io:FileIO", "canary", "w"),
    _simple("codecs:open", "canary", "w"),
    _simple("sqlite3:connect", "canary"),
    _simple("zipfile:ZipFile", "canary", "w"),
    _simple("operator:attrgetter", "system"),
    _simple("operator:methodcaller", "system", COMMAND),
    _simple("functools:reduce", g("builtins:getattr"), b"]"),
    _simple("types:CodeType"),
    _simple("types:FunctionType"),
    _simple("threading:Timer", i(0), g("os:system")),
    _simple("atexit:register", g("os:abort")),
    _simple("signal:signal", i(15), i(1)),
    _simple("sys:exit"),
    _simple("gc:get_objects"),
    _simple("weakref:finalize", INSTANCE, g("os:abort")),
    _simple("inspect:getattr_static", INSTANCE, "a"),
    _simple("re:_compile", "(a*)*b", i(0), says="(re._compile)", but="re._compile is not allowed"),
    _simple("yaml:unsafe_load", "x"),
    _simple("dill:loads", b"C\x02N."),
    _simple("torch:load", "x"),
    _simple("numpy:load", "x"),
    _simple("joblib:load", "x"),
    _simple("tapkit.names:named_object", "os.system"),
    _simple("tapkit.source:lookup", "os", "system"),
    _simple("tapkit.source:pickled", "Tis="),
    _simple("tapkit.source:make", "reduce", g("os:system"), b"(" + s(COMMAND) + b"t"),
    _simple("tapkit.application:run_script", "canary.py"),
    _simple("tapkit.image:load", "canary"),
    _simple("tapkit.run.process.daemonize:detach"),
    _simple("cloudpickle.cloudpickle:subimport", "antigravity"),
    _simple("app_elsewhere.shop:Till"),
    _simple("__main__:Till"),
]  # fmt: skip

SPELT = [
    Case("GLOBAL, protocol 0", b"cos\nsystem\n(S'echo > canary'\ntR.", "os.system", "os.system"),
    Case("GLOBAL of Python 2", b"c__builtin__\neval\n(S'1'\ntR.", "eval", "builtins.eval"),
    Case("INST", b"(S'echo > canary'\nios\nsystem\n.", "os.system", "os.system"),
    Case("OBJ", b"(cos\nsystem\nS'echo > canary'\no.", "os.system", "os.system"),
    Case("NEWOBJ", p(g("subprocess:Popen") + b"(" + s(COMMAND) + b"t\x81"), "subprocess.Popen", "Popen"),
    Case(
        "NEWOBJ_EX",
        p(g("subprocess:Popen") + b")}(" + s("args") + s(COMMAND) + s("shell") + b"\x88u\x92"),
        "subprocess.Popen",
        "subprocess.Popen",
    ),
    Case("pickled by Python", pickle.dumps(_Bomb(eval, "open('canary', 'w')")), "eval", "builtins.eval"),
    Case("imported only", p(g("os:system") + b"0N"), "os.system", "os.system"),
    Case("as a value", p(b"}(" + s("hook") + g("os:system") + b"u"), "os.system", "['hook']"),
    Case("in a key", p(b"}" + call("os:system", COMMAND) + b"Ns"), "os.system", "os.system"),
    Case("in a state", p(INSTANCE + b"}(" + s("a") + call("os:system", "x") + b"ub"), "os.system", "object.a"),
    Case("thrown away", p(call("os:system", COMMAND) + b"0N"), "os.system", "os.system"),
    Case("thrown away, harmless", p(call("collections:deque") + b"0N"), "(collections.deque)", "thrown away"),
    Case("thrown away to a mark", p(b"(" + call("os:system", COMMAND) + b"1N"), "os.system", "os.system"),
    Case("left on the stack", p(call("os:system", COMMAND) + b"N"), "os.system", "os.system"),
    Case("by way of the memo", p(s("os") + b"\x940" + s("system") + b"\x940h\x00h\x01\x93)R"), "os.system", "os.system"),
    Case("a name with a dot", p(call("pickle:os.system", COMMAND)), "pickle.os.system", "pickle.os.system"),
    Case("a module of tapkit's", p(call("tapkit.application:os.system", COMMAND)), "reaches os", "reaches os"),
    Case("a module as a value", p(g("tapkit.application:os")), "reaches os", "reaches os"),
    Case(
        "behind a function",
        p(g("collections:OrderedDict.__init__.__globals__")),
        "reaches through __init__",
        "__init__",
    ),
    Case("odd names", p(call("\n../../x y:\x1b[2J;import os")), "\\x1b[2J", "no name that code"),
]  # fmt: skip

COMPUTED = [
    Case("import and getattr", p(call(call("builtins:getattr", IMPORTED_OS, "system"), COMMAND)), "builtins.getattr", "__import__"),
    Case("attrgetter", p(call(call("operator:attrgetter", "system"), IMPORTED_OS)), "what operator.attrgetter makes", "attrgetter"),
    Case("partial", p(call(call("functools:partial", g("os:system"), COMMAND))), "is called", "functools.partial"),
    Case("a bound method, called", p(call(call("builtins:getattr", INSTANCE, "startService"))), "is called", "what a call makes is called"),
    Case("getattr of a class", p(call("builtins:getattr", g("tapkit.service:Service"), "mro")), "builtins.getattr", "a method of a type"),
    Case("getattr of a dunder", p(call("builtins:getattr", INSTANCE, "__class__")), "builtins.getattr", "builtins.getattr"),
    Case("getattr as a value", p(g("builtins:getattr")), "builtins.getattr", "may only be called"),
    Case("a method that is called", p(b"(" + call("tapkit.service:Service.startService", INSTANCE) + call("types:MethodType", g("tapkit.service:Service.startService"), INSTANCE) + b"t"), "(tapkit.service.Service.startService)", "is a method, and is called"),
    Case("a function of tapkit's", p(call("tapkit.service:relink", INSTANCE)), "(tapkit.service.relink)", "is no class"),
    Case("a class that is not saved", p(call("tapkit.net.connections:Connections")), "(tapkit.net.connections.Connections)", "no class whose instances are saved"),
    Case("imported by a module", p(call("tapkit.service:Persistent")), "(tapkit.service.Persistent)", "only what a module defines"),
    Case("a metaclass", p(call("enum:EnumMeta", "E", b")", b"}")), "enum.EnumMeta", "enum.EnumMeta"),
    Case("nested calls", p(call("builtins:eval", call("builtins:compile", "1", "x", "eval"))), "builtins.compile", "builtins.eval"),
    Case("a computed module", p(call("builtins:str", "os") + s("system") + b"\x93" + s("x") + b"\x85R"), "must be strings", "must be strings"),
    Case("state of a class", p(g("tapkit.service:Service") + b"}(" + s("startService") + g("os:abort") + b"ub"), "os.abort", "takes no state"),
    Case("entries of a class", p(g("tapkit.service:Service") + s("a") + g("os:abort") + b"s"), "os.abort", "takes no entries"),
    Case("state that changes the class", p(INSTANCE + b"N}(" + s("__class__") + g("tapkit.service:MultiService") + b"u\x86b"), "(tapkit.service.MultiService)", "sets what is Python's own"),
    Case("state of a call", p(call("logging:getLogger", "x") + b"}(" + s("disabled") + b"\x88ub"), "(logging.getLogger)", "logging.getLogger"),
    Case("a computed base", p(call("copyreg:_reconstructor", g("tapkit.service:Service"), g("builtins:list"), b"]")), "(copyreg._reconstructor)", "otherwise than"),
    Case("encode, to other than latin-1", p(call("_codecs:encode", "x" * 9, "zlib")), "(_codecs.encode)", "otherwise than"),
]  # fmt: skip

STREAMS = [
    Case("EXT1", b"\x80\x02\x82\x01.", "EXT1", "extension code"),
    Case("EXT2", b"\x80\x02\x83\x01\x01.", "EXT2", "extension code"),
    Case("EXT4", b"\x80\x02\x84\x01\x01\x01\x00.", "EXT4", "extension code"),
    Case("PERSID", b"Pcanary\n.", "PERSID", "persistent id"),
    Case("BINPERSID", p(s("canary") + b"Q"), "BINPERSID", "persistent id"),
    Case("EXT after a call", p(call("os:system", COMMAND) + b"0\x82\x01"), "os.system", "extension code"),
    Case("a second pickle", p(b"N") + p(call("os:system", COMMAND)), "os.system", "ends before"),
    Case("cut short after a call", p(call("os:system", COMMAND))[:-1], "os.system", "the stream ends"),
    Case("bent after a call", p(call("os:system", COMMAND) + b"\xff"), "os.system", "no such opcode"),
    Case("stack empty after a call", p(call("os:system", COMMAND) + b"000"), "os.system", "stack is empty"),
    Case("protocol 9", p(call("os:system", COMMAND), 9), "os.system", "protocol 9"),
    Case("DUP", p(b"]2a"), "(0 objects)", "DUP"),
    Case("memo bomb", p(b"]r" + struct.pack("<I", 0x7FFFFFFF)), "(0 objects)", "a bomb"),
    Case("memo bomb in digits", b"]p99999999999\n.", "(0 objects)", "a bomb"),
    Case("huge bytes", p(b"\x8e" + struct.pack("<Q", 1 << 40) + b"x"), "BINBYTES8", "the stream ends"),
    Case("huge string", p(b"\x8d" + struct.pack("<Q", 1 << 62) + b"x"), "BINUNICODE8", "the stream ends"),
    Case("huge bytearray", p(b"\x96" + struct.pack("<Q", 1 << 63) + b"x"), "BYTEARRAY8", "the stream ends"),
    Case("huge frame", p(b"\x95" + struct.pack("<Q", 1 << 62) + b"N"), "FRAME", "the stream ends"),
    Case("huge int", p(b"\x8b" + struct.pack("<i", 0x7FFFFFFF)), "LONG4", "the stream ends"),
    Case("negative length", p(b"\x8b" + struct.pack("<i", -5) + b"x" * 9), "LONG4", "the stream ends"),
    Case("int in digits", b"L" + b"9" * 100_000 + b"L\n.", "LONG", "LONG"),
    Case("colliding dict", _colliding(20_000, b"}", b"u", b"N"), "(0 objects)", "same hash"),
    Case("colliding set", _colliding(20_000, b"\x8f", b"\x90", b""), "(0 objects)", "same hash"),
    Case("deep key", p(b"}" + DEEP_TUPLE + b"Ns"), "(0 objects)", "crashed"),
    Case("giant bytearray", p(call("builtins:bytearray", i(1 << 40))), "(builtins.bytearray)", "of memory"),
    Case("giant tuple", p(call("builtins:tuple", call("builtins:range", i(1 << 40)))), "(builtins.tuple)", "of memory"),
    Case("code of another Python", p(OTHER_PYTHON), "evil.py", "by value"),
    Case("a lambda", cloudpickle.dumps(lambda: COMMAND), "<lambda>", "by value"),
    Case("garbage", bytes(range(256)), "cannot be read", "cannot be read"),
]  # fmt: skip

CASES = [*CALLS, *SPELT, *COMPUTED, *STREAMS]
