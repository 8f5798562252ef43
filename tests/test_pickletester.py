"""CPython's own tests of pickle, with every pickle taken through the forms on its way.

`dumps` pickles with plain pickle and spells the stream in a form; `loads` reads that form and
unpickles. What is handed out in between is the pickle with the text attached: tests that look
at the bytes of a pickle see those, so that no round trip is lost because its test also counts
opcodes. Bytes that were pickled elsewhere, `DATA0` and its like, go through the forms in `loads`.
"""

from __future__ import annotations

import pickle
import unittest
from typing import Any

import pytest

from tapkit.errors import ImageError
from tapkit.image import forms, header, pickled

pickletester = pytest.importorskip("test.pickletester")

WHERE = "test"
INFO = header.made_here([])
PROTOCOLS = range(2, 6)
SUITES = (pickletester.AbstractPickleTests, pickletester.AbstractUnpickleTests)

NOT_FOR_FORMS = {
    # of pickle's own bytes
    "test_framed_write_sizes_with_delayed_writer": "counts a Pickler's writes to its file",
    "test_proto": "quotes the words of pickle's error about an unknown protocol",
    "test_misc_get": "leaves bytes after the pickle's end, which is damage in an image",
    # of methods and arguments of unpicklers, and of a registry, that an image does not have
    "test_find_class": "Unpickler.find_class",
    "test_custom_find_class": "Unpickler.find_class",
    "test_load_python2_str_as_bytes": "encoding='bytes'",
    "test_load_long_python2_str_as_bytes": "encoding='bytes'",
    "test_global_ext1": "extension codes are refused: only the program that wrote them knows them",
    "test_global_ext2": "extension codes",
    "test_global_ext4": "extension codes",
}
"""Tests that are left out, each with its reason. Nothing else is."""

NOT_FOR_TEXT = {
    "test_oob_buffers": "text has no bytes out of band; `live` pickles for it without",
    "test_oob_buffers_writable_to_readonly": "out of band",
    "test_buffers_error": "out of band",
    "test_buffers_numpy": "out of band; in-band: test_numpy_arrays_are_in_the_text",
}
"""More of them, where a text form takes part."""


HEAVY = ("test_optional_frames", "test_framing_many_objects", "test_framing_large_objects")
"""Megabytes of bytes, many times over; as text they are slow."""

NOT_EVERYWHERE = {"test_find_class", "test_custom_find_class"}
"""Of the tests that are left out, those that older versions of CPython do not have."""


class Carrier(bytes):
    """A pickle, and its text."""

    text: bytes


class DamagedError(pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError):
    """An ImageError as the tests expect it: pickle tells damage by many types."""


def _expected(error: ImageError) -> Exception:
    reason = error.__context__
    return reason if isinstance(reason, UnicodeDecodeError) else DamagedError(str(error))


class Route:
    """The forms that a pickle goes through, in order."""

    def __init__(self, *names: str):
        *self.between, self.last = map(forms.by_name, names)

    def spell(self, payload: bytes) -> bytes:
        """The text in the last form."""
        try:
            image = pickled.decompile(bytes(payload))
        except ImageError as error:
            raise _expected(error) from error
        for form in self.between:
            image, _ = form.decode(form.encode(image, INFO, None), WHERE)
        return self.last.encode(image, INFO, None)

    def read(self, text: bytes) -> bytes:
        """The pickle that the text stands for."""
        image, _ = self.last.decode(text, WHERE)
        return pickled.assemble(image)


class Codec:
    """What the tests call."""

    route: Route
    optimized = True
    bad_stack_errors = size_overflow_errors = (pickle.UnpicklingError,)
    truncated_errors = (pickle.UnpicklingError, ValueError, ImportError, AttributeError)
    truncated_data_error = (pickle.UnpicklingError, "")

    def setUp(self) -> None:
        super().setUp()  # type: ignore[misc]
        self._protocols = pickletester.protocols
        pickletester.protocols = PROTOCOLS

    def tearDown(self) -> None:
        pickletester.protocols = self._protocols
        super().tearDown()  # type: ignore[misc]

    def dumps(self, obj: Any, proto: int | None = None, **kwargs: Any) -> bytes:
        carrier = Carrier(pickle.dumps(obj, proto, **kwargs))
        carrier.text = self.route.spell(carrier)
        return carrier

    def loads(self, payload: bytes, **kwargs: Any) -> Any:
        text = payload.text if isinstance(payload, Carrier) else self.route.spell(payload)
        return pickle.loads(self.route.read(text), **kwargs)


def names_of(suite: type) -> set[str]:
    return {name for name in dir(suite) if name.startswith("test_")}


def subclass(name: str, suite: type, route: Route, left_out: dict[str, str]) -> type:
    """A suite through a route."""
    removed: dict[str, Any] = dict.fromkeys(names_of(suite) & set(left_out))
    heavy = {test: _slow(suite, test) for test in names_of(suite) & set(HEAVY)}
    members = {"route": route, **(heavy if left_out is TEXT else {}), **removed}
    made = type(name, (Codec, suite, unittest.TestCase), members)
    return pytest.mark.filterwarnings("ignore")(made)


def _slow(suite: type, name: str) -> Any:
    @pytest.mark.slow
    def test(self: Any) -> None:
        getattr(suite, name)(self)

    return test


TEXT = NOT_FOR_FORMS | NOT_FOR_TEXT
BY_TAP, BY_TAX, BY_TAS = Route("pickle"), Route("xml"), Route("source")
BY_ALL = Route("pickle", "xml", "source", "pickle")

PICKLE, UNPICKLE = SUITES
TestPickleByTap = subclass("TestPickleByTap", PICKLE, BY_TAP, NOT_FOR_FORMS)
TestPickleByTax = subclass("TestPickleByTax", PICKLE, BY_TAX, TEXT)
TestPickleByTas = subclass("TestPickleByTas", PICKLE, BY_TAS, TEXT)
TestPickleByAll = pytest.mark.slow(subclass("TestPickleByAll", PICKLE, BY_ALL, TEXT))
TestUnpickleByTap = subclass("TestUnpickleByTap", UNPICKLE, BY_TAP, NOT_FOR_FORMS)
TestUnpickleByTax = subclass("TestUnpickleByTax", UNPICKLE, BY_TAX, TEXT)
TestUnpickleByTas = subclass("TestUnpickleByTas", UNPICKLE, BY_TAS, TEXT)
TestUnpickleByAll = pytest.mark.slow(subclass("TestUnpickleByAll", UNPICKLE, BY_ALL, TEXT))


def test_what_is_left_out_exists() -> None:
    """The lists of tests that are left out name tests, with a reason each."""
    everything = names_of(PICKLE) | names_of(UNPICKLE)
    assert set(TEXT) - NOT_EVERYWHERE <= everything
    assert set(HEAVY) <= everything
    assert all(TEXT.values())


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.__name__)
def test_nothing_else_is_left_out(suite: type) -> None:
    """Of CPython's tests all others run, by each route."""
    for made in list(globals().values()):
        if isinstance(made, type) and issubclass(made, Codec) and issubclass(made, suite):
            run = {name for name in names_of(made) if getattr(made, name) is not None}
            assert names_of(suite) - run <= set(TEXT)
            assert len(run) > 35


def test_the_text_is_what_is_loaded() -> None:
    """The pickle that is attached is for looking at: `loads` reads the text alone."""
    codec: Any = Codec()
    for route in (BY_TAP, BY_TAX, BY_TAS, BY_ALL):
        codec.route = route
        carrier = codec.dumps(["quote"])
        carrier.text = route.spell(pickle.dumps(["another"]))
        assert codec.loads(carrier) == ["another"]
