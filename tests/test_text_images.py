"""The text forms in daily use: made by mktap, edited by hand, run by twistd, saved again."""

from __future__ import annotations

import os

import pytest

from tapkit import application
from tests.place import ROOT, Place, ask
from tests.test_twistd import COUNTER, QUOTE, add_tap, started

TEXT_FORMS = [("xml", "tax", "-x"), ("source", "tas", "-s")]


@pytest.mark.parametrize(("form", "extension", "short"), TEXT_FORMS)
def test_made_run_and_saved_in_its_form(
    place: Place, form: str, extension: str, short: str
) -> None:
    """The state is saved in the form that was loaded; an unchanged one byte for byte."""
    place.env["PYTHONPATH"] = os.pathsep.join([str(ROOT / "samples"), str(ROOT)])
    made = place.mktap("-t", form, "qotd", "--port", "0")
    assert made.stdout == f"Saving qotd application to qotd.{extension}...\nSaved.\n"
    assert ask(started(place, short, f"qotd.{extension}")) == QUOTE
    place.kill()
    assert place.file_names() == [f"qotd-shutdown.{extension}", f"qotd.{extension}", "twistd.log"]
    saved = (place.path / f"qotd-shutdown.{extension}").read_text()
    assert saved == (place.path / f"qotd.{extension}").read_text()
    # The shorthand of mktap makes the same file.
    assert place.mktap(short, "-n", "again", "qotd", "--port", "0").returncode == 0
    again = (place.path / f"again.{extension}").read_text()
    assert again == saved.replace("qotd<", "again<").replace('"qotd"', '"again"').replace(
        "qotd:", "again:"
    ).replace("qotd.tas", "again.tas")


@pytest.mark.parametrize(("form", "extension", "short"), TEXT_FORMS[1:])
def test_state_lives_on(place: Place, form: str, extension: str, short: str) -> None:
    """A counter goes on counting through a text as it does through a .tap."""
    add_tap(place, "counter", COUNTER)
    place.mktap("-t", form, "counter")
    port = started(place, f"counter.{extension}")
    assert [ask(port) for _ in range(2)] == [b"1", b"2"]
    place.kill()
    assert ask(started(place, short, f"counter-shutdown.{extension}")) == b"3"
    place.kill()


def test_a_hand_edit_and_its_comments(place: Place) -> None:
    """An edited quote is served, and the comments are in the saved state."""
    place.mktap("-x", "qotd", "--port", "0")
    text = (place.path / "qotd.tax").read_text()
    edited = text.replace(
        "<text>An apple a day keeps the doctor away.</text>",
        "<text>Fish &amp; chips &lt;3, Grüße</text>  <!-- asked for by Ada -->",
    )
    assert edited != text
    (place.path / "qotd.tax").write_text(edited)
    port = started(place, "qotd.tax")
    assert ask(port) == "Fish & chips <3, Grüße\r\n".encode()
    place.kill()
    saved = (place.path / "qotd-shutdown.tax").read_text()
    assert saved == edited.replace('<served type="int">0</served>', '<served type="int">1</served>')


def test_a_mistake_is_named_with_line_and_column(place: Place) -> None:
    """file:line:column, what, a hint; the line with a caret; and nothing starts."""
    place.make("-x", "qotd")
    path = place.path / "qotd.tax"
    path.write_text(path.read_text().replace('type="int">8007', 'type="itn">8007', 1))
    failed = place.twistd("qotd.tax")
    assert failed.returncode == 1
    first, line, caret = failed.stderr.splitlines()[:3]
    assert first.startswith("twistd: qotd.tax:8:")
    assert "did you mean int" in first
    assert 'type="itn"' in line
    assert caret.strip() == "^"
    assert place.file_names() == ["qotd.tax"]


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ("<item>8007</item>", "builtins.str is not a service: application.services[1]"),
        ('<item ref="multi_service"/>', "MultiService is in the tree already"),
        ('<item ref="qotd"/>', "Application 'qotd' is in the tree already"),
    ],
)
def test_a_tree_that_is_none(place: Place, item: str, said: str) -> None:
    """What a slip of the hand puts among the services is named by its path."""
    place.make("-x", "qotd")
    path = place.path / "qotd.tax"
    head, tail = path.read_text().rsplit("</services>", 1)
    path.write_text(f"{head}{item}</services>{tail}")
    failed = place.twistd("qotd.tax")
    assert (failed.returncode, len(failed.stderr.splitlines())) == (1, 1)
    assert said in failed.stderr
    assert place.file_names() == ["qotd.tax"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("tapkit_plugins.qotd.StaticQuotr", "no 'StaticQuotr'; did you mean StaticQuoter?"),
        ("tapkit_plugins.qtod.StaticQuoter", "tapkit_plugins has no 'qtod'; did you mean qotd?"),
        (
            "tapkit_plugin.qotd.StaticQuoter",
            "no module named 'tapkit_plugin'; did you mean tapkit_plugins.qotd?",
        ),
    ],
)
def test_a_name_that_leads_nowhere_is_shown(place: Place, wrong: str, said: str) -> None:
    """A class that can't be had is named with its line, like any other mistake."""
    place.make("-x", "qotd")
    path = place.path / "qotd.tax"
    path.write_text(path.read_text().replace("tapkit_plugins.qotd.StaticQuoter", wrong))
    failed = place.twistd("qotd.tax")
    assert failed.returncode == 1
    first, line, caret = failed.stderr.splitlines()
    assert first.startswith("twistd: qotd.tax:12:28: ")
    assert said in first
    assert wrong in line
    assert caret.strip() == "^"
    assert place.file_names() == ["qotd.tax"]


def test_a_program_is_run(place: Place) -> None:
    """A .tas that a developer made a program of is run, and saved as what it made."""
    place.mktap("-s", "qotd", "--port", "0")
    path = place.path / "qotd.tas"
    path.write_text(
        path.read_text().replace('"An apple a day keeps the doctor away."', '" ".join(["one"] * 3)')
    )
    assert ask(started(place, "-s", "qotd.tas")) == b"one one one\r\n"
    place.kill()
    assert '"one one one"' in (place.path / "qotd-shutdown.tas").read_text()


@pytest.mark.parametrize("extension", ["tax", "tas"])  # .tap: test_mktap.py
def test_append_keeps_the_form(place: Place, extension: str) -> None:
    """mktap -a adds to an image of any form, in place."""
    place.mktap("-t", f".{extension}", "qotd", "--port", "1")
    made = place.mktap("-a", f"qotd.{extension}", "qotd", "--port", "2")
    assert made.stdout == f"Saving qotd application to qotd.{extension}...\nSaved.\n"
    both = application.load(str(place.path / f"qotd.{extension}"))
    assert len(list(both)) == 2
    assert place.file_names() == [f"qotd.{extension}"]


def test_append_into_another_form(place: Place) -> None:
    """With -t the result is a new file of that form; the old one stays."""
    place.mktap("qotd", "--port", "1")
    assert place.mktap("-a", "qotd.tap", "-x", "qotd", "--port", "2").returncode == 0
    assert place.file_names() == ["qotd.tap", "qotd.tax"]
    assert len(list(application.load(str(place.path / "qotd.tax")))) == 2


@pytest.mark.parametrize(
    ("option", "file", "said"),
    [("-x", "qotd.tap", "qotd.tap"), ("-s", "qotd.tap", "qotd.tap"), ("-x", "qotd.tas", "1:")],
)
def test_a_file_that_is_not_of_the_form_asked_for(
    place: Place, option: str, file: str, said: str
) -> None:
    """-x and -s insist on their form."""
    place.make("qotd")
    place.make("-s", "qotd")
    refused = place.twistd(option, file)
    assert refused.returncode == 1
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr
    assert place.file_names() == ["qotd.tap", "qotd.tas"]
