"""What the image benchmark saves, in a module of its own so that it is saved by reference."""

from __future__ import annotations


class Account:
    """An object as applications have them: a few plain attributes, one shared."""

    def __init__(self, number: int, bank: Account | None):
        self.number = number
        self.name = f"account {number}"
        self.balance = number * 0.01
        self.open = True
        self.bank = bank


class Link:
    """One link of a chain, the deepest graph there is for its size."""

    def __init__(self, number: int, after: Link | None):
        self.number = number
        self.after = after


def accounts(count: int) -> list[Account]:
    """That many objects in a list, each referring to the first."""
    bank = Account(0, None)
    return [bank, *(Account(number, bank) for number in range(1, count))]


def chain(count: int) -> Link:
    """That many objects, each reachable only through the one before."""
    link = None
    for number in range(count):
        link = Link(number, link)
    assert link is not None
    return link
