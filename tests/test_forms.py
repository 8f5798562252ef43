"""The table of forms, and the public functions over it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tapkit import image, styles
from tapkit.errors import ImageError, UsageError
from tapkit.image import forms, nodes, rows
from tests import random_graphs
from tests.graphs import BY_VALUE, PLAIN, difference


@pytest.mark.parametrize("name", ["pickle", ".tap"])
def test_by_name(name: str) -> None:
    """A form is found by its name and by its extensions."""
    assert forms.by_name(name).name == "pickle"
    assert forms.by_name(name).extensions[0] == ".tap"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pickel", "no such form: pickel; did you mean pickle?"),
        ("zzz", "no such form: zzz: forms: "),
    ],
)
def test_unknown_names(name: str, said: str) -> None:
    """The nearest name is suggested and those there are are listed."""
    with pytest.raises(UsageError) as caught:
        forms.by_name(name)
    assert str(caught.value).startswith(said)
    assert str(caught.value).endswith(f"forms: {', '.join(forms.names())}")


def test_encrypted_extensions() -> None:
    """`.etap` is `.tap`, encrypted: a file's name says so, and no form's name does."""
    for row in forms.FORMS:
        plain = row.extensions[0]
        encrypted = forms.encrypted_extension(plain)
        assert forms.by_extension(f"x{encrypted}") is row
        assert (forms.says_encrypted(f"x{plain}"), forms.says_encrypted(f"x{encrypted}")) == (
            False,
            True,
        )
        with pytest.raises(UsageError, match=f"is the form {row.name}, encrypted"):
            forms.by_name(encrypted)
    assert {".etap", ".etax", ".etas"} <= forms.extensions()


def test_rows_do_not_overlap() -> None:
    """No name and no extension stands for two forms."""
    words = [word for row in forms.FORMS for word in (row.name, *row.extensions)]
    words += map(forms.encrypted_extension, [word for word in words if word.startswith(".")])
    assert len(words) == len(set(words))


def test_a_row_more_is_a_form_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new form needs its row and nothing else."""
    row = forms.Form(
        "shout",
        (".shout",),
        lambda data: bytes(data[:1]) == b"!",
        lambda obj, root, meta, previous: b"!" + repr(obj).encode(),
        lambda obj, root: None,
        lambda data, where: rows.Loaded(bytes(data[1:]).decode(), forms.ImageInfo(form="shout")),
        lambda data, where: (nodes.Image(bytes(data[1:])), forms.ImageInfo(form="shout")),
        lambda image, info, previous: b"!" + image.root,
        lambda data, where: forms.ImageInfo(form="shout"),
        lambda data, where: None,
    )
    monkeypatch.setattr(forms, "FORMS", (*forms.FORMS, row))
    data = image.dumps(5, "shout")
    assert image.loads(data) == "5"
    assert image.inspect(data).form == "shout"
    assert image.loads(image.dumps(5)) == 5
    with pytest.raises(UsageError, match="did you mean shout"):
        image.dumps(5, "shuot")


def test_files(tmp_path: Path) -> None:
    """What save writes load reads, whatever it is called; the content says the form."""
    for name in ("x.tap", "x", "x.backup"):
        path = str(tmp_path / name)
        image.save({"a": [1]}, path, name="x")
        assert image.load(path) == {"a": [1]}
        assert image.load_known(path).info.form == "pickle"
    with pytest.raises(UsageError, match="a file of this name is encrypted"):
        image.save(1, str(tmp_path / "x.etax"))
    assert not (tmp_path / "x.etax").exists()


def test_a_failed_save_changes_nothing(tmp_path: Path) -> None:
    """The old image stays, with no second file beside it."""
    path = tmp_path / "x.tap"
    image.save(1, str(path))
    with pytest.raises(ImageError, match=r"a generator can't be saved: application\.x"):
        image.save(random_with(n for n in ()), str(path), root="application", keep=1)
    assert image.load(str(path)) == 1
    assert [each.name for each in tmp_path.iterdir()] == ["x.tap"]


def random_with(thing: Any) -> Any:
    made = random_graphs.Plain(1)
    made.x = thing
    return made


def test_errors_name_the_file(tmp_path: Path) -> None:
    """As the user gave it, also from inside the envelope."""
    path = tmp_path / "bad.tap"
    path.write_bytes(b"hello, world\n")
    path.chmod(0o600)
    with pytest.raises(ImageError) as caught:
        image.load(str(path))
    assert caught.value.where == str(path)
    assert "looks like text" in str(caught.value)


def test_inspect_loads_nothing() -> None:
    """The header is read; a payload that would raise is not touched."""

    class Bomb:
        def __reduce__(self) -> Any:
            return exec, ("raise SystemExit(1)",)

    info = image.inspect(image.dumps(Bomb(), name="qotd", tap_type="qotd", options={"port": 1}))
    assert (info.name, info.tap_type, info.options) == ("qotd", "qotd", {"port": 1})
    assert info.form == "pickle"


def test_importing_is_cheap() -> None:
    """`from tapkit.image import forms` pulls in neither cloudpickle, msgpack nor asyncio."""
    code = (
        "import sys; from tapkit import image; from tapkit.image import forms, files;"
        "forms.by_name('pickle');"
        "print([m for m in ('cloudpickle', 'msgpack', 'asyncio', 'hashlib', 'zstandard')"
        " if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("form", forms.names())
def test_code_of_another_python_is_refused(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In every form, and before it is made: another Python's bytecode crashes the interpreter."""
    ours = image.dumps(lambda: 5, form)
    assert image.loads(ours)() == 5
    monkeypatch.setattr(styles, "this_python", lambda: "cpython-399 1")
    theirs = image.dumps(lambda: 5, form)
    monkeypatch.undo()
    with pytest.raises(ImageError, match="it carries compiled code of cpython-399 1, and this is"):
        image.loads(theirs)


# The two round trips go all the ways there are; alone, each way is one of the slow tests.
ROUNDS = [("pickle", "xml", "source", "pickle"), ("pickle", "source", "xml", "pickle")]
PAIRS = [(one, other) for one in forms.names() for other in forms.names()]


@pytest.mark.parametrize(
    "way", ROUNDS + [pytest.param(pair, marks=pytest.mark.slow) for pair in PAIRS], ids="-".join
)
def test_every_crossing_is_the_same_graph(way: tuple[str, ...]) -> None:
    """From form to form and loaded: the same graph."""
    for graph in [*PLAIN, *BY_VALUE]:
        made = graph()
        data = image.dumps(made, way[0])
        for form in way[1:]:
            data = image.convert(data, form)
        assert image.inspect(data).form == way[-1]
        assert difference(made, image.loads(data)) is None, graph.__name__
