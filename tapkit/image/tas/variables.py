"""Names for the objects of a .tas. They are those of `naming`, made at less cost."""

from __future__ import annotations

from tapkit.image.naming import LONGEST, class_hint, identifier, numbered_start
from tapkit.image.nodes import Global

_MOST = 10_000  # hints that are remembered
_DIGITS = "0123456789"
_FEW = 64
_SPARSEST = 32  # bytes for a number; in a set it takes more
_LONGEST_NUMBER = 9  # digits of what counts as a number: no image has so many objects


class Stem:
    """What some variables are called, but for the number behind it.

    Attributes:
        base: the text up to a number of its own.
        count: the last number. Names with numbers up to it were given, by `next` or before:
            they need not be remembered one by one.
    """

    __slots__ = ("base", "count", "text")

    def __init__(self, text: str, count: int):
        self.text = text
        self.base = text.rstrip(_DIGITS)
        self.count = count


class Numbers:
    """A set of numbers: of those that are near each other, a byte takes the place of an object."""

    __slots__ = ("_far", "_near", "_room")

    def __init__(self) -> None:
        self._near = bytearray(_FEW)
        self._room = _FEW  # to what length `_near` may grow: it must not be nearly empty
        self._far: set[int] = set()  # those beyond `_near`

    def add(self, number: int) -> bool:
        """Add a number; False if it was there."""
        near = self._near
        if number >= len(near):
            if number in self._far:
                return False
            if number > 2 * len(near) or 2 * len(near) > self._room:
                self._far.add(number)
                self._room += _SPARSEST
                return True
            near.extend(bytes(len(near) + 1))
            for far in [far for far in self._far if far < len(near)]:
                self._far.remove(far)
                near[far] = 1
        if near[number]:
            return False
        near[number] = 1
        self._room += _SPARSEST
        return True

    def __contains__(self, number: int) -> bool:
        near = self._near
        return near[number] == 1 if number < len(near) else number in self._far


class Variables:
    """Hands out variable names, each once.

    `naming.Names` does the same for both text forms; this one remembers what it made of each
    hint, because an image has many objects of few names, and of names with a number no more
    than the number.

    Parameters:
        taken: names that are not to be given.
    """

    def __init__(self, taken: set[str]):
        self._taken = taken
        self._numbers: dict[str, Numbers] = {}  # by what comes before them
        self._stems: dict[str, Stem] = {}  # of hints and stems that came twice
        self._hints: dict[int, str] = {}
        self._starts: dict[str, str] = {}  # of hints that end in a number, what comes before it
        for name in taken:
            self._take(name, name.rstrip(_DIGITS))

    def stem_of_class(self, call: Global) -> Stem:
        """For objects that have no name but their class's: what `next` takes."""
        return self._stem(class_hint(call), identifier(class_hint(call)), 0)

    def of_class(self, call: Global) -> str:
        """A name for an object that has none but its class's."""
        hint = self._hints.get(id(call))
        if hint is None:
            hint = self._hints[id(call)] = class_hint(call)
        return self.give(hint)

    def give(self, hint: str) -> str:
        """A name like `hint` that was not given before."""
        known = self._stems.get(hint)
        if known is not None:
            return self.next(known)
        base = hint.rstrip(_DIGITS)
        start: str | None = ""
        if len(base) < len(hint) <= LONGEST:
            start = self._starts.get(base)
            if start is None:
                start = self._start(base)
        text = start + hint[len(base) :] if start else identifier(hint)
        if self._take(text, start or text.rstrip(_DIGITS)):
            return text
        return self.next(self._stem(hint, text, 1))

    def next(self, stem: Stem) -> str:
        """The next name with a stem."""
        text, base = stem.text, stem.base
        if stem.count == 0:
            stem.count = 1
            if self._take(text, base):
                return text
        numbers = self._numbers.get(text)
        while True:
            stem.count += 1
            name = f"{text}{stem.count}"
            if len(base) < len(text):
                if self._take(name, base):  # its number begins who knows where
                    return name
            elif numbers is None or stem.count not in numbers:
                return name

    def _start(self, base: str) -> str:
        """`numbered_start`, to be remembered: `user 1`, `user 2`, ... are many."""
        start = numbered_start(base)
        if len(self._starts) < _MOST:
            self._starts[base] = start
        return start

    def _take(self, name: str, base: str) -> bool:
        """Note that a name is given; False if it was given before.

        Parameters:
            base: what comes before the number that it ends in.
        """
        digits = name[len(base) :]
        if not digits or digits[0] == "0" or len(digits) > _LONGEST_NUMBER:
            size = len(self._taken)
            self._taken.add(name)
            return len(self._taken) > size
        number = int(digits)
        stem = self._stems.get(base)
        if stem is not None and stem.text == base and 1 < number <= stem.count:
            return False
        numbers = self._numbers.get(base)
        if numbers is None:
            numbers = self._numbers[base] = Numbers()
        return numbers.add(number)

    def _stem(self, hint: str, text: str, count: int) -> Stem:
        """The record for a stem, found by a hint from now on."""
        found = self._stems.get(text)
        if found is None:
            found = self._stems[text] = Stem(text, count)
        if len(self._stems) < _MOST:
            self._stems[hint] = found
        return found
