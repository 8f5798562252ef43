"""mktap: find a TAP builder, let it make a service, write the whole Application to a file."""

from __future__ import annotations

import functools
import os

from tapkit import usage
from tapkit.errors import EXIT_OK, UsageError
from tapkit.scripts import builders, sealing
from tapkit.scripts.console import command, complain

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing for --help
if TYPE_CHECKING:
    from typing import Any

PROGRAM = "mktap"


def main(argv: list[str], doc: str) -> int:
    """Run mktap; `doc` is its usage text, which docopt reads."""
    more = functools.partial(builders.listing, PROGRAM)
    repeated = (*sealing.REPEATED, "--carry")
    return command(PROGRAM, argv, doc, _make, more_help=more, repeated=repeated)


def _make(arguments: dict[str, Any]) -> int:
    form = _form(arguments)
    found = builders.find(PROGRAM, debug=arguments["--debug"], progress=arguments["--progress"])
    name = arguments["COMMAND"]
    try:
        built = builders.build(PROGRAM, found, name, arguments["ARGS"])
    except usage.HelpRequested as asked:
        print(asked.text, end="")
        return EXIT_OK
    signer = sealing.signer(arguments["--sign"])
    application, path = _put_together(arguments, name, built, form)
    application.carry(arguments["--carry"])
    if signer is not None:
        application.seal = application.seal._replace(signer=signer)
    return _save(application, path, dry_run=arguments["--dry-run"])


def _form(arguments: dict[str, Any]) -> str | None:
    """The form asked for; None where none was, and --append keeps the file's own."""
    asked = {"--type": arguments["--type"]}
    asked["--xml"] = "xml" if arguments["--xml"] else None
    asked["--source"] = "source" if arguments["--source"] else None
    given = {option: form for option, form in asked.items() if form}
    if len(set(given.values())) > 1:
        raise UsageError(f"{' and '.join(given)} contradict each other", None, "give one of them")
    if not given:
        return None
    from tapkit.image import forms

    return forms.by_name(next(iter(given.values()))).name


def _put_together(
    arguments: dict[str, Any], command: str, built: builders.Built, form: str | None
) -> tuple[Any, str]:
    """The Application to save, and the file to save it in."""
    from tapkit import application as applications
    from tapkit.run.process import privileges

    uid = arguments["--uid"] and privileges.user_id(arguments["--uid"])
    gid = arguments["--gid"] and privileges.group_id(arguments["--gid"])
    if arguments["--append"] is None:
        name = command if arguments["--appname"] is None else arguments["--appname"]
        application = applications.new(name, built.service, uid, gid)
        application.made_with = {"tap_type": command, "options": built.options}
        if form:
            application.setStyle(form)
        if _encrypts(arguments):
            lock = sealing.lock(arguments, f"the {name} image")
            application.seal = application.seal._replace(lock=lock)
        return application, application.file_name()
    path = arguments["--append"]
    application = _loaded(path, arguments)
    application.addService(built.service)
    for attribute, value in (("name", arguments["--appname"]), ("uid", uid), ("gid", gid)):
        if value is not None:
            setattr(application, attribute, value)
    extension = os.path.splitext(application.file_name())[1]
    if form:
        application.setStyle(form)
    if _encrypts(arguments) and application.seal.lock is None:
        lock = sealing.lock(arguments, f"the {application.name} image")
        application.seal = application.seal._replace(lock=lock)
        complain(PROGRAM, f"warning: {path} stays as it is, not encrypted")
    if os.path.splitext(application.file_name())[1] != extension:
        path = os.path.join(os.path.dirname(path), application.file_name())
    return application, path


def _encrypts(arguments: dict[str, Any]) -> bool:
    return bool(arguments["--encrypted"] or arguments["--recipient"])


def _loaded(path: str, arguments: dict[str, Any]) -> Any:
    """The application to append to; it is encrypted as it was, but not signed as it was."""
    from tapkit import application as applications

    lock = sealing.recipients_lock(arguments)
    application = applications.load(path, keys=sealing.keys(arguments), lock=lock)
    if application.seal.generation and not arguments["--sign"]:
        complain(PROGRAM, f"warning: {path} was signed, and will not be: see --sign")
    return application


def _save(application: Any, path: str, *, dry_run: bool) -> int:
    from tapkit import application as applications

    if dry_run:
        size = len(applications.dumps(application))
        print(f"Would save {application.name} application to {path} ({size} bytes).")
        return EXIT_OK
    print(f"Saving {application.name} application to {path}...", flush=True)
    applications.save(application, path)
    print("Saved.")
    return EXIT_OK
