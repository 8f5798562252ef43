"""Whom to believe: trusted keys, what they are trusted for, the policy, and the generations."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import pytest

from tapkit import application, image
from tapkit.application import Application
from tapkit.errors import ImageError
from tapkit.image import files, forms, seal
from tapkit.image.seal import places, policy, rollback, signing, statement, trust
from tapkit.image.seal.policy import Policy
from tests.trusting import Machine

pytest.importorskip("cryptography")

REQUIRED = Policy(require=True, source="the test")
TODAY = datetime.datetime.now(datetime.timezone.utc).date()
DAY = datetime.timedelta(days=1)


def made(folder: Path, key: str | None, form: str = "pickle", name: str = "qotd") -> str:
    """An application's image, signed with a key; its path."""
    app = Application(name)
    app.setStyle(form)
    if key is not None:
        app.seal = seal.Seal(signer=signing.signer_from(key))
    path = str(folder / app.file_name())
    application.save(app, path)
    return path


def refused(path: str, demanded: Policy = REQUIRED) -> str:
    with pytest.raises(ImageError) as caught:
        application.load(path, policy=demanded)
    assert path in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("form", forms.names())
@pytest.mark.parametrize("system", [False, True], ids=["user's", "system's"])
def test_trusted(machine: Machine, tmp_path: Path, form: str, system: bool) -> None:
    """Signed by a key in either folder, in any form: it loads."""
    path = made(tmp_path, machine.key(system=system), form)
    loaded = application.load(path, policy=REQUIRED)
    assert loaded.name == "qotd"
    assert loaded.form == form


@pytest.mark.parametrize("form", forms.names())
def test_each_refusal_has_its_words(machine: Machine, tmp_path: Path, form: str) -> None:
    """Unsigned, unknown key, changed, false, out of scope, expired: none is taken for another."""
    good = machine.key("good")
    assert "is not signed, and the test wants it signed" in refused(made(tmp_path, None, form))
    unknown = machine.key("unknown", trust=False)
    assert "by a key that nobody here trusts" in refused(made(tmp_path, unknown, form))
    narrow = machine.key("narrow", applications=("web-*",))
    assert "is trusted for web-*, not for 'qotd'" in refused(made(tmp_path, narrow, form))
    late = machine.key("late", expires=TODAY - DAY)
    assert f"was trusted until {TODAY - DAY}" in refused(made(tmp_path, late, form))
    changed = Path(made(tmp_path, good, form))
    data = changed.read_bytes()
    changed.write_bytes(data.replace(b"qotd", b"qotb", 1))
    assert "was changed after it was signed" in refused(str(changed))


def test_a_false_signature(machine: Machine, tmp_path: Path) -> None:
    """A trusted key's name on it is not enough."""
    good, evil = (signing.signer_from(machine.key(name)) for name in ("good", "evil"))
    path = str(tmp_path / "qotd.tax")
    data = image.dumps(Application("qotd"), "xml")
    forged = evil.sign(data, "qotd", 1)._replace(key=good.public)
    files.write_atomic(path, data)
    seal.add_signature(path, forged)
    assert "the signature is false: the good key" in refused(path)
    assert "the signature is false" in refused(path, Policy())


def test_expiry_is_the_last_day(machine: Machine, tmp_path: Path) -> None:
    """A key is good on the day its file names."""
    path = made(tmp_path, machine.key(expires=TODAY))
    assert application.load(path, policy=REQUIRED).name == "qotd"


def test_signed_as_another(machine: Machine, tmp_path: Path) -> None:
    """What the signature says is in the image must be in it, or a scope would mean nothing."""
    signer = signing.signer_from(machine.key(applications=("web",)))
    path = str(tmp_path / "qotd.tap")
    image.save(Application("qotd"), path, seal=seal.Seal(signer=signer), name="web")
    assert "is signed as 'web' and holds 'qotd'" in refused(path)


def test_without_a_demand(machine: Machine, tmp_path: Path) -> None:
    """Nothing demanded: unsigned and unknown load; a trusted key's for other bytes does not."""
    assert application.load(made(tmp_path, None)).seal == seal.OPEN
    unknown = made(tmp_path, machine.key("unknown", trust=False))
    assert application.load(unknown).seal == seal.OPEN
    for key, unknown in (("good", False), ("nobody", True)):
        (tmp_path / key).mkdir()
        text = made(tmp_path / key, machine.key(key, trust=not unknown), "xml")
        with open(text, "a") as file:
            file.write("<!-- one line more -->\n")
        if unknown:
            assert application.load(text).name == "qotd"
            assert "was changed after it was signed" in refused(text)
        else:
            assert "was changed after it was signed" in refused(text, Policy())


def test_what_was_signed_is_not_hashed_twice(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A good signature speaks of every byte: the digests against damage are not computed too;
    those of an image whose signer nobody trusts are."""
    key = machine.key()
    from tapkit.image import tap

    seen = []
    monkeypatch.setattr(tap, "_check_body", lambda *arguments: seen.append(arguments[-1]))
    application.load(made(tmp_path, key), policy=REQUIRED)
    application.load(made(tmp_path, None))
    application.load(made(tmp_path, machine.key("unknown", trust=False)))
    assert seen == [False, True, False, False, False, False]  # each save checks what it made, too


# -- the policy


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("require-signatures = yes", "which is not known; did you mean require-signature?"),
        ("require-signature = perhaps", "is neither yes nor no"),
        ("require-signature", "the policy can't be read"),
        ("require-signature = yes\nrequire-signature = no", "the policy can't be read"),
        ("[other]\nrequire-signature = no", "says [other] require-signature, which is not known"),
        ("[DEFAULT]\nrequire-signature = no", "which is not known"),
        ("\xff", "the policy can't be read"),
    ],
)
def test_a_mistyped_policy_lets_nothing_run(
    machine: Machine, tmp_path: Path, text: str, said: str
) -> None:
    """It might have demanded more than was understood."""
    path = machine.policy("")
    path.write_bytes(f"[trust]\n{text}\n".encode("latin-1"))
    with pytest.raises(ImageError, match=re.escape(said)):
        application.load(made(tmp_path, None))


def test_a_policy_others_may_write(machine: Machine) -> None:
    """It would be theirs, not the administrator's."""
    machine.policy("require-signature = no").chmod(0o666)
    with pytest.raises(ImageError, match="others may write to"):
        policy.in_force()


def test_a_command_demands_more_never_less(machine: Machine) -> None:
    """The system's policy is the least that is demanded."""
    machine.policy("require-signature = yes\nallow-rollback = no")
    assert policy.in_force().require
    assert policy.in_force(require=False).require
    with pytest.raises(ImageError, match="the system's policy allows no rollback"):
        policy.in_force(allow_rollback=True)
    machine.policy("require-signature = no")
    assert policy.in_force(require=True).require
    assert policy.in_force(allow_rollback=True).rollback


def test_the_policy_is_for_every_load(machine: Machine, tmp_path: Path) -> None:
    """A library's plain load as well: whoever writes a program can't forget it."""
    path = made(tmp_path, None)
    machine.policy("require-signature = yes")
    with pytest.raises(ImageError, match=r"policy\.ini wants it signed"):
        image.load(path)


def test_users_keys_may_count_for_nothing(machine: Machine, tmp_path: Path) -> None:
    """Then only the administrator's folder counts."""
    users, systems = machine.key("users"), machine.key("systems", system=True)
    machine.policy("require-signature = yes\nuser-keys = no")
    demanded = policy.in_force()
    assert "nobody here trusts" in refused(made(tmp_path, users), demanded)
    assert application.load(made(tmp_path, systems), policy=demanded).name == "qotd"


def test_a_broken_key_costs_that_key_alone(machine: Machine, tmp_path: Path) -> None:
    """The others are still trusted; who misses the broken one is told of it."""
    good, bad = machine.key("good"), machine.key("bad")
    (machine.user_trust / "bad.pub").chmod(0o666)
    (machine.user_trust / "notes.txt").write_text("no key\n")
    assert application.load(made(tmp_path, good), policy=REQUIRED).name == "qotd"
    said = refused(made(tmp_path, bad))
    assert "nobody here trusts" in said
    assert "bad.pub" in said


def test_no_environment_variable_is_asked(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Who prepares the environment of a daemon does not choose whom it trusts."""
    monkeypatch.undo()
    before = [places.user_trust(), places.state(), places.policy_file(), places.system_trust()]
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "TAPKIT", "USER", "LOGNAME"):
        monkeypatch.setenv(name, str(tmp_path))
    assert before == [
        places.user_trust(),
        places.state(),
        places.policy_file(),
        places.system_trust(),
    ]
    source = Path(places.__file__).read_text()
    assert "environ" not in source.replace("environment", "")
    assert "getenv" not in source
    assert "expanduser" not in source


# -- generations


def test_an_older_generation_is_refused(machine: Machine, tmp_path: Path) -> None:
    """What ran last is remembered; an older image runs only if told, and is then the last."""
    signer = signing.signer_from(machine.key())
    paths = {}
    for generation in (100, 200):
        paths[generation] = str(tmp_path / f"{generation}.tax")
        data = image.dumps(Application("qotd"), "xml")
        files.write_atomic(paths[generation], data)
        seal.add_signature(paths[generation], signer.sign(data, "qotd", generation))
    application.load(paths[100], policy=REQUIRED, runs=True)
    application.load(paths[200], policy=REQUIRED)  # looked at, not run
    application.load(paths[100], policy=REQUIRED, runs=True)
    application.load(paths[200], policy=REQUIRED, runs=True)
    said = refused(paths[100])
    assert "older than the last one of 'qotd' that ran (generation 100, and 200 ran)" in said
    assert "--allow-rollback" in said
    allowed = REQUIRED._replace(rollback=True)
    assert application.load(paths[100], policy=allowed, runs=True).name == "qotd"
    assert application.load(paths[100], policy=REQUIRED).name == "qotd"


def test_memory_that_is_damaged(machine: Machine, tmp_path: Path) -> None:
    """Nothing known is not nothing to fear."""
    path = made(tmp_path, machine.key())
    application.load(path, policy=REQUIRED, runs=True)
    kept = Path(places.file_of("generations", "qotd", ""))
    kept.write_text("many\n")
    with pytest.raises(ImageError, match="it does not say which generation ran last"):
        application.load(path, policy=REQUIRED)


@pytest.mark.parametrize("name", ["../../etc/x", "a/b", "x" * 300, "\0", "\udc80", ".."])
def test_names_of_files_of_any_application(machine: Machine, name: str) -> None:
    """Whatever a signature calls its application, the state stays in its folder."""
    rollback.record(name, 5)
    rollback.check(name, 5, "x")
    with pytest.raises(ImageError, match="generation 4, and 5 ran"):
        rollback.check(name, 4, "x")
    (kept,) = (machine.root / "state/generations").iterdir()
    assert kept.read_text() == "5\n"


def test_memory_that_can_not_be_written(
    machine: Machine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Where signatures are demanded it does not run; else the log says what is missing."""
    path = made(tmp_path, machine.key())
    (machine.root / "state").write_text("a file in the way")
    with pytest.raises(ImageError, match="can't be remembered"):
        application.load(path, policy=REQUIRED, runs=True)
    assert application.load(path, runs=True).name == "qotd"
    assert "a rollback would not be noticed" in caplog.text


# -- a daemon's own key


def test_a_daemon_signs_what_it_saves(machine: Machine, tmp_path: Path) -> None:
    """With a key of its own, made at first need, that is trusted on this machine alone."""
    path = made(tmp_path, machine.key())
    loaded = application.load(path, policy=REQUIRED, runs=True)
    saved = str(tmp_path / loaded.file_name("shutdown"))
    application.save(loaded, saved)
    again = application.load(saved, policy=REQUIRED, runs=True)
    (stated,) = trust.found_in(files.read_guarded(saved), saved)[1]
    assert stated.host == places.host()
    assert stated.application == "qotd"
    assert again.seal.generation >= stated.generation
    assert "older than the last one" in refused(path)
    keys = machine.root / "state/keys"
    assert (keys / "qotd.key").stat().st_mode & 0o777 == 0o600
    assert keys.stat().st_mode & 0o777 == 0o700
    machine.machine_id.write_text("another\n")
    assert "a daemon's own, and good on its machine alone" in refused(saved)


def test_a_daemons_key_is_for_its_application(machine: Machine, tmp_path: Path) -> None:
    """Another application's image is not its to sign, nor believed if it does."""
    own = signing.own_signer("qotd")
    with pytest.raises(ImageError, match="does not sign 'web'"):
        own.sign(b"", "web", 1)
    own.application = None
    data = image.dumps(Application("web"), "xml")
    path = str(tmp_path / "web.tax")
    files.write_atomic(path, data)
    seal.add_signature(path, own.sign(data, "web", 1))
    assert "nobody here trusts" in refused(path)
    public = Path(places.file_of("keys", "qotd", ".key") + ".pub").read_bytes()
    files.write_atomic(str(machine.user_trust / "own.pub"), public, mode=0o644)
    assert "is trusted for qotd, not for 'web'" in refused(path)


def test_daemons_keys_may_count_for_nothing(machine: Machine, tmp_path: Path) -> None:
    """The policy may say that only people sign."""
    loaded = application.load(made(tmp_path, machine.key()), policy=REQUIRED, runs=True)
    saved = str(tmp_path / loaded.file_name("shutdown"))
    application.save(loaded, saved)
    assert "nobody here trusts" in refused(saved, REQUIRED._replace(daemon_keys=False))


def test_a_machine_without_an_id(machine: Machine) -> None:
    """It has no host; a digest of the id is what others see, never the id."""
    text = machine.machine_id.read_text().strip()
    host = places.host()
    assert host is not None
    assert text not in host
    machine.machine_id.unlink()
    assert places.host() is None
    assert statement.read(signing.own_signer("x").sign(b"", "x", 1).text()).host is None
