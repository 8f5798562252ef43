"""Pickle bytes <-> nodes: what goes through means the same, and nothing else gets through."""

from __future__ import annotations

import gc
import io
import pickle
import random
import sys
import time
import unittest
from collections.abc import Callable, Iterator
from typing import Any

import cloudpickle
import pytest
from test import pickletester

from tapkit.errors import ImageError
from tapkit.image.nodes import (
    AGAIN,
    EFFECT,
    INSTANCE,
    NEWOBJ,
    REDUCE,
    STATE,
    Buffer,
    Dict,
    FrozenSet,
    Global,
    Image,
    Object,
    Set,
    children,
    difference,
    walk,
)
from tapkit.image.opcodes import ACTIONS, NAMES
from tapkit.image.pickled import assemble, decompile
from tests import graphs

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
TRACKED = cloudpickle.cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID


def there_and_back(data: bytes) -> bytes:
    """A pickle of the same, through nodes; on the way, what is assembled reads as it was."""
    image = decompile(data)
    assembled = assemble(image)
    again = decompile(assembled)
    assert difference([image.root, *image.discarded], [again.root, *again.discarded]) is None
    # The flat pickler's own list is the one call that is left out.
    assert set(again.names) ^ set(image.names) <= {("builtins", "list")}
    assert assemble(again) == assembled
    return assembled


def loads(data: bytes, **options: Any) -> Any:
    """The object of a pickle; a class that cloudpickle pickled by value is made anew."""
    TRACKED.clear()
    return pickle.loads(data, **options)


def root(*opcodes: bytes | str) -> Any:
    """The root of a pickle, put together by hand."""
    return decompile(b"".join(o.encode() if isinstance(o, str) else o for o in opcodes)).root


# -- fidelity


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("make", graphs.PLAIN, ids=lambda make: make.__name__)
@pytest.mark.parametrize("dumps", [pickle.dumps, cloudpickle.dumps], ids=["pickle", "cloudpickle"])
def test_plain_graphs(dumps: Callable[..., bytes], make: Callable[[], Any], protocol: int) -> None:
    """What pickle or cloudpickle writes, of any protocol, means the same after the round trip."""
    if protocol < 2 and make in graphs.MODERN:
        pytest.skip("protocols 0 and 1 cannot save it")
    data = dumps(make(), protocol)
    assembled = there_and_back(data)
    assert graphs.difference(loads(data), loads(assembled)) is None
    if protocol == 5:
        assert graphs.difference(make(), loads(assembled)) is None


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("make", graphs.BY_VALUE, ids=lambda make: make.__name__)
def test_graphs_with_code(make: Callable[[], Any], protocol: int) -> None:
    """So does code by value: lambdas, closures and classes, recursive ones too."""
    data = cloudpickle.dumps(make(), protocol)
    assembled = there_and_back(data)
    assert graphs.difference(loads(data), loads(assembled)) is None


def test_code_that_went_through_runs() -> None:
    """Closures and local classes work after the round trip."""
    even, odd = loads(there_and_back(cloudpickle.dumps(graphs.recursive_closure())))
    assert even(10) and odd(7) and even.partner is odd
    derived, base, kind, hello = loads(there_and_back(cloudpickle.dumps(graphs.local_classes())))
    assert hello() is derived and derived.name == "derived" and base.members == [kind]


@pytest.mark.parametrize("make", graphs.PLAIN, ids=lambda make: make.__name__)
def test_python_s_own_unpickler(make: Callable[[], Any]) -> None:
    """The pure Python unpickler, stricter about frames, reads what is assembled as well."""
    assembled = assemble(decompile(pickle.dumps(make())))
    live = pickle._Unpickler(io.BytesIO(assembled)).load()  # type: ignore[attr-defined]
    assert graphs.difference(make(), live) is None


def test_optional_arrays() -> None:
    """numpy arrays, in band and out of band, where numpy is installed."""
    numpy = pytest.importorskip("numpy")
    array = numpy.arange(10)
    assert (loads(there_and_back(pickle.dumps(array))) == array).all()


class RoundTrip(pickletester.AbstractPickleTests, unittest.TestCase):
    """CPython's own tests, all assertions untouched; what is loaded went through nodes first."""

    pickler = pickle.Pickler
    unpickler = pickle.Unpickler

    def dumps(self, arg: Any, proto: int | None = None, **kwargs: Any) -> bytes:
        return pickle.dumps(arg, proto, **kwargs)

    def loads(self, buf: bytes, **kwargs: Any) -> Any:
        return pickle.loads(there_and_back(bytes(buf)), **kwargs)

    test_global_ext1 = None  # extension codes are refused: they mean what a registry says
    test_global_ext2 = None
    test_global_ext4 = None
    test_proto = None  # expects ValueError, not ImageError, of an unknown protocol

    @pytest.mark.slow  # megabytes, many times over
    def test_framed_write_sizes_with_delayed_writer(self) -> None:
        super().test_framed_write_sizes_with_delayed_writer()

    @pytest.mark.slow
    def test_framing_many_objects(self) -> None:
        super().test_framing_many_objects()


class Assembled(RoundTrip):
    """The same, with what is assembled in the hands of the tests: its opcodes are looked at."""

    def dumps(self, arg: Any, proto: int | None = None, **kwargs: Any) -> bytes:
        return there_and_back(pickle.dumps(arg, proto, **kwargs))

    def loads(self, buf: bytes, **kwargs: Any) -> Any:
        return pickle.loads(buf, **kwargs)

    # These look for opcodes of the old protocol they asked for; protocol 5 is written.
    test_appends_on_non_lists = None
    test_bytearray = None
    test_compat_pickle = None
    test_complex_newobj = None
    test_complex_newobj_ex = None
    test_dict_chunking = None
    test_float_format = None
    test_list_chunking = None
    test_long1 = None
    test_long4 = None
    test_pickle_to_2x = None
    test_set_chunking = None
    test_setitems_on_non_dicts = None
    test_short_tuples = None
    test_simple_newobj = None
    test_singletons = None


UNLIKE = {
    "value": ([1], [2]),
    "type": ([1], [True]),
    "zero": ([0.0], [-0.0]),
    "order": ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    "length": ([1], [1, 1]),
    "member": ({1, 2}, {1, 3}),
    "state": (graphs.Thing(a=1), graphs.Thing(a=2)),
    "class": (graphs.MyList(), []),
    "sharing": ((s := [], s), ([], [])),
    "no sharing": (([], []), (s, s)),
    "code": (lambda: 1, lambda: 1 + s),
    "arguments": (ValueError(1), ValueError(2)),
    "slots": (graphs.Slotted(1, 2), graphs.Slotted(1, 3)),
}


@pytest.mark.parametrize("case", UNLIKE)
def test_the_comparison_itself(case: str) -> None:
    """The check these tests rest on tells graphs apart."""
    one, other = UNLIKE[case]
    assert graphs.isomorphic(one, one) and graphs.isomorphic(other, other)
    assert not graphs.isomorphic(one, other)


# -- what nodes a stream gives


def test_instance() -> None:
    """An instance is a NEWOBJ with one step, its state."""
    made = decompile(pickle.dumps(graphs.Thing(a=1, b=[2]))).root
    assert (made.how, made.call, made.args, made.kwargs) == (
        NEWOBJ,
        Global("tests.graphs", "Thing"),
        (),
        None,
    )
    assert made.steps == [STATE, Dict(["a", 1, "b", [2]])]


def test_state_setter_is_an_effect() -> None:
    """A reduction's sixth part is a call for its effect, its first argument the object itself."""
    made = decompile(pickle.dumps(graphs.BySetter([1]))).root
    ((verb, call),) = made.each_step()
    assert verb == EFFECT
    assert call.call == Global("tests.graphs", "set_state")
    assert call.args[0] is made and call.args[1] == [1]


def test_shared_nodes_are_one() -> None:
    """What pickle shares is one node met twice."""
    first, second, *_ = decompile(pickle.dumps(graphs.shared())).root
    assert first is second


def test_recursive_tuple_leaves_no_trace() -> None:
    """A tuple that contains itself is just that; nothing is discarded."""
    image = decompile(pickle.dumps(graphs.recursive_tuple_root()))
    assert image.root[0].items().__next__() == ("root", image.root)
    assert image.root[0][1] is image.root
    assert image.discarded == []


@pytest.mark.parametrize("dumps", [pickle.dumps, pickle._dumps])  # type: ignore[attr-defined]
def test_cycle_through_arguments_makes_the_object_twice(dumps: Callable[..., bytes]) -> None:
    """As with pickle, the callable is called twice, and the state set as often as before."""
    data = dumps(graphs.recursive_reduce_with_state())
    (made,) = decompile(data).root
    steps = [STATE] if dumps is pickle.dumps else [STATE, AGAIN, STATE]
    assert [verb for verb, _ in made.each_step()] == steps
    assert calls(data).count("REDUCE") == 2
    for stream in (there_and_back(data), there_and_back(there_and_back(data))):
        assert calls(stream) == calls(data)


def calls(data: bytes) -> list[str]:
    """The opcodes that call or complete something, in order."""
    import pickletools

    names = {"REDUCE", "NEWOBJ", "BUILD", "POP"}
    return [op.name for op, _, _ in pickletools.genops(data) if op.name in names]


def test_new_arguments_each_time() -> None:
    """A set before protocol 4 is made of a new list each time: both makings are kept."""
    image = decompile(pickle.dumps(graphs.recursive_set(), 2))
    ((verb, dropped),) = image.root.each_step()
    assert (verb, dropped.call) == (AGAIN, Global("builtins", "set"))
    assert dropped.args[0] is not image.root.args[0]
    assert image.discarded == []


def test_an_edit_may_end_the_cycle() -> None:
    """A step AGAIN is no harm once the graph has no cycle any more."""
    made = Object(REDUCE, Global("tests.graphs", "ByArgs"), (1,))
    made.steps = [STATE, Dict(["a", 1]), AGAIN, None, STATE, Dict(["b", 2])]
    other = Object(REDUCE, Global("tests.graphs", "ByArgs"), (1,))
    other.steps = [AGAIN, Object(REDUCE, Global("tests.graphs", "ByArgs"), (2,))]
    live, twin = pickle.loads(assemble([made, other]))
    assert vars(live) == {"args": (1,), "a": 1, "b": 2}
    assert twin.args == (1,)


def test_python_2_names() -> None:
    """Protocols 0 to 2 carry Python 2's names; nodes have today's."""
    assert root("c__builtin__\nxrange\n.") == Global("builtins", "range")
    assert root("cUserDict\nIterableUserDict\n.") == Global("collections", "UserDict")
    assert root("ccopy_reg\n_reconstructor\n.") == Global("copyreg", "_reconstructor")
    assert root(b"\x80\x03", "c__builtin__\nxrange\n.") == Global("__builtin__", "xrange")


HAND_MADE = {
    "INT": ("I-5\n.", -5),
    "INT true": ("I01\n.", True),
    "INT false": ("I00\n.", False),
    "LONG": ("L12345678901234567890L\n.", 12345678901234567890),
    "LONG without L": ("L5\n.", 5),
    "LONG1": (b"\x8a\x02\x00\xff.", -256),
    "LONG1 empty": (b"\x8a\x00.", 0),
    "LONG4": (b"\x8b\x01\x00\x00\x00\x80.", -128),
    "FLOAT": ("F1.5\n.", 1.5),
    "STRING": ("S'a\\n\\'b'\n.", "a\n'b"),
    "BINSTRING": (b"T\x02\x00\x00\x00ab.", "ab"),
    "SHORT_BINSTRING": (b"U\x02ab.", "ab"),
    "UNICODE": ("V\\u20ac a\n.", "€ a"),
    "BINUNICODE": (b"X\x02\x00\x00\x00ab.", "ab"),
    "BINUNICODE8": (b"\x8d\x02" + bytes(7) + b"ab.", "ab"),
    "BINBYTES8": (b"\x8e\x02" + bytes(7) + b"ab.", b"ab"),
    "BYTEARRAY8": (b"\x96\x02" + bytes(7) + b"ab.", bytearray(b"ab")),
    "DICT": ("(I1\nI2\nd.", Dict([1, 2])),
    "LIST": ("(I1\nI2\nl.", [1, 2]),
    "TUPLE": ("(t.", ()),
    "DUP": ("I1\n2\x86.", (1, 1)),
    "POP": ("I1\nI2\n0.", 1),
    "POP a mark": ("I1\n(0.", 1),
    "POP_MARK": ("I1\n(I2\nI3\n1.", 1),
    "PUT and GET": ("]p5\n0g5\n.", []),
    "BINPUT": (b"]q\x05h\x05\x86.", ([], [])),
    "LONG_BINPUT": (b"]r\x05\x00\x00\x00j\x05\x00\x00\x00\x86.", ([], [])),
    "PUT again": ("]p0\n(dp0\ng0\n\x86\x86.", ([], (Dict(), Dict()))),
    "MEMOIZE after a gap": (b"]q\x07I1\n\x94h\x01\x86\x86.", ([], (1, 1))),
    "ADDITEMS": (b"\x8f(K\x01\x90.", Set([1])),
    "FROZENSET": (b"(K\x01\x91.", FrozenSet([1])),
    "no PROTO, no FRAME": ("N.", None),
    # Dicts that are being filled when something else happens to them; each has been met twice.
    "SETITEMS inside": (b"}\x94(K\x01h\x00(K\x02K\x03u0NK\x04K\x05u.", Dict([2, 3, 1, None, 4, 5])),
    "SETITEM inside": (b"}\x94(h\x00K\x02K\x03s0K\x04K\x05u.", Dict([2, 3, 4, 5])),
    "a mark taken by TUPLE": (b"}\x94(K\x01K\x02th\x00\x86.", ((1, 2), Dict())),
    "a mark taken by LIST": (b"}\x94(K\x01K\x02lh\x00\x86.", ([1, 2], Dict())),
    "a mark popped": (b"}\x94(K\x01K\x021.", Dict()),
    "STOP before SETITEMS": (b"}\x94(K\x01h\x00.", Dict()),
    "SETITEMS twice": (b"}\x94(K\x01K\x02u(K\x03h\x000Nu.", Dict([1, 2, 3, None])),
}


@pytest.mark.parametrize("case", HAND_MADE)
def test_hand_made_streams(case: str) -> None:
    """Opcodes that no pickler writes any more are read as `pickle.loads` does."""
    stream, expected = HAND_MADE[case]
    data = stream if isinstance(stream, bytes) else stream.encode("latin-1")
    assert difference(decompile(data).root, expected) is None or root(data) == expected
    assert graphs.isomorphic(pickle.loads(data), pickle.loads(there_and_back(data)))


def test_odd_escapes() -> None:
    """An escape that newer Pythons warn of is read without a warning."""
    assert root("S'\\d\\n'\n.") == "\\d\n"


def test_inst_and_obj() -> None:
    """INST and OBJ: whether the class is called depends on it, so they stay what they are."""
    inst = b"(K\x01itests.graphs\nByArgs\n."
    obj = b"(ctests.graphs\nByArgs\nK\x01o."
    empty = b"(itests.graphs\nSlotted\n."  # called, this class would raise
    for data in (inst, obj, empty):
        assert decompile(data).root.how == INSTANCE
        assert graphs.isomorphic(pickle.loads(data), pickle.loads(there_and_back(data)))


def test_every_opcode_is_there() -> None:
    """Each opcode that the pickle module knows has an action, STOP alone excepted."""
    assert {NAMES[code] for code in ACTIONS} == set(NAMES.values()) - {"STOP"}
    assert len(NAMES) == 68


# -- buffers


def test_buffers_stay_beside_the_pickle() -> None:
    """Without its buffers a pickle has nodes in their places, and asks for them again."""
    buffers: list[pickle.PickleBuffer] = []
    raw = [pickle.PickleBuffer(b"read"), pickle.PickleBuffer(bytearray(b"write"))]
    data = pickle.dumps(raw, 5, buffer_callback=buffers.append)
    one, two = decompile(data).root
    assert (one.number, one.readonly, two.number, two.readonly) == (0, True, 1, False)
    assert pickle.loads(there_and_back(data), buffers=buffers)[1] is buffers[1]


def test_buffers_given_are_put_in_place() -> None:
    """With its buffers a pickle stands alone: read-only ones are bytes, others bytearrays."""
    buffers: list[pickle.PickleBuffer] = []
    raw = [pickle.PickleBuffer(b"read"), pickle.PickleBuffer(bytearray(b"write"))]
    data = pickle.dumps(raw, 5, buffer_callback=buffers.append)
    assert pickle.loads(assemble(decompile(data, buffers))) == [b"read", bytearray(b"write")]
    with pytest.raises(ImageError, match="not enough buffers"):
        decompile(data, buffers[:1])


def test_buffers_keep_their_order() -> None:
    """Buffers have no names, so an edit that changes their order is an error."""
    with pytest.raises(ImageError, match="out of order"):
        assemble([Buffer(1), Buffer(0)])


# -- what is thrown away


def test_discarded_calls_are_kept() -> None:
    """A call whose result is dropped is still made, and still seen."""
    evil = b"cposix\nsystem\nX\x02\x00\x00\x00ls\x85R"
    for data in (evil + b"0N.", b"(" + evil + b"1N.", evil + b"N.", b"(" + evil + b"N."):
        image = decompile(data)
        assert image.root is None
        assert image.names == [("posix", "system")]
        (call,) = image.discarded
        assert (call.how, call.args) == (REDUCE, ("ls",))
        again = decompile(assemble(image))
        assert difference(again.discarded, image.discarded) is None


def test_dropped_but_used_is_not_discarded() -> None:
    """What is popped and fetched again, or holds no call, is not kept twice."""
    assert decompile(b"ctests.graphs\nThing\n)\x81\x940h\x00.").discarded == []
    assert decompile(b"(]1N.").discarded == []


# -- errors


REFUSED = {
    b"": "byte 0: the stream ends here",
    b"\x80\x06N.": "byte 0 (PROTO): protocol 6 is unknown",
    b"\xff.": "byte 0 (0xff): there is no such opcode",
    b"NPid\n.": "byte 1 (PERSID): a persistent id",
    b"NQ.": "byte 1 (BINPERSID): a persistent id",
    b"\x82\x01.": "byte 0 (EXT1): what an extension code means",
    b"\x83\x01\x00.": "byte 0 (EXT2): what an extension code means",
    b"\x84\x01\x00\x00\x00.": "byte 0 (EXT4): what an extension code means",
    b"h\x05.": "byte 0 (BINGET): nothing was given the id 5",
    b"j\x05\x00\x00\x00.": "byte 0 (LONG_BINGET): nothing was given the id 5",
    b"g-1\n.": "byte 0 (GET): nothing was given the id -1",
    b"gx\n.": "byte 0 (GET): invalid literal",
    b"]p-1\n.": "byte 1 (PUT): an id must not be negative",
    b".": "the stack is empty",
    b"N0.": "the stack is empty",
    b"\x94.": "byte 0 (MEMOIZE): the stack is empty",
    b"N\x86.": "byte 1 (TUPLE2): the stack is empty",
    b"u.": "byte 0 (SETITEMS): ",
    b"e.": "byte 0 (APPENDS): there is no mark",
    b"}(Nu.": "byte 3 (SETITEMS): a key has no value",
    b"(Nd.": "byte 2 (DICT): a key has no value",
    b"K\x01Na.": "byte 3 (APPEND): int takes no items",
    b"](NNu.": "byte 4 (SETITEMS): list takes no entries",
    b"}(Ne.": "byte 3 (APPENDS): Dict takes no items",
    b"](N\x90.": "byte 3 (ADDITEMS): list takes no members",
    b"]Nb.": "byte 2 (BUILD): list takes no state",
    b"cm\nC\n}b.": "byte 6 (BUILD): Global takes no state",
    b"K\x01)R.": "byte 3 (REDUCE): int cannot be called",
    b"cm\nC\n]R.": "byte 6 (REDUCE): arguments must be a tuple",
    b"cm\nC\nN\x81.": "byte 6 (NEWOBJ): arguments must be a tuple",
    b"cm\nC\n)]\x92.": "byte 7 (NEWOBJ_EX): keyword arguments must be a dict",
    b"(o.": "byte 1 (OBJ): ",
    b"(No.": "byte 2 (OBJ): NoneType cannot be called",
    b"NN\x93.": "byte 2 (STACK_GLOBAL): a global's module and name must be strings",
    b"N\x98.": "byte 1 (READONLY_BUFFER): NoneType is no buffer",
    b"Sabc\n.": "byte 0 (STRING): a string must be in quotes",
    b"U\x01\xe9.": "byte 0 (SHORT_BINSTRING): 'ascii' codec",
    b"\x8c\x01\xff.": "byte 0 (SHORT_BINUNICODE): 'utf-8' codec",
    b"Ix\n.": "byte 0 (INT): invalid literal",
    b"L" + b"9" * 5000 + b"L\n.": "byte 0 (LONG): Exceeds the limit",
    b"N..": "byte 2: 1 bytes follow it",
    b"\x95\xff\0\0\0\0\0\0\0N.": "byte 0 (FRAME): the stream ends here",
    b"\x8e" + b"\xff" * 8 + b".": "byte 0 (BINBYTES8): the stream ends here",
    b"X\xff\xff\xff\xff.": "byte 0 (BINUNICODE): the stream ends here",
}


@pytest.mark.parametrize("data", REFUSED, ids=lambda data: repr(data)[:30])
def test_refused(data: bytes) -> None:
    """What cannot be read is refused by the opcode's name and offset."""
    with pytest.raises(ImageError) as caught:
        decompile(data)
    assert REFUSED[data] in str(caught.value)


def test_what_cannot_be_assembled() -> None:
    """An object of no kind, and a cycle without an end, are said in words."""
    with pytest.raises(ImageError, match="no node: <object"):
        assemble([object()])
    ring = Object(REDUCE, Global("m", "f"))
    ring.args = (1, (ring, "word"))
    with pytest.raises(ImageError, match="must be there before it can be made"):
        assemble(ring)
    members = FrozenSet()
    members.append((members,))
    with pytest.raises(ImageError, match="frozenset must be there before"):
        assemble(members)


def corpus() -> Iterator[bytes]:
    """Pickles with every opcode that picklers write today or wrote once."""
    for protocol in (0, 2, 5):
        yield pickle.dumps([graphs.containers(), graphs.calls(), graphs.application()], protocol)
    yield cloudpickle.dumps([graphs.local_classes(), graphs.closures()])
    for stream, _ in HAND_MADE.values():
        yield stream if isinstance(stream, bytes) else stream.encode("latin-1")


def test_truncation() -> None:
    """Cut off at any byte, a pickle is an ImageError that says at which byte it ends."""
    for data in corpus():
        for end in range(len(data)):
            with pytest.raises(ImageError, match="byte "):
                decompile(data[:end])


def test_mutation() -> None:
    """Bytes changed at random give an ImageError or another pickle, quickly, and no traceback."""
    chance = random.Random(5)
    streams = list(corpus())
    refused = 0
    for _ in range(4000):
        data = bytearray(chance.choice(streams))
        for _ in range(chance.choice((1, 1, 2, 5))):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            image = decompile(bytes(data))
        except ImageError:
            refused += 1
            continue
        try:
            assert difference(decompile(assemble(image)).root, image.root) is None
        except ImageError as error:
            assert "before it can be made" in str(error) or "out of order" in str(error)
    assert 400 < refused < 4000


HOSTILE = """
import pickle, sys
sys.path[:0] = [{root!r}]
from tapkit.errors import ImageError
from tapkit.image.pickled import assemble, decompile
streams = {streams!r}
try:
    decompile(b"N")
except ImageError:
    pass
seen = []
watched = ("import", "exec", "compile", "open", "os.system", "pickle.find_class")
sys.addaudithook(lambda event, args: event in watched and seen.append((event, args)))
for data in streams:
    assemble(decompile(data))
before = len(seen)
try:
    pickle.loads(b"cbuiltins\\nlen\\n.")
finally:
    print(before, len(seen) > before, seen[:before])
"""


def test_nothing_is_imported_or_run(tmp_path: Any) -> None:
    """An audit hook sees no import, no exec, no look-up: of hostile pickles or of others."""
    import subprocess
    from pathlib import Path

    streams = [
        b"cos\nsystem\n(S'touch pwned'\ntR.",
        b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R.",
        b"(S'import os'\nibuiltins\nexec\n.",
        b"cno.such.module\nNothing\n)\x81}(X\x01\x00\x00\x00aNub.",
        b"cos\nsystem\nS'touch pwned'\n\x85R0N.",
        cloudpickle.dumps([graphs.local_classes(), graphs.closures()]),
        *(pickle.dumps(make()) for make in graphs.PLAIN if make is not graphs.big_containers),
    ]
    place = Path(graphs.__file__).parent.parent
    script = tmp_path / "hostile.py"
    script.write_text(HOSTILE.format(root=str(place), streams=streams))
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "0 True []\n", done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hostile.py"]


def test_bombs_are_defused() -> None:
    """What would be exponential, or crash the interpreter if hashed or called, is just read."""
    began = time.process_time()
    billion = b")" + b"2\x86" * 200 + b"."
    assert sum(1 for _ in walk(decompile(billion).root)) == 201
    assert len(assemble(decompile(billion))) < 2000
    deep_key = b"})" + b"\x85" * 100_000 + b"Ns."
    assert decompile(assemble(decompile(deep_key))).root[1] is None
    states = b"cm\nC\n)\x81" + b"Nb" * 100_000 + b"."
    assert len(assemble(decompile(states))) > 200_000
    popped = b"](" + b"N" * 50_000 + b"e\x94" + b"h\x000" * 50_000 + b"."
    assert len(decompile(popped).root) == 50_000
    again = b"cm\nC\n\x94)\x81\x94" + b"h\x00)\x810h\x01" * 5_000 + b"."
    with pytest.raises(ImageError, match="again and again"):
        decompile(again)
    deep_in = (
        b"}\x94" + b"}\x94(" * 20_000 + b"h\x00(NNu0" * 20_000 + b"N" + b"Nu" * 20_000 + b"\x86."
    )
    assert len(decompile(deep_in).root[0]) == 40_000
    far = b"]r\xff\xff\xff\xff."
    assert decompile(far).root == []
    assert time.process_time() - began < 10


# -- size


@pytest.fixture
def _collector_off() -> Iterator[None]:
    """Without the garbage collector, as images are saved and loaded."""
    gc.disable()
    yield
    gc.enable()


DEEP = pytest.mark.usefixtures("_collector_off")


@DEEP
def test_a_list_nested_100_000_deep() -> None:
    """Depth costs neither a recursion nor a crash."""
    data = b"]" + b"](" * 100_000 + b"e" * 100_000 + b"."
    assembled = there_and_back(data)
    assert graphs.isomorphic(pickle.loads(data), pickle.loads(assembled))


@DEEP
def test_tuples_nested_100_000_deep() -> None:
    """Nor with tuples, which are complete from the inside out."""
    data = b")" + b"\x85" * 100_000 + b"."
    assert type(pickle.loads(there_and_back(data))) is tuple


def chain_stream(length: int) -> bytes:
    """The plain nested pickle of `graphs.chain`, which no pickler can write."""
    begin = b"\x80\x04ctests.graphs\nThing\n\x940"
    link = b"h\x00)\x81\x94}\x94(\x8c\x06numberK\x05\x8c\x04next"
    return begin + link * length + b"N" + b"ub" * length + b"."


@DEEP
@pytest.mark.slow
def test_a_chain_of_100_000_objects() -> None:
    """A chain of objects goes through and loads."""
    head = pickle.loads(there_and_back(chain_stream(100_000)))
    length = 0
    while head is not None:
        head, length = head.next, length + 1
    assert length == 100_000


def test_long_containers_are_written_in_batches() -> None:
    """Frames stay near 64 KiB however long a list is, large strings stand outside of them."""
    import pickletools

    data = assemble([list(range(200_000)), "x" * 100_000, bytearray(100_000)])
    frames = [arg for op, arg, _ in pickletools.genops(data) if op.name == "FRAME"]
    assert len(frames) > 8 and max(frames) < 80 * 1024
    assert pickle.loads(data)[0] == list(range(200_000))


def test_values_are_written_once() -> None:
    """Equal strings, bytes and globals are written once and fetched by id after that."""
    twice = [["a word", b"some bytes", Global("m", "C")] for _ in range(2)]
    data = assemble([*twice, "".join(["a ", "word"]), Global("m", "C")])
    for text in (b"a word", b"some bytes", b"\x8c\x01m", b"\x8c\x01C"):
        assert data.count(text) == 1


def test_equal_values_of_other_types_are_kept_apart() -> None:
    """1, True and 1.0, "a" and b"a", 0.0 and -0.0 stay what they are."""
    values = [1, True, 1.0, "a", b"a", 0.0, -0.0, 0, False, ("m", "C"), Global("m", "C"), (b"a",)]
    assert difference(decompile(assemble(values)).root, values) is None


# -- the flat pickler's streams


def same(obj: bytes) -> bytes:
    """A call of `tapkit.styles.same`, as the flat pickler writes it."""
    return b"\x8c\x0dtapkit.styles\x8c\x04same\x93" + obj + b"\x85R\x94"


def test_flat_states_come_back_on_their_objects() -> None:
    """`same(obj)` and what follows it belong to the object; `last` to nobody."""
    shell = b"\x8c\x0ctests.graphs\x8c\x05Thing\x93)\x81\x94"
    parts = b"(N" + shell + same(b"h\x00") + b"}(\x8c\x01ah\x00ubh\x00e"
    last = b"\x8c\x0dtapkit.styles\x8c\x04last\x93"
    data = b"\x80\x05" + last + b"\x8c\x08builtins\x8c\x04list\x93)R" + parts + b"\x85R."
    image = decompile(data)
    assert image.names == [("builtins", "list"), ("tests.graphs", "Thing")]
    assert image.root.steps[0] == STATE
    assert image.root.steps[1][1] is image.root
    live = pickle.loads(assemble(image))
    assert type(live) is graphs.Thing and live.a is live


@pytest.mark.parametrize("make", graphs.PLAIN + graphs.BY_VALUE, ids=lambda make: make.__name__)
def test_flat_and_plain_pickles_have_the_same_nodes(make: Callable[[], Any]) -> None:
    """The flat pickler's stream of a graph, many times over, means what plain pickle's does."""
    from tapkit.image.flat import FlatPickler

    graph = [make() for _ in range(5)] + [graphs.chain(200)]
    file = io.BytesIO()
    FlatPickler(file).dump(graph)
    assembled = there_and_back(file.getvalue())
    layout = {("tapkit.styles", "same"), ("tapkit.styles", "last")}
    assert layout.isdisjoint(decompile(assembled).names)
    assert graphs.difference(loads(file.getvalue()), loads(assembled)) is None


@DEEP
def test_a_flat_chain() -> None:
    """A chain that only the flat pickler can save goes through, and is plain afterwards."""
    from tapkit.image.flat import FlatPickler

    file = io.BytesIO()
    FlatPickler(file).dump(graphs.chain(20_000))
    head = pickle.loads(there_and_back(file.getvalue()))
    assert sum(1 for _ in iter_chain(head)) == 20_000


def iter_chain(head: Any) -> Iterator[Any]:
    """The links of a chain."""
    while head is not None:
        yield head
        head = head.next


def test_memory_is_given_back() -> None:
    """Nothing is kept of an image once it is let go."""
    data = chain_stream(20_000)
    for _ in range(2):  # the first time fills caches
        gc.collect()
        before = len(gc.get_objects())
        assemble(decompile(data))
        gc.collect()
        after = len(gc.get_objects())
    assert after - before < 100


def test_an_image_or_a_node() -> None:
    """`assemble` takes either."""
    assert assemble([1]) == assemble(Image([1]))
    assert list(children(decompile(assemble([1])).root)) == [1]
