"""What is known of a name without importing it: dangerous, harmless, standard, or elsewhere.

A scanner cannot tell a good image from a bad one: what is not in the table below is not thereby
harmless. The table is there so that what a reader must look at first comes first. What may be
*loaded* with `--restricted` is another, much shorter, list: see `tapkit.image.permitted`.
"""

from __future__ import annotations

import sys
from collections.abc import Collection

DANGEROUS = "dangerous"
CODE = "code by value"
COMPUTED = "computed"
OUTSIDE = "outside"
TAPKIT = "tapkit"
STANDARD = "standard"
DECLARED = "declared"

FINDINGS = (DANGEROUS, COMPUTED, CODE, OUTSIDE)
"""The verdicts that are findings, worst first."""

OURS = ("tapkit", "tapkit_plugins")

_BUILTIN = ("builtins", "__builtin__")

# Why a thing is dangerous, and what is: `module` (with its submodules) or `module:name` (with
# what hangs on that name). A trailing * in a name stands for anything.
TABLE: dict[str, str] = {
    "runs a command": "subprocess _posixsubprocess pty popen2 commands posix nt multiprocessing"
    " concurrent.futures.process distutils setuptools pip ensurepip venv webbrowser antigravity"
    " os:system os:popen* os:exec* os:spawn* os:posix_spawn* os:fork* os:startfile os:kill*"
    " platform:popen platform:_syscmd_* asyncio:create_subprocess_* asyncio.subprocess"
    " asyncio.unix_events pydoc:pipepager pydoc:tempfilepager pydoc:ttypager"
    " ctypes.util uuid:_get_command_stdout sysconfig:_* imaplib:IMAP4_stream"
    " pexpect fabric paramiko sh plumbum turtledemo idlelib"
    " wsgiref.handlers cgi http.server smtpd",
    "runs text as a program": "builtins:eval builtins:exec builtins:execfile builtins:compile"
    " builtins:input runpy code codeop timeit profile cProfile pdb bdb trace doctest cgitb"
    " site sitecustomize usercustomize rlcompleter lib2to3 unittest test compileall py_compile"
    " logging.config dataclasses:make_dataclass dataclasses:_create_fn collections:namedtuple"
    " typing:get_type_hints typing:ForwardRef* inspect:get_annotations annotationlib tkinter"
    " turtle sqlite3 string:Formatter ast:compile numexpr numpy.f2py numpy.testing"
    " torch.jit torch.hub torch._dynamo torch._inductor pandas:eval pandas.core.computation"
    " tapkit.application:run_script tapkit.source:lookup tapkit.run tapkit.scripts",
    "imports what it is told to": "importlib _frozen_importlib _frozen_importlib_external _imp imp"
    " zipimport pkgutil modulefinder pydoc builtins:__import__ builtins:reload"
    " builtins:__build_class__ tapkit.names tapkit.plugin tapkit.finding encodings"
    " cloudpickle.cloudpickle:subimport cloudpickle.cloudpickle:dynamic_subimport"
    " cloudpickle:subimport",
    "makes a function or class": "types:CodeType types:FunctionType types:LambdaType"
    " types:MethodType types:ModuleType types:new_class types:prepare_class types:coroutine"
    " types:DynamicClassAttribute new builtins:type builtins:super builtins:property"
    " builtins:classmethod builtins:staticmethod enum:EnumMeta enum:EnumType abc:ABCMeta",
    "loads an image or a pickle": "pickle _pickle cPickle pickletools marshal shelve dbm dill"
    " joblib jsonpickle yaml torch:load torch.serialization numpy:load numpy:fromfile"
    " pandas:read_pickle pandas.io.pickle multiprocessing.reduction"
    " copyreg:pickle copyreg:add_extension copyreg:constructor copyreg:dispatch_table"
    " copyreg:_extension_* copyreg:_inverted_registry tapkit.source:pickled tapkit.image"
    " tapkit.application:load tapkit.journal",
    "reaches native code": "ctypes _ctypes cffi _cffi_backend mmap _testcapi _testinternalcapi"
    " _xxsubinterpreters _interpreters faulthandler resource",
    "reaches the network": "socket _socket ssl _ssl socketserver http.client urllib ftplib"
    " smtplib poplib imaplib nntplib telnetlib xmlrpc asyncio asyncore asynchat requests httpx"
    " aiohttp urllib3 pycurl select selectors",
    "reads or writes files": "builtins:open builtins:file io:open io:open_code io:FileIO io:OpenWr*"
    " _io _pyio codecs:open shutil tempfile fileinput glob zipfile tarfile gzip:open bz2:open"
    " lzma:open linecache tokenize:open mailbox logging:FileHandler logging.handlers"
    " zipapp os posixpath ntpath genericpath dircache",
    "gets attributes it is told to": "builtins:getattr builtins:setattr builtins:delattr"
    " builtins:vars builtins:globals builtins:locals builtins:__builtins__ builtins:__dict__"
    " builtins:dir operator:attrgetter operator:methodcaller operator:call _operator:attrgetter"
    " _operator:methodcaller _operator:call inspect gc sys types:GetSetDescriptorType"
    " types:MemberDescriptorType functools:cached_property weakref:WeakMethod tapkit.source:make"
    " tapkit.source:set_state tapkit.source:complete tapkit.source:effect",
    "calls what it is given": "builtins:map builtins:filter builtins:iter builtins:min"
    " builtins:max builtins:sorted builtins:apply builtins:reduce builtins:breakpoint"
    " builtins:help builtins:print functools:reduce functools:singledispatch* _functools:reduce"
    " itertools:starmap"
    " itertools:takewhile itertools:dropwhile itertools:filterfalse itertools:accumulate"
    " itertools:groupby threading _thread _threading_local sched atexit signal:signal"
    " signal:setitimer weakref:finalize concurrent.futures contextlib:ExitStack"
    " contextlib:_GeneratorContextManager sys:settrace sys:setprofile contextvars"
    " multiprocessing.pool bdb:Bdb asyncio.events",
}

HARMLESS_IN = frozenset(
    {
        ("os", "stat_result"),
        ("os", "terminal_size"),
        ("os", "statvfs_result"),
        ("os", "PathLike"),
        ("socket", "AddressFamily"),
        ("socket", "SocketKind"),
        ("ssl", "TLSVersion"),
        ("ssl", "VerifyMode"),
        ("asyncio.exceptions", "TimeoutError"),
    }
)
"""Values that live in modules of the table."""

_TYPES = (
    "object bool int float complex str bytes bytearray list tuple dict set frozenset range slice"
    " Ellipsis NotImplemented None reversed enumerate zip memoryview unicode long basestring"
    " xrange"
)
HARMLESS_BUILTINS = frozenset(_TYPES.split())


def _rows() -> tuple[dict[str, str], dict[str, list[tuple[str, str]]]]:
    modules: dict[str, str] = {}
    names: dict[str, list[tuple[str, str]]] = {}
    for why, words in TABLE.items():
        for word in words.split():
            module, _, name = word.partition(":")
            if name:
                names.setdefault(module, []).append((name, why))
            else:
                modules.setdefault(module, why)
    return modules, names


_MODULES, _NAMES = _rows()


def danger(module: str, name: str) -> str | None:
    """Why a name is known to be dangerous, or None.

    A name that leads through attributes (`thing.os.system`) is judged by each of its ends too,
    and so is one that is itself a module of the table (`app.util`, `os`).
    """
    if (module, name) in HARMLESS_IN:
        return None
    if module in _BUILTIN:
        return _builtin_danger(name)
    known = _known(module, name)
    if known is not None:
        return known
    parts = name.split(".")
    for at, part in enumerate(parts):
        if part.startswith("__") and part.endswith("__") and (module, name) not in _COPYREG:
            return f"reaches through {part}"
        reached = part in _MODULES and part != module.rpartition(".")[2]
        if reached and (at or len(parts) > 1 or part in sys.stdlib_module_names):
            return f"reaches {part}: it {_known(part, '.'.join(parts[at + 1 :]))}"
    return None


_COPYREG = frozenset({("copyreg", "__newobj__"), ("copyreg", "__newobj_ex__")})


def _builtin_danger(name: str) -> str | None:
    """All builtins are dangerous but for plain types and exceptions."""
    first = name.partition(".")[0]
    if first == name and (name in HARMLESS_BUILTINS or _is_exception(name)):
        return None
    return _known("builtins", name) or "is a builtin that no pickler writes"


def _is_exception(name: str) -> bool:
    import builtins

    found = getattr(builtins, name, None)
    return isinstance(found, type) and issubclass(found, BaseException)


def _known(module: str, name: str) -> str | None:
    for row, why in _NAMES.get(module, ()):
        if _matches(row, name):
            return why
    while module:
        if module in _MODULES:
            return _MODULES[module]
        module = module.rpartition(".")[0]
    return None


def _matches(row: str, name: str) -> bool:
    if row.endswith("*"):
        return name.startswith(row[:-1])
    return name == row or name.startswith(row + ".")


def verdict(module: str, name: str, declared: Collection[str]) -> tuple[str, str]:
    """(one of the verdicts, why) on a name.

    Parameters:
        declared: the top-level modules that the image says it needs, or the user allowed.
    """
    why = danger(module, name)
    if why is not None:
        return DANGEROUS, why
    top = module.partition(".")[0]
    if top == "cloudpickle" or (module, name) == ("tapkit.styles", "compiled"):
        return CODE, "makes a function or class of code that the image carries"
    if module == "tapkit.carried":
        return CODE, "imports a package whose source text the image carries"
    if top in OURS:
        return TAPKIT, ""
    if top in sys.stdlib_module_names or top in ("__builtin__", "copy_reg"):
        return STANDARD, ""
    if top == "__main__":
        return OUTSIDE, "is of the program that runs, whichever that is"
    if top in declared or any(module == d or module.startswith(d + ".") for d in declared):
        return DECLARED, ""
    return OUTSIDE, "is neither standard, nor tapkit's, nor declared"
