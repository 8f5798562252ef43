"""tapconvert, as a real process: which forms from where to where, and what it refuses."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tapkit import application, image
from tapkit.image.compare import differences
from tapkit.image.forms import FORMS, sniff
from tests.place import Place

USAGE_OPTIONS = re.findall(
    r"\S+",
    "-i, --in= -o, --out= -f, --typein= -t, --typeout= -e, --encrypt -d, --decrypt --run "
    "-h, --help --version",
)
LOOP = """from tapkit.application import Application
from tapkit.internet import TCPServer

application = Application("loop")

for number in range(3):
    application.addService(TCPServer(8000 + number, "factory"))
"""


def form_of(path: Path) -> str:
    return sniff(path.read_bytes(), str(path)).name


def assert_same(one: Path, other: Path) -> None:
    """Two files hold the same image."""
    images = [sniff(p.read_bytes(), str(p)).decode(p.read_bytes(), str(p))[0] for p in (one, other)]
    assert list(differences(*images)) == []


def test_it_says_what_it_does(qotd: Place) -> None:
    """The forms are known by content and extension; two lines, and the file."""
    made = qotd.run("tapconvert", "qotd.tap", "qotd.tax")
    assert (made.returncode, made.stdout, made.stderr) == (
        0,
        "Converting qotd.tap (pickle) to qotd.tax (xml)...\nSaved.\n",
        "",
    )
    assert (qotd.path / "qotd.tax").read_text().startswith("<?xml")
    assert (qotd.path / "qotd.tax").stat().st_mode & 0o777 == 0o600
    assert_same(qotd.path / "qotd.tap", qotd.path / "qotd.tax")


@pytest.mark.parametrize("last", FORMS, ids=lambda form: form.name)
@pytest.mark.parametrize("first", FORMS, ids=lambda form: form.name)
def test_any_form_to_any(
    qotd: Place, qotd_files: dict[str, bytes], first: object, last: object
) -> None:
    """Of the nine ways each loses nothing, and what comes out loads."""
    one, other = (f"{n}{form.extensions[0]}" for n, form in (("one", first), ("other", last)))
    qotd.put(one, qotd_files[f"qotd{first.extensions[0]}"])
    made = qotd.run("tapconvert", one, other)
    assert (made.returncode, made.stderr) == (0, "")
    assert form_of(qotd.path / other) == last.name
    assert_same(qotd.path / "qotd.tap", qotd.path / other)
    loaded = application.load(str(qotd.path / other))
    assert (loaded.name, len(list(loaded))) == ("qotd", 1)


def test_a_tap_from_text_says_what_it_needs(qotd: Place) -> None:
    """Its header lists the modules, as if it had been saved."""
    for text in ("qotd.tax", "qotd.tas"):
        qotd.run("tapconvert", "qotd.tap", text)
        qotd.run("tapconvert", text, "back.tap")
        info = image.inspect((qotd.path / "back.tap").read_bytes())
        assert {"tapkit", "tapkit_plugins"} <= set(info.modules)
        assert info.name == "qotd"


def test_options_for_everything(qotd: Place) -> None:
    """-i, -o, -f and -t, short and long."""
    made = qotd.run("tapconvert", "-i", "qotd.tap", "-f", "pickle", "-o", "x", "-t", "xml")
    assert (made.returncode, made.stderr) == (0, "")
    assert form_of(qotd.path / "x") == "xml"
    made = qotd.run("tapconvert", "--typein=guess", "--typeout=source", "--out=y", "--in=x")
    assert (made.returncode, made.stderr) == (0, "")
    assert form_of(qotd.path / "y") == "source"
    made = qotd.run("tapconvert", "-o", "z.tap", "y")
    assert made.stdout == "Converting y (source) to z.tap (pickle)...\nSaved.\n"


def test_the_name_of_the_output_may_be_left_out(qotd: Place) -> None:
    """It is the input's with the form's extension."""
    made = qotd.run("tapconvert", "-t", "source", "qotd.tap")
    assert made.stdout == "Converting qotd.tap (pickle) to qotd.tas (source)...\nSaved.\n"


def test_pipes(qotd: Place) -> None:
    """- is standard input and output; then nothing but the image is on standard output."""
    data = (qotd.path / "qotd.tap").read_bytes()
    for arguments in (["-", "-"], ["-"], ["-i", "-", "-o", "-"]):
        made = subprocess.run(
            qotd.command("tapconvert", *arguments, "-t", "xml"),
            input=data,
            capture_output=True,
            env=qotd.env,
            timeout=60,
            check=True,
        )
        assert made.stdout.startswith(b"<?xml")
        assert made.stdout.endswith(b"</application>\n")
        assert made.stderr == b""
    back = subprocess.run(
        qotd.command("tapconvert", "-", "-", "-t", "pickle"),
        input=made.stdout,
        capture_output=True,
        env=qotd.env,
        timeout=60,
        check=True,
    )
    assert image.inspect(back.stdout).name == "qotd"


def test_comments_of_the_file_that_is_replaced_stay(qotd: Place) -> None:
    """A hand-edited .tax that a conversion writes over keeps what its owner wrote."""
    qotd.run("tapconvert", "qotd.tap", "qotd.tax")
    path = qotd.path / "qotd.tax"
    path.write_text(path.read_text().replace("<services", "<!-- ours -->\n  <services", 1))
    qotd.mktap("qotd", "--port", "9009")
    assert qotd.run("tapconvert", "qotd.tap", "qotd.tax").returncode == 0
    assert "<!-- ours -->" in path.read_text()
    assert ">9009<" in path.read_text()


def test_an_output_that_exists_is_replaced_whole_or_not_at_all(qotd: Place) -> None:
    """What fails leaves it as it was."""
    (qotd.path / "old.tap").write_bytes(b"old")
    (qotd.path / "bad.tax").write_text("<application><oops></application>")
    assert qotd.run("tapconvert", "bad.tax", "old.tap").returncode == 1
    assert (qotd.path / "old.tap").read_bytes() == b"old"
    assert qotd.run("tapconvert", "qotd.tap", "-o", "old.tap", "-f", "xml").returncode == 1
    assert (qotd.path / "old.tap").read_bytes() == b"old"
    assert sorted(qotd.file_names()) == ["bad.tax", "old.tap", "qotd.tap"]


def test_a_mistake_in_xml(qotd: Place) -> None:
    """The place, the line, and a caret."""
    (qotd.path / "bad.tax").write_text(
        '<application class="a.B" tapkit="1">\n  <port type="imt">1</port>\n</application>\n'
    )
    made = qotd.run("tapconvert", "bad.tax", "bad.tap")
    assert made.returncode == 1
    first, line, caret, *_ = made.stderr.splitlines()
    assert first.startswith("tapconvert: bad.tax:2:")
    assert line.strip() == '<port type="imt">1</port>'
    assert caret.strip() == "^"
    assert not (qotd.path / "bad.tap").exists()


def test_source_that_is_a_program(qotd: Place) -> None:
    """Which line is beyond; nothing of it is run, unless --run says so."""
    (qotd.path / "loop.tas").write_text(LOOP)
    made = qotd.run("tapconvert", "loop.tas", "loop.tax")
    assert made.returncode == 1
    assert re.match(r"tapconvert: loop\.tas:\d+:1: .*--run", made.stderr)
    assert "loop.tax" not in qotd.file_names()
    made = qotd.run("tapconvert", "--run", "loop.tas", "loop.tap")
    assert (made.returncode, made.stderr) == (0, "")
    ports = [service.port for service in application.load(str(qotd.path / "loop.tap"))]
    assert ports == [8000, 8001, 8002]


def test_run_runs_only_what_must_be(qotd: Place) -> None:
    """Generated source is read, with --run too; broken source is told, not run."""
    qotd.run("tapconvert", "qotd.tap", "qotd.tas")
    text = (qotd.path / "qotd.tas").read_text()
    (qotd.path / "qotd.tas").write_text(text.replace("tapkit_plugins.qotd", "not_here.qotd"))
    made = qotd.run("tapconvert", "--run", "qotd.tas", "x.tax")
    assert (made.returncode, made.stderr) == (0, "")
    (qotd.path / "canary.tas").write_text("open('canary', 'w')\napplication = (\n")
    assert qotd.run("tapconvert", "--run", "canary.tas", "x.tax").returncode == 1
    assert "canary" not in qotd.file_names()


@pytest.mark.parametrize(
    ("arguments", "said", "status"),
    [
        ([], "there is nothing to convert", 2),
        (["qotd.tap"], "which form shall it be?", 2),
        (["qotd.tap", "x"], "which form shall it be?: x", 2),
        (["qotd.tap", "-"], "which form shall it be?", 2),
        (["qotd.tap", "qotd.tap"], "the output is the input: qotd.tap", 2),
        (["qotd.tap", "./qotd.tap"], "the output is the input", 2),
        (["qotd.tap", "-t", "pickle"], "the output is the input", 2),
        (["-i", "qotd.tap", "-o", "x.tax", "y"], "a file too many: y", 2),
        (["qotd.tap", "x", "y"], "unexpected argument 'y'", 2),
        (["qotd.tap", "-t", "xlm"], "no such form: xlm; did you mean xml?", 2),
        (["qotd.tap", "x.tax", "-f", "pickel"], "no such form: pickel; did you mean pickle?", 2),
        (["qotd.tap", "x", "-t", ".etax"], ".etax is the form xml, encrypted", 2),
        (["qotd.tap", "--typ", "xml"], "--typ is ambiguous: --typein or --typeout?", 2),
        (["--typeuot=xml"], "did you mean --typeout?", 2),
        (["qodt.tap", "x.tax"], "no such file; did you mean qotd.tap?: qodt.tap", 1),
        (["empty", "x.tax"], "it is empty", 1),
        (["text.txt", "x.tax"], "text.txt", 1),
        (["folder", "x.tax"], "it is a directory", 1),
        (["qotd.tap", "nowhere/x.tax"], "nowhere/x.tax", 1),
        (["qotd.tap", "folder", "-t", "xml"], "folder", 1),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes(qotd: Place, arguments: list[str], said: str, status: int) -> None:
    """One line that names what is at fault, the exit status, nothing written."""
    (qotd.path / "empty").touch()
    (qotd.path / "text.txt").write_text("hello")
    (qotd.path / "folder").mkdir()
    before = qotd.file_names()
    made = qotd.run("tapconvert", *arguments)
    assert said in made.stderr
    assert made.stderr.startswith("tapconvert: ")
    assert len(made.stderr.splitlines()) == 1, made.stderr
    assert made.returncode == status
    assert qotd.file_names() == before


def test_an_image_that_others_may_write_to(qotd: Place) -> None:
    """A conversion must not make somebody else's code one's own."""
    (qotd.path / "qotd.tap").chmod(0o666)
    made = qotd.run("tapconvert", "qotd.tap", "qotd.tax")
    assert made.returncode == 1
    assert "others may write to the image" in made.stderr
    assert qotd.file_names() == ["qotd.tap"]


def test_a_full_disk(qotd: Place) -> None:
    """On standard output it is told, and the exit status says it."""
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with open("/dev/full", "wb") as full:
        made = subprocess.run(
            qotd.command("tapconvert", "qotd.tap", "-", "-t", "xml"),
            stdout=full,
            stderr=subprocess.PIPE,
            cwd=qotd.path,
            env=qotd.env,
            text=True,
            timeout=60,
        )
    assert made.returncode == 1
    assert made.stderr.startswith("tapconvert: it can't be written (No space left on device)")


def test_help_and_version(place: Place) -> None:
    """Every option of the original, and ours, on stdout."""
    shown = place.run("tapconvert", "--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    for option in USAGE_OPTIONS:
        assert option in shown.stdout
    assert place.run("tapconvert", "--version").stdout.startswith("tapconvert (tapkit) ")
