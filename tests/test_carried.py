"""Packages carried in an image: it runs where they are not, as they were."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tapkit import application, carried, image, service
from tapkit.errors import ImageError, UsageError
from tests.place import Place, ask, wait_for

GREETER = '''"""Greets: carried by the tests. Ünïcode, "quotes", ]]> and \\r inside."""
import pkgutil
from tapkit import internet, protocol, usage
from greeter.words import greeting

class Hello(protocol.Protocol):
    def connectionMade(self):
        self.transport.write(greeting(self.factory.name))
        if self.factory.name == "broken":
            raise RuntimeError("as it was asked")  # this very line
        self.transport.loseConnection()

class HelloFactory(protocol.Factory):
    protocol = Hello
    def __init__(self, name):
        self.name = name

class Options(usage.Options):
    optParameters = [["name", "n", "Ada", "Whom to greet."]]

def makeService(config):
    return internet.TCPServer("tcp:0:interface=127.0.0.1", HelloFactory(config["name"]))
'''
WORDS = """import pkgutil

def greeting(name):
    return pkgutil.get_data("greeter", "data/hello.txt") + name.encode() + b"\\r\\n"
"""
TML = 'register("Greeter", module="greeter.tap", type="tap", tapname="greeter")\n'


def add_greeter(place: Place) -> None:
    place.add_module("greeter/__init__.py", "")
    place.add_module("greeter/tap.py", GREETER)
    place.add_module("greeter/words.py", WORDS)
    place.add_module("greeter/plugins.tml", TML)
    place.add_module("greeter/data/hello.txt", "Hello, ")


def remove_greeter(place: Place) -> None:
    shutil.rmtree(place.path / "lib")


@pytest.mark.parametrize(
    ("form", "extension"),
    [
        ("pickle", "tap"),
        pytest.param("xml", "tax", marks=pytest.mark.slow),
        pytest.param("source", "tas", marks=pytest.mark.slow),
    ],
)
def test_runs_where_the_package_is_not(place: Place, form: str, extension: str) -> None:
    """The image runs with tapkit alone, and what it saves at its stop runs again."""
    add_greeter(place)
    made = place.mktap("-t", form, "--carry", "greeter", "greeter", "--name", "Grace")
    assert (made.returncode, made.stderr) == (0, "")
    remove_greeter(place)
    started = place.twistd("-f", f"greeter.{extension}")
    assert (started.returncode, started.stderr) == (0, "")
    assert ask(place.port()) == b"Hello, Grace\r\n"
    place.kill()
    with place.foreground("-n", "-f", f"greeter-shutdown.{extension}"):
        assert ask(place.port("foreground.log")) == b"Hello, Grace\r\n"


def test_the_same_image_without_carrying(place: Place) -> None:
    """Without --carry it says what is missing."""
    add_greeter(place)
    assert place.mktap("greeter").returncode == 0
    remove_greeter(place)
    failed = place.twistd("-n", "-f", "greeter.tap")
    assert failed.returncode == 1
    assert "it needs 'greeter', which can't be found here" in failed.stderr


def test_tracebacks_show_its_lines(place: Place) -> None:
    """An exception in carried code is logged with the line it was raised in."""
    add_greeter(place)
    made = place.mktap("--carry=greeter", "greeter", "--name", "broken")
    assert made.returncode == 0
    remove_greeter(place)
    with place.foreground("-n", "-f", "greeter.tap"):
        ask(place.port("foreground.log"))
        log = wait_for(
            "the traceback",
            lambda: "as it was asked" in (log := place.log("foreground.log")) and log,
        )
    assert 'File "<carried>/greeter/tap.py", line 10, in connectionMade' in log
    assert 'raise RuntimeError("as it was asked")  # this very line' in log


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nowhere_to_be_found", "no package is named nowhere_to_be_found"),
        ("json", "json can't be carried"),
        ("tapkit", "tapkit can't be carried"),
        ("greeter.words", r"greeter\.words can't be carried"),
        ("msgpack", "it has compiled parts"),
    ],
)
def test_what_cannot_be_carried(name: str, why: str) -> None:
    """What is missing, everywhere, or not source alone, is refused in words."""
    with pytest.raises(UsageError, match=why):
        carried.collect(name)


def test_mktap_says_so_and_writes_nothing(place: Place) -> None:
    """A package that can't be carried is a mistyped command line; no image is left."""
    failed = place.mktap("--carry", "nowhere_to_be_found", "qotd")
    assert failed.returncode == 2
    assert failed.stderr == (
        "mktap: no package is named nowhere_to_be_found: --carry: put its directory on PYTHONPATH\n"
    )
    assert place.file_names() == []


# The module itself.


@pytest.fixture
def importing() -> Iterator[None]:
    """What a test makes importable is forgotten after it."""
    finders = list(sys.meta_path)
    yield
    sys.meta_path[:] = finders
    for name in [name for name in sys.modules if name.startswith("carry_me")]:
        del sys.modules[name]


@pytest.fixture
def packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, importing: None) -> carried.Package:
    """A package with a module in a sub-package, a data file, and litter."""
    root = tmp_path / "carry_me"
    (root / "inner" / "__pycache__").mkdir(parents=True)
    (root / "__init__.py").write_bytes(b"# -*- coding: latin-1 -*-\r\nword = 'gr\xfc\xdfe'\r\n")
    (root / "inner" / "__init__.py").write_text("")
    (root / "inner" / "deep.py").write_text(
        "from carry_me import word\n\n\ndef say():\n    return word\n"
    )
    (root / "inner" / "__pycache__" / "deep.cpython-311.pyc").write_bytes(b"litter")
    (root / "logo.bin").write_bytes(bytes(range(256)))
    monkeypatch.syspath_prepend(str(tmp_path))
    found = carried.collect("carry_me")
    monkeypatch.undo()
    return found


def test_what_is_collected(packed: carried.Package) -> None:
    """Sources are text whatever their encoding was, data is bytes, caches stay behind."""
    assert packed.files == {
        "__init__.py": "# -*- coding: latin-1 -*-\nword = 'grüße'\n",
        "inner/__init__.py": "",
        "inner/deep.py": "from carry_me import word\n\n\ndef say():\n    return word\n",
        "logo.bin": bytes(range(256)),
    }


@pytest.mark.parametrize("form", ["pickle", "xml", "source"])
def test_every_form_keeps_it(packed: carried.Package, form: str) -> None:
    """Each form holds the same files, and loading any of them makes the package importable."""
    data = image.dumps([packed], form)
    (loaded,) = image.loads(data)
    assert (loaded.name, loaded.files, loaded.digest) == (
        packed.name,
        packed.files,
        packed.digest,
    )
    from carry_me.inner.deep import say  # type: ignore[import-not-found]

    assert say() == "grüße"
    assert carried.carried("carry_me") is loaded


def test_loaded_first_however_deep_the_graph(
    packed: carried.Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its classes are found though the flat pickler writes leaves first."""
    carried.package(packed.name, packed.digest, packed.files)
    from carry_me.inner import deep

    made = application.new("deep", service.Service())
    made.services[0].hook = deep.say
    link = made.services[0]
    for _ in range(2000):
        link.next = service.Service()
        link = link.next
    link.hook = deep.say
    monkeypatch.setattr(carried, "collect", lambda name: packed)
    made.carry(["carry_me"])
    data = application.dumps(made)
    sys.meta_path[:] = [one for one in sys.meta_path if type(one).__name__ != "_Finder"]
    for name in [name for name in sys.modules if name.startswith("carry_me")]:
        del sys.modules[name]
    loaded = image.loads(data)
    assert loaded.services[0].hook() == "grüße"


def test_changed_on_the_way(packed: carried.Package) -> None:
    """Files that are not those collected are refused, before any of them runs."""
    files = packed.files | {"__init__.py": "raise SystemExit('it ran')\n"}
    with pytest.raises(ImageError, match="is not what was put into the image"):
        carried.package(packed.name, packed.digest, files)
    edited = carried.package(packed.name, None, files)
    assert edited.digest != packed.digest


def test_imported_already(packed: carried.Package, caplog: pytest.LogCaptureFixture) -> None:
    """A package that this process imported from elsewhere stays; that is said."""
    sys.modules["carry_me"] = sys
    carried.package(packed.name, packed.digest, packed.files)
    assert carried.carried("carry_me") is None
    assert "carry_me is imported here already" in caplog.text


def test_a_missing_module_of_it(packed: carried.Package) -> None:
    """What the package does not have is missing as usual; data that is not there as well."""
    carried.package(packed.name, packed.digest, packed.files)
    with pytest.raises(ModuleNotFoundError, match=r"carry_me\.inner\.nothing"):
        __import__("carry_me.inner.nothing")
    import carry_me

    with pytest.raises(FileNotFoundError):
        carry_me.__loader__.get_data("<carried>/carry_me/nothing.txt")


# Looking at it, and making one file of it.


def test_inspect_shows_the_source(place: Place) -> None:
    """tapctl inspect --source prints each file under its name, and loads nothing."""
    add_greeter(place)
    assert place.mktap("--carry=greeter", "-x", "greeter").returncode == 0
    remove_greeter(place)
    shown = place.run("tapctl", "inspect", "--source", "greeter.tax")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("# greeter, SHA-256 ")
    assert "\n# greeter/words.py\n\n" + WORDS in shown.stdout
    assert "\n# greeter/data/hello.txt\n\n# 7 bytes, not shown\n" in shown.stdout
    place.make("qotd")
    nothing = place.run("tapctl", "inspect", "--source", "qotd.tap")
    assert (nothing.returncode, nothing.stdout) == (1, "")
    assert "it carries no source: qotd.tap: mktap --carry puts it there" in nothing.stderr


def bundle(place: Place, *arguments: str) -> None:
    made = place.run("tapctl", "bundle", *arguments)
    assert (made.returncode, made.stderr) == (0, "")


def bare_python(place: Place, *arguments: str) -> list[str]:
    """Python without site-packages: nothing that was ever installed with pip is there."""
    return [sys.executable, "-I", "-S", *arguments]


@pytest.mark.parametrize(
    "extension",
    [*(pytest.param(slow, marks=pytest.mark.slow) for slow in ("tap", "tax")), "tas"],
)
def test_a_bundle_runs_on_python_alone(place: Place, extension: str) -> None:
    """One file serves where neither tapkit nor its dependencies are installed, and saves."""
    add_greeter(place)
    form = {"tap": "pickle", "tax": "xml", "tas": "source"}[extension]
    assert place.mktap("--carry=greeter", "-t", form, "greeter").returncode == 0
    bundle(place, f"greeter.{extension}")
    bundled = place.path / "greeter.pyz"
    assert bundled.stat().st_mode & 0o777 == 0o700
    remove_greeter(place)
    run = place.path / "run"
    run.mkdir()
    started = subprocess.run(
        bare_python(place, str(bundled)), cwd=run, env=place.env, capture_output=True, text=True
    )
    assert (started.returncode, started.stderr) == (0, "")
    assert ask(place.port("run/twistd.log")) == b"Hello, Ada\r\n"
    place.kill("run/twistd.pid")
    assert sorted(path.name for path in run.iterdir()) == [
        f"greeter-shutdown.{extension}",
        f"greeter.{extension}",
        "twistd.log",
    ]


def test_a_bundle_never_replaces_an_image(place: Place) -> None:
    """An image of the same name that is there and differs is left alone; the same is used."""
    place.make("qotd", "--port", "0")
    bundle(place, "qotd.tap", "-o", "app.pyz")
    command = bare_python(place, "app.pyz", "--check")
    same = subprocess.run(command, cwd=place.path, env=place.env, capture_output=True, text=True)
    assert (same.returncode, same.stderr) == (0, "")
    assert place.mktap("qotd", "--port", "1").returncode == 0
    before = (place.path / "qotd.tap").read_bytes()
    other = subprocess.run(command, cwd=place.path, env=place.env, capture_output=True, text=True)
    assert other.returncode == 1
    assert "the image of app.pyz differs from the one that is there" in other.stderr
    assert (place.path / "qotd.tap").read_bytes() == before


def test_a_bundle_with_something_missing(place: Place) -> None:
    """What would not be inside is named, with the remedy; --force bundles all the same."""
    add_greeter(place)
    assert place.mktap("greeter").returncode == 0
    failed = place.run("tapctl", "bundle", "greeter.tap")
    assert failed.returncode == 1
    assert "it needs greeter, which would not be inside: greeter.tap" in failed.stderr
    assert "--carry=greeter" in failed.stderr
    assert not (place.path / "greeter.pyz").exists()
    bundle(place, "--force", "greeter.tap")
    assert (place.path / "greeter.pyz").exists()
