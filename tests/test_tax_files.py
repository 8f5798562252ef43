"""Golden files, damage, hostile and huge files: the same bytes again, or a clear error, soon."""

from __future__ import annotations

import gc
import pathlib
import random
import re
import time

import pytest

from tapkit.errors import ImageError
from tapkit.image import tax
from tapkit.image.nodes import NEWOBJ, STATE, Dict, Global, Image, Object, difference
from tapkit.image.tax.careful import MAX_DEPTH, Reader
from tapkit.image.tax.quick import quick

HERE = pathlib.Path(__file__).parent
GOLDEN = sorted((HERE / "data").glob("*.tax"))
OURS = [path for path in GOLDEN if not path.name.startswith("hand_")]
DOCUMENT = (HERE.parent / "docs" / "tax.md").read_text(encoding="utf-8")
WORKED = re.findall(r"^```xml\n(.*?)^```$", DOCUMENT, re.DOTALL | re.MULTILINE)
SCHEMA = pathlib.Path(tax.__file__).parent / "tax.rng"


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_a_golden_file_is_read_and_written_again_byte_equal(path):
    """What any version wrote, this one reads, quickly and with care, and writes the same."""
    data = path.read_bytes()
    image = Reader(data, path.name).image()
    fast = quick(data)
    assert tax.write(image) == data
    if fast is not None:
        assert difference([fast.root, *fast.discarded], [image.root, *image.discarded]) is None


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.name)
def test_a_golden_file_written_over_itself_stays(path):
    """Whatever is in it by hand is kept."""
    data = path.read_bytes()
    assert tax.write(tax.read(data, path.name), data) == data


@pytest.mark.parametrize("text", WORKED, ids=range(len(WORKED)))
def test_the_examples_of_the_manual_are_read_and_written_byte_equal(text):
    """docs/tax.md shows what is written, and what is written is read."""
    image = tax.read(text.encode(), "docs/tax.md")
    assert tax.write(image).decode() == text
    assert difference(Reader(text.encode(), "").image().root, image.root) is None


def test_the_manual_names_every_type():
    """No word of type= is missing in docs/tax.md."""
    from tapkit.image.tax.kinds import TYPES

    told = set(re.findall(r"[A-Za-z]+", DOCUMENT))
    assert set(TYPES) - told <= {"PurePosixPath", "PureWindowsPath", "WindowsPath"}


def test_files_and_examples_fit_the_schema():
    """What is written, and the hand-edited file, is what tax.rng tells editors to expect."""
    etree = pytest.importorskip("lxml.etree")
    schema = etree.RelaxNG(etree.parse(str(SCHEMA)))
    texts = [*(path.read_bytes() for path in GOLDEN), *(text.encode() for text in WORKED)]
    for data in texts:
        schema.assertValid(etree.fromstring(data, etree.XMLParser(huge_tree=True)))
    assert not schema.validate(etree.fromstring(b'<x tapkit="1" type="itn">5</x>'))


def tried(data: bytes) -> None:
    """Read it; a fault is a TaxError with a place."""
    try:
        image = tax.read(data, "golden.tax")
    except tax.TaxError as error:
        assert error.where.startswith("golden.tax:")
        assert "\n" not in str(error.mistakes[0])
    else:
        tax.write(image, data)  # what is accepted is an image


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.name)
def test_a_file_cut_anywhere_is_an_error_that_names_the_place(path):
    """Truncated at every byte (of a long file, at 150 of them)."""
    data = path.read_bytes()
    end = len(data.rstrip()) if not data.rstrip().endswith(b"-->") else data.rindex(b"<!--") - 1
    cuts = range(end) if end < 150 else random.Random(end).sample(range(end), 150)
    for cut in cuts:
        with pytest.raises(tax.TaxError) as caught:
            tax.read(data[:cut], "golden.tax")
        assert caught.value.where.startswith("golden.tax:")


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.name)
def test_a_damaged_file_is_an_error_or_another_image_and_nothing_else(path):
    """Bits flipped, bytes swapped, lines moved: no traceback, no hang."""
    data = path.read_bytes()
    chance = random.Random(7)
    for _ in range(50):
        damaged = bytearray(data)
        at, other = chance.randrange(len(data)), chance.randrange(len(data))
        how = chance.randrange(4)
        if how == 0:
            damaged[at] ^= 1 << chance.randrange(8)
        elif how == 1:
            damaged[at], damaged[other] = damaged[other], damaged[at]
        elif how == 2:
            del damaged[at : at + chance.randrange(30)]
        else:
            lines = bytes(damaged).split(b"\n")
            chance.shuffle(lines)
            damaged = bytearray(b"\n".join(lines))
        tried(bytes(damaged))


PLAIN_HAND = (HERE / "data" / "hand_qotd.tax").read_bytes().replace(b"<![CDATA[", b"")
PLAIN_HAND = PLAIN_HAND.replace(b"<apple> a day]]>", b"apple a day")


def test_a_plain_edit_is_read_quickly():
    """Comments, other quotes, other layout: no CDATA, and the quick reader takes it."""
    fast = quick(PLAIN_HAND)
    assert fast is not None
    assert difference(fast.root, Reader(PLAIN_HAND, "").image().root) is None


@pytest.mark.parametrize("data", [(HERE / "data" / "qotd.tax").read_bytes(), PLAIN_HAND])
def test_both_readers_agree_on_damage(data):
    """Whatever the quick reader accepts, the careful one accepts, as the same."""
    chance = random.Random(3)
    accepted = 0
    for _ in range(1500):
        damaged = bytearray(data)
        for _ in range(chance.randrange(1, 3)):
            damaged[chance.randrange(len(data))] = chance.choice(
                b"<>/=\"'& \n\r\tabc1-!._:\x01\xff"
            )
        fast = quick(bytes(damaged))
        if fast is not None:
            accepted += 1
            image = Reader(bytes(damaged), "x").image()
            assert difference(fast.root, image.root) is None, bytes(damaged)
    assert accepted > 40


ROOT = b'<x tapkit="1">&e;</x>'
HOSTILE = {
    "billion laughs": b'<!DOCTYPE x [<!ENTITY l "ha"><!ENTITY e "&l;&l;&l;">]>' + ROOT,
    "external": b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><x tapkit="1"/>',
    "external entity": b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + ROOT,
    "parameter entity": b'<!DOCTYPE x [<!ENTITY % p SYSTEM "http://h/x"> %p;]>' + ROOT,
    "attributes": b'<x tapkit="1" ' + b" ".join(b'a%d="1"' % n for n in range(100_000)) + b"/>",
    "references to nothing": b"<x tapkit='1' type='list'>"
    + b"".join(b"<item ref='r%d'/>" % n for n in range(30_000))
    + b"</x>",
    "code in code": b"<x tapkit='1' type='code'><data>" + b"A" * 100_000 + b"</data></x>",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_hostile_xml_is_refused_and_soon(data):
    """Entities, external anything, floods: refused before they cost anything."""
    began = time.process_time()
    with pytest.raises(tax.TaxError):
        tax.read(data, "x")
    assert time.process_time() - began < 5


def test_elements_nested_without_end_are_refused():
    """More levels than any image has end the reading, not the process."""
    assert MAX_DEPTH >= 1_000_000
    with pytest.raises(tax.TaxError, match="is missing"):
        tax.read(b"<x tapkit='1' type='list'>" + b"<item type='list'>" * 50_000, "x")


def test_packed_code_that_swells_is_refused():
    """16 MB is much code; a kilobyte that says it is a gigabyte is none."""
    import base64
    import zlib

    bomb = base64.b64encode(zlib.compress(b" " * 50_000_000, 9)).decode()
    text = f'<x tapkit="1" type="code" what="x"><data>{bomb}</data></x>'
    with pytest.raises(tax.TaxError, match="cut short, or too large"):
        tax.read(text.encode(), "x")


@pytest.mark.parametrize(
    "content", [b"", b" ", b"<", b"\xff\xfe", b"\xef\xbb\xbf", b"{}", b"\0" * 99]
)
def test_what_is_no_xml_at_all_is_an_error(content):
    """Empty, blank, binary: an ImageError with a place."""
    with pytest.raises(ImageError) as caught:
        tax.read(content, "x.tax")
    assert caught.value.where.startswith("x.tax:1:")


def chain(length: int) -> Object:
    link = None
    for number in range(length):
        made = Object(NEWOBJ, Global("app", "Link"))
        made.steps = [STATE, Dict(["number", number, "after", link])]
        link = made
    assert link is not None
    return link


@pytest.fixture
def no_collector():
    """As whoever saves and loads has it."""
    gc.disable()
    yield
    gc.enable()


def nest(depth: int) -> list[object]:
    made: list[object] = []
    for _ in range(depth):
        made = [made]
    return made


DEPTHS = [10_000, pytest.param(100_000, marks=pytest.mark.slow)]


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("make", [chain, nest])
def test_any_depth_is_written_and_read_by_both_readers(no_collector, make, depth):
    """A chain of objects, a nested list: no recursion, and no square of the depth."""
    root = make(depth)
    data = tax.write(Image(root))
    assert len(data) < depth * 300
    fast = quick(data)
    assert fast is not None
    assert difference(fast.root, root) is None
    assert tax.write(Reader(data, "").image()) == data


@pytest.mark.slow
def test_a_chain_of_a_million_objects(no_collector):
    """As above, at the depth the design promises."""
    data = tax.write(Image(chain(1_000_000)))
    fast = quick(data)
    assert fast is not None
    assert tax.write(fast) == data


def test_a_deep_file_written_over_keeps_its_comments(no_collector):
    """5,000 levels, a comment in the middle, a change at the bottom."""
    root = chain(5_000)
    text = tax.write(Image(root)).decode()
    marked = text.replace('<number type="int">2000<', '<!-- half --><number type="int">2000<')
    image = tax.read(marked.encode())
    bottom = image.root
    while bottom.steps[1][3] is not None:
        bottom = bottom.steps[1][3]
    bottom.steps[1][1] = -1
    written = tax.write(image, marked).decode()
    assert written == marked.replace('<number type="int">0<', '<number type="int">-1<')
