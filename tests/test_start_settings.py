"""`--set`: settings laid over an image for one run; what is saved keeps its own values."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tapkit import application as applications
from tapkit.application import Application
from tapkit.errors import UsageError
from tapkit.run import overlay
from tapkit.service import MultiService, Service
from tests.place import Place, ask
from tests.test_twistd import COUNTER, QUOTE, add_tap, started


class Holder(Service):
    """One attribute of each kind."""

    level = 1  # the class's own
    text = "text"

    def __init__(self) -> None:
        self.number = 7
        self.ratio = 0.5
        self.on = False
        self.nothing = None
        self.names = ["a", "b"]
        self.pair = (1, 2)
        self.data = b""
        self.table = {"a=b": 1, 2: {"deep": "x"}}
        self.guarded_value = 1

    @property
    def guarded(self) -> int:
        return self.guarded_value

    @guarded.setter
    def guarded(self, value: int) -> None:
        if value < 0:
            raise ValueError("too small")
        self.guarded_value = value

    @property
    def constant(self) -> int:
        return 1


def made() -> tuple[Application, Holder]:
    application = Application("made")
    multi = MultiService()
    multi.setServiceParent(application)
    holder = Holder()
    holder.setName("web")
    holder.setServiceParent(multi)
    return application, holder


def laid(*settings: str) -> tuple[Application, Holder]:
    application, holder = made()
    prefix = "services[0].services[0]."
    overlay.lay(application, [overlay.parse(prefix + setting) for setting in settings])
    return application, holder


def saved(application: Application) -> Holder:
    """The holder in what would be saved now."""
    loaded = applications.image.loads(applications.dumps(application))
    holder = loaded.services[0].services[0]
    assert isinstance(holder, Holder)
    return holder


@pytest.mark.parametrize(
    ("setting", "attribute", "value"),
    [
        ("number=8017", "number", 8017),
        ("number=0x10", "number", 16),
        ("number=None", "number", None),
        ("ratio=1", "ratio", 1.0),
        ("on=yes", "on", True),
        ("on=0", "on", False),
        ("text=8017", "text", "8017"),
        ("text=", "text", ""),
        ("text=a=b 'c'", "text", "a=b 'c'"),
        ("level=3", "level", 3),
        ("nothing='now'", "nothing", "now"),
        ("nothing=5", "nothing", 5),
        ("names=['c']", "names", ["c"]),
        ("names[1]=c", "names", ["a", "c"]),
        ("names[-1]=c", "names", ["a", "c"]),
        ("data=b'x'", "data", b"x"),
        ("pair=(3, 4)", "pair", (3, 4)),
        ("pair=None", "pair", None),
        ("table['a=b']=2", "table", {"a=b": 2, 2: {"deep": "x"}}),
        ("table[2]['deep']=y", "table", {"a=b": 1, 2: {"deep": "y"}}),
        ("guarded=5", "guarded", 5),
    ],
)
def test_a_value_of_the_kind_that_is_there(setting: str, attribute: str, value: object) -> None:
    """Laid while it runs, not in what is saved, and there again after a save."""
    application, holder = laid(setting)
    before = getattr(made()[1], attribute)
    for _ in range(2):
        assert getattr(holder, attribute) == value
        assert type(getattr(holder, attribute)) is type(value)
        assert getattr(saved(application), attribute) == before


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("nmber=1", "has no attribute 'nmber'; did you mean number?: application.services[0]"),
        ("number=x", "'x' is no whole number, which is what is there"),
        ("number=1.5", "'1.5' is no whole number"),
        ("ratio=x", "'x' is no number"),
        ("on=maybe", "'maybe' is neither yes nor no"),
        ("nothing=now", "'now' is no Python literal: application.services[0].services[0].nothing"),
        ("names=5", "5 is no list, which is what is there"),
        ("names[2]=x", "has no [2]; it has 2, counted from 0"),
        ("table['a']=1", "has no ['a']"),
        ("number[0]=1", "has no [0]; it is a builtins.int"),
        ("pair[0]=1", "it can't be set"),
        ("guarded=-1", "it can't be set (too small)"),
        ("constant=2", "it can't be set"),
        ("startService=1", "has a method 'startService'"),
        ("parent=1", "there is a tapkit.service.MultiService"),
        ("parent.services[wbe].number=1", "nothing is named 'wbe'; did you mean web?"),
        ("parent.services[web]=1", "there is a "),
    ],
)
def test_what_cannot_be_laid(setting: str, said: str) -> None:
    """Refused as a mistyped command line, with the path, and nothing was changed."""
    with pytest.raises(UsageError) as refused:
        laid(setting)
    assert said in str(refused.value)
    assert str(refused.value).startswith("--set: ")


@pytest.mark.parametrize(
    "text", ["", "=", "x", "x=", "1=2", "a b=1", "a[=1", "a()=1", "=1", "a[b.c]=1", "a[1:2]=1"]
)
def test_what_is_no_setting(text: str) -> None:
    """Only PATH=VALUE is one; an empty value is one too."""
    if text == "x=":
        assert overlay.parse(text).value == ""
        return
    with pytest.raises(UsageError, match="is not PATH=VALUE: --set"):
        overlay.parse(text)


def test_a_path_may_begin_where_errors_do() -> None:
    """`application.services[0]`, as messages spell it, and services by their names."""
    application, holder = made()
    overlay.lay(application, [overlay.parse("application.services[0].services[web].number=1")])
    assert holder.number == 1


def test_what_the_program_changed_is_its_own() -> None:
    """A new value, a changed list, a removed key: saved as they are."""
    application, holder = laid("number=1", "names=['c']", "table['a=b']=2", "level=5")
    holder.number = 2
    holder.names.append("d")
    del holder.table["a=b"]
    kept = saved(application)
    assert (kept.number, kept.names, kept.table) == (2, ["c", "d"], {2: {"deep": "x"}})
    assert "level" not in vars(kept)
    assert (holder.number, holder.names, holder.level) == (2, ["c", "d"], 5)


def test_the_last_of_two_holds_and_the_first_value_is_saved() -> None:
    """Given twice, as on any command line."""
    application, holder = laid("number=1", "number=2")
    for _ in range(2):
        assert holder.number == 2
        assert saved(application).number == 7


def test_a_failed_save_leaves_them_laid() -> None:
    """What can't be saved does not take the settings off the running program."""
    application, holder = laid("number=1")
    holder.file = open(os.devnull)  # noqa: SIM115
    with pytest.raises(applications.ImageError):
        applications.dumps(application)
    assert holder.number == 1
    holder.file.close()


def test_a_setting_is_not_saved_at_stop(place: Place) -> None:
    """A daemon runs with it; its saved state has the image's own value, and starts with that."""
    add_tap(place, "counter", COUNTER)
    place.mktap("counter")
    settings = ["--set", "services[0].factory.count=41", "--set", "services[0].interface=127.0.0.2"]
    done = place.twistd(*settings, "-f", "counter.tap")
    assert done.returncode in (0, 2), done.stderr
    port = place.port()
    assert ask(port, host="127.0.0.2") == b"42"
    place.kill()
    (place.path / "twistd.log").unlink()
    port = started(place, "-f", "counter-shutdown.tap")
    assert ask(port) == b"43"  # the program had changed the count, and not the interface
    place.kill()


@pytest.mark.slow
@pytest.mark.parametrize("form", ["xml", "source"])
def test_settings_and_the_text_forms(place: Place, form: str) -> None:
    """What an administrator wrote is what is there after a run with other settings."""
    place.mktap("-t", form, "qotd", "--port", "0")
    (image,) = place.path.glob("qotd.t*")
    image.write_text(image.read_text().replace("An apple", "A pear"))
    path = "services[0].services[0].factory.quoter.text"
    port = started(place, "--set", f"{path}=Laid over.", "-f", image)
    assert ask(port).startswith(b"Laid over.")
    place.kill()
    (state,) = place.path.glob("qotd-shutdown.t*")
    assert "A pear" in state.read_text()
    assert "Laid over." not in state.read_text()


@pytest.mark.slow
def test_settings_reach_what_has_no_file(place: Place) -> None:
    """A builder's application takes them as well."""
    with place.foreground(
        "-n", "--set", "services[0].services[0].port=0", "qotd", "--port", "1"
    ) as process:
        assert ask(place.port("foreground.log")) == QUOTE
        process.terminate()
        process.wait()


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", [["--set", "x"], ["--set", "services[7].port=1"], ["--set", "nam=x"]]
)
def test_a_mistyped_setting_starts_nothing(place: Place, arguments: list[str | Path]) -> None:
    """Status 2, one line, nothing left."""
    place.make("qotd", "--port", "0")
    done = place.twistd(*arguments, "-f", "qotd.tap")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--set" in done.stderr
    assert place.file_names() == ["qotd.tap"]
