"""A file that somebody edited is read as meant, and written over with only what changed."""

from __future__ import annotations

import difflib
import pathlib
from typing import Any

import pytest

from tapkit.image import tax
from tapkit.image.nodes import NEWOBJ, STATE, Dict, Global, Image, Object, difference
from tapkit.image.tax.tags import settled

HAND = (pathlib.Path(__file__).parent / "data" / "hand_qotd.tax").read_text(encoding="utf-8")


def load(text: str = HAND) -> Any:
    """The root of a text, as `Live`."""
    return Live(tax.read(text.encode(), "hand.tax").root)


class Live:
    """Nodes with the manners of live objects."""

    def __init__(self, node: Any):
        vars(self)["node"] = node

    def __getattr__(self, name: str) -> Any:
        state = self.node if type(self.node) is Dict else self.node.steps[1]
        return wrapped(state[state[::2].index(name) * 2 + 1])

    def __setattr__(self, name: str, value: Any) -> None:
        state = self.node if type(self.node) is Dict else self.node.steps[1]
        value = value.node if isinstance(value, Live) else value
        if name in state[::2]:
            state[state[::2].index(name) * 2 + 1] = value
        else:
            state += [name, value]

    def __delattr__(self, name: str) -> None:
        state = self.node if type(self.node) is Dict else self.node.steps[1]
        at = state[::2].index(name) * 2
        del state[at : at + 2]

    def __getitem__(self, at: int) -> Any:
        return wrapped(self.node[at])


def wrapped(node: Any) -> Any:
    return Live(node) if type(node) in (Object, Dict, list) else node


def server(root: Any, port: int, factory: Any) -> Object:
    node = Object(NEWOBJ, Global("tapkit.internet", "TCPServer"))
    state = ["port", port, "factory", factory.node, "parent", root.node]
    node.steps = [STATE, Dict(state)]
    return node


def saved(root: Any, text: str = HAND) -> str:
    """The text after saving over it; what it says is what was saved."""
    image = Image(root.node)
    written = tax.write(image, text).decode()
    assert difference(plain(tax.read(written.encode(), "x").root), plain(root.node)) is None
    return written


def plain(root: Any) -> Any:
    """The same graph with attributes and sets in one order, which has no meaning."""
    copy = tax.read(tax.write(Image(root)), "x").root
    todo, seen = [copy], set()
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if type(node) is Object and node.steps[:1] == [STATE] and type(node.steps[1]) is Dict:
            pairs = sorted(node.steps[1].items(), key=lambda pair: str(pair[0]))
            node.steps[1][:] = Dict.of(pairs)
            todo += [value for _, value in pairs]
        elif isinstance(node, list):
            if type(node).__name__ == "Set":
                node[:] = settled(node)
            todo += node
    return copy


def changes(new: str, old: str = HAND) -> list[str]:
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=0)
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


# -- reading


def test_a_hand_edited_file_means_what_it_says():
    """Comments, CDATA, references, quotes, order and indentation make no difference."""
    root = load()
    assert (root.name, root.uid) == ("qotd", 1000)
    first, second = root.services[0], root.services[1]
    assert (first.port, second.port) == (8007, 8008)
    assert first.factory.node is second.factory.node
    assert first.parent.node is root.node
    assert second.factory.quoter.quote == "An <apple> a day keeps doctors away."
    assert (second.factory.limits.burst, second.factory.limits.rate) == (16, 10.0)


EDITS = [
    ("8007", "17", lambda root: root.services[0].port, 17),
    ("keeps &#100;octors", "&amp; &lt;ä>&#10;\nö\tü keeps &#100;octors",
     lambda root: root.services[1].factory.quoter.quote,
     "An <apple> a day & <ä>\n\nö\tü keeps doctors away."),
    ('<name>qotd</name>', '<name><!-- new -->fort<!-- x -->une</name>',
     lambda root: root.name, "fortune"),
    ('<uid type="int">+1000</uid>', "", lambda root: root.node.steps[1][::2],
     ["name", "services"]),
    ('"int">0x10<', '"int">\n   16\n<', lambda root: root.services[1].factory.limits.burst, 16),
    ('<factory ref="quotes"/>', '<factory ref="quotes"></factory>',
     lambda root: root.services[0].factory.node.call.name, "QOTDFactory"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "look", "value"), EDITS, ids=range(len(EDITS)))
def test_an_edit_of_the_text_is_read(old, new, look, value):
    """Port, quote, name; something removed; white space: each a real edit of the file."""
    assert old in HAND
    assert look(load(HAND.replace(old, new, 1))) == value


def test_adding_and_removing_a_server_and_sharing_a_factory_by_reference():
    """A whole element goes in, with a reference to what is there; another goes out."""
    added = '<item class="tapkit.internet.TCPServer"><factory ref="quotes"/></item>\n<!-- end of'
    root = load(HAND.replace("<!-- end of", added))
    assert len(root.services.node) == 3
    assert root.services[2].factory.node is root.services[1].factory.node
    start = HAND.index("        <!-- the main server")
    root = load(HAND[:start] + HAND[HAND.index("        <!-- for the old clients") :])
    assert len(root.services.node) == 1


# -- writing over


def test_an_unchanged_image_gives_the_same_bytes():
    """Saving what was loaded changes nothing, down to the white space."""
    assert saved(load()) == HAND


def test_an_unchanged_image_in_another_order_of_hashes_gives_the_same_bytes():
    """A set that a process has in another order is not a change."""
    root = load()
    root.services[1].factory.allow.reverse()
    assert saved(root) == HAND


def test_a_changed_value_changes_its_element_alone():
    """The port's own text; its comment and everything else stay."""
    root = load()
    root.services[0].port = 17
    assert changes(saved(root)) == [
        '-            <port type="int"> 8007 </port>      <!-- 17 is the real one; needs root -->',
        '+            <port type="int">17</port>      <!-- 17 is the real one; needs root -->',
    ]


def test_a_changed_type_changes_the_start_tag():
    """A port that is None now says so; a quote with a control gets its escape."""
    root = load()
    root.services[0].port = None
    root.name = "a\0b"
    assert [line[1:].strip() for line in changes(saved(root)) if line[0] == "+"] == [
        '<name escape="backslash">a\\x00b</name>',
        '<port type="none"/>      <!-- 17 is the real one; needs root -->',
    ]


def test_a_long_text_with_markup_is_replaced_whole():
    """CDATA and references do not survive a change of the text they are in."""
    root = load()
    root.services[1].factory.quoter.quote = "New & improved\nquote"
    assert len(changes(saved(root))) == 3


def test_an_added_attribute_is_indented_like_its_neighbours():
    """A new attribute comes behind the one it comes behind in the object."""
    root = load()
    root.services[0].backlog = 5
    assert changes(saved(root)) == ['+            <backlog type="int">5</backlog>']


def test_a_removed_attribute_goes_with_its_comments():
    """The comment above and the one behind on the line; no other."""
    root = load()
    del root.services[0].port
    del root.services[1].factory.limits
    gone = changes(saved(root))
    assert len(gone) == 6
    assert all(line[0] == "-" for line in gone)
    assert "needs root" in gone[0]


def test_a_removed_server_goes_with_its_comment_and_what_it_shared_stays():
    """The second server had the factory's text; the first, which refers to it, has it now."""
    root = load()
    root.services.node.pop()
    text = saved(root)
    assert "for the old clients" not in text
    assert "the main server" in text and "end of the servers" in text
    assert text.count("QOTDFactory") == 1
    assert "ref=" not in text.replace('ref="qotd"', "")


def test_an_added_server_leaves_the_others_alone():
    """At the end, in front, or between: only lines that are new, and comments where they were."""
    for place in (0, 1, 2):
        root = load()
        factory = root.services[0].factory
        root.services.node.insert(place, server(root, 9000 + place, factory))
        lines = changes(saved(root))
        assert {line[0] for line in lines} == {"+"}
        assert sorted(line.strip("+ ") for line in lines) == [
            "</item>",
            '<factory ref="quotes"/>',
            '<item class="tapkit.internet.TCPServer">',
            '<parent ref="qotd"/>',
            f'<port type="int">{9000 + place}</port>',
        ]


def test_servers_that_change_places_take_their_comments_along():
    """Each comment stays with the server it is about."""
    root = load()
    root.services.node.reverse()
    text = saved(root)
    assert [load(text).services[at].port for at in (0, 1)] == [8008, 8007]


def test_something_newly_shared_gets_an_id_in_the_file():
    """A list that two objects have now: its own place gets the id, the other a reference."""
    root = load()
    root.services[0].limits = root.services[1].factory.limits
    text = saved(root)
    assert '<limits ref="limits"/>' in text
    assert '<limits type="dict" id="limits">' in text
    assert "<!-- per second -->" in text


def test_the_order_of_a_dict_is_the_new_one_and_of_attributes_the_files():
    """What order means something for follows the image; the rest follows the file."""
    root = load()
    limits = root.services[1].factory.limits.node
    limits[:] = limits[2:] + limits[:2]
    state = root.node.steps[1]
    state[:] = state[2:] + state[:2]
    text = saved(root)
    assert text.index("<rate") < text.index("<burst")
    assert text.index("<name>") < text.index("<services")
    assert "<!-- was 5 -->" in text and "<!-- per second -->" in text


def test_a_previous_text_that_cannot_be_read_counts_as_none():
    """A save never fails because of what is there."""
    image = Image(load().node)
    for broken in ("", "no xml", HAND[:500], HAND.replace('"int"', '"itn"')):
        assert tax.write(image, broken) == tax.write(image)


def test_another_encoding_becomes_utf_8():
    """A file in Latin-1 keeps its comments; what cannot be said in Latin-1 can be saved."""
    text = HAND.replace("UTF-8", "iso-8859-1").replace("Bob", "Jürgen")
    root = load()
    root.name = "\u20ac"
    written = tax.write(Image(root.node), text.encode("iso-8859-1")).decode("utf-8")
    assert changes(written, HAND.replace("UTF-8", "utf-8").replace("Bob", "Jürgen")) == [
        "-    <name>qotd</name>",
        "+    <name>\u20ac</name>",
    ]


def test_a_text_of_ours_written_over_is_what_would_be_written():
    """Without anything by hand, saving over a file is the same as saving."""
    root = load()
    first = tax.write(Image(root.node))
    root.services[0].port = 17
    root.services[1].factory.quoter.quote = "x"
    root.services.node.append(server(root, 1, root.services[0].factory))
    assert tax.write(Image(root.node), first) == tax.write(Image(root.node))
