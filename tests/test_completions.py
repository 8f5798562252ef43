"""Completions: real shells, asked what they would complete."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest

from docs.generate import usage_texts, values
from docs.generate.usage_texts import Option
from tapkit.image import forms
from tapkit.scripts import ctl_completion, tapctl
from tests.place import ROOT, Place, wait_for
from tests.running_daemon import name_in, running_qotd
from tests.terminal import in_terminal

TEXTS = {t.name: t for t in [*usage_texts.programs(), *usage_texts.tapctl_commands()]}
FILES = {shell: ctl_completion.FOLDER / name for shell, name in ctl_completion.FILES.items()}


def needs(shell: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(shell) is None, reason=f"{shell} is not here")


@pytest.fixture
def typed(place: Place) -> Place:
    """A directory with images, in which the commands are on the PATH."""
    tools = place.path.parent / "tools"
    tools.mkdir()
    for name in usage_texts.PROGRAMS:
        (tools / name).write_text(f'#!/bin/sh\nexec {sys.executable} {ROOT}/bin/{name} "$@"\n')
        (tools / name).chmod(0o755)
    place.env["PATH"] = os.pathsep.join([str(tools), place.env["PATH"]])
    place.env["HOME"] = str(place.path.parent)  # nobody's start-up files
    for name in ("my image.tap", "x.tax", "y.tas", "z.tac", "w.pid", "notes.txt"):
        (place.path / name).touch()
    (place.path / "run").mkdir()
    return place


IMAGES = {"my image.tap", "x.tax", "y.tas", "run"}

# A command line, its last word to be completed, and all that it may become: (line, expected).
# What stands between two blanks is a word as readline splits it: `--file = x`.
CASES = [
    ("twistd --no", {"--nodaemon", "--no_save"}),
    ("twistd -f ", IMAGES),
    ("twistd --file = x", {"x.tax"}),
    ("twistd --rundir = ", {"run"}),
    ("twistd -y ", {"z.tac", "run"}),
    ("twistd -r ", {"asyncio", "uvloop"}),
    ("twistd --reactor =", {"asyncio", "uvloop"}),
    ("twistd -n q", {"qotd"}),
    ("twistd -u roo", {"root"}),
    ("twistd qotd --st", {"--static="}),
    ("mktap --appn", {"--appname="}),
    ("mktap -t ", set(forms.names())),
    ("mktap q", {"qotd"}),
    ("mktap -n x qotd --po", {"--port="}),
    ("tapconvert ", IMAGES),
    ("tapconvert --typein = g", {"guess"}),
    ("tapctl ", set(tapctl.COMMANDS)),
    ("tapctl stat", {"status"}),
    ("tapctl status --j", {"--json"}),
    ("tapctl status w", {"w.pid"}),
    ("tapctl stop --time", {"--timeout="}),
    ("tapctl stop --timeout = ", set()),
    ("tapctl inspect x", {"x.tax"}),
    ("tapctl completion ", {"bash", "fish", "zsh"}),
    ("tapctl reload --from ", {"image", "state"}),
]


def complete_in_bash(place: Place, lines: list[str]) -> list[set[str]]:
    """COMPREPLY for each line, from one shell."""
    script = f"source {FILES['bash']}\n" + (
        'try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _tapkit "$1"\n'
        'printf "%s\\t" "${COMPREPLY[@]}"; echo; }\n'
    )
    for line in lines:
        script += "try " + " ".join(f"'{word}'" for word in line.split(" ")) + "\n"
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        cwd=place.path,
        env=place.env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [set(filter(None, line.split("\t"))) for line in done.stdout.splitlines()]


@needs("bash")
def test_bash(typed: Place) -> None:
    """Options, their values, images, tap types and their own options, commands, names."""
    completed = complete_in_bash(typed, [line for line, _ in CASES])
    for (line, expected), found in zip(CASES, completed, strict=True):
        assert found == expected, line


@needs("bash")
@pytest.mark.slow
def test_bash_offers_every_option(typed: Place) -> None:
    """Each option of each command: no more, no fewer."""
    lines = [f"{name} -" for name in TEXTS]
    for text, found in zip(TEXTS.values(), complete_in_bash(typed, lines), strict=True):
        assert found == {spelt for option in text.options for spelt in spellings(option)}


def spellings(option: Option) -> list[str]:
    return [*option.shorts, *(name + ("=" if option.value else "") for name in option.longs)]


@needs("bash")
@pytest.mark.slow
def test_bash_knows_the_daemons(typed: Place, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Those that run are offered by name."""
    with running_qotd(tmp_path_factory.mktemp("other")) as other:
        (found,) = complete_in_bash(typed, ["tapctl stop quot"])
        assert name_in(other) in found


@needs("bash")
@pytest.mark.slow
def test_bash_at_a_prompt(typed: Place) -> None:
    """As typed: a name with a blank comes out quoted, the = of an option gets no blank."""
    command = ["bash", "--norc", "--noprofile", "-i"]
    with in_terminal(command, typed.path, typed.env | {"PS1": "> "}) as terminal:
        terminal.expect("> ")
        terminal.type('eval "$(tapctl completion bash)"\n')
        terminal.expect("> ")
        terminal.type("echo twistd; twistd --file=my\t")
        terminal.expect("--file=my\\ image.tap")
        terminal.type("\x15twistd --pidf\t")
        terminal.expect("--pidfile=")
        terminal.type("\x15exit\n")
        assert terminal.end() == 0


def complete_in_fish(place: Place, lines: list[str]) -> list[set[str]]:
    """What fish offers for each line, from one shell."""
    script = f"source {FILES['fish']}\n"
    script += "".join(f"complete -C {line!r}; echo ==\n" for line in lines)
    done = subprocess.run(
        ["fish", "--no-config", "-c", script],
        cwd=place.path,
        env=place.env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stderr == ""
    answers = done.stdout.split("==\n")[:-1]
    return [{row.partition("\t")[0] for row in answer.splitlines()} for answer in answers]


@needs("fish")
@pytest.mark.slow
def test_fish(typed: Place) -> None:
    """The same cases, in fish's spelling: other files may follow those that fit, no = does."""
    lines = [line.replace(" = ", "=").replace(" =", "=") for line, _ in CASES]
    for (line, expected), found in zip(CASES, complete_in_fish(typed, lines), strict=True):
        bare = {word.rstrip("=/") for word in found}
        after = {re.sub("^--[a-z-]+=", "", word) for word in bare}
        assert {word.rstrip("=") for word in expected} <= bare | after, line


@needs("fish")
@pytest.mark.slow
def test_fish_offers_every_option(typed: Place) -> None:
    """Each long option of each command, with what it does."""
    lines = [f"{name} --" for name in TEXTS]
    for text, found in zip(TEXTS.values(), complete_in_fish(typed, lines), strict=True):
        longs = {long for option in text.options for long in option.longs}
        assert {word.rstrip("=") for word in found if word.startswith("--")} == longs, text.name


# What is typed, and what the line is then.
ZSH_CASES = [
    ("twistd --nod\t", "twistd --nodaemon "),
    ("twistd --pidf\t", "twistd --pidfile="),
    ("twistd -f my\t", "twistd -f my\\ image.tap "),
    ("twistd -r uv\t", "twistd -r uvloop "),
    ("mktap q\t", "mktap qotd "),
    ("mktap qotd --sta\t", "mktap qotd --static="),
    ("tapctl stat\t", "tapctl status "),
    ("tapctl status --j\t", "tapctl status --json "),
    ("tapctl completion z\t", "tapctl completion zsh "),
    ("tapctl stop w\t", "tapctl stop w.pid "),
]


def complete_in_zsh(place: Place, setup: str, cases: list[tuple[str, str]]) -> None:
    """Type each case at a prompt; a key of our own tells what the line is then."""
    heard = place.path.parent / "heard"
    heard.touch()
    tell = f'tell() {{ print -r -- "$BUFFER|" >>{heard}; zle kill-whole-line }}'
    with in_terminal(["zsh", "-f", "-i"], place.path, place.env) as terminal:
        terminal.type(f"{tell}; zle -N tell; bindkey '^X' tell\n{setup}; print set-$?\n")
        terminal.expect("set-0")
        for number, (keys, expected) in enumerate(cases):
            terminal.type(keys + "\x18")
            wait_for("the line", lambda n=number: heard.read_text().count("\n") > n)
            assert heard.read_text().splitlines()[number] == expected + "|"
        terminal.type("\x15exit\n")
        assert terminal.end() == 0


@needs("zsh")
@pytest.mark.slow
def test_zsh(typed: Place) -> None:
    """At a prompt: options, images, tap types and their options, commands, names."""
    setup = 'autoload -U compinit; compinit -D -u; eval "$(tapctl completion zsh)"'
    complete_in_zsh(typed, setup, ZSH_CASES)


@needs("zsh")
@pytest.mark.slow
def test_zsh_autoloads(typed: Place) -> None:
    """Put as _tapkit into a directory of $fpath, it is found by compinit."""
    folder = typed.path.parent / "functions"
    folder.mkdir()
    shutil.copy(FILES["zsh"], folder / "_tapkit")
    setup = f"fpath=({folder} $fpath); autoload -U compinit; compinit -D -u"
    complete_in_zsh(typed, setup, ZSH_CASES[:2])


@pytest.mark.parametrize("shell", ["bash", "fish", "zsh"])
def test_a_shell_accepts_its_file(shell: str) -> None:
    """No syntax error."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not here")
    done = subprocess.run([shell, "-n", FILES[shell]], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("shell", ["bash", "fish", "zsh"])
def test_it_is_printed(place: Place, shell: str) -> None:
    """`tapctl completion SHELL` prints the file that is installed with the package."""
    shown = place.run("tapctl", "completion", shell)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout == FILES[shell].read_text()
    for name, text in TEXTS.items():
        for option in text.options:
            for long in option.longs:
                spelt = f"-l {long[2:]}" if shell == "fish" else long
                assert re.search(rf"{re.escape(spelt)}\b", shown.stdout), f"{name} {long}"


def test_another_shell(place: Place) -> None:
    """Mistyped: the exit status says so, and what there is."""
    shown = place.run("tapctl", "completion", "bsh")
    assert shown.returncode == 2
    expected = "no completion for bsh; did you mean bash?: there is bash, fish and zsh"
    assert shown.stderr == f"tapctl completion: {expected}\n"


def test_what_a_value_is() -> None:
    """By the option, else by the name of its value; nothing is offered for what nobody knows."""
    cases = [("--reactor", "NAME", "asyncio uvloop"), ("--appname", "NAME", values.NOTHING)]
    cases += [("--pidfile", "FILE", values.FILE), ("--new", "UNHEARD-OF", values.NOTHING)]
    for name, value, kind in cases:
        assert values.kind_of(Option((), (name,), value, "")) == kind
