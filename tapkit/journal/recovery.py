"""What a journal holds beyond an image, run again: the state is then what was acknowledged."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from tapkit.errors import JournalError, describe
from tapkit.journal import Journaled, is_command, segments
from tapkit.names import suggestion


class Recovered(NamedTuple):
    """What a replay did.

    Attributes:
        sequence: the number of the last command that the state has now.
        replayed: how many were run again.
        cut: for the log: where a write was cut short, which nobody was told had succeeded; or
            None.
    """

    sequence: int
    replayed: int
    cut: str | None


def exists(folder: str, name: str) -> bool:
    """Whether there is a journal of that name."""
    return bool(segments.find(folder, name))


def replay(
    folder: str,
    name: str,
    sequence: int,
    services: Mapping[str, Journaled],
    owners: set[int] | None = None,
) -> Recovered:
    """Run the commands after number `sequence` again. Nothing is written.

    Parameters:
        services: whose commands there may be, by the names the journal knows them by.
        owners: the users whose file it may be, besides this one and root.

    Raises:
        JournalError: commands are missing or damaged, or do not fit the services; with the file
            and the offset. The services may have run some.
    """
    trusted = {0, os.geteuid()} | (owners or set())
    needed = _needed(segments.find(folder, name), sequence)
    if needed and needed[0].base > sequence:
        raise _gap(needed[0], sequence)
    done, cut = sequence, None
    for number, segment in enumerate(needed):
        reader = segments.Reader(segment, trusted)
        last = segment.base
        for frame in reader.frames():
            last = frame.first + len(frame.commands) - 1
            done = _run_frame(frame, reader.path, done, services)
        following = needed[number + 1] if number + 1 < len(needed) else None
        if following is not None and following.base != last:
            raise _damaged_inside(reader, following)
        if following is None and reader.end < reader.size:
            reader.refuse_damage()
            cut = f"{reader.path}, byte {reader.end}, {reader.size - reader.end} bytes"
    return Recovered(done, done - sequence, cut)


def _needed(found: list[segments.Segment], sequence: int) -> list[segments.Segment]:
    """The files from the one that has the command after `sequence`."""
    covered = [after.base <= sequence for after in found[1:]]
    return found[sum(covered) :]


def _run_frame(
    frame: segments.Frame, path: str, done: int, services: Mapping[str, Journaled]
) -> int:
    for number, record in enumerate(frame.commands, frame.first):
        if number > done:
            _run(record, f"{path}, byte {frame.offset}, command {number}", services)
            done = number
    return done


def _run(record: Any, where: str, services: Mapping[str, Journaled]) -> None:
    try:
        name, command, args, kwargs = record
        service = services[name]
    except (TypeError, ValueError):
        raise JournalError("the journal holds no command", where) from None
    except KeyError:
        raise JournalError(
            f"the journal has a command for {name!r}, and no journaled service is named so"
            f"{suggestion(str(name), services)}",
            where,
            "go back to the image or the code that wrote it; or move the journal away",
        ) from None
    method: Any = getattr(type(service), str(command), None)
    if not is_command(method):
        raise JournalError(
            f"the journal has a command {command!r} for {name!r}, which has none of that name",
            where,
            "go back to the code that wrote it, or keep the old command beside the new one",
        )
    try:
        method(service, *args, **kwargs)
    except Exception as error:
        raise JournalError(
            f"running {name}.{command} again failed ({describe(error)}), and it once succeeded",
            where,
            "mend the command: it must do the same each time",
        ) from error


def _gap(first: segments.Segment, sequence: int) -> JournalError:
    return JournalError(
        f"the image has the commands up to {sequence}, and the journal those after {first.base}:"
        " what is between them is in a newer image",
        first.path,
        "start from that, with --resume; or, to give it up, move the journal away",
    )


def _damaged_inside(reader: segments.Reader, following: segments.Segment) -> JournalError:
    return JournalError(
        "the journal is damaged before its end",
        f"{reader.path}, byte {reader.end}",
        f"the commands up to {following.base} are missing: restore the file, or start from a"
        " newer image with --resume",
    )
