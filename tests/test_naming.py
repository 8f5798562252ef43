"""Names: meaningful, unique, the same each time, good in XML and in Python."""

import builtins
import keyword
import re
import time
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tapkit.image.naming import Names, identifier, names, root_hint, shared
from tapkit.image.nodes import NEWOBJ, STATE, Dict, Global, Image, Object
from tapkit.image.tas.variables import Numbers, Variables

NCNAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\Z")


def thing(module="app", name="Thing", **state):
    """An ordinary instance."""
    made = Object(NEWOBJ, Global(module, name))
    if state:
        made.steps = [STATE, Dict.of(state.items())]
    return made


def test_a_shared_node_is_called_what_its_first_attribute_is():
    """The quoter two factories share is `quoter`, whatever its class."""
    quoter = thing(name="StaticQuoter")
    root = thing(services=[thing(quoter=quoter), thing(source=quoter)])
    given = names(Image(root))
    assert given == {id(root): "application", id(quoter): "quoter"}


def test_the_second_of_a_name_is_numbered():
    """Two shared quoters are `quoter` and `quoter2`, in document order."""
    one, two = thing(), thing()
    root = thing(a=thing(quoter=one), b=thing(quoter=two), c=[one, two])
    given = names(Image(root))
    assert (given[id(one)], given[id(two)]) == ("quoter", "quoter2")


def test_a_number_already_taken_is_passed_over():
    """An attribute that is itself called quoter2 does not clash with the second quoter."""
    giver = Names()
    assert [giver.give(n) for n in ("quoter2", "quoter", "quoter", "quoter2")] == [
        "quoter2", "quoter", "quoter3", "quoter22",
    ]  # fmt: skip


def test_an_item_of_a_list_is_called_by_its_class():
    """A list's items have no attribute: TCPServer gives `tcp_server`."""
    server = thing(name="TCPServer")
    other = [1]
    root = thing(services=[server, server, other, other])
    given = names(Image(root))
    assert (given[id(server)], given[id(other)]) == ("tcp_server", "services_item")


def test_the_root_is_called_by_its_own_name_where_that_is_an_identifier():
    """`name` names the root; what is no identifier, or absent, makes it `application`."""
    assert root_hint(thing(name_="x")) == "application"
    for name, hint in [("qotd", "qotd"), ("my quotes", "application"), (5, "application")]:
        root = Object(NEWOBJ, Global("app", "App"))
        root.steps = [STATE, Dict(["name", name])]
        assert root_hint(root) == hint


def test_the_caller_says_which_nodes_need_a_name():
    """A .tas names all objects; reserved names and the root's name are the caller's."""
    part = thing(name="Part")
    root = thing(part=part, other=[thing(name="Part")], plain=[1, 2])
    given = names(
        Image(root), lambda node, _: type(node) is Object, root="application", reserved=["part"]
    )
    assert sorted(given.values()) == ["application", "part2", "part3"]


def test_keywords_builtins_and_odd_characters_never_make_a_name():
    """What Python has a meaning for gets an underscore; what no name may have is left out."""
    cases = {
        "class": "class_", "list": "list_", "127.0.0.1": "n127_0_0_1", "größe": "gr_e",
        "__x__": "x", "": "thing", "§": "thing", "a b\nc": "a_b_c", "match": "match_",
    }  # fmt: skip
    assert {hint: identifier(hint) for hint in cases} == cases


@given(st.lists(st.text()))
def test_any_hints_make_unique_names_for_both_forms(hints):
    """Whatever the hints, the names are NCNames, identifiers, unique and not reserved."""
    giver = Names()
    given_names = [giver.give(hint) for hint in hints]
    assert len(set(given_names)) == len(given_names)
    for name in given_names:
        assert NCNAME.match(name)
        assert name.isidentifier()
        assert not keyword.iskeyword(name)
        assert not hasattr(builtins, name)


def test_values_and_empty_tuples_are_never_shared():
    """Atoms, globals and () have no identity, however often they are met."""
    text, empty = "word", ()
    cls = Global("app", "C")
    assert shared(Image([text, text, cls, cls, empty, empty])) == set()


def test_cycles_and_what_is_discarded_count():
    """A node inside itself, and one that only a discarded call shares, are met twice."""
    ring = []
    ring.append(ring)
    call = Object("reduce", Global("app", "f"), ([],))
    assert shared(Image([ring])) == {id(ring)}
    assert shared(Image([call.args[0]], discarded=[call])) == {id(call.args[0])}


def test_nodes_deep_and_wide_are_named_in_linear_time():
    """20,000 links deep, every one shared: named without recursion, each once."""
    root = inner = []
    links = []
    for _ in range(20_000):
        link = thing()
        link.steps = [STATE, Dict(["next", inner, "same", inner])]
        inner = link
        links.append(link)
    links[0].steps = [STATE, Dict(["root", root])]
    began = time.process_time()
    given = names(Image(inner))
    assert len(set(given.values())) == len(given) == 20_000
    assert time.process_time() - began < 4


HINTS = (
    *("box", "box1", "box2", "box 1", "box12", "box22", "box_", "box_1", "box_01", "boxé1", "box٣"),
    *("list", "list_", "list_2", "list2", "user 1", "user_1", "user1", "1", "12", "_1", "b-1"),
    "x" * 39,
)


def test_variables_have_the_names_that_all_have():
    """What is remembered of many numbered names makes no difference, and none is given twice."""
    for seed in range(2000):
        check_variables(Random(seed))


def check_variables(random):
    pool = random.sample(HINTS, random.randint(1, 4))
    hints = random.choices(pool, k=random.randint(1, 80))
    hints = [f"{hint}{random.randint(0, 30)}" if random.random() < 0.1 else hint for hint in hints]
    known = {"box3", "user_2", "list_4"}
    variables, usual = Variables(set(known)), Names(known)
    found = [variables.give(hint) for hint in hints]
    assert found == [usual.give(hint) for hint in hints]
    stem = variables.stem_of_class(Global("m", "Box"))
    found += [variables.next(stem) for _ in range(30)]
    assert len(set(found) | known) == len(found) + len(known)


def test_numbers_far_apart_take_no_more_memory_than_near_ones():
    """Names whose numbers double: what is kept for each number must not reach to the largest."""
    numbers = Numbers()
    far = [1 << bit for bit in range(30)]
    assert all(numbers.add(number) for number in [*far, *range(3001, 9000, 2)])
    assert not any(numbers.add(number) for number in [*far, *range(3001, 9000, 2)])
    assert 2999 not in numbers and 9001 not in numbers and 3001 in numbers and 1 << 29 in numbers
    assert len(numbers._near) < 1 << 20
