"""docs/tas.md: its examples are read, and run."""

from __future__ import annotations

import re
import sys
from typing import Any

import pytest

from tapkit.image import nodes, tas
from tapkit.image.nodes import Global, Object
from tests import graphs
from tests.place import ROOT
from tests.tas_round import loaded

DOCS = (ROOT / "docs" / "tas.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL)
MISTAKES = re.findall(r"```text\n(.*?)```", DOCS, re.DOTALL)


def test_the_first_example_is_what_is_written() -> None:
    """The application of the docs is read, and written again as it is there."""
    source = EXAMPLES[0].encode()
    image = tas.read(source, "docs/tas.md")
    assert image.root.call == Global("tapkit.application", "Application")
    assert tas.write(image) == source


def test_the_first_example_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ordinary Python, and makes what reading it makes."""
    monkeypatch.syspath_prepend(str(ROOT / "samples"))
    for module in [name for name in sys.modules if name.startswith("TwistedQuotes")]:
        monkeypatch.delitem(sys.modules, module)
    made: Any = tas.run(EXAMPLES[0].encode(), "docs/tas.md")
    assert made.services[0].parent is made
    assert made.services[0].factory.on_request() == "An apple a day keeps the doctor away."


def test_the_edits_of_the_docs() -> None:
    """Read and run, the edits of the second example mean the same."""
    source = EXAMPLES[1].encode()
    image = tas.read(source, "docs/tas.md")
    first, second, _, again = image.root
    assert first is again and type(first) is Object
    assert nodes.difference(second.steps[1][1], 8080) is None
    assert graphs.difference(loaded(image), tas.run(source, "docs/tas.md")) is None


def test_the_mistakes_of_the_docs() -> None:
    """A name and a comma wrong in the first example are told as the docs tell them."""
    source = EXAMPLES[0].replace("quoter=quoter,", "quoter=quotr,")
    source = source.replace("Application, name", "Application name")
    with pytest.raises(tas.SourceError) as caught:
        tas.read(source.encode(), "qotd.tas")
    assert f"{caught.value}\n" == MISTAKES[0]
