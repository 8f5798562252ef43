"""Elements that are alike are written and read at one stroke; that shows nowhere but in time."""

from __future__ import annotations

import gc
import random
import re

import pytest

from tapkit import image
from tapkit.image import naming, tax
from tapkit.image.nodes import NEWOBJ, STATE, Dict, Global, Image, Node, Object, difference
from tapkit.image.tax.careful import Reader
from tapkit.image.tax.learned import pattern_of
from tapkit.image.tax.patterns import Family, Pattern
from tapkit.image.tax.plans import Plans
from tapkit.image.tax.quick import quick

MANY = 60  # more than are read before a pattern is made
USER = Global("shop", "User")
CART = Global("shop", "Cart")


def thing(call: Global = USER, **attributes: Node) -> Object:
    made = Object(NEWOBJ, call)
    if attributes:
        made.steps = [STATE, Dict.of(attributes.items())]
    return made


def elements(each: str, count: int = MANY) -> str:
    """A list of elements; `#` is a number of its own in each."""
    return "\n".join(each.replace("#", str(number)) for number in range(count))


def text_of(items: str, holder: str = "list") -> bytes:
    """An image with these elements in it, among others."""
    after = '<z type="dict" id="top"/>'
    return f'<image tapkit="1" type="dict"><a type="{holder}">{items}</a>{after}</image>'.encode()


def same_both_ways(text: bytes) -> Image:
    """What the quick reader reads, which is what the careful one reads."""
    found = quick(text)
    assert found is not None
    assert difference(found.root, Reader(text, "x.tax").image().root) is None
    return found


ALIKE = [
    '<item class="shop.User"><name>u#</name><n type="int">#</n></item>',
    '<item class="shop.User"><x type="float">#.5</x><b type="bool">true</b><n type="none"/></item>',
    '<item class="shop.User" id="u#"><self ref="u#"/><n type="int">-#</n></item>',
    '<item class="shop.User" id="v#"><c class="shop.Cart"><owner ref="v#"/></c><d>#</d></item>',
    '<item class="shop.User"><c class="shop.Cart" id="w#"><l type="list"/></c><r ref="w#"/></item>',
    '<item type="dict" id="d#"><n>#</n><l type="list" id="l#"><item ref="d#"/></l></item>',
    '<item type="list" id="m#"><item>#</item><item ref="m#"/><item ref="top"/></item>',
    '<item type="list"><item type="dict"/><item type="list"><item>#</item></item></item>',
    '<item class="shop.User"><attr name="odd %">#</attr><attr name="k&amp;"> # </attr></item>',
    '<item class="shop.User">\n\n<name>u#</name>\t<n type="int">#</n>\n</item>',
]


@pytest.mark.parametrize("each", ALIKE)
def test_many_alike_elements(each):
    """Whatever many elements have in common, the careful reader reads them so as well."""
    same_both_ways(text_of(elements(each)))


ODD = [
    '<item class="shop.User"><name>a &amp; b</name><n type="int">1</n></item>',
    '<item class="shop.User"><name>a\nb</name><n type="int"> 0x1F </n></item>',
    '<item class="shop.User"><name escape="backslash">\\x00</name><n type="int">1</n></item>',
    '<item class="shop.User"><name type="none"/><n type="float">nan</n></item>',
    '<item class="shop.User"><n type="int">1</n><name>u</name></item>',
    '<item class="shop.User"><name></name><n type="int">123456789012345678901</n></item>',
    '<item class="shop.User"><!-- he --><name>u</name><!-- again --><n type="int">1</n></item>',
    '<item class="shop.User"><name ref="later"/><n type="int">1</n></item><item id="later"/>',
    '<item type="tuple"><item class="shop.User"><name>u</name><n type="int">1</n></item></item>',
    '<item class="shop.User"/>',
    '<item class="shop.User"><name>u</name><n  type = "int" >1</n ></item >',
]


@pytest.mark.parametrize("odd", ODD)
def test_one_that_is_different_among_many(odd):
    """What no pattern matches is read tag by tag, and what is behind it by the pattern again."""
    alike = elements(ALIKE[0])
    text = text_of(f"{alike}{odd}{alike}")
    found = quick(text)
    if found is not None:
        assert difference(found.root, Reader(text, "x.tax").image().root) is None
    careful = tax.read(text)
    assert len(careful.root[1]) >= 2 * MANY + 1


@pytest.mark.parametrize(
    "odd",
    ['<item class="shop.User"><name>u</name><name>u</name></item>', "text"]
    + ['<item class="shop.User"><name>u</name><n type="int">1</n>text</item>']
    + ['<item class="shop.User"><name>u</name><n type="int">one</n></item>']
    + ['<item class="shop.User"><name>u</name><n type="int">1</name></item>']
    + ['<item class="shop.User"><name>u\x01</name><n type="int">1</n></item>']
    + ['<user class="shop.User"><name>u</name><n type="int">1</n></user>'],
)
def test_a_mistake_among_many_is_found(odd):
    """A mistake is told as it is where nothing is alike."""
    alike = elements(ALIKE[0])
    with pytest.raises(tax.TaxError):
        tax.read(text_of(f"{alike}{odd}{alike}"))


def test_an_id_that_many_alike_elements_have_twice():
    """Two ids that are the same are a mistake, in a pattern as well."""
    text = text_of(elements(ALIKE[2]) + ALIKE[2].replace("#", "7"))
    with pytest.raises(tax.TaxError, match="there twice"):
        tax.read(text)


def test_references_to_what_comes_later():
    """Alike elements may refer to what is not there yet: to objects, and to tuples."""
    each = (
        '<item class="shop.User" id="u#"><next ref="x#"/><c type="list"><item ref="t"/></c></item>'
    )
    later = elements('<item class="shop.Cart" id="x#"><n>#</n></item>')
    made = '<item type="tuple" id="t"><item>1</item></item>'
    root = same_both_ways(text_of(elements(each) + later + made)).root
    users, carts, pair = root[1][:MANY], root[1][MANY:-1], root[1][-1]
    assert [user.steps[1][1] for user in users] == carts
    assert all(user.steps[1][3] == [pair] for user in users)
    assert pair == ("1",)


@pytest.mark.parametrize("holder", ["dict", "list"])
def test_keys_of_alike_elements(holder):
    """In a dict such elements are told by their keys, each of which may be there once."""
    each = '<attr name="user #" class="shop.User"><name>u#</name></attr>'
    if holder == "list":
        with pytest.raises(tax.TaxError):
            tax.read(text_of(elements(each), holder))
        return
    root = same_both_ways(text_of(elements(each), holder)).root
    assert root[1][::2] == [f"user {number}" for number in range(MANY)]
    with pytest.raises(tax.TaxError, match="user 7 is here twice"):
        tax.read(text_of(elements(each) + each.replace("#", "7"), holder))


@pytest.mark.parametrize("each", ALIKE[:8])
def test_what_the_reader_tells_of_the_graph(each):
    """What is met twice, and what is named, is what a walk over the graph finds."""
    found = same_both_ways(text_of(elements(each)))
    shared, names = found.shared, found.names
    assert shared is not None
    assert naming.called(found) == set(names)
    assert found.shared == shared


def test_what_the_reader_does_not_know_it_does_not_tell():
    """Where an element may name or hold more than its tag shows, the graph must be searched."""
    for odd in ('<item type="global">shop.User</item>', '<item call="shop.make"/>'):
        assert same_both_ways(text_of(odd)).shared is None


def test_only_what_is_plain_has_a_pattern():
    """An element with anything in it that is a call, or too much of anything, has none."""
    plans = Plans()
    assert type(pattern_of("<a type='list'><item>1</item></a>\n", plans)) is Pattern
    assert pattern_of("<a type='list'><item call='x.y'/></a>", plans) is None
    assert pattern_of(f"<a type='list'>{'<item>1</item>' * 100}</a>", plans) is None
    assert pattern_of("<a class='x.Y' id='b'></a>", plans) is None  # ids as they are written


def test_patterns_that_never_match_are_given_up():
    """Alike tags with other content each time do not cost a pattern each time, for ever."""
    family = Family()
    text = '<a type="list"><item>1</item></a><'
    family.learn(pattern_of(text[:-1], Plans()))
    assert family.find(text, 0) is not None
    lessons = 0
    for _ in range(2000):
        assert family.find("<b/>", 0) is None
        lessons += family.wants()
    assert family.find(text, 0) is None
    assert lessons <= 8


# -- writing


def makers(chance: random.Random) -> list[Object]:
    """Objects of a class whose attributes are not the same kind of thing each time."""
    nodes = []
    for number in range(MANY):
        inner: list[Node] = [
            thing(CART, size=number, days=Dict(["a", 10 ** (number % 30), "b", "x" * number])),
            thing(CART, other="100%", sizes=[number] * (number % 12)),
            thing(CART, deeper=thing(deeper=thing(deeper=thing(deeper=thing(n=number))))),
            thing(CART, size="<&>", days=None),
            thing(CART),
            Dict(["k", "two\nlines", "l", number]),
            [],
            (1, number),
            1 << 20_000,
        ]
        wanted = inner[0] if number % 3 else chance.choice(inner)
        more = {"late": chance.choice([True, None, 0.5])} if number % 5 == 0 else {}
        nodes.append(thing(USER, name=f"user {number}", cart=wanted, again=number, **more))
    return nodes


@pytest.mark.parametrize("seed", range(8))
def test_each_of_many_is_written_as_it_is_alone(seed):
    """What was written before changes nothing of how an object is spelt."""
    nodes = makers(random.Random(seed))
    together = tax.write(Image(list(nodes))).decode()
    alone = [tax.write(Image([node])).decode() for node in nodes]
    opening = together[: together.index("  <item")]
    assert all(text.startswith(opening) for text in alone)
    bodies = [text[len(opening) : -len("</image>\n")] for text in alone]
    assert together == f"{opening}{''.join(bodies)}</image>\n"
    assert difference(tax.read(together.encode()).root, nodes) is None


def test_alike_objects_of_which_some_are_shared():
    """An object that is referred to stands in no other's pattern."""
    carts = [thing(CART, size=number) for number in range(MANY)]
    nodes: list[Node] = [thing(name=f"user {n}", cart=cart) for n, cart in enumerate(carts)]
    nodes += carts[::7]
    text = tax.write(Image(nodes)).decode()
    assert len(re.findall(" id=", text)) == len(carts[::7]) == len(re.findall(" ref=", text))
    assert difference(tax.read(text.encode()).root, nodes) is None


class Link:
    """Something that refers to something like it."""

    def __init__(self, before: Link | None):
        self.before = before
        self.itself = self


def test_nodes_are_gone_when_they_are_not_needed():
    """Saving and loading leave nothing for the garbage collector, though the graph has cycles."""
    link = None
    for _ in range(50):
        link = Link(link)

    def nodes() -> int:
        return sum(type(each) is Object for each in gc.get_objects())

    text = image.dumps(link, "xml")
    gc.collect()
    gc.disable()
    try:
        before = nodes()
        assert image.dumps(link, "xml") == text
        assert type(image.loads(text)) is Link
        assert nodes() <= before
    finally:
        gc.enable()
