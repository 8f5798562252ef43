"""tapctl check and the header's requirements: what does not fit is told at once, before it runs."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tapkit import image
from tapkit.errors import ImageError
from tapkit.image import header, requirements, schema
from tapkit.image.forms import FORMS
from tapkit.styles import Versioned
from tests.place import Place

SHOP = """
from tapkit import application, service, styles
class Till(styles.Versioned):
    persistenceVersion = {version}
    def __init__(self):
        self.drawer = 1
        self.colour = 'red'
{more}
class Shop(service.Service):
    def __init__(self):
        super().__init__()
        self.tills = [Till(), Till()]
        self.bank = Bank()
class Bank:
    def __init__(self): self.money = 1
def make():
    application.save(application.new('shop', Shop()), 'shop.tap')
"""


@pytest.fixture
def shop(place: Place) -> Place:
    """An image of classes in a module that the tests then change."""
    place.add_module("shop.py", SHOP.format(version=1, more=""))
    run(place, "import shop; shop.make()")
    return place


def run(place: Place, code: str) -> None:
    place.env["PYTHONDONTWRITEBYTECODE"] = "1"  # changed twice in a second
    subprocess.run([sys.executable, "-c", code], cwd=place.path, env=place.env, check=True)


def checked(place: Place, *arguments: str, status: int = 0) -> dict[str, Any]:
    shown = place.run("tapctl", "check", "--json", *arguments)
    assert (shown.returncode, shown.stderr) == (status, "")
    found: dict[str, Any] = json.loads(shown.stdout)
    return found


@pytest.mark.parametrize(
    "form",
    [FORMS[0], *(pytest.param(form, marks=pytest.mark.slow) for form in FORMS[1:])],
    ids=lambda form: form.name,
)
def test_what_fits(shop: Place, form: Any) -> None:
    """In every form: the table of classes with counts, versions and attributes; exit status 0."""
    name = f"shop{form.extensions[0]}"
    if name != "shop.tap":
        assert shop.run("tapconvert", "shop.tap", name).returncode == 0
    found = checked(shop, name)
    (till,) = [row for row in found["classes"] if row["name"] == "shop.Till"]
    assert till == {
        "name": "shop.Till",
        "count": 2,
        "versions": {"shop.Till.persistenceVersion": [1]},
        "attributes": ["colour", "drawer"],
    }
    for key in ("misses", "problems", "warnings"):
        assert found[key] == [], found[key]
    shown = shop.run("tapctl", "check", name)
    assert "2 shop.Till (version 1): colour, drawer\n" in shown.stdout
    assert shown.stdout.endswith("\nIt fits the code that is here.\n")


def test_missing_upgrade_steps(shop: Place) -> None:
    """All of them are told, by check, and by twistd before it starts; nothing is left."""
    more = "    def upgradeToVersion3(self): pass"
    shop.add_module("shop.py", SHOP.format(version=4, more=more))
    found = checked(shop, "shop.tap", status=1)
    assert [(each["kind"], each["what"]) for each in found["problems"]] == [
        ("missing upgrade step", "shop.Till.upgradeToVersion2"),
        ("missing upgrade step", "shop.Till.upgradeToVersion4"),
    ]
    assert found["problems"][0]["why"] == "saved as version 1, the code is 4"
    started = shop.twistd("-f", "shop.tap")
    assert (started.returncode, started.stdout) == (1, "")
    assert "shop.Till.upgradeToVersion2, shop.Till.upgradeToVersion4" in started.stderr
    assert shop.file_names() == ["lib", "shop.tap"]


def test_state_that_is_newer(shop: Place) -> None:
    """Older code is told that it is older."""
    shop.add_module("shop.py", SHOP.format(version=0, more=""))
    (problem,) = checked(shop, "shop.tap", status=1)["problems"]
    assert (problem["kind"], problem["what"]) == ("newer than the code", "shop.Till")
    shown = shop.run("tapctl", "check", "shop.tap")
    assert "newer than the code: shop.Till (saved as version 1, the code is 0)" in shown.stdout
    assert shown.returncode == 1


def test_missing_classes_and_modules(shop: Place) -> None:
    """Classes that are gone, and modules, are each told with what is near."""
    shop.add_module("shop.py", SHOP.format(version=1, more="").replace("class Bank", "class Banks"))
    (problem,) = checked(shop, "shop.tap", status=1)["problems"]
    assert (problem["kind"], problem["what"]) == ("missing class", "shop.Bank")
    assert "did you mean Banks?" in problem["why"]
    (shop.path / "lib" / "shop.py").unlink()
    found = checked(shop, "shop.tap", status=1)
    assert "'shop', which can't be found here" in found["misses"][0]["what"]
    assert {each["what"] for each in found["problems"]} == {"shop.Bank", "shop.Shop", "shop.Till"}


def test_attributes_that_nobody_knows(shop: Place) -> None:
    """A warning; with --strict a problem. Where an upgrade will run, it is not told."""
    text = SHOP.format(version=1, more="").replace("self.colour = 'red'", "pass")
    shop.add_module("shop.py", text)
    found = checked(shop, "shop.tap")
    assert [each["what"] for each in found["warnings"]] == ["shop.Till.colour"]
    assert checked(shop, "--strict", "shop.tap", status=1)["warnings"] == found["warnings"]
    text = text.replace("Version = 1", "Version = 2") + "\nTill.upgradeToVersion2 = print\n"
    shop.add_module("shop.py", text)
    assert checked(shop, "--strict", "shop.tap")["warnings"] == []


def test_none_of_its_objects_is_built(shop: Place) -> None:
    """Only modules are imported: neither __new__, __init__ nor __setstate__ runs."""
    boom = "    def __setstate__(self, state): open('canary', 'w')\n"
    boom += "    def __new__(cls): open('canary', 'w')"
    shop.add_module("shop.py", SHOP.format(version=1, more=boom))
    checked(shop, "shop.tap")
    assert shop.file_names() == ["lib", "shop.tap"]


def test_no_image(place: Place) -> None:
    """Exit status 1 and the reason; 2 for what is mistyped."""
    (place.path / "x.tap").write_bytes(b"junk")
    for arguments, status in ((["x.tap"], 1), (["y.tap"], 1), ([], 2), (["--strikt", "x.tap"], 2)):
        shown = place.run("tapctl", "check", *arguments)
        assert (shown.returncode, shown.stdout) == (status, "")
        assert shown.stderr.startswith("tapctl check: ")


# -- the table and what is known of a class


class Base(Versioned):
    persistenceVersion = 1

    def __init__(self) -> None:
        self.base = 1


class Derived(Base):
    annotated: int
    __slots__ = ("slot",)
    persistenceVersion = 2

    def set_late(self) -> None:
        def inner() -> None:
            self.inner = 1

        setattr(self, "named", inner)  # noqa: B010


def test_versions_of_each_base() -> None:
    """Each class with a version of its own is held against its own steps."""
    nodes, _ = FORMS[0].decode(image.dumps([Derived(), Derived()]), "x")
    (row,) = schema.table(nodes)
    assert (row.count, sorted(row.versions.values(), key=str)) == (2, [{1}, {2}])
    assert schema.problems([row]) == []
    row.versions = {}
    steps = [each.what.rpartition("test_check.")[2] for each in schema.problems([row])]
    assert steps == [
        "Base.upgradeToVersion1",
        "Derived.upgradeToVersion1",
        "Derived.upgradeToVersion2",
    ]


def test_what_a_class_speaks_of() -> None:
    """What is annotated, in slots, set or named by a method; None where it can't be told."""
    known = schema.known_attributes(Derived)
    assert known is not None
    assert known >= {"annotated", "slot", "base", "inner", "named", "persistenceVersion"}
    assert schema.known_attributes(int) is None
    assert schema.known_attributes(type("Own", (), {"__setstate__": print})) is None


# -- requirements


def test_all_misses_at_once() -> None:
    """Another Python's code and all modules that are missing: one message, with what to do."""
    made = header.made_here(["json"], by_value=True)
    info = made._replace(python="3.9.1", modules={"json": None, "app_a": "1.2", "app_b": None})
    with pytest.raises(ImageError) as caught:
        header.check_needs(info, "x.tap")
    text = str(caught.value)
    assert "it carries compiled code of cpython 3.9, and this is" in text
    assert "; it needs 'app_a', 'app_b', which can't be found here: x.tap: " in text
    assert "pip install app_a app_b, or put it on PYTHONPATH (app_a was 1.2)" in text
    assert header.misses(made) == []
    other = made._replace(bytecode=made.bytecode + 1)
    assert len(header.misses(other)) == 1


def test_other_versions() -> None:
    """Modules that are installed in another version than the image was saved with."""
    info = header.made_here(["psutil", "json"])
    assert requirements.other_versions(info) == []
    older = info._replace(modules=info.modules | {"psutil": "0.1"})
    (found,) = requirements.other_versions(older)
    assert (found.module, found.saved) == ("psutil", "0.1")
