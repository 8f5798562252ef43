"""tapctl, and its diff: forms, exit status, output."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.place import Place


@pytest.fixture
def qotd(qotd: Place, qotd_files: dict[str, bytes]) -> Place:
    """qotd.tap and old.tax are the same; new.tas has another port and another quote."""
    qotd.put("old.tax", qotd_files["qotd.tax"])
    qotd.put("new.tax", qotd_files["other.tax"])
    qotd.put("new.tas", qotd_files["other.tas"])
    return qotd


DIFFERENCES = [
    "application.services[0].services[0].factory.quoter.text:"
    " 'An apple a day keeps the doctor away.' -> 'A pear a day keeps the doctor away.'",
    "application.services[0].services[0].port: 8007 -> 8017",
]


@pytest.mark.parametrize(("one", "other"), [("qotd.tap", "new.tas"), ("old.tax", "new.tax")])
def test_what_differs(qotd: Place, one: str, other: str) -> None:
    """By attribute path, whatever the forms; exit status 1."""
    shown = qotd.run("tapctl", "diff", one, other)
    assert (shown.returncode, shown.stderr) == (1, "")
    assert sorted(shown.stdout.splitlines()) == DIFFERENCES


def test_the_same(qotd: Place) -> None:
    """Nothing is printed, exit status 0; a file and itself, too."""
    for other in ("old.tax", "qotd.tap"):
        shown = qotd.run("tapctl", "diff", "qotd.tap", other)
        assert (shown.returncode, shown.stdout, shown.stderr) == (0, "", "")


def test_json(qotd: Place) -> None:
    """An array of what the lines say."""
    shown = qotd.run("tapctl", "diff", "--json", "qotd.tap", "new.tas")
    assert shown.returncode == 1
    found = {difference["path"]: difference for difference in json.loads(shown.stdout)}
    assert found["application.services[0].services[0].port"] == {
        "path": "application.services[0].services[0].port",
        "kind": "changed",
        "old": "8007",
        "new": "8017",
    }
    same = qotd.run("tapctl", "diff", "--json", "qotd.tap", "old.tax")
    assert (same.returncode, json.loads(same.stdout)) == (0, [])


def test_quiet(qotd: Place) -> None:
    """The exit status alone."""
    for other, status in (("new.tas", 1), ("old.tax", 0)):
        shown = qotd.run("tapctl", "diff", "-q", "qotd.tap", other)
        assert (shown.returncode, shown.stdout, shown.stderr) == (status, "", "")


def test_standard_input(qotd: Place) -> None:
    """- is one of the two."""
    with open(qotd.path / "new.tas") as new:
        shown = qotd.run("tapctl", "diff", "qotd.tap", "-", stdin=new)
    assert shown.returncode == 1
    assert sorted(shown.stdout.splitlines()) == DIFFERENCES


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["qotd.tap", "nix.tap"], "tapctl diff: no such file"),
        (["qotd.tap", "."], "tapctl diff: it is not a regular file: ."),
        (["qotd.tap", "junk"], "tapctl diff: "),
        (["qotd.tap"], "tapctl diff: missing argument B"),
        (["-", "-"], "tapctl diff: there is one standard input"),
        (["--jsn", "a", "b"], "tapctl diff: unknown option --jsn; did you mean --json?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_trouble(qotd: Place, arguments: list[str], said: str) -> None:
    """Exit status 2, as diff has it, and one line."""
    (qotd.path / "junk").write_bytes(b"\x00\x01junk")
    shown = qotd.run("tapctl", "diff", *arguments)
    assert (shown.returncode, shown.stdout) == (2, "")
    assert shown.stderr.startswith(said)
    assert len(shown.stderr.splitlines()) == 1


def test_a_reader_that_leaves(qotd: Place) -> None:
    """`tapctl diff | head -0` ends without a traceback: what differs could not be told."""
    process = subprocess.Popen(
        qotd.command("tapctl", "diff", "qotd.tap", "new.tas"),
        cwd=qotd.path,
        env=qotd.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.close()
    _, said = process.communicate(timeout=60)
    assert said == ""
    assert process.returncode == 2


def test_commands(place: Place) -> None:
    """--help lists them, each has its own, and a slip is corrected."""
    shown = place.run("tapctl", "--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    for command in ("diff", "edit", "inspect"):
        assert f"\n  {command} " in shown.stdout
        own = place.run("tapctl", command, "--help")
        assert (own.returncode, own.stderr) == (0, "")
        assert own.stdout.count(f"tapctl {command}") >= 2
    assert place.run("tapctl", "--version").stdout.startswith("tapctl (tapkit) ")
    slip = place.run("tapctl", "dif", "a", "b")
    assert (slip.returncode, slip.stderr) == (
        2,
        "tapctl: no such command: dif; did you mean diff?\n",
    )
    none = place.run("tapctl")
    assert none.returncode == 2
    assert "COMMAND" in none.stderr
