"""mktap, as a real process: what it makes, what it says, and what it leaves alone."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tapkit import application, image
from tests.place import ROOT, Place

USAGE_OPTIONS = re.findall(
    r"\S+",
    "-e --encrypted -p --progress -d --debug -u --uid -g --gid -a --append -t --type "
    "-x --xml -s --source -n --appname --help --version --dry-run",
)


def test_it_says_what_it_does(place: Place) -> None:
    """The tutorial's two lines, and the file."""
    made = place.mktap("qotd")
    assert (made.returncode, made.stdout, made.stderr) == (
        0,
        "Saving qotd application to qotd.tap...\nSaved.\n",
        "",
    )
    assert place.file_names() == ["qotd.tap"]
    assert (place.path / "qotd.tap").stat().st_mode & 0o777 == 0o600


def test_help_shows_every_option_and_the_commands(place: Place) -> None:
    """--help alone, on stdout, with the TAP builders and their descriptions."""
    shown = place.mktap("--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    for option in USAGE_OPTIONS:
        assert f"{option}" in shown.stdout
    assert "\nCommands:\n" in shown.stdout
    assert "  qotd  Example of a TAP builder module.\n" in shown.stdout


def test_long_descriptions_wrap(place: Place) -> None:
    """Within 80 columns, aligned under each other."""
    place.add_module("long/__init__.py", "")
    words = "word " * 40
    place.add_module(
        "long/plugins.tml",
        f'register("L", "long.tap", description="{words}", type="tap", tapname="long")',
    )
    lines = place.mktap("--help").stdout.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("  long  word"))
    assert max(len(line) for line in lines[start : start + 3]) <= 80
    assert lines[start + 1].startswith("        word")


def test_a_commands_own_help(place: Place) -> None:
    """mktap COMMAND --help shows the builder's options and makes nothing."""
    shown = place.mktap("qotd", "--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    for option in ("-p, --port", "-s, --static", "-f, --file", "8007"):
        assert option in shown.stdout
    assert place.file_names() == []


def test_version(place: Place) -> None:
    """One line with the program, the version and the Python."""
    assert place.mktap("--version").stdout.startswith("mktap (tapkit) 0.1.0, Python 3.")


def test_uid_and_gid_by_number_and_name(place: Place) -> None:
    """They are kept in the application as numbers."""
    place.mktap("-u", "root", "--gid=123", "qotd")
    made = application.load(str(place.path / "qotd.tap"))
    assert (made.uid, made.gid) == (0, 123)


def test_appname_names_the_application_and_the_file(place: Place) -> None:
    """Two servers of one kind live in one directory."""
    made = place.mktap("-n", "fortune", "qotd")
    assert made.stdout == "Saving fortune application to fortune.tap...\nSaved.\n"
    assert application.load(str(place.path / "fortune.tap")).name == "fortune"


@pytest.mark.parametrize("name", ["../escape", "a/b", ".hidden", ""])
def test_a_name_that_is_no_file_name_is_refused(place: Place, name: str) -> None:
    """Nothing is written anywhere."""
    made = place.mktap("-n", name, "qotd")
    assert made.returncode == 1
    assert "can't name an image's file: application.name" in made.stderr
    assert place.file_names() == []


def test_append_adds_a_second_service(place: Place) -> None:
    """-a takes an image and saves it with one service more, in place."""
    place.mktap("qotd", "--port", "1")
    made = place.mktap("-a", "qotd.tap", "qotd", "--port", "2")
    assert made.stdout == "Saving qotd application to qotd.tap...\nSaved.\n"
    both = application.load(str(place.path / "qotd.tap"))
    assert len(list(both)) == 2
    assert all(service.parent is both for service in both)


def test_dry_run_writes_nothing(place: Place) -> None:
    """It says what it would write."""
    made = place.mktap("--dry-run", "qotd")
    assert made.returncode == 0
    assert made.stdout.startswith("Would save qotd application to qotd.tap (")
    assert place.file_names() == []


def test_a_mistyped_form(place: Place) -> None:
    """A form that is none: a clear word, and nothing is written."""
    mistyped = place.mktap("-t", "xlm", "qotd")
    assert mistyped.returncode == 2
    assert "no such form: xlm" in mistyped.stderr
    assert place.file_names() == []


def test_forms_that_contradict(place: Place) -> None:
    """-x with -s is a slip, not a choice."""
    made = place.mktap("-x", "-s", "qotd")
    assert (made.returncode, made.stderr) == (
        2,
        "mktap: --xml and --source contradict each other: give one of them\n",
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--prot"], "unknown option --prot"),
        (["--append"], "--append needs a value"),
        (["--debug=3", "qotd"], "--debug takes no value"),
        ([], "COMMAND"),
        (["qodt"], "no such tap type: qodt; did you mean qotd?"),
        (["qotd", "--prot", "80"], "unknown option --prot; did you mean --port?"),
        (["qotd", "--port=abc"], "--port"),
        (["qotd", "--port=70000"], "70000"),
        (["qotd", "extra"], "extra"),
        (["-u", "nobdy", "qotd"], "no such user: nobdy; did you mean nobody?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistyped(place: Place, arguments: list[str], said: str) -> None:
    """One line that names the word at fault, exit status 2, nothing written."""
    made = place.mktap(*arguments)
    assert said in made.stderr
    assert made.stderr.startswith("mktap: ")
    assert len(made.stderr.splitlines()) == 1, made.stderr
    assert made.returncode == 2
    assert place.file_names() == []


DROP_INS = {
    "missing": (None, "module"),
    "raises": ("raise RuntimeError('no luck')\n", "RuntimeError: no luck"),
    "syntax": ("def f(:\n", "syntax"),
    "hookless": ("from tapkit import usage\nclass Options(usage.Options): pass\n", "makeService"),
    "optionless": ("def makeService(config): pass\n", "Options"),
    "nothing": (
        "from tapkit import usage\nclass Options(usage.Options): pass\n"
        "def makeService(config): return None\n",
        "None",
    ),
    "number": (
        "from tapkit import usage\nclass Options(usage.Options): pass\n"
        "def makeService(config): return 42\n",
        "int",
    ),
    "bursts": (
        "from tapkit import usage\nclass Options(usage.Options): pass\n"
        "def makeService(config): return {}['key']\n",
        "KeyError: 'key'",
    ),
}


@pytest.mark.parametrize("name", DROP_INS)
def test_broken_plug_ins(place: Place, name: str) -> None:
    """Each fault of a plug-in is one line with its place and cause; the others still work."""
    text, said = DROP_INS[name]
    place.add_module(f"{name}_drop/__init__.py", "")
    place.add_module(
        f"{name}_drop/plugins.tml",
        f'register("X", "{name}_drop.tap", description="x", type="tap", tapname="{name}")\n',
    )
    if text is not None:
        place.add_module(f"{name}_drop/tap.py", text)
    made = place.mktap(name)
    assert made.returncode == 1
    assert made.stderr.startswith("mktap: ")
    assert len(made.stderr.splitlines()) == 1, made.stderr
    assert said.lower() in made.stderr.lower()
    assert f"{name}_drop" in made.stderr
    assert place.file_names() == ["lib"]
    if name in ("missing", "syntax"):  # the rest are met only when they are asked for
        assert place.mktap("qotd").returncode == 0


def test_a_broken_drop_in_costs_only_itself(place: Place) -> None:
    """--help warns with file, line and column, and lists the rest."""
    place.add_module("bad/__init__.py", "")
    place.add_module("bad/plugins.tml", 'register("X",\n  import os)\n')
    shown = place.mktap("--help")
    assert shown.returncode == 0
    assert "bad/plugins.tml:2:" in shown.stderr
    assert len(shown.stderr.splitlines()) == 1
    assert "  qotd  Example of a TAP builder module.\n" in shown.stdout
    assert place.mktap("qotd").returncode == 0


def test_debug_and_progress_show_the_search(place: Place) -> None:
    """Where it looked, what it found, and the count, on stderr."""
    made = place.mktap("--debug", "--progress", "qotd")
    assert made.returncode == 0
    assert "tapkit_plugins" in made.stderr
    assert "qotd" in made.stderr
    assert "plug-ins found" in made.stderr
    assert made.stdout == "Saving qotd application to qotd.tap...\nSaved.\n"


def test_an_unwritable_directory(place: Place) -> None:
    """The path and the cause; no temporary file is left, and an old image is whole."""
    place.mktap("qotd", "--static", "old")
    before = (place.path / "qotd.tap").read_bytes()
    place.path.chmod(0o500)
    made = place.run_bound_by_modes("mktap", "qotd", "--static", "new")
    place.path.chmod(0o700)
    assert made.returncode == 1
    assert made.stderr.startswith("mktap: ")
    assert "qotd.tap" in made.stderr
    assert "ermission" in made.stderr
    assert len(made.stderr.splitlines()) == 1
    assert place.file_names() == ["qotd.tap"]
    assert (place.path / "qotd.tap").read_bytes() == before


def test_an_existing_file_is_replaced_whole_or_not_at_all(place: Place) -> None:
    """A makeService that fails leaves the old image as it was; a good one replaces it."""
    place.mktap("qotd", "--static", "old")
    before = (place.path / "qotd.tap").read_bytes()
    place.mktap("qotd", "--port", "no")
    assert (place.path / "qotd.tap").read_bytes() == before
    place.mktap("qotd", "--static", "new")
    assert (place.path / "qotd.tap").read_bytes() != before
    assert place.file_names() == ["qotd.tap"]


def test_what_cannot_be_saved_is_named_by_its_path(place: Place) -> None:
    """An open file in the tree: its attribute path and the remedy, nothing written."""
    place.add_module("leaky/__init__.py", "")
    place.add_module("leaky/plugins.tml", 'register("L", "leaky.tap", type="tap", tapname="leaky")')
    place.add_module(
        "leaky/tap.py",
        "from tapkit import service, usage\nclass Options(usage.Options): pass\n"
        "def makeService(config):\n    s = service.Service()\n    s.log = open(__file__)\n"
        "    return s\n",
    )
    made = place.mktap("leaky")
    assert made.returncode == 1
    assert "application.services[0].log" in made.stderr
    assert "open file" in made.stderr
    assert place.file_names() == ["lib"]


def test_the_header_knows_how_it_was_made_but_no_secret(place: Place) -> None:
    """tap type and options are readable without loading; a password is not among them."""
    place.add_module("safe/__init__.py", "")
    place.add_module("safe/plugins.tml", 'register("S", "safe.tap", type="tap", tapname="safe")')
    place.add_module(
        "safe/tap.py",
        "from tapkit import service, usage\n"
        "class Options(usage.Options):\n"
        "    optParameters = [['port', 'p', 1, ''], ['password', 'w', None, '']]\n"
        "def makeService(config): return service.Service()\n",
    )
    assert place.mktap("safe", "--port", "5", "--password", "canary-7").returncode == 0
    data = (place.path / "safe.tap").read_bytes()
    info = image.inspect(data)
    assert info.tap_type == "safe"
    assert info.options["port"] == "5"
    assert b"canary-7" not in data


def test_help_imports_neither_asyncio_nor_a_plug_in(place: Place) -> None:
    """With 300 packages and 60 drop-ins on the path, looking imports none of them."""
    for number in range(300):
        place.add_module(f"package{number}/__init__.py", "raise SystemExit('imported')")
    for number in range(60):
        place.add_module(
            f"package{number}/plugins.tml",
            f'register("N", "package{number}.tap", description="no {number}", type="tap", '
            f'tapname="t{number}")',
        )
    shown = subprocess.run(
        [sys.executable, "-X", "importtime", str(ROOT / "bin" / "mktap"), "--help"],
        cwd=place.path,
        env=place.env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert shown.returncode == 0
    assert "  t59   no 59\n" in shown.stdout
    imported = {line.rpartition("|")[2].strip() for line in shown.stderr.splitlines()}
    assert "tapkit.plugin" in imported
    heavy = {"asyncio", "cloudpickle", "importlib.metadata", "lxml", "cryptography", "inspect"}
    assert not imported & heavy
    assert not {name for name in imported if name.startswith(("package", "tapkit_plugins"))}


def test_a_missing_append_target(place: Place) -> None:
    """Said with the file's name; nothing is made in its stead."""
    made = place.mktap("-a", "qodt.tap", "qotd")
    assert made.returncode == 1
    assert "qodt.tap" in made.stderr
    assert place.file_names() == []
