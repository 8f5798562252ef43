"""What a .tax says and what it means: one table, written and read, by both readers."""

from __future__ import annotations

import pytest

from tapkit.errors import ImageError
from tapkit.image import tax
from tapkit.image.nodes import (
    REDUCE,
    Buffer,
    FrozenSet,
    Global,
    Image,
    Object,
    Set,
    difference,
    walk,
)
from tapkit.image.tax.careful import Reader
from tapkit.image.tax.quick import quick
from tapkit.image.tax.tags import settled
from tests.tax_cases import ATOMS, HEAD, OBJECTS, ODD, STANDARD, call, shared, thing

TABLE = [*ATOMS, *STANDARD, *OBJECTS]
GRAPHS = [*ODD, *shared()]


def document(rest: str) -> str:
    """A whole .tax with one attribute, `a`."""
    return f'{HEAD}<image tapkit="1" class="app.Thing">\n  <a{rest}\n</image>\n'


def same(one: Image, other: Image) -> None:
    assert difference([one.root, *one.discarded], [other.root, *other.discarded]) is None


@pytest.mark.parametrize(("rest", "value"), TABLE, ids=range(len(TABLE)))
def test_the_writer_spells_it_so(rest, value):
    """Each node of the table is written as the table says."""
    assert tax.write(Image(thing("a", value))).decode() == document(rest)


@pytest.mark.parametrize(("rest", "value"), TABLE, ids=range(len(TABLE)))
def test_both_readers_understand_it_so(rest, value):
    """The text of the table is the node of the table, to the careful reader and the quick one."""
    data = document(rest).encode()
    wanted = Image(thing("a", value))
    same(Reader(data, "x.tax").image(), wanted)
    found = quick(data)
    assert found is not None or "<key>k<" in rest  # a key twice: read with care
    same(found or tax.read(data), wanted)


@pytest.mark.parametrize("node", GRAPHS, ids=range(len(GRAPHS)))
def test_anything_comes_back_as_it_was(node):
    """Whatever a graph of nodes is, what is written is read as the same, and written the same."""
    image = Image(node)
    data = tax.write(image)
    careful, fast = Reader(data, "x.tax").image(), quick(data)
    for member in walk(node):
        if type(member) in (Set, FrozenSet):
            member[:] = settled(member)  # the one thing that is not kept
    assert fast is not None or b"<key>x<" in data  # a key twice: read with care
    same(careful, image)
    same(fast or tax.read(data), image)
    assert tax.write(careful) == data


def test_what_is_called_and_thrown_away_is_kept():
    """Discarded calls are read as discarded calls, in order, and share with the root."""
    part = [1]
    image = Image(Object(REDUCE, Global("app", "f"), (part,)), discarded=[call("app.g", part)])
    data = tax.write(image)
    same(tax.read(data), image)
    same(Reader(data, "x.tax").image(), image)


def test_a_set_is_written_in_one_order_whatever_the_stream_has():
    """Two streams of the same set give the same text."""
    one, other = Set(["b", 3, None, ("x", 1), "a"]), Set([("x", 1), "a", "b", None, 3])
    assert tax.write(Image(one)) == tax.write(Image(other))


def test_out_of_band_buffers_are_refused():
    """A text has no place for buffers; that is said, not lost."""
    with pytest.raises(ImageError, match="buffer 0"):
        tax.write(Image([Buffer(0)]))


def test_a_million_characters_of_every_kind_survive():
    """Every character there is, in one string, comes back."""
    text = "".join(map(chr, range(0x110000)))
    assert tax.read(tax.write(Image([text]))).root == [text]
    assert Reader(tax.write(Image([text])), "").image().root == [text]
