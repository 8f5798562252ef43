# ruff: noqa: E501  # a case is a line

"""twistd --restricted: what loads, what is refused and how that is said, in every form."""

from __future__ import annotations

import collections
import datetime
import decimal
import fractions
import http
import ipaddress
import logging
import pathlib
import pickle
import random
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from tapkit import aliases, image
from tapkit.errors import ImageError, UsageError
from tapkit.image import forms, header, loading, permitted, restricted, tap
from tapkit.image.audit.linear import check_limits
from tapkit.image.forms import FORMS
from tapkit.image.permitted import CLASSES, FUNCTIONS, Permitted
from tapkit.net.connections import Address
from tapkit.service import Service
from tapkit.styles import Versioned, left_out
from tests.hostile_pickles import CASES, call, g, p, s
from tests.place import Place, ask


class Till:
    """A plain class of a module that may be allowed."""

    class Drawer:
        """A nested one."""

    def ring(self) -> str:
        return f"ring {self.number}"  # type: ignore[attr-defined]

    @staticmethod
    def static() -> str:
        return "static"

    _hidden = ring


class Account(Versioned):
    """A class whose old state is upgraded."""

    persistenceVersion = 2

    def upgradeToVersion2(self) -> None:
        self.upgraded = True


def a_function() -> None:
    """What no --allow permits."""


HERE = Permitted(["tests"])


def through(obj: Any, form: str, allow: Permitted = HERE) -> Any:
    """An object saved in a form and loaded under restrictions."""
    data = image.dumps(obj, form)
    return restricted.load(forms.by_name(form), data, "x", allow).obj


def loaded(payload: bytes, allow: Permitted = HERE) -> Any:
    data = b"".join(tap.write(payload, [], header.made_here([])))
    return restricted.load(FORMS[0], data, "x", allow).obj


VALUES = [
    None, True, 1 << 90, 1.5, "text", b"\x00\xff", bytearray(b"x"), (1, (2,)), [1], {"a": 1}, {1, 2},
    frozenset({1}), 1j, range(3), slice(1, 2), Ellipsis, NotImplemented, type(None), ValueError("x"),
    collections.deque([1, 2], 5), collections.OrderedDict(a=1), collections.Counter("aab"),
    collections.defaultdict(list, {"a": [1]}), datetime.datetime(2004, 5, 1, tzinfo=datetime.timezone.utc),
    datetime.date(2004, 5, 1), datetime.timedelta(1, 2, 3), decimal.Decimal("1.10"),
    fractions.Fraction(1, 3), uuid.UUID(int=7), pathlib.PurePosixPath("/etc"), http.HTTPStatus.OK,
    ipaddress.ip_address("::1"), ipaddress.ip_network("10.0.0.0/8"), Address("h", 1),
    logging.getLogger("x.y"), left_out("a socket"),
]  # fmt: skip


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_harmless_values_load(form: Any) -> None:
    """Standard values, containers and exceptions load, and are what they were, in every form."""
    back = through(VALUES, form.name)
    assert list(map(type, back)) == list(map(type, VALUES))
    assert list(map(repr, back)) == list(map(repr, VALUES))
    generator = random.Random(7)
    assert through(generator, form.name).random() == random.Random(7).random()


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_objects_load(form: Any) -> None:
    """Instances of allowed classes, nested ones, cycles, bound methods of both spellings, tapkit's
    services; old state is upgraded."""
    till = Till()
    till.number, till.me, till.drawer = 7, till, Till.Drawer()
    till.hook, till.later = till.ring, datetime.datetime(2004, 5, 1).isoformat
    till.items, till.add = [1], None
    till.add = till.items.append
    till.service = Service()
    back = through(till, form.name)
    assert (back.me, type(back.drawer), back.hook()) == (back, Till.Drawer, "ring 7")
    assert back.hook.__self__ is back
    back.add(2)
    assert (back.items, type(back.service)) == ([1, 2], Service)


def test_old_state_is_upgraded() -> None:
    """Upgrades run as they do without restrictions."""
    account = Account()
    data = image.dumps(account)
    Account.persistenceVersion = 3
    Account.upgradeToVersion3 = lambda self: setattr(self, "third", True)  # type: ignore[attr-defined]
    try:
        back = restricted.load(FORMS[0], data, "x", HERE).obj
    finally:
        Account.persistenceVersion = 2
        del Account.upgradeToVersion3  # type: ignore[attr-defined]
    assert back.third


def test_what_moved_is_found() -> None:
    """A name that moved is followed, where what it is called now is permitted as well."""
    aliases.alias("shop_of_old.Till", "tests.test_restricted.Till")
    aliases.alias("shop_of_old.Thread", "threading.Thread")
    allowed = Permitted(["tests", "shop_of_old"])
    assert type(loaded(p(call("shop_of_old:Till")), allowed)) is Till
    for name, why in (("Thread", "calls what it is given"), ("None", "no module named")):
        with pytest.raises(ImageError) as caught:
            loaded(p(call(f"shop_of_old:{name}")), allowed)
        assert why in str(caught.value)


def test_old_protocols() -> None:
    """Pickles of protocols 0 to 5 load: `copyreg` and `_codecs` make what they make there."""
    till = Till()
    till.number, till.raw = 7, b"\xff\x00"
    for protocol in range(6):
        nested = [Till.Drawer()] if protocol >= 4 else []  # before, they are got by getattr
        back = loaded(pickle.dumps([till, *nested], protocol))
        assert (back[0].number, back[0].raw) == (7, b"\xff\x00")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (call("tests.test_restricted:a_function"), "a_function is no class"),
        (g("tests.test_restricted:a_function"), "a_function is no class"),
        (g("tests.test_restricted:Path"), "is pathlib"),
        (g("tests.test_restricted:Till.ring"), "Till.ring is no class"),
        (g("tests.test_restricted:Till.missing"), "and there is none"),
        (g("tests.test_restricted:image.dumps"), "and there is none"),
        (g("tests.no_such_module:Till"), "no module named 'tests.no_such_module'"),
        (g("tests_too:Till"), "tests_too.Till is not allowed, at object"),
        (g("test:Till"), "test.Till runs text as a program, at object"),
        (
            call("builtins:getattr", g("tests.test_restricted:Till") + b")\x81", "static"),
            "no method",
        ),
        (call("builtins:getattr", g("tests.test_restricted:Till") + b")\x81", "none"), "no method"),
        (call("builtins:getattr", call("decimal:Decimal", "1"), "__new__"), "otherwise than"),
        (
            call("types:MethodType", g("tests.test_restricted:Till.ring"), b"]"),
            "no method of a list",
        ),
        (call("types:MethodType", g("tests.test_restricted:Till"), b"]"), "no method of a list"),
        (call("builtins:type", g("tests.test_restricted:Till")), "builtins.type makes classes"),
        (call("cloudpickle.cloudpickle:_builtin_type", "FunctionType"), "otherwise than"),
    ],
)
def test_what_allowing_a_module_does_not_permit(body: bytes, why: str) -> None:
    """Functions, what the module imported, attributes, methods of what is not permitted."""
    with pytest.raises(ImageError) as caught:
        loaded(p(body))
    assert why in str(caught.value)


def test_the_message_names_all_and_what_would_permit_it() -> None:
    """Each name with its attribute path, and the options that would do, if any."""
    image_of = p(b"}(" + s("a") + call("shop.till:Till") + s("b") + call("bank:Bank") + b"u")
    with pytest.raises(ImageError) as caught:
        loaded(image_of)
    assert str(caught.value) == (
        "refused by --restricted: bank.Bank is not allowed, at object['b'];"
        " shop.till.Till is not allowed, at object['a']: x:"
        " --allow bank --allow shop.till would permit it, as far as it is classes"
    )
    with pytest.raises(ImageError) as caught:
        loaded(p(b"](" + call("shop:Till") + call("os:getcwd") + b"e"))
    assert str(caught.value).endswith("at object[0]: x: --allow shop would not be enough")
    with pytest.raises(ImageError) as caught:
        loaded(p(b"](" + b"".join(call(f"shop:Till{n}") for n in range(9)) + b"e"))
    assert "; and 4 more: x: --allow shop would permit it" in str(caught.value)


@pytest.mark.parametrize(
    ("module", "why"),
    [
        ("subprocess", "it runs a command"),
        ("os", "it reads or writes files"),
        ("builtins", "it runs anything"),
        ("__main__", "it is any program"),
        ("shop-till", "names no module"),
        ("", "names no module"),
    ],
)
def test_what_can_not_be_allowed(module: str, why: str) -> None:
    """A module that is known to be dangerous is not to be had, whoever asks."""
    with pytest.raises(UsageError) as caught:
        Permitted([module])
    assert why in str(caught.value)


def test_the_lists_are_true() -> None:
    """Each class on the list is one, on the Pythons that have it, and each function is there."""
    allowed = Permitted()
    for module, names in CLASSES.items():
        for name in names.split():
            if (module, name) in {("http", "HTTPMethod")} or module == "pathlib._local":
                continue  # of newer Pythons
            found = allowed.find(module, name)
            assert isinstance(found, type) or name in ("Ellipsis", "NotImplemented")
    for module, name in FUNCTIONS:
        assert callable(allowed.find(module, name))


def test_loads_by_is_for_its_context_alone(tmp_path: Path) -> None:
    """Outside of it, images load as their forms do."""
    path = str(tmp_path / "x.tap")
    image.save(Till(), path)
    loader = lambda row, data, where: restricted.load(row, data, where, Permitted())  # noqa: E731
    with loading.by(loader), pytest.raises(ImageError) as caught:
        image.load(path)
    assert f"Till is not allowed, at object: {path}: --allow tests.test_restricted" in str(
        caught.value
    )
    assert isinstance(image.load(path), Till)


def test_limits_are_measured_by_what_is_unpacked() -> None:
    """A packed image gets what it needs; one that claims too much, 64 times its size."""
    pytest.importorskip("zstandard")
    packed = image.dumps(["x"] * 20_000, encoding="zstd")
    assert restricted.weight(packed, "x") > 20_000 > len(packed)
    huge = image.dumps(bytes(1 << 20), encoding="zstd")
    assert restricted.weight(huge, "x") == 64 * len(huge)
    assert restricted.weight(b"<root/>", "x") == 7


def test_limits_let_every_pickler_s_stream_pass() -> None:
    """Ordinary streams of every protocol, with many ids, are within the limits."""
    graph = [[n] for n in range(1000)]
    for protocol in range(6):
        check_limits(pickle.dumps([graph, graph], protocol))
    with pytest.raises(ImageError) as caught:
        check_limits(b"\x80\x04]" + b"r\xff\xff\x00\x00.")
    assert "memo id 65535, a bomb: byte 3" in str(caught.value)


# -- the daemon


@pytest.fixture
def shop(place: Place) -> Place:
    """An application of a class that tapkit does not know."""
    place.add_module(
        "shop.py",
        "from tapkit import protocol\n"
        "class Quote(protocol.Protocol):\n"
        "    def connectionMade(self):\n"
        "        self.factory.hook(); self.transport.write(b'%d' % self.factory.count)\n"
        "        self.transport.loseConnection()\n"
        "class Quotes(protocol.ServerFactory):\n"
        "    protocol = Quote\n"
        "    def __init__(self): self.count = 0; self.hook = self.one_more\n"
        "    def one_more(self): self.count += 1\n",
    )
    place.add_module(
        "shop_make.py",
        "import shop\n"
        "from tapkit import application, internet\n"
        "made = application.new('shop', internet.server('tcp:0:interface=127.0.0.1',"
        " shop.Quotes()))\n"
        "application.save(made, 'shop.tap')\n",
    )
    subprocess.run(
        [sys.executable, "-c", "import shop_make"], cwd=place.path, env=place.env, check=True
    )
    return place


@pytest.mark.parametrize(
    "extension",
    [
        ".tap",
        pytest.param(".tax", marks=pytest.mark.slow),
        pytest.param(".tas", marks=pytest.mark.slow),
    ],
)
def test_a_restricted_daemon(shop: Place, extension: str) -> None:
    """It is refused without --allow; with it, it runs, saves its state, and goes on restricted."""
    name = f"shop{extension}"
    if extension != ".tap":
        assert shop.run("tapconvert", "shop.tap", name).returncode == 0
        (shop.path / "shop.tap").unlink()
    refused = shop.twistd("--restricted", "-f", name)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("twistd: refused by --restricted: shop.Quotes is not allowed,")
    assert "--allow shop would permit it" in refused.stderr
    assert shop.file_names() == ["lib", name]
    for count in (b"1", b"2"):
        started = shop.twistd("--restricted", "--allow=shop", "-f", name)
        assert started.returncode == 0, started.stderr
        assert ask(shop.port()) == count
        shop.kill()
        name = f"shop-shutdown{extension}"
        assert name in shop.file_names()
        (shop.path / "twistd.log").unlink()


@pytest.mark.parametrize(
    "name",
    ["call os:system", "memo bomb"]
    + [pytest.param(name, marks=pytest.mark.slow) for name in ("a lambda", "deep key")],
)
def test_a_hostile_image_starts_nothing(place: Place, name: str) -> None:
    """twistd says why, exits 1, and leaves no pidfile, log or process."""
    (case,) = [case for case in CASES if case.name == name]
    path = place.path / "evil.tap"
    path.write_bytes(b"".join(tap.write(case.payload, [], header.made_here([]))))
    path.chmod(0o600)
    done = place.twistd("--restricted", "-f", "evil.tap")
    assert (done.returncode, done.stdout) == (1, "")
    assert case.restricted in done.stderr
    assert done.stderr.startswith("twistd: ") and len(done.stderr.splitlines()) <= 2
    assert place.file_names() == ["evil.tap"]
    assert place.processes() == []


def test_a_program_is_not_run(place: Place) -> None:
    """A .tas beyond the subset is a program; it is refused, not run."""
    path = place.path / "evil.tas"
    path.write_text("import os\n\nfor n in range(1):\n    os.system('echo > canary')\n")
    path.chmod(0o600)
    done = place.twistd("--restricted", "-s", "evil.tas")
    assert (done.returncode, done.stdout) == (1, "")
    assert "evil.tas" in done.stderr and "Traceback" not in done.stderr
    assert place.file_names() == ["evil.tas"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--allow=shop", "x.tap"], "it needs --restricted: --allow"),
        (
            ["--restricted", "--allow=subprocess", "x.tap"],
            "no restricted image may name subprocess",
        ),
        (["--restricted", "--allow=a-b", "x.tap"], "'a-b' names no module"),
        (["--restricted", "-y", "x.tac"], "only an image can be loaded so: --restricted"),
        (["--restricted", "qotd"], "only an image can be loaded so: --restricted"),
    ],
)
def test_mistyped(place: Place, arguments: list[str], why: str) -> None:
    """What makes no sense is said before anything is touched; exit status 2."""
    done = place.twistd(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert why in done.stderr
    assert place.file_names() == []


def test_permitted_is_exact() -> None:
    """Neither a name's beginning nor a module's is enough; nothing is imported to say so."""
    allowed = Permitted(["shop"])
    assert allowed.refusal("shop", "Till") is None
    assert allowed.refusal("shop.sub", "Till.Drawer") is None
    assert allowed.refusal("shopping", "Till") == "is not allowed"
    assert allowed.refusal("shop", "Till.__init__") == "reaches through __init__"
    assert allowed.refusal("shop", "os.system") == "reaches os: it runs a command"
    assert allowed.refusal("shop", "not a name") == "is no name that code could have"
    assert allowed.refusal("collections", "dequeue") == "is not allowed"
    assert permitted.refused("x").what == "refused by --restricted: x"
