"""tapctl audit: what it tells of ordinary images, in words and as JSON, and what it exits with."""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tapkit import image
from tapkit.image import header, tap
from tapkit.image.audit import audit, judgement
from tapkit.image.audit.excuses import EXCUSES
from tapkit.image.audit.linear import skim
from tapkit.image.audit.survey import Survey, Use
from tapkit.image.forms import FORMS
from tapkit.image.nodes import NEWOBJ, REDUCE, STATE, Dict, Global, Image, Object
from tapkit.image.pickled import assemble, decompile
from tapkit.scripts import tapctl
from tests.hostile_pickles import call, g, p, s
from tests.place import ROOT, Place

DOC = (ROOT / "bin" / "tapctl").read_text().split('"""')[1]


class Plain:
    """Something whose state is a few attributes."""

    def __init__(self, **attributes: Any):
        vars(self).update(attributes)

    def method(self) -> str:
        return "bound"


def made(how: str, name: str, *args: Any) -> Object:
    module, _, name = name.rpartition(".")
    return Object(how, Global(module, name), args)


def built(name: str, **state: Any) -> Object:
    node = made(NEWOBJ, name)
    node.add_step(STATE, Dict.of(state.items()))
    return node


def audited(place: Place, *arguments: str, status: int = 0) -> dict[str, Any]:
    """What the command prints, in this process: it imports nothing that could stay."""
    *options, name = arguments
    words = ["audit", "--json", *options, str(place.path / name)]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        left = tapctl.main(words, DOC)
    assert (left, err.getvalue()) == (status, "")
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def write(path: Path, nodes: Image, modules: list[str]) -> None:
    path.write_bytes(b"".join(tap.write(assemble(nodes), [], header.made_here(modules))))


# -- the command


def test_an_ordinary_image_has_no_findings(place: Place) -> None:
    """In every form; each class is named with how often it is built, and where first."""
    assert place.mktap("-n", "fortune", "qotd", "--port", "8017").returncode == 0
    for name in ("fortune.tap", "fortune.tax", "fortune.tas"):
        if name != "fortune.tap":
            assert place.run("tapconvert", "fortune.tap", name).returncode == 0
        found = audited(place, name)
        assert (found["findings"], found["fault"], found["skimmed"]) == (0, None, None)
        (server,) = [each for each in found["names"] if each["name"] == "TCPServer"]
        assert server["verdict"] == "tapkit"
        assert server["first"] == "application.services[0].services[0]"
        assert (server["use"]["built"], server["use"]["states"]) == (1, 1)
        assert (found["objects"], found["code"], found["computed"]) == (7, [], [])


def test_the_report(place: Place) -> None:
    """Findings come first; each with the reason, how it is used, and the attribute path."""
    nodes = Image(
        built(
            "shop.Till",
            open=made(REDUCE, "os.system", "true"),
            more=[made(REDUCE, "os.system", "true"), built("elsewhere.Thing")],
            deque=made(REDUCE, "collections.deque"),
        )
    )
    write(place.path / "x.tap", nodes, ["shop"])
    shown = place.run("tapctl", "audit", "x.tap")
    assert (shown.returncode, shown.stderr) == (1, "")
    assert shown.stdout == (
        "image:     x.tap, pickle, 5 objects\n"
        "findings:  2\n\n"
        "Known to be dangerous:\n"
        "  os.system: runs a command\n"
        "      called 2 times at object.open\n\n"
        "Outside the standard library, tapkit and what is declared:\n"
        "  elsewhere.Thing: is neither standard, nor tapkit's, nor declared\n"
        "      built once, given state once at object.more[1]\n\n"
        "Declared:\n"
        "  shop.Till\n"
        "      built once, given state once at object\n\n"
        "Standard library:\n"
        "  collections.deque\n"
        "      called once at object.deque\n"
    )


def test_what_is_declared_and_allowed(place: Place) -> None:
    """The header declares; --allow does too, a module with its submodules; --undeclared does not
    believe the header. A text form has no header."""
    write(place.path / "x.tap", Image(built("shop.till.Till", b=built("bank.Bank"))), ["shop"])
    assert audited(place, "x.tap", status=1)["findings"] == 1
    assert audited(place, "--allow=bank", "x.tap")["findings"] == 0
    assert audited(place, "--undeclared", "--allow=bank", "x.tap", status=1)["findings"] == 1
    assert audited(place, "--undeclared", "--allow=bank", "--allow=shop.till", "x.tap") is not None
    assert audited(place, "--allow=bank", "--allow=shop.other", "--undeclared", "x.tap", status=1)
    assert place.run("tapconvert", "x.tap", "x.tax").returncode == 0
    assert audited(place, "x.tax", status=1)["findings"] == 2


def test_mistyped(place: Place) -> None:
    """Exit status 2 for a mistyped command line, 1 for what is no image; each says why."""
    (place.path / "x.tap").write_bytes(b"\x80\x04N.")
    for arguments, status, why in (
        (["--allow=a b", "x.tap"], 2, "'a b' names no package"),
        (["--alow=a", "x.tap"], 2, "--alow"),
        ([], 2, "IMAGE"),
        (["x.tap"], 1, "it is not a tapkit image but looks like a plain pickle: x.tap"),
        (["y.tap"], 1, "no such file; did you mean x.tap?: y.tap"),
    ):
        shown = place.run("tapctl", "audit", *arguments)
        assert (shown.returncode, shown.stdout) == (status, "")
        assert why in shown.stderr


def test_a_damaged_envelope_is_told_as_such(place: Place) -> None:
    """What is damaged on its way has no opcodes worth telling."""
    write(place.path / "x.tap", Image([1]), [])
    data = bytearray((place.path / "x.tap").read_bytes())
    data[-60] ^= 1
    (place.path / "x.tap").write_bytes(data)
    shown = place.run("tapctl", "audit", "x.tap")
    assert (shown.returncode, shown.stdout) == (1, "")
    assert "damaged" in shown.stderr


def test_code_by_value(place: Place) -> None:
    """A lambda is a finding, with its name, file, line, the names it uses, and its path."""
    image.save(Plain(hook=lambda: os.getcwd()), str(place.path / "x.tap"))
    found = audited(place, "--allow=tests", "x.tap", status=1)
    (code,) = [code for code in found["code"] if "lambda" in code["name"]]
    assert os.path.basename(code["file"]) == "test_audit.py"
    assert code["line"] > 1
    assert code["uses"] == ["os", "getcwd"]
    assert code["place"].startswith("object.hook")
    assert {each["verdict"] for each in found["names"]} >= {"code by value", "dangerous"}


def test_many_names_are_cut(place: Place) -> None:
    """50 lines of a kind are shown, all of them with --all."""
    write(place.path / "x.tap", Image([built(f"shop.C{n}") for n in range(60)]), ["shop"])
    shown = place.run("tapctl", "audit", "x.tap").stdout
    assert "... and 70 more: see --all" in shown
    assert "shop.C59" in place.run("tapctl", "audit", "--all", "x.tap").stdout


@pytest.mark.slow  # scrypt, three times
def test_an_encrypted_image(place: Place) -> None:
    """It is opened with its passphrase, and audited as any other."""
    pytest.importorskip("pyrage")
    (place.path / "pass").write_text("correct horse battery staple\n")
    (place.path / "pass").chmod(0o600)
    made = place.mktap("-e", "--passphrase-file=pass", "-n", "fortune", "qotd")
    assert made.returncode == 0, made.stderr
    shown = place.run("tapctl", "audit", "--passphrase-file=pass", "fortune.etap")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "tapkit.internet.TCPServer" in shown.stdout
    checked = place.run("tapctl", "check", "--passphrase-file=pass", "fortune.etap")
    assert checked.returncode == 0, checked.stderr


# -- what is found


def test_bound_methods_are_no_findings() -> None:
    """Neither as pickle writes them nor as cloudpickle does; called, or of a module, they are."""
    thing = Plain()
    thing.method_too = thing.method
    thing.when = datetime.datetime(2004, 5, 1).isoformat
    nodes, _ = FORMS[0].decode(image.dumps(thing), "x")
    found = audit(nodes, ["tests"])
    assert found.findings == 0, found.names
    whys = {each.name: each.why for each in found.names}
    assert whys["MethodType"] == whys["getattr"] == EXCUSES["builtins", "getattr"][1]
    bad = made(REDUCE, "builtins.getattr", Global("shop", "os"), "system")
    nodes.root.add_step(STATE, Dict(["evil", bad]))
    (named,) = [n for n in audit(nodes, ["tests"]).names if n.name == "getattr"]
    assert named.verdict == judgement.DANGEROUS
    assert named.first == "object.evil"


def test_computed_calls() -> None:
    """What is called without being named is told by what makes it, with its first place."""
    maker = made(REDUCE, "shop.make", 1)
    found = audit(Image([Object(REDUCE, maker, ()), Object(REDUCE, maker, (1,))]))
    (computed,) = found.computed
    assert (computed.what, computed.count) == ("what shop.make makes", 2)
    assert computed.first == "object[0]"


def test_names_that_are_only_imported() -> None:
    """A name that the pickle looks up and throws away is told all the same."""
    found = audit(decompile(p(g("shop:Till") + b"0N")))
    (named,) = found.names
    assert (named.module, named.name, named.use, named.first) == ("shop", "Till", Use(), None)


def test_counts() -> None:
    """Shared objects count once; what is in arguments, keys and states counts."""
    till = built("shop.Till")
    key = (made(REDUCE, "shop.Key", Global("shop", "Kind")),)
    survey = Survey(Image([till, till, Dict([key, built("shop.Till", till=till)])]))
    assert survey.uses["shop", "Till"] == Use(built=2, states=2)
    assert survey.uses["shop", "Key"] == Use(called=1)
    assert survey.uses["shop", "Kind"] == Use(referred=1)
    assert survey.objects == 3


def test_states_shared_by_many_cost_once() -> None:
    """100,000 objects that share one large state are looked through in time."""
    state = Dict()
    for number in range(2000):
        state += (f"a{number}", [number])
    nodes = []
    for _ in range(100_000):
        nodes.append(made(NEWOBJ, "shop.Till"))
        nodes[-1].add_step(STATE, state)
    assert Survey(Image(nodes)).uses["shop", "Till"].built == 100_000


# -- the judgement


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("os:system", "runs a command"),
        ("posix:getpid", "runs a command"),
        ("subprocess:Popen.communicate", "runs a command"),
        ("importlib.util:find_spec", "imports what it is told to"),
        ("builtins:sum", "is a builtin that no pickler writes"),
        ("builtins:ValueError", None),
        ("builtins:dict", None),
        ("builtins:dict.fromkeys", "is a builtin that no pickler writes"),
        ("shop:Till", None),
        ("shop:Till.Drawer", None),
        ("shop.socket:Socket", None),
        ("shop:os.system", "reaches os: it runs a command"),
        ("shop:os", "reaches os: it reads or writes files"),
        ("shop:Till.__init__.__globals__", "reaches through __init__"),
        ("os:stat_result", None),
        ("datetime:datetime", None),
        ("copyreg:__newobj__", None),
        ("copyreg:pickle", "loads an image or a pickle"),
        ("tapkit.names:named_object", "imports what it is told to"),
        ("tapkit.service:Service", None),
        ("signal:Signals", None),
        ("code:interact", "runs text as a program"),
    ],
)
def test_danger(name: str, why: str | None) -> None:
    """The table is exact about names and modules, and sees through attributes."""
    module, _, name = name.partition(":")
    assert judgement.danger(module, name) == why


def test_what_carries_code_is_said() -> None:
    """Compiled code and source text that an image carries are findings of their own."""
    for name in ("tapkit.styles:compiled", "tapkit.carried:package", "cloudpickle:loads"):
        module, _, function = name.partition(":")
        assert judgement.verdict(module, function, ())[0] == judgement.CODE
    assert judgement.CODE in judgement.FINDINGS


def test_the_table_names_no_module_twice() -> None:
    """Each row of the table says one thing."""
    words = [word for row in judgement.TABLE.values() for word in row.split()]
    assert sorted(words) == sorted(set(words))


# -- the opcodes of what can't be followed


def test_skimming_names_what_ran_before_the_break() -> None:
    """By GLOBAL, by STACK_GLOBAL, by the memo of any protocol; and never raises."""
    stream = b"(S'os'\np0\n0S'system'\np1\n0g0\ng1\n\x93" + b"c__builtin__\neval\n\xff"
    found = skim(stream)
    assert set(found.uses) == {("os", "system"), ("__builtin__", "eval")}
    assert found.end == len(stream) - 1
    computed = skim(p(call("builtins:str", "os") + s("system") + b"\x93"))
    assert ("(computed)", "system") in computed.uses
    for cut in range(len(stream)):
        assert skim(stream[:cut]).end <= cut


def test_skimming_any_bytes() -> None:
    """Whatever the bytes, it ends."""
    for first in range(256):
        assert skim(bytes([first]) + b"\xff" * 9).end <= 10
        assert skim(bytes([first, 0x80]) + b"\n" * 9).end <= 11
