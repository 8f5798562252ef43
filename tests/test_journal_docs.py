"""The worked example of docs/daemon.md, done as it says."""

from __future__ import annotations

import re
import signal

from tests.place import ROOT, Place
from tests.test_snapshot import Talk


def test_the_worked_example(place: Place) -> None:
    """Its code is a plug-in; its session, with kill -9, answers as it is written."""
    section = (ROOT / "docs" / "daemon.md").read_text().partition("\n## Journal\n")[2]
    blocks = re.findall(r"```(?:python)?\n(# (bank/\S+)\n.*?)```", section, re.S)
    assert [name for _, name in blocks] == ["bank/tap.py", "bank/plugins.tml"]
    for text, name in blocks:
        place.add_module(name, text)
    place.add_module("bank/__init__.py", "")
    assert place.mktap("bank", "--port", "0").returncode == 0
    (session,) = re.findall(r"```\n(% mktap bank\n.*?)```", section, re.S)
    answers = iter(re.findall(r"^\d+$", session, re.M))
    asked = re.findall(r"printf '(.*?)'", session)
    assert asked == [r"alice 100\nalice 20\n", r"alice 1\n"]
    for number, lines in enumerate(asked):
        (place.path / "twistd.log").unlink(missing_ok=True)
        done = place.twistd(*["--resume"] * number, "-f", "bank.tap")
        assert done.returncode == 0, done.stderr
        talk = Talk(place.port())
        for line in lines.removesuffix(r"\n").split(r"\n"):
            assert talk.ask(line) == next(answers)
        talk.close()
        place.kill(signal=signal.SIGKILL if number == 0 else signal.SIGTERM)
    assert list(answers) == []
