"""Options: the tutorial's way to say what a command line may hold."""

from __future__ import annotations

import copy
import pickle
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapkit import usage
from tapkit.errors import PluginError, TapkitError


class Web(usage.Options):
    synopsis = "[options]"
    longdesc = "Serves files."
    optFlags = [["notracebacks", "n", "Show no tracebacks."], ["personal", "", "For one user."]]
    optParameters = [
        ["port", "p", 8080, "Listen here.", int],
        ["logfile", "l", None, "Log here."],
        ["rate", None, 1.5, None, float],
        ["keep_alive", None, True, "Keep connections.", bool],
    ]

    def __init__(self) -> None:
        super().__init__()
        self["indexes"] = []

    def opt_index(self, name: str) -> None:
        """Add the name of a file
        to index directories with.

        More about it.
        """
        self["indexes"].append(name)

    opt_i = opt_index


class Mail(usage.Options):
    """The hard one: options act on the last domain named."""

    optParameters = [["pop3", "p", 8110, "POP3 port.", int], ["relay", "R", None, "Relay."]]
    optFlags = [["esmtp", "E", "Speak ESMTP."], ["disable-anonymous", None, "No strangers."]]

    def __init__(self) -> None:
        super().__init__()
        self.domains: dict[str, dict[str, Any]] = {}
        self.last: dict[str, Any] | None = None

    def opt_maildirdbmdomain(self, text: str) -> None:
        """NAME=PATH: serve a domain."""
        name, path = text.split("=")
        self.last = self.domains[name] = {"path": path, "users": []}

    opt_d = opt_maildirdbmdomain

    def opt_user(self, text: str) -> None:
        """NAME=PASSWORD: a user of the last domain."""
        if self.last is None:
            raise usage.UsageError(f"--user {text} before any domain")
        self.last["users"].append(text.split("=")[0])

    opt_u = opt_user

    def opt_bounce_to_postmaster(self) -> None:
        """Bounces go to the postmaster of the last domain."""
        assert self.last is not None
        self.last["bounce"] = True

    opt_b = opt_bounce_to_postmaster

    def postOptions(self) -> None:
        if not self["pop3"]:
            raise usage.UsageError("nothing to serve")


class Forward(usage.Options):
    optParameters = [
        ["port", "p", 6666, "Listen here.", int],
        ["host", "h", "localhost", "Forward there."],
        ["dest_port", "d", 6665, "To this port.", int],
    ]


class Login(usage.Options):
    optParameters = [
        ["user", "u", "admin", "Who."],
        ["password", "w", "changeme", "The password.", int],
        ["pin", None, None, "Digits.", int],
    ]

    def opt_api_key(self, value: str) -> None:
        raise ValueError(f"{value} is no key")

    def parseArgs(self, name: str = "", token: str = "") -> None:
        if token:
            raise usage.UsageError(f"the token {token} has expired", name, f"renew {token!r}")


def parsed(cls: type[usage.Options], *argv: str) -> Any:
    config = cls()
    config.program = "mktap it"
    config.parseOptions(list(argv))
    return config


def refusal(cls: type[usage.Options], *argv: str) -> str:
    with pytest.raises(usage.UsageError) as caught:
        parsed(cls, *argv)
    return str(caught.value)


def test_defaults() -> None:
    """Before anything is parsed, an Options holds its defaults."""
    assert Web() == {
        "notracebacks": False,
        "personal": False,
        "port": 8080,
        "logfile": None,
        "rate": 1.5,
        "keep_alive": True,
        "indexes": [],
    }


@pytest.mark.parametrize(
    ("argv", "changed"),
    [
        ([], {}),
        (["-n"], {"notracebacks": True}),
        (["--port", "80"], {"port": 80}),
        (["--po=80", "-l", "x"], {"port": 80, "logfile": "x"}),
        (["-np80"], {"notracebacks": True, "port": 80}),
        (["--rate=2"], {"rate": 2.0}),
        (["--keep-alive=no"], {"keep_alive": False}),
        (["--keep_alive", "ON"], {"keep_alive": True}),
        (["-i", "a", "--index=b", "--ind", "c", "-id"], {"indexes": ["a", "b", "c", "d"]}),
        (["-p1", "-p2"], {"port": 2}),
    ],
)
def test_reads(argv: list[str], changed: dict[str, Any]) -> None:
    """Values go into the mapping, coerced; repeated methods are called in order."""
    assert parsed(Web, *argv) == {**Web(), **changed}


def test_last_domain_named() -> None:
    """Methods run in the order of the command line, whatever the options are called."""
    config = parsed(
        Mail,
        *("-d", "a.org=/a", "-u", "ann=1", "--esmtp", "--maildirdbmdomain=b.org=/b"),
        *("--user", "bob=2", "-b", "--user=cy3=3", "--disable_anonymous"),
    )
    assert config.domains == {
        "a.org": {"path": "/a", "users": ["ann"]},
        "b.org": {"path": "/b", "users": ["bob", "cy3"], "bounce": True},
    }
    assert config["esmtp"] and config["disable-anonymous"]


def test_h_may_be_a_host() -> None:
    """A class that takes -h has it; elsewhere it is --help's."""
    assert parsed(Forward, "-h", "example.org", "--dest-port", "1", "--dest_port=2") == {
        "port": 6666,
        "host": "example.org",
        "dest_port": 2,
    }
    assert "-h, --host=HOST" in Forward().getUsage()
    assert "      --help " in Forward().getUsage()
    with pytest.raises(usage.HelpRequested):
        parsed(Forward, "--help")
    with pytest.raises(usage.HelpRequested):
        parsed(Web, "-h")
    assert "  -h, --help " in Web().getUsage()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--port=abc"], "--port: 'abc' is not a whole number"),
        (["-p", ""], "--port: '' is not a whole number"),
        (["-p80x"], "--port: '80x' is not a whole number"),
        (["--rate=fast"], "--rate: 'fast' is not a number"),
        (["--keep-alive=maybe"], "--keep-alive: 'maybe' is not yes or no"),
        (["--prot=1"], "unknown option --prot; did you mean --port?"),
        (["--p=1"], "--p is ambiguous: --personal or --port?"),
        (["--port"], "--port needs a value: see mktap it --help"),
        (["-n=1"], "unknown option -=: see mktap it --help"),
        (["--notracebacks=1"], "--notracebacks takes no value: see mktap it --help"),
        (["x"], "unexpected argument 'x': see mktap it --help"),
    ],
)
def test_refuses(argv: list[str], message: str) -> None:
    """What is wrong is said of the option, with the type that was expected."""
    assert refusal(Web, *argv) == message


def test_post_options_refuses() -> None:
    """postOptions may refuse, with a plain message."""
    assert refusal(Mail, "--pop3=0") == "nothing to serve"


def port_number(text: str) -> int:
    if text == "own":
        raise PluginError("no such port", text, "try another")
    if text == "type":
        return len(5)  # type: ignore[arg-type]
    if text == "silent":
        raise ValueError
    raise ValueError(f"{text} is taken" if text == "named" else "out of range")


class Coerced(usage.Options):
    optParameters = [
        ["port", "p", None, None, port_number],
        ["odd", "o", None, None, lambda text: int("x" + text[:0]) if text else port_number("type")],
    ]

    def opt_strict(self, text: str) -> None:
        name, _value = text.split("=")
        self["strict"] = name

    def opt_broken(self, text: str) -> None:
        raise TypeError("a fault of the program")

    def opt_flag(self) -> None:
        raise ValueError("a fault of the program")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("--port=far", "--port: 'far': out of range"),
        ("--port=named", "--port: named is taken"),
        ("--port=silent", "--port: 'silent': not a valid port_number"),
        ("--port=type", "--port: 'type': not a valid port_number"),
        ("--port=own", "--port: no such port: own: try another"),
        ("--odd=", "--odd: '': not valid"),
        ("--strict=x", "--strict: 'x': not enough values to unpack (expected 2, got 1)"),
    ],
)
def test_coerce_says_why(argv: str, message: str) -> None:
    """A coerce function's ValueError gives the reason; without one, its name does."""
    assert refusal(Coerced, argv) == message


@pytest.mark.parametrize("argv", ["--broken=x", "--flag"])
def test_faults_of_the_program(argv: str) -> None:
    """What is no complaint about a value is not taken for one."""
    with pytest.raises((TypeError, ValueError), match="a fault of the program"):
        parsed(Coerced, argv)


class Copy(usage.Options):
    def parseArgs(self, source: str, target: str = "out", *more: str) -> None:
        self["arguments"] = (source, target, more)


def test_positional() -> None:
    """parseArgs gets the positional arguments, wherever they stand, by its own signature."""
    assert parsed(Copy, "a")["arguments"] == ("a", "out", ())
    assert parsed(Copy, "a", "b")["arguments"] == ("a", "b", ())
    assert parsed(Copy, "a", "--", "-b", "c", "d")["arguments"] == ("a", "-b", ("c", "d"))
    assert refusal(Copy) == "missing argument SOURCE: see mktap it --help"
    assert Copy().getSynopsis().endswith(" [options] SOURCE [TARGET] [MORE...]")


class Add(usage.Options):
    optFlags = [["force", "f", "Do."]]

    def parseArgs(self, name: str) -> None:
        self["name"] = name


class Remote(usage.Options):
    optParameters = [["quiet", "q", "no", "How quiet.", bool], ["password", "w", None, "Secret."]]
    subCommands = [["add", "a", Add, "Add one."], ["list", None, usage.Options, "List them."]]


class Default(Remote):
    defaultSubCommand = "list"


def test_subcommands() -> None:
    """A sub-command has Options of its own, a parent, and all the arguments after its name."""
    config = parsed(Remote, "-q", "yes", "add", "x", "--force")
    assert (config.subCommand, config["quiet"]) == ("add", True)
    assert config.subOptions == {"force": True, "name": "x"}
    assert config.subOptions.parent is config
    assert parsed(Remote, "a", "y").subCommand == "add"
    assert parsed(Remote).subCommand is None
    assert parsed(Default).subCommand == "list"
    assert parsed(Default, "add", "--", "-f").subOptions["name"] == "-f"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["ad"], "unknown command 'ad'; did you mean add?"),
        (["zz"], "unknown command 'zz': see mktap it --help"),
        (["add"], "missing argument NAME: see mktap it add --help"),
        (["add", "--forse", "x"], "unknown option --forse; did you mean --force?"),
        (["add", "-q", "x"], "unknown option -q: see mktap it add --help"),
    ],
)
def test_subcommands_refuse(argv: list[str], message: str) -> None:
    """A mistake in a sub-command is told with the sub-command's name."""
    assert refusal(Remote, *argv) == message


def test_subcommand_help() -> None:
    """The help lists the sub-commands; a sub-command's help is its own."""
    text = Remote().getUsage(80)
    assert "Commands:\n  add, a  Add one.\n  list    List them.\n" in text
    with pytest.raises(usage.HelpRequested) as asked:
        parsed(Remote, "add", "--help")
    assert asked.value.text.startswith("Usage: mktap it add [options] NAME\n")


class Base(usage.Options):
    optFlags = [["verbose", "v", "Say more."]]
    optParameters = [["port", "p", 1, "A port.", int], ["path", None, "/", "A path."]]

    def opt_user(self, name: str) -> None:
        """Add a user."""
        self["who"] = f"base {name}"

    opt_u = opt_user


class Other(usage.Options):
    optFlags = [["other", "o", "Another base."]]


class Derived(Base, Other):
    optParameters = [["port", None, 2, "Another port."], ["proxy", "p", None, "A proxy."]]

    def opt_user(self, name: str) -> None:
        self["who"] = f"derived {name}"

    def opt_verbose(self) -> None:
        """Say much more."""
        self["verbose"] = self["verbose"] + 1


def test_inheritance() -> None:
    """All bases' options are there; the derived class's rows, letters and methods win."""
    config = parsed(Derived, "-p", "x", "--port=y", "-u", "z", "--other")
    assert config == {
        "verbose": False,
        "port": "y",
        "path": "/",
        "proxy": "x",
        "other": True,
        "who": "derived z",
    }
    assert parsed(Derived, "--verbose", "--verbose")["verbose"] == 2
    assert parsed(Base, "-p", "3")["port"] == 3
    assert "Say much more." in Derived().getUsage()
    assert "Add a user." in Derived().getUsage(), "the base documents what is overridden"


HELP = """\
Usage: mktap it [options]

Serves files.

Options:
  -n, --notracebacks      Show no tracebacks.
      --personal          For one user.
  -p, --port=PORT         Listen here. (a whole number)
                          [default: 8080]
  -l, --logfile=LOGFILE   Log here.
      --rate=RATE         (a number) [default: 1.5]
      --keep-alive=ALIVE  Keep connections. (yes or no)
                          [default: True]
  -i, --index=INDEX       Add the name of a file to index
                          directories with.
  -h, --help              Show this help.
      --version           Show the version.
"""


def test_help() -> None:
    """--help raises the help text: as declared, aligned, wrapped, with types and defaults."""
    with pytest.raises(usage.HelpRequested) as asked:
        parsed(Web, "--port=abc", "stray", "--help")
    assert asked.value.text == parsed(Web).getUsage()
    config = parsed(Web)
    assert config.getUsage(60) == HELP
    assert str(config) == config.getUsage()
    assert not isinstance(asked.value, TapkitError), "it is a request, not an error"


def test_help_takes_the_terminals_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """The help is as wide as COLUMNS says, within reason."""
    for columns, widest in (("60", 60), ("10", 45), ("1000", 100), ("many", 80)):
        monkeypatch.setenv("COLUMNS", columns)
        assert max(map(len, Web().getUsage().splitlines())) <= widest


def test_version() -> None:
    """--version is a request too, and a kind of HelpRequested: print its text."""
    with pytest.raises(usage.VersionRequested) as asked:
        parsed(Web, "--version")
    assert asked.value.text.startswith("mktap it (tapkit) ")
    assert isinstance(asked.value, usage.HelpRequested)


def test_synopsis() -> None:
    """The tutorial's `synopsis = "Usage: ..."` is shown as it is."""

    class Old(usage.Options):
        synopsis = "Usage: mktap qotd [options]"

    assert Old().getUsage().startswith("Usage: mktap qotd [options]\n")


def test_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a program named, the running script is, and its arguments are read."""
    monkeypatch.setattr(sys, "argv", ["/usr/bin/serve", "--port", "9"])
    config = Web()
    config.parseOptions()
    assert (config["port"], config.program_name()) == (9, "serve")


def test_longdesc_keeps_lists() -> None:
    """In a long description paragraphs are wrapped, indented lines are kept."""

    class Long(usage.Options):
        longdesc = """First line
        goes on.

        A list:
          one
          two
        """

    assert "First line goes on.\n\nA list:\n  one\n  two\n" in Long().getUsage()


SECRETS = [
    ["--password=hunter2"],
    ["--password", "hunter2"],
    ["-whunter2"],
    ["-w", "1", "--pin=hunter2"],
    ["--api-key=hunter2"],
    ["--api_key", "hunter2"],
    ["ann", "hunter2"],
    ["ann", "x", "hunter2"],
    ["--pasword=hunter2"],
    ["--user=hunter2:hunter2", "--password=hunter2"],
]


@pytest.mark.parametrize("argv", SECRETS)
def test_no_secret_is_told(argv: list[str]) -> None:
    """No error, and no error behind it, shows the value of a secret option."""
    with pytest.raises(usage.UsageError) as caught:
        parsed(Login, *argv)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__


@given(st.text(min_size=4), st.sampled_from(["-w", "--password", "--pin", "--api-key"]))
def test_no_secret_whatever_it_is(secret: str, option: str) -> None:
    """Whatever is given as a secret, the refusal is without it."""
    try:
        parsed(Login, option, secret)
    except usage.UsageError as error:
        told = str(error).replace("the value (hidden) is not", "").replace(option, "")
        assert secret not in told.replace("needs a value: see mktap it --help", "")


def test_secret_in_the_programs_words() -> None:
    """A message of the program's own loses the secret it quotes, and keeps its parts."""
    with pytest.raises(usage.UsageError) as caught:
        parsed(Login, "ann", "hunter2")
    assert str(caught.value) == "the token (hidden) has expired: ann: renew '(hidden)'"


def test_repr_hides_secrets() -> None:
    """repr is for logs: no secret is in it, nor the default of one in the help."""
    config = parsed(Login, "--user=ann:hunter2", "-w", "1234")
    assert repr(config) == "Login({'user': (hidden), 'password': (hidden), 'pin': None})"
    assert config["password"] == 1234
    assert "changeme" not in config.getUsage()
    assert "[default: admin]" in config.getUsage()


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("password", None, True),
        ("db_passwd", None, True),
        ("passwordfile", None, True),
        ("userPassword", None, True),
        ("auth-token", None, True),
        ("privkey", None, True),
        ("api_key", None, True),
        ("key", None, True),
        ("pin", None, True),
        ("--password", None, True),
        ("user", "ann", False),
        ("user", "ann:pw", True),
        ("user", "ann=pw", True),
        ("user", None, False),
        ("no-password", True, False),
        ("relay", "smtp://ann:pw@host/", True),
        ("relay", "smtp://ann@host:25/", False),
        ("port", "tcp:80", False),
        ("keyboard", None, False),
        ("keep-alive", None, False),
        ("ping", None, False),
        ("passive", None, False),
    ],
)
def test_is_secret(name: str, value: str | bool | None, secret: bool) -> None:
    """A name says whether its value is a secret; a value may give itself away."""
    assert usage.is_secret(name, value) is secret


def test_public_options() -> None:
    """What may be kept of options: no secrets, no objects, sub-commands under their names."""
    config = parsed(Remote, "--password=x", "add", "n")
    config["users"] = ["ann", "http://bob:pw@host/"]
    config["factory"] = object()
    config["nested"] = {"token": "x", "port": 1}
    assert usage.public_options(config) == {
        "quiet": "no",
        "users": ["ann"],
        "factory": "<object>",
        "nested": {"port": 1},
        "add": {"force": False, "name": "n"},
    }


def test_kept_and_copied() -> None:
    """A service may keep its config: it pickles and copies, attributes and parents included."""
    config = parsed(Remote, "-q", "yes", "add", "n")
    config.note = ["mine"]
    for twin in (pickle.loads(pickle.dumps(config)), copy.copy(config), copy.deepcopy(config)):
        assert type(twin) is Remote
        assert (twin, twin.note, twin.subOptions) == (config, ["mine"], config.subOptions)
        assert twin.opts is twin
    deep = pickle.loads(pickle.dumps(config))
    assert deep.subOptions.parent is deep


def test_defaults_are_per_class() -> None:
    """One instance's values are not another's."""
    first, second = Web(), Web()
    first["port"] = 1
    first["indexes"].append("x")
    assert (second["port"], second["indexes"]) == (8080, [])


def test_docs_and_opts() -> None:
    """`docs` and `opts` are early Twisted's names for what is there."""
    config = Web()
    assert config.docs["port"] == "Listen here."
    assert config.docs["index"] == "Add the name of a file to index directories with."
    assert config.opts is config


@pytest.mark.parametrize(
    "slip", ["opt_parameters", "opt_flags", "sub_commands", "parse_args", "post_options"]
)
def test_misspelt_hooks(slip: str) -> None:
    """A hook in snake_case is an error where the class is made, not a silence."""
    with pytest.raises(TypeError, match=f"Slip.{slip} is never called; the hook is spelled"):
        type("Slip", (usage.Options,), {slip: []})


def two(self: Any, one: str, another: str) -> None: ...
def keyword(self: Any, *, needed: str) -> None: ...
def nothing() -> None: ...


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"optFlags": [[]]}, r"Bad.optFlags: \[\] is not a row of up to 3 columns"),
        ({"optFlags": ["quiet"]}, "Bad.optFlags: 'quiet' is not a row"),
        ({"optFlags": "quiet"}, "Bad.optFlags is not a list: 'quiet'"),
        ({"optFlags": [["a", "b", "c", "d", "e"]]}, "is not a row of up to 3 columns"),
        ({"optParameters": [["p", "", 1, "", int, 0, 0]]}, "is not a row of up to 5 columns"),
        ({"optParameters": [[None]]}, "the long name must be letters"),
        ({"optParameters": [["--port"]]}, "the long name must be letters"),
        ({"optParameters": [["a port"]]}, "the long name must be letters"),
        ({"optParameters": [["port", "po"]]}, "the short name must be one letter"),
        ({"optParameters": [["port", "-"]]}, "the short name must be one letter"),
        ({"optParameters": [["port", "p", 1, 2]]}, "the doc column must be text"),
        ({"optParameters": [["port", "p", 1, "", "int"]]}, "the coerce column must be callable"),
        (
            {"optParameters": [["port", "p"], ["path", "p"]]},
            "Bad: --path and --port are both -p",
        ),
        (
            {"optFlags": [["a-b"]], "optParameters": [["a_b"]]},
            "Bad declares the option --a-b twice",
        ),
        ({"opt_two": two}, "Bad.opt_two must take self alone"),
        ({"opt_keyword": keyword}, "Bad.opt_keyword must take self alone"),
        ({"opt_nothing": nothing}, "Bad.opt_nothing must take self alone"),
        ({"opt_int": int}, "Bad.opt_int is not a plain method"),
        ({"subCommands": [["a", "b", Web]]}, r"is not \[name, shortcut, Options class, doc\]"),
        ({"subCommands": [["a", "b", "Web", ""]]}, r"is not \[name, shortcut, Options class"),
    ],
)
def test_malformed_classes(members: dict[str, Any], message: str) -> None:
    """A malformed declaration is a TypeError that names the class and the row."""
    with pytest.raises(TypeError, match=message):
        type("Bad", (usage.Options,), members)


def test_short_rows_and_completion_data() -> None:
    """Columns left out are empty; completion data, one column more, is ignored."""

    class Short(usage.Options):
        optFlags = [["quiet"], ("all", "a", "Everything.", object())]
        optParameters = [["port"], ["file", "f", None, "A file.", None, object()]]

    assert parsed(Short, "--quiet", "-a", "--port=1", "-fx") == {
        "quiet": True,
        "all": True,
        "port": "1",
        "file": "x",
    }


def test_a_method_beside_its_row() -> None:
    """A method of a row's name takes the value; the row gives default, letter and doc."""

    class Both(usage.Options):
        optParameters = [["user", "u", "admin", "Who."]]

        def opt_user(self, name: str) -> None:
            self["user"] = name.upper()

    assert Both()["user"] == "admin"
    assert parsed(Both, "-u", "ann")["user"] == "ANN"
    assert "-u, --user=USER  Who. [default: admin]" in Both().getUsage()


def test_odd_methods() -> None:
    """Optional values, short-only options and several short forms work."""

    class Odd(usage.Options):
        def opt_maybe(self, value: str = "none") -> None:
            self["maybe"] = value

        def opt_x(self) -> None:
            """Only short."""
            self["x"] = True

        opt_m = opt_n = opt_maybe

    assert parsed(Odd, "-x", "-m1") == {"x": True, "maybe": "1"}
    assert parsed(Odd, "-n", "2", "-x") == {"x": True, "maybe": "2"}
    assert "-x" in Odd().getUsage()
    assert "-m, -n, --maybe=MAYBE" in Odd().getUsage()


def test_withdrawn() -> None:
    """A derived class takes back an inherited option, or its letter, by setting it to None."""

    class Less(Web):
        opt_version = None
        opt_h = None
        opt_index = None

    assert refusal(Less, "--version") == "unknown option --version: see mktap it --help"
    assert refusal(Less, "-h") == "unknown option -h: see mktap it --help"
    assert refusal(Less, "-i", "x") == "unknown option -i: see mktap it --help"
    with pytest.raises(usage.HelpRequested) as asked:
        parsed(Less, "--help")
    assert "version" not in asked.value.text and "--index" not in asked.value.text


def test_computed_subcommands() -> None:
    """subCommands may be a property, as when plug-ins are the sub-commands."""

    class Computed(usage.Options):
        @property
        def subCommands(self) -> Any:
            return [["add", None, Add, "Add one."]]

    assert parsed(Computed, "add", "x").subOptions["name"] == "x"


def test_many_options_stay_quick() -> None:
    """Sixty options are read without a noticeable wait."""
    import time

    rows = [[f"option{n}", None, n, "One of many.", int] for n in range(60)]
    cls = type("Many", (usage.Options,), {"optParameters": rows})
    start = time.process_time()
    config = parsed(cls, *[f"--option{n}={n + 1}" for n in range(60)])
    assert config["option59"] == 60
    assert time.process_time() - start < 1
