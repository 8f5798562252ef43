"""Plug-ins: found without importing anything; loading one tells what is wrong with it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tapkit import plugin, service
from tapkit.errors import PluginError, UsageError
from tests.place import ROOT

Tree = Callable[..., str]

BUILDER = """
from tapkit import service, usage
class Options(usage.Options):
    optParameters = [["password", "w", None, "A secret."]]
def makeService(config):
    return service.MultiService()
"""


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tree]:
    """Makes packages: `tree("a/pkg", tml=..., name=source)`; returns the path entry `a`.

    What tests import of them is forgotten afterwards.
    """
    before = set(sys.modules)

    def make(where: str, tml: str | bytes | None = None, **modules: str) -> str:
        package = tmp_path / where
        package.mkdir(parents=True, exist_ok=True)
        for name, source in {"__init__": "", **modules}.items():
            (package / f"{name}.py").write_text(source)
        if tml is not None:
            data = tml if isinstance(tml, bytes) else tml.encode()
            (package / "plugins.tml").write_bytes(data)
        entry = str(package.parent)
        monkeypatch.syspath_prepend(entry)
        return entry

    yield make
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def register(module: str, tapname: str = "", type: str = "tap", **more: str) -> str:
    extra = "".join(f", {key}={value!r}" for key, value in more.items())
    return f"register({module!r}, {module!r}, type={type!r}, tapname={tapname!r}{extra})\n"


def names(found: plugin.Found) -> list[str]:
    return [p.called for p in found.plugins]


def test_finds_drop_ins(tree: Tree) -> None:
    """Every top-level package with a plugins.tml is a drop-in; nothing else is."""
    entry = tree("lib/alpha", register("alpha.one", "one") + register("alpha.two", "two"))
    tree("lib/beta", register("beta.x", description="Words."))
    tree("lib/plain")
    tree("lib/alpha/inner", register("no"))
    tree("lib/not-a-name", register("no"))
    Path(entry, "plugins.tml").write_text(register("no"))
    Path(entry, "file").write_text("")
    found = plugin.find(path=[entry])
    assert names(found) == ["one", "two", "x"]
    assert found.faults == found.shadowed == []
    assert [p.drop_in for p in found.plugins] == ["alpha", "alpha", "beta"]
    assert found.get("two").where == f"{entry}/alpha/plugins.tml:2"
    assert found.get("x").description == "Words."


def test_types(tree: Tree) -> None:
    """Plug-ins of one type are found, or of all; names of different types do not clash."""
    entry = tree(
        "lib/a", register("a.t", "x") + register("a.r", "x", "reactor") + register("n", "", "")
    )
    assert names(plugin.find(path=[entry])) == ["x"]
    assert [p.module for p in plugin.find("reactor", path=[entry]).plugins] == ["a.r"]
    assert [p.module for p in plugin.find(None, path=[entry]).plugins] == ["a.t", "a.r", "n"]
    assert plugin.find("tapp", path=[entry]).plugins == []


def test_precedence(tree: Tree) -> None:
    """The first on the path wins a name; the loser is kept; the built-in drop-in is last."""
    first = tree("1/tapkit_plugins", register("built.in", "web"))
    tree("1/mine", register("mine.w", "qotd") + register("mine.again", "qotd"))
    second = tree("2/other", register("other.web", "web") + register("other.q", "qotd"))
    found = plugin.find(path=[first, second])
    assert {p.tapname: p.module for p in found.plugins} == {"qotd": "mine.w", "web": "other.web"}
    assert [p.module for p in found.shadowed] == ["mine.again", "other.q", "built.in"]
    assert plugin.find(path=[second, first]).get("qotd").module == "other.q"


def test_unknown(tree: Tree) -> None:
    """An unknown tap type is told with the one that may have been meant."""
    entry = tree("lib/a", register("a.q", "qotd"))
    found = plugin.find(path=[entry])
    with pytest.raises(PluginError, match=r"^no such tap type: qotf; did you mean qotd\?$"):
        found.get("qotf")
    with pytest.raises(PluginError, match=r"^no such tap type: zzz$"):
        found.get("zzz")
    tree("lib/b", "register(")
    with pytest.raises(
        PluginError, match=r"it may be in a drop-in that can't be read: .*b/plugins"
    ):
        plugin.find(path=[entry]).get("zzz")


def test_a_fault_costs_its_file_alone(tree: Tree) -> None:
    """A drop-in that can't be read is a fault; the others are found."""
    entry = tree("lib/a", register("a.q", "good"))
    tree("lib/b", register("b.q", "lost") + "import os\n")
    tree("lib/c", b"\xff\xfe")
    tree("lib/d", "#" * 70_000)
    tree("lib/e")
    os.mkdir(f"{entry}/e/plugins.tml")
    tree("lib/f")
    os.mkfifo(f"{entry}/f/plugins.tml")
    tree("lib/g")
    os.symlink("plugins.tml", f"{entry}/g/plugins.tml")
    tree("lib/h", register("h.q", "last"))
    found = plugin.find(path=[entry])
    assert names(found) == ["good", "last"]
    told = [str(fault).replace(entry, "LIB") for fault in found.faults]
    assert [fault.split(": ")[:3] for fault in told] == [
        ["a drop-in can't be read", "this is no register(...)", "LIB/b/plugins.tml:2:1"],
        ["a drop-in can't be read", told[1].split(": ")[1], told[1].split(": ")[2]],
        ["a drop-in can't be read", "more than 65536 bytes", "LIB/d/plugins.tml"],
        ["a drop-in can't be read", "not a regular file", "LIB/e/plugins.tml"],
        ["a drop-in can't be read", "not a regular file", "LIB/f/plugins.tml"],
    ]
    assert "LIB/c/plugins.tml" in told[1]


@contextlib.contextmanager
def unprivileged() -> Iterator[None]:
    """Not as root, who reads everything."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_unreadable() -> None:
    """An unreadable plugins.tml is a fault; an unreadable directory is only for --debug."""
    lines: list[str] = []
    with tempfile.TemporaryDirectory() as folder:  # tmp_path is closed to other users
        os.chmod(folder, 0o755)
        for package, mode in (("a", 0o644), ("b", 0)):
            os.makedirs(f"{folder}/open/{package}")
            Path(folder, "open", package, "plugins.tml").write_text(register(f"{package}.q"))
            os.chmod(f"{folder}/open/{package}/plugins.tml", mode)
        os.mkdir(f"{folder}/closed", 0)
        os.makedirs(f"{folder}/shut/c")
        os.chmod(f"{folder}/shut/c", 0)
        path = [f"{folder}/closed", f"{folder}/shut", f"{folder}/open"]
        with unprivileged():
            found = plugin.find(path=path, debug=lines.append)
        os.chmod(f"{folder}/closed", 0o700)
        os.chmod(f"{folder}/shut/c", 0o700)
    assert [p.module for p in found.plugins] == ["a.q"]
    assert [fault.where for fault in found.faults] == [f"{folder}/open/b/plugins.tml"]
    assert lines[0] == f"path {folder}/closed: Permission denied"
    assert lines[2] == f"{folder}/shut/c/plugins.tml: Permission denied"


def test_odd_paths(tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing, doubled, empty and odd path entries harm nothing; '' is the current directory."""
    entry = tree("lib/a", register("a.q", "good"))
    os.symlink(entry, tmp_path / "again")
    os.symlink("loop", f"{entry}/loop")
    os.symlink("gone", f"{entry}/dangling")
    os.symlink(f"{entry}/a", f"{entry}/linked")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "text").write_text("no zip file")
    monkeypatch.chdir(entry)
    odd: list[Any] = ["", entry, f"{entry}/", tmp_path / "again", str(tmp_path / "again"), None]
    odd += [str(tmp_path / "missing"), str(tmp_path / "fifo"), str(tmp_path / "text"), "a\0b"]
    lines: list[str] = []
    found = plugin.find(path=odd, debug=lines.append)
    assert names(found) == ["good"]
    assert found.faults == []
    assert [p.drop_in for p in found.shadowed] == ["linked"]
    told = "\n".join(lines)
    assert told.count("looked at already") == 3
    assert f"{tmp_path}/missing: No such file or directory" in told
    assert f"{tmp_path}/text: File is not a zip file" in told
    assert f"{tmp_path}/fifo: neither a directory nor a file" in told


def test_debug_and_progress(tree: Tree) -> None:
    """--debug tells each entry, drop-in, plug-in, fault and loser; --progress each entry."""
    first = tree("1/mine", register("mine.w", "web"))
    second = tree("2/other", register("other.w", "web"))
    tree("2/wrong", "1")
    lines: list[str] = []
    steps: list[tuple[int, int, str]] = []
    plugin.find(path=[first, second], debug=lines.append, progress=lambda *step: steps.append(step))
    assert lines == [
        f"path {first}: 1 packages and distributions",
        f"drop-in {first}/mine/plugins.tml: 1 registered",
        f"tap web: mine.w, {first}/mine/plugins.tml:1",
        f"path {second}: 2 packages and distributions",
        f"drop-in {second}/other/plugins.tml: 1 registered",
        f"{second}/other/plugins.tml:1: web is shadowed by {first}/mine/plugins.tml:1",
        f"fault: {plugin.find(path=[second]).faults[0]}",
    ]
    assert steps == [(1, 2, first), (2, 2, second)]


def test_live_path(tree: Tree) -> None:
    """Without a path, sys.path and the editable installs are looked through."""
    tree("lib/tapkit_test_drop_in", register("tapkit_test_drop_in.x", "tapkit-test"))
    steps: list[tuple[int, int, str]] = []
    found = plugin.find(progress=lambda *step: steps.append(step))
    assert found.get("tapkit-test").drop_in == "tapkit_test_drop_in"
    assert steps[-1][0] == steps[-1][1] == len(steps)


def distribution(entry: Path, name: str, entry_points: str | bytes, metadata: str = "") -> None:
    folder = entry / name
    folder.mkdir(parents=True)
    data = entry_points if isinstance(entry_points, bytes) else entry_points.encode()
    (folder / "entry_points.txt").write_bytes(data)
    (folder / ("PKG-INFO" if "egg" in name.lower() else "METADATA")).write_text(metadata)


@pytest.mark.parametrize("kind", ["quotes-1.0.dist-info", "quotes.egg-info", "EGG-INFO"])
def test_entry_points(tmp_path: Path, kind: str) -> None:
    """An entry point of the group is a TAP builder, with its distribution's summary."""
    text = "[console_scripts]\nx = y:z\n\n[tapkit.plugins]\nQuote = quotes.tap\nb=quotes.b:mk [e]\n"
    distribution(tmp_path, kind, text, "Name: quotes\nSummary: Many quotes.\n\nSummary: no\n")
    first, second = plugin.find(path=[str(tmp_path)]).plugins
    assert (first.tapname, first.module, first.type) == ("Quote", "quotes.tap", "tap")
    assert first.description == "Many quotes."
    assert first.where == f"{tmp_path}/{kind}/entry_points.txt:5"
    assert second.module == "quotes.b"


@pytest.mark.parametrize(
    "text",
    [
        "[tapkit.plugins]\nname without module\n",
        "[tapkit.plugins]\na b = c\n",
        "[tapkit.plugins]\na = b c\n",
        b"[tapkit.plugins]\na = \xff\n",
        "[tapkit.plugins]\na = b\na = c\n",
    ],
)
def test_bad_entry_points(tmp_path: Path, text: str | bytes) -> None:
    """A distribution whose entry points are broken is a fault, with the file and line."""
    distribution(tmp_path, "q-1.dist-info", text)
    found = plugin.find(path=[str(tmp_path)])
    assert found.plugins == []
    [fault] = found.faults
    assert f"{tmp_path}/q-1.dist-info/entry_points.txt:" in (fault.where or "")


def test_foreign_entry_points(tmp_path: Path) -> None:
    """Other groups, however odd, are no concern of ours."""
    distribution(tmp_path, "q-1.dist-info", b"[other]\n\xff = [tapkit\n= = =\n")
    distribution(tmp_path, "big-1.dist-info", b"#" * 2_000_000)
    os.mkdir(tmp_path / "none-1.dist-info")
    found = plugin.find(path=[str(tmp_path)])
    assert found.plugins == found.faults == []


def test_zip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drop-ins and entry points in a zip file on the path are found, and load."""
    archive = tmp_path / "bundle.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("zipped_quotes/__init__.py", "")
        bundle.writestr("zipped_quotes/tap.py", BUILDER)
        bundle.writestr("zipped_quotes/plugins.tml", register("zipped_quotes.tap", "zipped"))
        bundle.writestr("deep/er/plugins.tml", register("no"))
        bundle.writestr("bomb/plugins.tml", "#" * 10_000_000)
        bundle.writestr(
            "z-1.dist-info/entry_points.txt", "[tapkit.plugins]\nep = zipped_quotes.x\n"
        )
        bundle.writestr("z-1.dist-info/METADATA", "Summary: Zipped.\n")
    monkeypatch.syspath_prepend(str(archive))
    found = plugin.find(path=[str(archive)])
    assert names(found) == ["ep", "zipped"] or names(found) == ["zipped", "ep"]
    assert found.get("ep").description == "Zipped."
    assert found.get("zipped").where == f"{archive}/zipped_quotes/plugins.tml:1"
    assert [fault.where for fault in found.faults] == [f"{archive}/bomb/plugins.tml"]
    assert plugin.load_builder(found.get("zipped")).Options() == {"password": None}


def test_damaged_zip(tmp_path: Path) -> None:
    """A zip file that is damaged inside is a fault, or a line for --debug."""
    archive = tmp_path / "bundle.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("a/plugins.tml", register("a.b", "c") * 20)
    data = archive.read_bytes()
    for position in range(len(data)):
        archive.write_bytes(data[:position] + bytes([data[position] ^ 0xFF]) + data[position + 1 :])
        lines: list[str] = []
        found = plugin.find(path=[str(archive)], debug=lines.append)
        assert found.plugins or found.faults or lines


CASES = [
    (None, "the module of plug-in x is missing: no module named 'PKG.tap': named in"),
    ("import nowhere_at_all", "broke while importing: FILE:1: ModuleNotFoundError: No module"),
    ("\n1/0", "broke while importing: FILE:2: ZeroDivisionError: division by zero"),
    ("def broken(:\n", "broke while importing: FILE:1:12: SyntaxError: "),
    ("import sys\nsys.exit(0)", "broke while importing: FILE:2: SystemExit: 0"),
    ("", "plug-in x has no makeService: FILE: define makeService(config), returning a service"),
    ("def make_service(c): 1", "plug-in x has no makeService; it has make_service: FILE: define"),
    ("def updateApplication(a, c): 1", "has no makeService; it has updateApplication: FILE"),
    ("makeService = 5", "has a makeService that can't be called: 5: FILE: define makeService"),
    ("def makeService(c): 1", "has no Options: FILE: define class Options(tapkit.usage.Options)"),
    ("def makeService(c): 1\nOptions = 1", "has an Options that is no Options class: FILE"),
    ("def makeService(c): 1\nclass Options: 1", "has an Options that is no Options class: FILE"),
]


@pytest.mark.parametrize(("source", "message"), CASES)
def test_what_is_wrong_with_a_builder(tree: Tree, source: str | None, message: str) -> None:
    """Missing, broken while importing, and no TAP builder are different messages."""
    name = "broken_builder"
    entry = tree(
        f"lib/{name}",
        register(f"{name}.tap", "x"),
        **({"tap": source} if source is not None else {}),
    )
    found = plugin.find(path=[entry])
    with pytest.raises(PluginError) as caught:
        plugin.load_builder(found.get("x"))
    file = f"{entry}/{name}/tap.py"
    told = str(caught.value)
    assert message.replace("FILE", file).replace("PKG", name) in told
    if source is None:
        assert told.endswith(
            f"named in {entry}/{name}/plugins.tml:1: "
            "correct the name there, or install the module again"
        )


def built(tree: Tree, make_service: str, password: str | None = None) -> Any:
    entry = tree("lib/some_builder", register("some_builder.tap", "x"), tap=BUILDER + make_service)
    builder = plugin.load_builder(plugin.find(path=[entry]).get("x"))
    config = builder.Options()
    config.parseOptions(["--password", password] if password else [])
    return plugin.make_service(builder, config)


def test_makes_a_service(tree: Tree) -> None:
    """A sound TAP builder is loaded, reads its options and makes its service."""
    assert isinstance(built(tree, ""), service.MultiService)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def makeService(c): pass", "returned None: FILE:7: return the service at its end"),
        ("def makeService(c): return 5", "returned a int, which is no service: FILE:7: return"),
        ("async def makeService(c): pass", "which is no service: FILE:7: define it without async"),
        ("makeService = dict", "returned a dict, which is no service: FILE: return the service"),
        ("def makeService(c):\n    c['x']", "failed: FILE:8: KeyError: 'x'"),
        ("def makeService(): pass", "failed: FILE:7: TypeError: makeService() takes 0 positional"),
        ("def makeService(c): exit(3)", "x failed: "),
    ],
)
def test_makes_no_service(tree: Tree, tmp_path: Path, source: str, message: str) -> None:
    """makeService that raises, or returns no service, is told with its place."""
    with pytest.raises(PluginError) as caught:
        built(tree, source)
    assert message.replace("FILE", f"{tmp_path}/lib/some_builder/tap.py") in str(caught.value)
    assert str(caught.value).startswith("makeService of plug-in x ")


def test_own_errors_pass(tree: Tree) -> None:
    """makeService may refuse options in words of its own."""
    with pytest.raises(UsageError, match=r"^no such quote$"):
        built(tree, "def makeService(c): raise usage.UsageError('no such quote')")


@pytest.mark.parametrize(
    "source",
    [
        "def makeService(c): raise usage.UsageError('bad ' + c['password'])",
        "def makeService(c): raise ValueError('bad ' + c['password'])",
        "def makeService(c): open('/nowhere/' + c['password'])",
    ],
)
def test_no_secret_is_told(tree: Tree, source: str) -> None:
    """A secret that makeService's error quotes is not repeated, nor is that error shown."""
    with pytest.raises((PluginError, UsageError)) as caught:
        built(tree, source, "hunter2")
    assert "hunter2" not in str(caught.value) + repr(caught.value)
    assert caught.value.__cause__ is None
    assert "(hidden)" in str(caught.value)


FIND_MANY = """
import sys, time
events = []
def hook(event, args):
    if event in ("import", "exec") or event == "open" and type(args[0]) is str:
        events.append((event, str(args[0])[:80]))
sys.addaudithook(hook)
from tapkit import plugin
path = sys.argv[1:]
sys.path[:0] = path
before = set(sys.modules)
del events[:]
best = 1e9
for _ in range(5):
    start = time.perf_counter()
    found = plugin.find(path=path)
    best = min(best, time.perf_counter() - start)
loaded = sorted(set(sys.modules) - before)
ran = [e for e in events if e[0] != "open"]
opened = len([e for e in events if e[0] == "open"]) // 5
print(len(found.plugins), loaded, ran, opened, best)
heavy = {"asyncio", "inspect", "typing", "dataclasses", "importlib.metadata", "difflib", "ast"}
heavy |= {"configparser", "zipfile", "tapkit.service", "docopt"}
print(sorted(heavy & set(sys.modules)))
"""


def many(tmp_path: Path, packages: int, drop_ins: int) -> list[str]:
    lib = tmp_path / f"lib{packages}"
    for number in range(packages):
        package = lib / f"package{number}"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("raise SystemExit('imported')")
        if number < drop_ins:
            (package / "plugins.tml").write_text(
                register(f"package{number}.tap", f"tap{number}", description="One of many.")
            )
        info = lib / f"package{number}-1.0.dist-info"
        info.mkdir()
        if number % 3 == 0:
            (info / "entry_points.txt").write_text("[console_scripts]\nx = y:z\n")
    return [str(lib)]


def test_many_packages(tmp_path: Path) -> None:
    """With 300 packages and 60 drop-ins nothing is imported or run, and it is quick."""

    def measure(packages: int, drop_ins: int) -> tuple[list[str], float]:
        done = subprocess.run(
            [sys.executable, "-S", "-c", FIND_MANY, *many(tmp_path, packages, drop_ins)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.stderr == ""
        first, heavy = done.stdout.splitlines()
        head, _, seconds = first.rpartition(" ")
        return [head, heavy], float(seconds)

    told, seconds = measure(300, 60)
    # 60 drop-ins and 100 entry_points.txt are opened; nothing is imported or run.
    assert told == ["60 [] [] 160", "[]"]
    told, thrice = measure(900, 180)
    assert told[0] == "180 [] [] 480"
    assert thrice < 3 * seconds * 3 + 0.05, "three times the packages, some three times the time"


def test_samples_are_found() -> None:
    """The tutorial's own drop-in, on the path, wins qotd from the built-in one."""
    started = time.monotonic()
    found = plugin.find(path=[str(ROOT), str(ROOT / "samples")])
    assert found.get("qotd").module == "TwistedQuotes.quotetap"
    assert [p.module for p in found.shadowed] == ["tapkit_plugins.qotd"]
    assert found.faults == []
    assert time.monotonic() - started < 5
