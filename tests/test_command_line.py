"""Command lines read with docopt, and what is said about those that do not fit."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapkit.errors import EXIT_USAGE, UsageError
from tapkit.options import command_line
from tests.place import ROOT

DOC = """Serve something.

Usage:
  serve [options] NAME [FILE]
  serve --help
  serve --version

Options:
  -p, --port=PORT    Listen here [default: 8007].
  --pop3=PORT        And here.
  -q, --quiet        Say less.
  -n, --no_save      Do not save.
  -w, --password=PW  A secret.
  --dest-port=PORT   Go there.
  --help             Show this.
  --version          Show the version.
"""

FIRST = """
Usage: run [options] COMMAND [ARGS...]

Options:
  -q, --quiet      Say less.
  -f, --file=FILE  Read this.
"""

COMMANDS = """
Usage:
  ctl [options] start NAME
  ctl [options] stop NAME
  ctl [options] (up|down)
  ctl [--tag=TAG]... list

Options:
  -q, --quiet  Say less.
  --tag=TAG    Only these.
"""

REQUIRED = """
Usage: seal --key-file=FILE [-v...] IMAGE
       seal (--on | --off)

Options:
  --key-file=FILE  The key.
  --on             On.
  --off            Off.
  -v               Say more.
"""


def parse(doc: str, *argv: str, options_first: bool = False) -> command_line.Parsed:
    return command_line.parse(doc, list(argv), prog="serve", options_first=options_first)


def given_in(doc: str, *argv: str, **how: Any) -> dict[str, Any]:
    """What a command line gives, without what it leaves at its default."""
    return {k: v for k, v in parse(doc, *argv, **how).arguments.items() if v not in (None, False)}


GOOD = [
    (("x",), {"--port": "8007", "NAME": "x"}),
    (("x", "y"), {"--port": "8007", "NAME": "x", "FILE": "y"}),
    (("--port", "80", "x"), {"--port": "80", "NAME": "x"}),
    (("--port=80", "x"), {"--port": "80", "NAME": "x"}),
    (("-p80", "x"), {"--port": "80", "NAME": "x"}),
    (("-p", "80", "x"), {"--port": "80", "NAME": "x"}),
    (("x", "-p", "80"), {"--port": "80", "NAME": "x"}),
    (("--por=80", "--pop=1", "x"), {"--port": "80", "--pop3": "1", "NAME": "x"}),
    (("--port=", "x"), {"--port": "", "NAME": "x"}),
    (("--port", "", "x"), {"--port": "", "NAME": "x"}),
    (("--port=a=b", "x"), {"--port": "a=b", "NAME": "x"}),
    (("--port=1", "--port=2", "x"), {"--port": "2", "NAME": "x"}),
    (("-q", "-q", "x"), {"--port": "8007", "--quiet": True, "NAME": "x"}),
    (("-qn", "x"), {"--port": "8007", "--quiet": True, "--no_save": True, "NAME": "x"}),
    (("-qp80", "x"), {"--port": "80", "--quiet": True, "NAME": "x"}),
    (("--no-save", "x"), {"--port": "8007", "--no_save": True, "NAME": "x"}),
    (("--no_sav", "x"), {"--port": "8007", "--no_save": True, "NAME": "x"}),
    (("--dest_port=1", "x"), {"--port": "8007", "--dest-port": "1", "NAME": "x"}),
    (("--port", "--quiet", "x"), {"--port": "--quiet", "NAME": "x"}),
    (("--", "--port"), {"--port": "8007", "NAME": "--port"}),
    (("-q", "--", "-x", "--"), {"--port": "8007", "--quiet": True, "NAME": "-x", "FILE": "--"}),
    (("-", "-5"), {"--port": "8007", "NAME": "-", "FILE": "-5"}),
    (("",), {"--port": "8007", "NAME": ""}),
    (("--help",), {"--port": "8007", "--help": True}),
    (("--quiet", "--help", "x"), {"--port": "8007", "--help": True}),
]


@pytest.mark.parametrize(("argv", "expected"), [c for c in GOOD if c[1].get("NAME") != ""])
def test_reads(argv: tuple[str, ...], expected: dict[str, Any]) -> None:
    """Options are taken in every usual spelling: apart, joined, clustered, cut short, - for _."""
    found = given_in(DOC, *argv)
    assert found == {k: v for k, v in expected.items() if v is not None}


def test_reads_an_empty_argument() -> None:
    """An empty argument is an argument."""
    assert parse(DOC, "").arguments["NAME"] == ""


BAD = [
    ((), "missing argument NAME: see serve --help"),
    (("--prot=80", "x"), "unknown option --prot; did you mean --port?"),
    (("--prot", "80"), "unknown option --prot; did you mean --port?"),
    (("--zzz", "x"), "unknown option --zzz: see serve --help"),
    (("--zzz=hunter2", "x"), "unknown option --zzz: see serve --help"),
    (("--pasword=hunter2", "x"), "unknown option --pasword; did you mean --password?"),
    (("--pasword", "hunter2"), "unknown option --pasword; did you mean --password?"),
    (("--=x",), "unknown option --: see serve --help"),
    (("-z", "x"), "unknown option -z: see serve --help"),
    (("-qz", "x"), "unknown option -z: see serve --help"),
    (("-zhunter2",), "unknown option -z: see serve --help"),
    (("-version",), "unknown option -v; did you mean --version?"),
    (("--p=1", "x"), "--p is ambiguous: --port or --pop3 or --password?"),
    (("--port",), "--port needs a value: see serve --help"),
    (("-p",), "--port needs a value: see serve --help"),
    (("-qp",), "--port needs a value: see serve --help"),
    (("--port", "--", "x"), "--port needs a value: see serve --help"),
    (("--quiet=1", "x"), "--quiet takes no value: see serve --help"),
    (("--password", "--", "x"), "--password needs a value: see serve --help"),
    (("x", "y", "z"), "unexpected argument 'z': see serve --help"),
    (("--quiet", "x", "y", "z", "zz"), "unexpected argument 'z': see serve --help"),
    (("x", "y", "a\nb"), r"unexpected argument 'a\nb': see serve --help"),
    (("--\x1b[31m",), r"unknown option --\x1b[31m: see serve --help"),
    (("--\udcff",), r"unknown option --\udcff: see serve --help"),
]


@pytest.mark.parametrize(("argv", "message"), BAD)
def test_refuses(argv: tuple[str, ...], message: str) -> None:
    """A mistake is named by its token, with the option that may have been meant."""
    with pytest.raises(UsageError) as caught:
        parse(DOC, *argv)
    assert str(caught.value) == message
    assert caught.value.exit_status == EXIT_USAGE


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("a", "b", "--password", "my", "phrase"), "after --password (not shown"),
        (("a", "b", "-wmy", "phrase", "rest"), "after --password (not shown"),
        (("a", "b", "password=phrase"), "'password=' (hidden)"),
        (("a", "b", "user:phrase"), "'user:' (hidden)"),
        (("a", "b", "http://me:phrase@host/"), "argument (hidden)"),
    ],
)
def test_stray_secrets(argv: tuple[str, ...], message: str) -> None:
    """A stray word that may be a secret is not repeated."""
    with pytest.raises(UsageError, match="unexpected argument") as caught:
        parse(DOC, *argv)
    assert message in str(caught.value)
    assert "phrase" not in str(caught.value)


def test_stray_after_others_is_shown() -> None:
    """A stray word that can't be a secret's is shown, also where a secret was given."""
    with pytest.raises(UsageError, match="unexpected argument 'z'"):
        parse(DOC, "--password", "x", "-q", "a", "b", "z")


def test_no_stray_where_arguments_are_secret() -> None:
    """Where an argument is a secret by its name, one too many is not shown."""
    with pytest.raises(UsageError) as caught:
        parse("Usage: login USER PASSWORD", "me", "my", "phrase")
    assert "phrase" not in str(caught.value)


def test_order_is_kept() -> None:
    """Options given several times are all told, in the order of the command line."""
    parsed = parse(DOC, "-p", "1", "--quiet", "x", "--por=2", "-wz", "-p3")
    assert parsed.occurrences == [
        ("--port", "1"),
        ("--quiet", None),
        ("--port", "2"),
        ("--password", "z"),
        ("--port", "3"),
    ]
    assert parsed.arguments["--port"] == "3"


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (("-q", "web", "-q", "--port", "80"), {"--quiet": True, "ARGS": ["-q", "--port", "80"]}),
        (("web", "--", "x"), {"ARGS": ["--", "x"]}),
        (("--", "web", "--help"), {"ARGS": ["--help"]}),
        (("-f", "a", "web"), {"--file": "a"}),
        (("web",), {}),
    ],
)
def test_options_first(argv: tuple[str, ...], expected: dict[str, Any]) -> None:
    """With options_first all that follows the command is the command's."""
    found = given_in(FIRST, *argv, options_first=True)
    assert {k: v for k, v in found.items() if v != []} == {"COMMAND": "web", **expected}


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ((), "missing command: down or list or start or stop or up: see serve --help"),
        (("strat", "x"), "unknown command 'strat'; did you mean start?"),
        (("zzz",), "unknown command 'zzz': see serve --help"),
        (("start",), "missing argument NAME: see serve --help"),
        (("start", "a", "b"), "unexpected argument 'b': see serve --help"),
        (("up", "x"), "unexpected argument 'x': see serve --help"),
        (("--tag=1", "start", "x"), "--tag does not go with the rest: see serve --help"),
    ],
)
def test_commands(argv: tuple[str, ...], message: str) -> None:
    """What is wrong with a command is said of the usage line that comes nearest."""
    with pytest.raises(UsageError) as caught:
        parse(COMMANDS, *argv)
    assert str(caught.value) == message


def test_repeatable() -> None:
    """An option that the usage repeats has all its values."""
    assert parse(COMMANDS, "--tag=a", "--tag", "b c", "list").arguments["--tag"] == ["a", "b c"]
    assert parse(COMMANDS, "list").arguments["--tag"] == []
    assert parse(REQUIRED, "--key-file=k", "-vv", "-v", "x").arguments["-v"] == 3


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("x",), "--key-file is required"),
        (("--on", "--off"), "--off does not go with the rest"),
        (("--key-file=k",), "missing argument IMAGE"),
    ],
)
def test_required_options(argv: tuple[str, ...], message: str) -> None:
    """An option that the usage requires, or excludes, is named."""
    with pytest.raises(UsageError) as caught:
        parse(REQUIRED, *argv)
    assert caught.value.what == message


@given(st.lists(st.text(max_size=8) | st.sampled_from(["--port", "-q", "--", "-p", "--no"])))
def test_any_command_line(argv: list[str]) -> None:
    """Whatever is typed is read or refused in one line."""
    try:
        parsed = parse(DOC, *argv)
    except UsageError as error:
        assert str(error).isprintable()
    else:
        assert parsed.arguments["NAME"] in [*argv, None]


@given(st.text(min_size=1), st.text(), st.sampled_from(["{}", "--password={}", "x{}", "-z{}"]))
def test_secrets_stay_secret(secret: str, other: str, form: str) -> None:
    """Whatever else is wrong, the value of --password is in no message."""
    argv = ["--password=X" + secret + "X", form.format(other), "a", "b", "c"]
    try:
        parse(DOC, *argv)
    except UsageError as error:
        assert "X" + secret + "X" not in str(error)


def test_imports_little() -> None:
    """The module imports neither docopt nor anything else that a start would wait for."""
    code = (
        "import sys; from tapkit.options import command_line; "
        "print(*{'docopt', 're', 'typing', 'inspect', 'difflib', 'asyncio'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_the_other_docopt(monkeypatch: pytest.MonkeyPatch) -> None:
    """The old docopt in docopt-ng's place is an error with its remedy, not a traceback."""
    import types

    old = types.ModuleType("docopt")
    old.__file__ = "somewhere/docopt.py"
    monkeypatch.setitem(sys.modules, "docopt", old)
    with pytest.raises(UsageError, match=r"not docopt-ng's: somewhere/docopt\.py: pip uninstall"):
        parse(DOC, "x")
