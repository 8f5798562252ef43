"""The tools import and run nothing of an image: an audit hook watches them do their work.

For images whose modules are not installed, and for a corpus of pickles made to do harm.
"""

from __future__ import annotations

import json
import pickle
import struct
import subprocess
import sys

import pytest

from tapkit import image
from tapkit.image import header, tap
from tests.place import ROOT, Place

# Runs each command line in this process, each in its folder, watched. What is told of each: events
# that loading or running an image could not do without, and all that was imported.
WATCHER = """
import json, os, sys, time
from tapkit.scripts import tapconvert, tapctl

told, imported = [], []
FORBIDDEN = ("pickle.find_class", "os.system", "subprocess.Popen", "os.exec", "os.posix_spawn",
             "os.fork", "os.forkpty", "socket.connect", "ctypes.dlopen", "os.remove", "os.putenv",
             "builtins.input", "webbrowser.open")

def hook(event, args):
    if event in FORBIDDEN:
        told.append([event, repr(args)[:200]])
    elif event == "import":
        imported.append(args[0])
    elif event == "open" and "canary" in str(args[0]):
        told.append([event, repr(args)[:200]])

sys.addaudithook(hook)
DOCS = {"tapconvert": sys.argv[1], "tapctl": sys.argv[2]}
MAINS = {"tapconvert": tapconvert.main, "tapctl": tapctl.main}
report = []
for line in sys.stdin:
    told, imported = [], []
    folder, program, *argv = json.loads(line)
    os.chdir(folder)
    began = time.process_time()
    status = MAINS[program](argv, open(DOCS[program]).read().split('\"\"\"')[1])
    seconds = time.process_time() - began
    report.append({"told": told, "imported": imported, "status": status, "seconds": seconds})
open(sys.argv[3], "w").write(json.dumps(report))
"""


def together(reports: list[dict]) -> dict:
    """What the watcher saw of some command lines."""
    return {
        "told": [told for report in reports for told in report["told"]],
        "imported": [name for report in reports for name in report["imported"]],
        "statuses": [report["status"] for report in reports],
        "seconds": sum(report["seconds"] for report in reports),
    }


def watched(place: Place, *lines: list[str]) -> dict:
    """Run command lines under the watcher; what it saw."""
    reports, stderr = watch(place, [[str(place.path), *line] for line in lines])
    return together(reports) | {"stderr": stderr}


def watch(place: Place, lines: list[list[str]]) -> tuple[list[dict], str]:
    """Run command lines under the watcher, each after its folder; of each what it saw."""
    report = place.path.parent / "report.json"
    place.env["PATH"] = str(place.path)  # no graphviz: starting it would be told
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            WATCHER,
            str(ROOT / "bin" / "tapconvert"),
            str(ROOT / "bin" / "tapctl"),
            str(report),
        ],
        input="".join(json.dumps(line) + "\n" for line in lines),
        cwd=place.path,
        env=place.env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(report.read_text()), done.stderr


ELSEWHERE = """<?xml version="1.0" encoding="utf-8"?>
<application class="tapkit.application.Application" id="shop" tapkit="1">
  <name>shop</name>
  <services type="list">
    <item class="app_elsewhere.net.Server">
      <port type="int">8007</port>
      <factory class="app_elsewhere.web.Factory" id="factory">
        <colour call="app_elsewhere.web.Colour"><args><item>red</item></args></colour>
      </factory>
      <again ref="factory"/>
      <parent ref="shop"/>
    </item>
  </services>
</application>
"""


def test_an_application_that_is_not_installed(place: Place) -> None:
    """It is converted to every form, compared, told and drawn; nothing of it is looked for."""
    plain = ELSEWHERE.replace(
        '<colour call="app_elsewhere.web.Colour"><args><item>red</item></args></colour>',
        '<colour class="app_elsewhere.web.Colour"/>',
    )
    (place.path / "shop.tax").write_text(plain)
    (place.path / "other.tax").write_text(plain.replace("8007", "8017"))
    found = watched(
        place,
        ["tapconvert", "shop.tax", "shop.tap"],
        ["tapconvert", "shop.tap", "shop.tas"],
        ["tapconvert", "shop.tas", "back.tax"],
        ["tapctl", "diff", "shop.tap", "shop.tas"],
        ["tapctl", "diff", "back.tax", "other.tax"],
        ["tapctl", "inspect", "shop.tap", "--graph", "shop.svg"],
        ["tapctl", "inspect", "--json", "shop.tas"],
    )
    assert found["statuses"] == [0, 0, 0, 0, 1, 0, 0], found["stderr"]
    assert found["told"] == []
    assert not [name for name in found["imported"] if name.startswith("app_elsewhere")]
    assert "Factory" in (place.path / "shop.svg").read_text()
    info = image.inspect((place.path / "shop.tap").read_bytes())
    assert "app_elsewhere" in info.modules


def test_an_application_that_is_installed(place: Place) -> None:
    """Its modules lie beside and are not imported: they would say so."""
    place.add_module("app_elsewhere/__init__.py", "open('canary', 'w')")
    place.add_module("app_elsewhere/web.py", "open('canary', 'w')")
    (place.path / "shop.tax").write_text(
        '<root class="app_elsewhere.web.Factory" tapkit="1"><a type="int">1</a></root>'
    )
    found = watched(
        place,
        ["tapconvert", "shop.tax", "shop.tap"],
        ["tapconvert", "shop.tap", "shop.tas"],
        ["tapctl", "inspect", "shop.tas", "--graph", "shop.svg"],
        ["tapctl", "diff", "shop.tap", "shop.tas"],
    )
    assert found["statuses"] == [0, 0, 0, 0], found["stderr"]
    assert found["told"] == []
    assert not [name for name in found["imported"] if name.startswith("app_elsewhere")]


class Bomb:
    """Pickles as a call."""

    def __init__(self, call: object, *args: object):
        self._reduced = (call, args)

    def __reduce__(self) -> tuple:
        return self._reduced


def word(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def called(module: str, name: str, *args: str) -> bytes:
    """STACK_GLOBAL and REDUCE, by hand."""
    return word(module) + word(name) + b"\x93(" + b"".join(map(word, args)) + b"tR"


def doubling(levels: int) -> bytes:
    """A list of two of a list of two ...: 2**levels paths to walk for who does not mind sharing."""
    stream = b"\x80\x04]\x94"
    for level in range(levels):
        get = b"j" + struct.pack("<I", level)
        stream += b"](" + get + get + b"e\x94"
    return stream + b"."


COMMAND = "echo > canary"
EVIL = {
    "system": pickle.dumps(Bomb(__import__("os").system, COMMAND)),
    "eval": pickle.dumps(Bomb(eval, f"__import__('os').system({COMMAND!r})")),
    "exec": pickle.dumps(Bomb(exec, "open('canary', 'w')")),
    "open": pickle.dumps(Bomb(open, "canary", "w")),
    "popen": b"\x80\x04" + called("subprocess", "Popen", COMMAND) + b".",
    "import": b"\x80\x04" + called("importlib", "import_module", "antigravity") + b".",
    "runpy": b"\x80\x04" + called("runpy", "run_path", "canary.py") + b".",
    "protocol 0": b"cos\nsystem\n(S'echo > canary'\ntR.",
    "inst": b"(S'echo > canary'\nios\nsystem\n.",
    "obj": b"(cos\nsystem\nS'echo > canary'\no.",
    "discarded": b"\x80\x04" + called("os", "system", COMMAND) + b"0N.",
    "in a key": b"\x80\x04}" + called("os", "system", COMMAND) + b"Ns.",
    "chain": b"\x80\x04"
    + word("builtins") + word("getattr") + b"\x93("
    + called("builtins", "__import__", "os") + word("system") + b"tR" + word(COMMAND) + b"\x85R.",
    "dotted name": b"\x80\x04" + called("pickle", "os.system", COMMAND) + b".",
    "build": b"\x80\x04" + called("app_elsewhere", "Thing") + word("x") + b"b.",
    "missing": b"\x80\x04" + called("app_elsewhere.no.where", "f", "x") + b".",
    "odd names": b"\x80\x04" + called("\n../../x y\x00", "\x1b[2J;import os", "x") + b".",
    "pickle in pickle": b"\x80\x04" + word("pickle") + word("loads") + b"\x93B"
    + struct.pack("<I", 27) + b"cos\nsystem\n(S'echo'\ntR.".ljust(27, b" ") + b"\x85R.",
    "persistent": b"Pcanary\n.",
    "extension": b"\x80\x02\x82\x01.",
    "doubling": doubling(60),
    "deep": b"(" * 50_000 + b"t" * 50_000 + b".",
    "memo bomb": b"\x80\x04]r" + struct.pack("<I", 0x7FFFFFFF) + b".",
    "long": b"\x80\x02\x8b" + struct.pack("<i", 0x7FFFFFFF) + b".",
    "frame": b"\x80\x04\x95" + struct.pack("<Q", 1 << 62) + b"N.",
    "truncated": pickle.dumps(Bomb(print, "x"))[:-3],
    "garbage": bytes(range(256)),
    "cycle": b"\x80\x04]\x94h\x00a.",
}  # fmt: skip


REFUSED = {"persistent", "extension", "long", "frame", "truncated", "garbage"}


TOOLS = [
    ["tapctl", "inspect", "--json", "evil.tap"],
    ["tapctl", "inspect", "evil.tap", "--graph", "evil.svg"],
    ["tapconvert", "evil.tap", "evil.tax"],
    ["tapconvert", "evil.tap", "evil.tas"],
    ["tapconvert", "evil.tax", "again.tap"],
    ["tapconvert", "evil.tas", "third.tap"],
    ["tapctl", "diff", "evil.tap", "again.tap"],
    ["tapctl", "diff", "evil.tap", "evil.tap"],
]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """What one watcher saw of each evil pickle, each in its folder, by its name."""
    place = Place(tmp_path_factory.mktemp("evil") / "place")
    lines = []
    for number, name in enumerate(EVIL):
        folder = place.path / str(number)
        folder.mkdir()
        evil = folder / "evil.tap"
        evil.write_bytes(b"".join(tap.write(EVIL[name], [], header.made_here([]))))
        evil.chmod(0o600)
        (folder / "canary.py").write_text("open('canary', 'w')")
        lines += [[str(folder), *line] for line in TOOLS]
    try:
        reports, stderr = watch(place, lines)
    finally:
        place.reap()
    found = {}
    for number, name in enumerate(EVIL):
        found[name] = together(reports[number * len(TOOLS) : (number + 1) * len(TOOLS)])
        found[name] |= {"stderr": stderr, "folder": place.path / str(number)}
    return found


@pytest.mark.parametrize("name", EVIL)
def test_pickles_that_would_do_harm(outcomes: dict[str, dict], name: str) -> None:
    """Each is converted, told, drawn and compared, or refused in words, and soon; never run."""
    found = outcomes[name]
    assert [told for told in found["told"] if told[0] != "open" or "canary'" in told[1]] == []
    assert "antigravity" not in found["imported"]
    assert not [module for module in found["imported"] if module.startswith("app_elsewhere")]
    assert not (found["folder"] / "canary").exists()
    refused = [1, 1, 1, 1, 1, 1, 2, 2]
    assert found["statuses"] == (refused if name in REFUSED else [0] * 8), found["stderr"]
    assert found["seconds"] < 30


def test_the_watcher_sees(place: Place) -> None:
    """With --run a program is run, and the hook tells: so silence above means something."""
    (place.path / "run.tas").write_text(
        "import os\n\nfor n in range(1):\n    os.system('true')\n\napplication = 1\n"
    )
    found = watched(place, ["tapconvert", "--run", "run.tas", "x.tap"])
    assert [event for event, _ in found["told"]] == ["os.system"]
