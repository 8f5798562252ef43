"""Several mistakes of one .tas are told in one go, each where it is, and only where it is."""

from __future__ import annotations

import pickle
import time

import pytest

from tapkit.image import tas
from tapkit.image.tas.cuts import end_of_statement
from tests.tas_round import WHERE

HEAD = "from tapkit.source import complete, instance, nan\nfrom m import C\n\n"


def error_of(text: str) -> tas.SourceError:
    with pytest.raises(tas.SourceError) as caught:
        tas.read((HEAD + text).encode(), WHERE)
    return caught.value


def places(text: str) -> list[str]:
    """Where mistakes are told."""
    return [mistake.where.removeprefix(f"{WHERE}:") for mistake in error_of(text).mistakes]


def test_several_mistakes() -> None:
    """Each has its line and a caret; the first line of the message is one line about the first."""
    error = error_of(
        "quoter = instance(C)\n\na = [quotr]\n\nb = nan(5)\n\nc = [1 2]\n\nroot = [quoter]\n"
    )
    assert str(error).split("\n") == [
        "x.tas:6:6: nothing is called 'quotr'; did you mean quoter?",
        "    a = [quotr]",
        "         ^",
        "x.tas:8:5: these are not the 64 bits of a NaN",
        "    b = nan(5)",
        "        ^",
        "x.tas:10:6: this is not Python (invalid syntax. Perhaps you forgot a comma?)",
        "    c = [1 2]",
        "         ^",
    ]
    assert (error.where, error.what) == ("x.tas:6:6", "nothing is called 'quotr'")


def test_what_follows_from_a_mistake_is_not_told() -> None:
    """What needs something that a mistake left without meaning is no mistake of its own."""
    assert places("a = [nothing]\n\nb = [a]\n\nb.append(1)\n\na.x = b\n\nroot = a\n") == ["4:6"]
    assert places("a = [nothing]\n\nb = nothing\n\nroot = a\n") == ["4:6"]
    assert places("import x y\n\na = x\n\nb = [y, a, z]\n\nroot = [z]\n") == ["4:10", "10:9"]


def test_a_name_mended_later() -> None:
    """A name that is given a meaning again has one."""
    text = "a = [nothing]\n\na = instance(C)\n\na.x = [wrong]\n\nroot = a\n"
    assert places(text) == ["4:6", "8:8"]


def test_an_open_bracket_costs_its_statement() -> None:
    """A bracket that is never closed is told once, with what is wrong after it."""
    assert places("a = [1,\n\nb = instance(C)\n\nc = [d]\n\nroot = [a]\n") == ["4:5", "8:6"]


def test_lines_that_are_no_python_are_told_once() -> None:
    """A whole passage of prose is one mistake."""
    prose = "here is some prose\n\nand more of it\n\nin three parts\n\n"
    told = places(f"{prose}a = [b]\n\n{prose}root = 1\n")
    assert [place.partition(":")[0] for place in told] == ["4", "10", "12"]


def test_twenty_are_told() -> None:
    """The others are counted."""
    error = error_of("".join(f"a = [n{number}]\n\n" for number in range(50)) + "root = 1\n")
    assert len(error.mistakes) == 20
    assert str(error).endswith("\n... and 30 more")


def test_errors_survive_pickling() -> None:
    """An error crosses a process boundary with all its mistakes."""
    error = error_of("".join(f"a = [n{number}]\n\n" for number in range(30)))
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.mistakes, again.more) == (str(error), error.mistakes, 10)


def test_what_goes_beyond_ends_the_reading() -> None:
    """What stands after a loop may be right because of it; what stands before it may not."""
    loop = "for n in [1]:\n    late = n\n\n"
    assert isinstance(error_of(f"{loop}root = [late]\n"), tas.SourceBeyondError)
    error = error_of(f"root = [early]\n\n{loop}root = [late]\n")
    assert not isinstance(error, tas.SourceBeyondError)
    assert len(error.mistakes) == 1


def test_a_mistake_in_a_large_file_is_told_soon() -> None:
    """A class that is not imported, or a string that is not closed, takes no time by the square."""
    statements = "".join(f"c{n} = instance(D, n={n})\n\n" for n in range(30_000))
    started = time.process_time()
    assert places(f"{statements}root = [c1]\n") == ["4:15"]
    assert places(f"root = '''\n\n{statements}") == ["4:8", "6:15"]
    assert time.process_time() - started < 5


ENDS = [
    (["a = 1", "b"], 1),
    (["a = [", "1]", "b"], 2),
    (["a = '''", "[", "'''", "b"], 3),
    (["a = '''\\'''", "'''", "b"], 2),
    (['a = "[" # [', "b"], 1),
    (["a = '\\'['", "b"], 1),
    (["if a:", "    b", "# c", "    d", "e"], 4),
    (["@a", "def b(): [", "]", "c"], 3),
    (["a = [", "1"], None),
    (["a = ]", "1"], 1),
    (["a"], 1),
]


@pytest.mark.parametrize(("blocks", "end"), ENDS)
def test_ends_of_statements(blocks: list[str], end: int | None) -> None:
    """A cut inside of brackets, a string or a compound statement is found to be one."""
    assert end_of_statement(blocks, 0) == end
