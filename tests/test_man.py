"""The man pages are what the usage texts say, and every man program can read them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from docs.generate import files, man, usage_texts
from docs.generate.usage_texts import Option, Text, taken_apart
from tests.place import ROOT

TEXTS = [*usage_texts.programs(), *usage_texts.tapctl_commands()]
PAGES = sorted((ROOT / "docs" / "man").glob("*.1"))


def test_what_is_generated_is_there() -> None:
    """Each generated file is what the usage texts make of it today; none is left over."""
    expected = files.generated()
    for path, text in expected.items():
        assert path.exists(), f"{path} is missing: run python -m docs.generate"
        assert path.read_text() == text, f"{path} is old: run python -m docs.generate"
    for folder in {path.parent for path in expected}:
        assert set(folder.iterdir()) == {p for p in expected if p.parent == folder}


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text.name)
def test_nothing_is_lost(text: Text) -> None:
    """Every option and every sentence of a usage text is in its page, as a reader sees it."""
    page = rendered((ROOT / "docs" / "man" / f"{man.page_name(text.name)}.1").read_text())
    for option in text.options:
        for name in (*option.shorts, *option.longs):
            assert re.search(rf"(^|[ ,]){re.escape(name)}\b", page), name
        assert squeezed(option.about) in page
    for paragraph in text.paragraphs:
        assert squeezed(paragraph) in page
    assert text.options, "no command is without --help"


def rendered(source: str) -> str:
    """Roughly what is shown of a page: its text without macros, in one line."""
    lines = [
        re.sub(r"^\.[A-Z]\S*|^\.(br|nf|fi|ad l|nh)$", "", line) for line in source.splitlines()
    ]
    text = re.sub(r"\\f[BIR]|\\&", "", "\n".join(lines))
    for escape, char in (
        ("\\-", "-"),
        ("\\(aq", "'"),
        ("\\(ga", "`"),
        ("\\(dq", '"'),
        ("\\e", "\\"),
    ):
        text = text.replace(escape, char)
    return squeezed(text)


def squeezed(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not here")
def test_groff_has_no_complaint() -> None:
    """Every page formats without a warning, and has its sections."""
    assert PAGES
    for page in PAGES:
        done = subprocess.run(
            ["groff", "-man", "-Tutf8", "-ww", "-P-cbou", page],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, ""), page
        for section in ("NAME", "SYNOPSIS", "OPTIONS", "SEE ALSO"):
            assert re.search(rf"^{section}$", done.stdout, re.M), f"{page} has no {section}"


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="mandoc is not here")
def test_mandoc_has_no_complaint() -> None:
    """macOS and the BSDs format with another program."""
    done = subprocess.run(["mandoc", "-Tlint", "-Werror", *PAGES], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_a_usage_text_taken_apart() -> None:
    """Names, values, defaults, continuation lines; what comes after the options too."""
    text = taken_apart(
        "tapctl x",
        """
Do it. It hurts.

Usage:
  tapctl x [options] (on | off) FILE...
  tapctl x --help

FILE is one.

Options:
  -a, --all        All
                   of it.
  -n NUM           A number.
  --set=PATH=VALUE  Lay it over.
  --a-very-long-option-name=FILE
                   Below.

After it.

Exit status: 0 it is done; 1 it failed, 2 mistyped.
""",
    )
    assert text.summary == "Do it. It hurts."
    assert text.usage == ["tapctl x [options] (on | off) FILE...", "tapctl x --help"]
    assert text.paragraphs == ["FILE is one.", "After it."]
    assert text.options == [
        Option(("-a",), ("--all",), None, "All of it."),
        Option(("-n",), (), "NUM", "A number."),
        Option((), ("--set",), "PATH=VALUE", "Lay it over."),
        Option((), ("--a-very-long-option-name",), "FILE", "Below."),
    ]
    assert (text.arguments, text.words) == (["FILE"], ["on", "off"])
    assert text.exit_status == "0 it is done; 1 it failed, 2 mistyped."


def test_no_text_is_taken_for_a_macro() -> None:
    """A line that begins with a dot or a quote, a backslash, a hyphen."""
    text = Text("x", "X.", ["x"], [".SH not a section", "'tis \\fBnot\\fR bold -"], [], "")
    page = man.page(text, [])
    assert "\\&.SH not a section\n" in page
    assert "\\&\\(aqtis \\efBnot\\efR bold \\-\n" in page


def test_the_generator_writes_and_removes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is old is written anew, what has no command any more is removed; then nothing is."""
    from docs.generate import __main__ as command

    old, gone = tmp_path / "old.1", tmp_path / "gone.1"
    old.write_text("old")
    gone.write_text("gone")
    monkeypatch.setattr(command, "ROOT", tmp_path)
    monkeypatch.setattr(command, "generated", lambda: {old: "new"})
    command.main()
    assert (old.read_text(), gone.exists()) == ("new", False)
    before = old.stat().st_mtime_ns
    command.main()
    assert old.stat().st_mtime_ns == before
