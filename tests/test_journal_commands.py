"""Commands: what may be one, what comes back when it is run again, what does not fit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tapkit import journal
from tapkit.errors import JournalError
from tapkit.journal import commit, recovery
from tapkit.styles import Persistent
from tests.faults.ledger import Ledger
from tests.test_journal import add_three, replayed, with_journal


class Account(journal.Journaled, Persistent):
    def __init__(self) -> None:
        self.seen: list[Any] = []

    @journal.command
    def keep(self, value: Any, *more: Any, **named: Any) -> Any:
        if value == "no":
            raise ValueError("no")
        self.seen.append([value, *more, named])
        return self.seen[-1]

    @journal.command
    def nested(self) -> None:
        self.keep(1)

    @journal.command
    def shared(self) -> None:
        self.plain()

    def plain(self) -> None:
        self.seen.append("plain")


def with_account(folder: Path, use: Callable[[Account], Any]) -> Account:
    async def main() -> Account:
        opened = commit.Journal(str(folder), "x", 0)
        account = Account()
        opened.attach("a", account)
        try:
            await use(account)
        finally:
            await opened.close()
        return account

    return asyncio.run(main())


ODD = ["\ud800", b"\xff\x00", 1 << 63, -(1 << 63), 1.5, None, True, {1: [2], b"k": {}}, [], "é\n"]


def test_arguments_come_back_as_they_were(tmp_path: Path) -> None:
    """All plain data, positional and by name."""

    async def use(account: Account) -> None:
        for value in ODD:
            await account.keep(value, 1, key=value)

    before = with_account(tmp_path, use)
    after = Account()
    recovery.replay(str(tmp_path), "x", 0, {"a": after})
    assert after.seen == before.seen == [[value, 1, {"key": value}] for value in ODD]


@pytest.mark.parametrize("value", [(1, 2), {1, 2}, object(), 1 << 70, Path("x")])
def test_other_arguments_are_refused_unrun(tmp_path: Path, value: Any) -> None:
    """A tuple would come back as a list: nothing that could differ is taken."""

    async def use(account: Account) -> None:
        with pytest.raises(JournalError, match=r"no plain data .*a\.keep: give None, bool"):
            account.keep(value)

    assert with_account(tmp_path, use).seen == []


def test_a_command_that_raises_is_not_written_down(tmp_path: Path) -> None:
    """It is the caller's error at once, and is not run again."""

    async def use(account: Account) -> None:
        with pytest.raises(ValueError, match="no"):
            account.keep("no")
        await account.keep("yes")

    with_account(tmp_path, use)
    after = Account()
    assert recovery.replay(str(tmp_path), "x", 0, {"a": after}).replayed == 1


def test_commands_do_not_call_commands(tmp_path: Path) -> None:
    """It would be run twice; a plain method that two commands share is the way."""

    async def use(account: Account) -> None:
        with pytest.raises(JournalError, match="put what they share into a plain method"):
            account.nested()
        await account.shared()

    assert with_account(tmp_path, use).seen == ["plain"]


def test_no_coroutines() -> None:
    """Said where the class is defined."""
    with pytest.raises(JournalError, match=r"test_journal_commands\.py:\d+"):

        class Wrong(journal.Journaled):
            @journal.command
            async def wait(self) -> None: ...


def test_without_a_journal() -> None:
    """In a unit test commands run, with or without an event loop; await gives their result."""
    account = Account()
    done = account.keep(1)
    with pytest.raises(StopIteration) as stopped:
        next(done.__await__())
    assert stopped.value.value == [1, {}]

    async def main() -> Any:
        return await account.keep(2)

    assert asyncio.run(main()) == [2, {}]


def test_a_closed_journal_refuses(tmp_path: Path) -> None:
    """A command after the stop is not taken as if it would be saved."""
    kept: list[Account] = []

    async def use(account: Account) -> None:
        kept.append(account)

    with_account(tmp_path, use)
    with pytest.raises(JournalError, match="the journal is closed"):
        kept[0].keep(1)


def test_the_journal_is_not_saved(tmp_path: Path) -> None:
    """A journaled object's state is its own; the open journal is no part of it."""

    async def use(account: Account) -> None:
        assert account.__getstate__() == {"seen": []}

    with_account(tmp_path, use)


@pytest.mark.parametrize(
    ("services", "said"),
    [
        ({}, "no journaled service is named so"),
        ({"ledgers": Ledger()}, "did you mean ledgers"),
        ({"ledger": Account()}, "has a command 'add' for 'ledger', which has none"),
    ],
)
def test_a_journal_that_does_not_fit(tmp_path: Path, services: Any, said: str) -> None:
    """Renamed services and commands are named with file, offset and number."""
    with_journal(tmp_path, add_three)
    with pytest.raises(JournalError, match=said) as caught:
        recovery.replay(str(tmp_path), "x", 0, services)
    assert "byte 32, command 1" in str(caught.value.where)


def test_a_command_that_fails_when_run_again(tmp_path: Path) -> None:
    """It once succeeded, so it does not do the same each time: named, with its error."""

    async def use(ledger: Ledger, opened: commit.Journal) -> None:
        await ledger.add(1)

    with_journal(tmp_path, use)
    broken = Ledger()
    del broken.entries
    with pytest.raises(JournalError, match=r"ledger\.add again failed \(AttributeError"):
        recovery.replay(str(tmp_path), "x", 0, {"ledger": broken})


def test_no_journal_at_all(tmp_path: Path) -> None:
    """Other files are none of its business."""
    for name in ("x.journal", "x.journal.1", "y.journal.000000000000", "x.journal.00000000000a"):
        (tmp_path / name).write_text("")
    assert replayed(tmp_path)[1] == (0, 0, None)
