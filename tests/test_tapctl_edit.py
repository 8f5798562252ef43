"""tapctl edit with scripted editors: what is written, what is not, and that no text is lost."""

from __future__ import annotations

import os
import re
import shlex
import stat
import sys
from pathlib import Path

import pytest

from tapkit import application, image
from tests.place import Place, wait_for

FORMS = {"pickle": ".tap", "xml": ".tax", "source": ".tas"}


def with_editor(place: Place, script: str, *arguments: str) -> None:
    """Let a Python script be the editor; the file is `path`, its text `text`."""
    source = place.path.parent / "editor.py"
    source.write_text(
        "import os, sys\nfrom pathlib import Path\npath = Path(sys.argv[-1])\n"
        f"text = path.read_text()\n{script}\n"
    )
    place.env["EDITOR"] = shlex.join([sys.executable, str(source), *arguments])
    place.env.pop("VISUAL", None)


def replacing(old: str, new: str) -> str:
    return f"path.write_text(text.replace({old!r}, {new!r}))"


@pytest.fixture
def qotd(qotd: Place) -> Place:
    """A place with qotd.tap, and no editor."""
    qotd.env["EDITOR"] = ""
    qotd.env["TMPDIR"] = str(qotd.path.parent / "tmp")
    os.mkdir(qotd.env["TMPDIR"])
    return qotd


def temporaries(place: Place) -> list[str]:
    return os.listdir(place.env["TMPDIR"])


def port_of(path: Path) -> int:
    (tree,) = application.load(str(path))
    return next(iter(tree)).port


@pytest.mark.parametrize("form", FORMS)
def test_an_edit_of_any_form(qotd: Place, qotd_files: dict[str, bytes], form: str) -> None:
    """The port is changed in the XML, and the file keeps its form, its header and its name."""
    path = qotd.path / f"image{FORMS[form]}"
    qotd.put(path.name, qotd_files[f"qotd{FORMS[form]}"])
    with_editor(qotd, replacing(">8007<", ">8017<"))
    edited = qotd.run("tapctl", "edit", path.name)
    assert (edited.returncode, edited.stderr) == (0, "")
    assert edited.stdout == (
        "application.services[0].services[0].port: 8007 -> 8017\n"
        "application.services[0].services[1].port: 8007 -> 8017\n"
        f"Saving {path.name}...\nSaved.\n"
    )
    assert port_of(path) == 8017
    assert image.inspect(path.read_bytes()).form == form
    assert temporaries(qotd) == []
    assert qotd.file_names() == sorted({path.name, "qotd.tap"})


def test_the_header_stays(qotd: Place) -> None:
    """How the image was made is known after an edit, and what it needs is brought up to date."""
    with_editor(qotd, replacing("tapkit_plugins.qotd.StaticQuoter", "elsewhere.Quoter"))
    assert qotd.run("tapctl", "edit", "qotd.tap").returncode == 0
    info = image.inspect((qotd.path / "qotd.tap").read_bytes())
    assert (info.tap_type, info.options["port"], info.name) == ("qotd", "8007", "qotd")
    assert {"elsewhere", "tapkit"} <= set(info.modules)


def test_xml_is_written_as_it_was_edited(qotd: Place) -> None:
    """A .tax keeps every character of it: comments, order, white space."""
    qotd.run("tapconvert", "qotd.tap", "qotd.tax")
    with_editor(qotd, replacing("<services", "<!-- ours -->   <services"))
    before = (qotd.path / "qotd.tax").read_text()
    assert qotd.run("tapctl", "edit", "qotd.tax").returncode == 0
    after = (qotd.path / "qotd.tax").read_text()
    assert after == before.replace("<services", "<!-- ours -->   <services")
    with_editor(qotd, "assert text.count('<!-- ours -->') == 2")
    assert qotd.run("tapctl", "edit", "qotd.tax").stdout.startswith("Nothing was changed")


def test_comments_that_a_tap_cannot_keep(qotd: Place) -> None:
    """They are no change, and it says so."""
    before = (qotd.path / "qotd.tap").read_bytes()
    with_editor(qotd, replacing("<services", "<!-- ours --><services"))
    edited = qotd.run("tapctl", "edit", "qotd.tap")
    assert (edited.returncode, edited.stdout) == (
        0,
        "Nothing was changed but comments or layout: qotd.tap is as it was.\n",
    )
    assert (qotd.path / "qotd.tap").read_bytes() == before


def test_unchanged(qotd: Place) -> None:
    """Nothing is written, not even the same again."""
    before = (qotd.path / "qotd.tap").stat()
    with_editor(qotd, "path.write_text(text)")
    edited = qotd.run("tapctl", "edit", "qotd.tap")
    assert (edited.returncode, edited.stdout) == (
        0,
        "Nothing was changed: qotd.tap is as it was.\n",
    )
    after = (qotd.path / "qotd.tap").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert temporaries(qotd) == []


def test_the_editor_fails(qotd: Place) -> None:
    """`:cq` in vi: nothing is written, and a text that was saved before it is kept."""
    before = (qotd.path / "qotd.tap").read_bytes()
    with_editor(qotd, "sys.exit(3)")
    edited = qotd.run("tapctl", "edit", "qotd.tap")
    assert edited.returncode == 1
    assert edited.stderr.startswith("tapctl edit: the editor failed (exit status 3): $EDITOR=")
    assert qotd.file_names() == ["qotd.tap"]
    with_editor(qotd, replacing("8007", "8017") + "; os.kill(os.getpid(), 9)")
    edited = qotd.run("tapctl", "edit", "qotd.tap")
    assert edited.returncode == 1
    assert "(signal 9)" in edited.stderr
    assert edited.stderr.endswith("your text is in qotd.edited.tax\n")
    assert ">8017<" in (qotd.path / "qotd.edited.tax").read_text()
    assert (qotd.path / "qotd.tap").read_bytes() == before


def test_a_mistake_without_a_terminal(qotd: Place) -> None:
    """The place, the line with a caret, and the text in a file; nobody can be asked."""
    before = (qotd.path / "qotd.tap").read_bytes()
    with_editor(qotd, replacing(">8007<", ">80o7<"))
    edited = qotd.run("tapctl", "edit", "qotd.tap")
    assert edited.returncode == 1
    lines = edited.stderr.splitlines()
    assert re.match(r"tapctl edit: qotd\.tap as XML:\d+:28: ", lines[0])
    assert "'80o7' is not an int" in lines[0]
    assert lines[1].strip() == '<port type="int">80o7</port>'
    assert lines[2].strip() == "^"
    assert lines[-1] == "tapctl edit: qotd.tap is as it was; your text is in qotd.edited.tax"
    assert ">80o7<" in (qotd.path / "qotd.edited.tax").read_text()
    assert (qotd.path / "qotd.edited.tax").stat().st_mode & 0o777 == 0o600
    assert (qotd.path / "qotd.tap").read_bytes() == before
    assert temporaries(qotd) == []


def test_kept_texts_do_not_overwrite_each_other(qotd: Place) -> None:
    """The second goes to another name."""
    with_editor(qotd, replacing(">8007<", ">first<"))
    qotd.run("tapctl", "edit", "qotd.tap")
    with_editor(qotd, replacing(">8007<", ">second<"))
    edited = qotd.run("tapctl", "edit", "qotd.tap")
    assert edited.stderr.endswith("your text is in qotd.edited-2.tax\n")
    assert ">first<" in (qotd.path / "qotd.edited.tax").read_text()
    assert ">second<" in (qotd.path / "qotd.edited-2.tax").read_text()


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no owners here")
def test_a_text_that_cannot_be_kept_beside_the_image_stays(qotd: Place) -> None:
    """Where the image's directory takes no file, the temporary one stays and is named."""
    with_editor(
        qotd,
        replacing(">8007<", ">80o7<")
        + f"\nimage = Path({str(qotd.path)!r})\nimage.rename(image.with_name('gone'))",
    )
    edited = qotd.run("tapctl", "edit", str(qotd.path / "qotd.tap"), cwd="/")
    (qotd.path.with_name("gone")).rename(qotd.path)
    assert edited.returncode == 1
    kept = edited.stderr.rpartition("your text is in ")[2].strip()
    assert ">80o7<" in Path(kept).read_text()
    assert kept.startswith(qotd.env["TMPDIR"])
    assert Path(kept).parent.stat().st_mode & 0o777 == 0o700


def test_changed_meanwhile(qotd: Place) -> None:
    """Somebody else's change is not overwritten, and neither text is lost."""
    path = qotd.path / "qotd.tap"
    with_editor(
        qotd,
        replacing(">8007<", ">8017<")
        + f"\nPath({str(path)!r}).write_bytes(Path({str(path)!r}).read_bytes() + b'theirs')",
    )
    edited = qotd.run("tapctl", "edit", "qotd.tap")
    assert edited.returncode == 1
    assert "changed by somebody else while you edited it: qotd.tap" in edited.stderr
    assert "your text is in qotd.edited.tax" in edited.stderr
    assert len(edited.stderr.splitlines()) == 1
    assert path.read_bytes().endswith(b"theirs")
    assert ">8017<" in (qotd.path / "qotd.edited.tax").read_text()


def test_removed_meanwhile(qotd: Place) -> None:
    """A file that is gone is not made again."""
    with_editor(
        qotd, replacing(">8007<", ">8017<") + f"\nos.unlink({str(qotd.path / 'qotd.tap')!r})"
    )
    assert qotd.run("tapctl", "edit", "qotd.tap").returncode == 1
    assert qotd.file_names() == ["qotd.edited.tax"]


def test_the_editor_removes_the_text(qotd: Place) -> None:
    """Then nothing was changed."""
    with_editor(qotd, "path.unlink()")
    edited = qotd.run("tapctl", "edit", "qotd.tap")
    assert edited.returncode == 0
    assert edited.stdout == "Nothing was changed: qotd.tap is as it was.\n"


def test_an_editor_that_replaces_the_file(qotd: Place) -> None:
    """As most do: what has the name at the end is the text."""
    with_editor(
        qotd,
        "new = path.with_name('new')\nnew.write_text(text.replace('8007', '8017'))\n"
        "new.rename(path)\npath.with_name('backup~').write_text(text)",
    )
    assert qotd.run("tapctl", "edit", "qotd.tap").returncode == 0
    assert port_of(qotd.path / "qotd.tap") == 8017
    assert temporaries(qotd) == []


def test_mode_and_link_are_kept(qotd: Place) -> None:
    """The file keeps its mode; a link to it stays a link."""
    path = qotd.path / "qotd.tap"
    path.chmod(0o640)
    (qotd.path / "link.tap").symlink_to("qotd.tap")
    with_editor(qotd, replacing(">8007<", ">8017<"))
    assert qotd.run("tapctl", "edit", "link.tap").returncode == 0
    assert (qotd.path / "link.tap").is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert port_of(path) == 8017


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may chown")
def test_the_owner_is_kept(qotd: Place) -> None:
    """What root edits still belongs to whom it did (root's group aside, it must be root's)."""
    path = qotd.path / "qotd.tap"
    os.chown(path, 0, 12)
    with_editor(qotd, replacing(">8007<", ">8017<"))
    assert qotd.run("tapctl", "edit", "qotd.tap").returncode == 0
    assert (path.stat().st_uid, path.stat().st_gid) == (0, 12)


def test_the_draft_is_private(qotd: Place) -> None:
    """An image holds secrets: nobody else can read the text, or see that there is one."""
    with_editor(
        qotd,
        "assert path.suffix == '.tax'\nassert path.stat().st_mode & 0o777 == 0o600\n"
        "assert path.parent.stat().st_mode & 0o777 == 0o700",
    )
    assert qotd.run("tapctl", "edit", "qotd.tap").returncode == 0


def test_a_broken_xml_is_opened_to_be_mended(qotd: Place) -> None:
    """Only on a terminal; without one its mistake is told, and the file is left alone."""
    qotd.run("tapconvert", "qotd.tap", "qotd.tax")
    path = qotd.path / "qotd.tax"
    path.write_text(path.read_text().replace(">8007<", ">80o7<"))
    with_editor(qotd, replacing("80o7", "8007"))
    edited = qotd.run("tapctl", "edit", "qotd.tax")
    assert edited.returncode == 1
    assert re.match(r"tapctl edit: qotd\.tax:\d+:28: ", edited.stderr)
    assert "80o7" in path.read_text()
    assert qotd.file_names() == ["qotd.tap", "qotd.tax"]


def test_a_program_is_not_edited_as_xml(qotd: Place) -> None:
    """Source with a loop in it would lose the loop."""
    (qotd.path / "loop.tas").write_text(
        "from tapkit.application import Application\n\n"
        "application = Application('x')\n\nfor n in range(3):\n    pass\n"
    )
    with_editor(qotd, "pass")
    edited = qotd.run("tapctl", "edit", "loop.tas")
    assert edited.returncode == 1
    assert "loop.tas:" in edited.stderr
    assert "edit it as one" in edited.stderr


def test_no_editor(qotd: Place) -> None:
    """One line that says which variables to set."""
    qotd.env["PATH"] = str(qotd.path)
    edited = qotd.run("tapctl", "edit", "qotd.tap")
    assert (edited.returncode, edited.stderr) == (
        1,
        "tapctl edit: there is no editor: set VISUAL or EDITOR to one\n",
    )


@pytest.mark.parametrize(
    ("value", "said"),
    [("no-such-editor -w", "can't be started"), ("vi 'oops", "can't be read")],
)
def test_a_bad_editor(qotd: Place, value: str, said: str) -> None:
    """The variable and its value are named."""
    qotd.env["EDITOR"] = value
    edited = qotd.run("tapctl", "edit", "qotd.tap")
    assert edited.returncode == 1
    assert said in edited.stderr
    assert "$EDITOR" in edited.stderr
    assert len(edited.stderr.splitlines()) == 1
    assert temporaries(qotd) == []


def test_visual_comes_first(qotd: Place) -> None:
    """As everywhere, $VISUAL is preferred, and arguments are passed on."""
    with_editor(qotd, "assert sys.argv[1:3] == ['-w', 'two words']", "-w", "two words")
    qotd.env["VISUAL"], qotd.env["EDITOR"] = qotd.env["EDITOR"], "false"
    edited = qotd.run("tapctl", "edit", "qotd.tap")
    assert edited.returncode == 0, edited.stderr


@pytest.mark.parametrize("name", ["nix.tap", "."])
def test_what_is_no_image(qotd: Place, name: str) -> None:
    """No editor is opened for what cannot be edited."""
    with_editor(qotd, "raise SystemExit('opened')")
    edited = qotd.run("tapctl", "edit", name)
    assert edited.returncode == 1
    assert "opened" not in edited.stderr
    assert len(edited.stderr.splitlines()) == 1


def test_a_daemon_that_runs_from_it(qotd: Place) -> None:
    """It is named, with what becomes of the change; another image's daemon is not."""
    qotd.mktap("-n", "quiet", "qotd", "--port", "0", "--interface", "127.0.0.1")
    with_editor(qotd, replacing("apple", "pear"))
    with qotd.foreground("-n", "-o", "-f", "quiet.tap") as process:
        wait_for("the port", lambda: "listening" in qotd.log("foreground.log"))
        edited = qotd.run("tapctl", "edit", "quiet.tap")
        other = qotd.run("tapctl", "edit", "qotd.tap")
    assert edited.returncode == 0
    assert edited.stderr == (
        f"tapctl edit: warning: twistd (process {process.pid}) runs from quiet.tap: what you"
        " change takes effect when it is started anew, and at stop it saves its state to another"
        " file (quiet-shutdown.tap)\n"
    )
    assert other.stderr == ""


def test_only_the_first_changes_are_listed(qotd: Place) -> None:
    """Ten lines, and dots."""
    qotd.run("tapconvert", "qotd.tap", "qotd.tax")
    added = "".join(f"<x{n}>y</x{n}>" for n in range(30))
    with_editor(
        qotd, f"path.write_text(text.replace('</application>', {added!r} + '</application>'))"
    )
    edited = qotd.run("tapctl", "edit", "qotd.tax")
    lines = edited.stdout.splitlines()
    assert lines[0] == "application.x0: added 'y'"
    assert lines[10:] == ["...", "Saving qotd.tax...", "Saved."]


def test_help(place: Place) -> None:
    """The command's own, on stdout."""
    shown = place.run("tapctl", "edit", "--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "tapctl edit [options] IMAGE" in shown.stdout
