"""Which editor is run, and how each is told a line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tapkit.errors import TapkitError
from tapkit.scripts.editor import Editor, chosen


@pytest.fixture
def empty_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing on it, and no variables."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.delenv("EDITOR", raising=False)
    return folder


def add(folder: Path, name: str) -> None:
    (folder / name).write_text("#!/bin/sh\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("vi", "vi +7 f"),
        ("/usr/bin/vim -n", "/usr/bin/vim -n +7 f"),
        ("emacs -nw", "emacs -nw +7 f"),
        ("nano", "nano +7,3 f"),
        ("code -w", "code -w --goto f:7:3"),
        ("subl -w", "subl -w f:7:3"),
        ("micro", "micro +7:3 f"),
        ("kate -b", "kate -b --line 7 --column 3 f"),
        ("ed", "ed f"),
        ("unheard-of", "unheard-of f"),
    ],
)
def test_lines(words: str, command: str) -> None:
    """Each in its own way; one that is not known is told the file alone."""
    editor = Editor(words.split())
    assert editor.command("f", 7, 3) == command.split()
    assert editor.command("f") == [*words.split(), "f"]


def test_a_file_name_with_blanks_stays_one_word() -> None:
    """And one with a brace in it is no pattern."""
    assert Editor(["nano"]).command("a {line} b", 7) == ["nano", "+7,1", "a {line} b"]


def test_a_link_to_an_editor(empty_path: Path) -> None:
    """`editor` is what it is a link to."""
    add(empty_path, "vim.basic")
    (empty_path / "editor").symlink_to("vim.basic")
    assert chosen().command("f", 7) == ["editor", "+7", "f"]


def test_the_order(empty_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """$VISUAL, $EDITOR, editor, vi; an empty variable counts as none."""
    with pytest.raises(TapkitError, match="there is no editor"):
        chosen()
    add(empty_path, "vi")
    assert chosen().words == ["vi"]
    add(empty_path, "editor")
    assert chosen().words == ["editor"]
    monkeypatch.setenv("EDITOR", "nano -w")
    monkeypatch.setenv("VISUAL", " ")
    assert chosen().words == ["nano", "-w"]
    monkeypatch.setenv("VISUAL", "code -w")
    assert chosen().words == ["code", "-w"]


def test_words_of_a_variable(empty_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Quotes and ~ as in a shell; a program whose own path has blanks is one word."""
    monkeypatch.setenv("EDITOR", "~/bin/ed -p 'a b'")
    assert chosen().words == [os.path.expanduser("~/bin/ed"), "-p", "a b"]
    add(empty_path, "my editor")
    monkeypatch.setenv("EDITOR", str(empty_path / "my editor"))
    assert chosen().words == [str(empty_path / "my editor")]
    monkeypatch.setenv("EDITOR", "vi 'oops")
    with pytest.raises(TapkitError, match="can't be read"):
        chosen()
