"""tapctl edit with the editors people have, driven by keys in a pseudo-terminal."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import pytest

from tapkit import application
from tests.place import Place
from tests.terminal import Terminal, in_terminal

Keys = Callable[[Terminal], None]


class Keyboard:
    """How one edits with an editor: each method types keys and leaves it.

    `mend` must change only the line the editor begins on.
    """

    def __init__(self, command: str, ready: str, change: str, spoil: str, mend: str, leave: str):
        self.command = command
        self.ready = ready
        self.change, self.spoil, self.mend, self.leave = change, spoil, mend, leave


VI = {
    "ready": "<application",
    "change": ":%s/8007/8017/g\r:wq\r",
    "spoil": ":%s/>8007</>80o7</\r:wq\r",
    "mend": ":s/80o7/8018/\r:wq\r",
    "leave": ":q!\r",
}
EDITORS = {
    "vi": Keyboard("vi", **VI),
    "vim": Keyboard("vim -u NONE -N", **VI),
    "vim.tiny": Keyboard("vim.tiny -u NONE", **VI),
    "nano": Keyboard(
        "nano -I",
        ready="application",
        change="\x1c8007\r8017\ra\x0f\r\x18",
        spoil="\x1c>8007<\r>80o7<\ra\x0f\r\x18",
        mend='\x0b<port type="int">8018</port>\r\x0f\r\x18',
        leave="\x18",
    ),
    "ed": Keyboard(
        "ed",
        ready="\n",
        change=",s/8007/8017/\nw\nq\n",
        spoil=",s/>8007</>80o7</\nw\nq\n",
        mend=",s/80o7/8018/\nw\nq\n",
        leave="q\n",
    ),
}
present = [name for name in EDITORS if shutil.which(name)]
# vim and vim.tiny are driven by vi's keys, and are often what vi is.
EACH = [
    pytest.param(name, marks=[pytest.mark.slow] if number and "vim" in name else [])
    for number, name in enumerate(present)
]
has_editor = pytest.mark.skipif(not present, reason=f"none of {', '.join(EDITORS)} is installed")
PROMPT = "Press Enter to edit it again, or q to give up: "


@pytest.fixture
def qotd(qotd: Place) -> Place:
    qotd.env["HOME"] = str(qotd.path.parent)  # nobody's vimrc
    return qotd


def edit(place: Place, name: str) -> list[str]:
    """The command line of an edit with this editor."""
    place.env.pop("VISUAL", None)
    place.env["EDITOR"] = EDITORS[name].command
    return place.command("tapctl", "edit", "qotd.tap")


def ports(place: Place) -> list[int]:
    (tree,) = application.load(str(place.path / "qotd.tap"))
    return [service.port for service in tree]


@has_editor
@pytest.mark.parametrize("name", EACH)
def test_an_edit(qotd: Place, name: str) -> None:
    """The port is changed with the editor's own keys, and the image is saved."""
    keys = EDITORS[name]
    with in_terminal(edit(qotd, name), qotd.path, qotd.env) as terminal:
        terminal.expect(keys.ready)
        terminal.type(keys.change)
        terminal.expect("Saving qotd.tap...")
        assert terminal.end() == 0
        assert "Saved." in terminal.shown
    assert ports(qotd) == [8017, 8017]


@has_editor
@pytest.mark.parametrize("name", EACH)
def test_leaving_without_a_change(qotd: Place, name: str) -> None:
    """Nothing is written, and it says so."""
    before = (qotd.path / "qotd.tap").read_bytes()
    with in_terminal(edit(qotd, name), qotd.path, qotd.env) as terminal:
        terminal.expect(EDITORS[name].ready)
        terminal.type(EDITORS[name].leave)
        terminal.expect("Nothing was changed: qotd.tap is as it was.")
        assert terminal.end() == 0
    assert (qotd.path / "qotd.tap").read_bytes() == before


@has_editor
@pytest.mark.parametrize("name", EACH)
def test_a_mistake_leads_back_to_its_line(qotd: Place, name: str) -> None:
    """The message, then the editor with the text as it was left, on the line of the mistake."""
    keys = EDITORS[name]
    with in_terminal(edit(qotd, name), qotd.path, qotd.env) as terminal:
        terminal.expect(keys.ready)
        terminal.type(keys.spoil)
        terminal.expect("'80o7' is not an int")
        # There are two such lines, and two mistakes. vi and nano mend the line they begin on
        # (ed, which begins nowhere, mends both): the first, then the second.
        rounds = 1 if name == "ed" else 2
        for _ in range(rounds):
            terminal.expect(PROMPT)
            terminal.type("\n")
            terminal.expect(keys.ready if name == "ed" else "80o7")
            terminal.type(keys.mend)
        terminal.expect("Saving qotd.tap...")
        assert terminal.end() == 0
    assert ports(qotd) == [8018, 8018]


@has_editor
@pytest.mark.parametrize("answer", ["q\n", "\x04", "\x03"], ids=["q", "end", "interrupt"])
def test_giving_up(qotd: Place, answer: str) -> None:
    """q, the end of input, Ctrl-C: the image is as it was, the text is kept and named."""
    name = present[0]
    before = (qotd.path / "qotd.tap").read_bytes()
    with in_terminal(edit(qotd, name), qotd.path, qotd.env) as terminal:
        terminal.expect(EDITORS[name].ready)
        terminal.type(EDITORS[name].spoil)
        terminal.expect(PROMPT)
        terminal.type(answer)
        terminal.expect("qotd.tap is as it was; your text is in qotd.edited.tax")
        assert terminal.end() == 1
    assert (qotd.path / "qotd.tap").read_bytes() == before
    assert ">80o7<" in (qotd.path / "qotd.edited.tax").read_text()


def test_an_answer_that_is_none(qotd: Place) -> None:
    """It is asked again; an interrupt while the editor runs is the editor's affair."""
    script = qotd.path.parent / "editor.py"
    script.write_text(
        "import os, signal, sys\nfrom pathlib import Path\npath = Path(sys.argv[-1])\n"
        "assert signal.getsignal(signal.SIGINT) is signal.default_int_handler\n"
        "os.kill(os.getppid(), signal.SIGINT)\n"
        "text = path.read_text()\n"
        "path.write_text(text.replace('80o7', '8018') if '80o7' in text"
        " else text.replace('>8007<', '>80o7<'))\n"
    )
    command = edit(qotd, "ed")
    qotd.env["EDITOR"] = f"{command[0]} {script}"
    with in_terminal(command, qotd.path, qotd.env) as terminal:
        terminal.expect(PROMPT)
        terminal.type("what?\n")
        terminal.expect(PROMPT)
        terminal.type("\n")
        terminal.expect("Saved.")
        assert terminal.end() == 0
    assert ports(qotd) == [8018, 8018]


def test_a_broken_file_is_mended(qotd: Place) -> None:
    """An XML that cannot be read is opened at its mistake, when its owner says so."""
    qotd.run("tapconvert", "qotd.tap", "qotd.tax")
    path = qotd.path / "qotd.tax"
    path.write_text(path.read_text().replace(">8007<", ">80o7<"))
    line = 1 + path.read_text().partition("80o7")[0].count("\n")
    script = qotd.path.parent / "vi"  # that name is told a line
    script.write_text(
        f'#!/bin/sh\ncase $1 in +{line}) sed -i s/80o7/8019/ "$2";; *) exit 1;; esac\n'
    )
    script.chmod(0o755)
    command = [*edit(qotd, "vi")[:-1], "qotd.tax"]
    qotd.env["EDITOR"] = str(script)
    with in_terminal(command, qotd.path, qotd.env) as terminal:
        terminal.expect(f"qotd.tax:{line}:")
        terminal.expect(PROMPT)
        terminal.type("\n")
        terminal.expect("Saved.")
        assert terminal.end() == 0
    assert path.read_text().count(">8019<") == 2
    assert not os.path.exists(qotd.path / "qotd.edited.tax")
