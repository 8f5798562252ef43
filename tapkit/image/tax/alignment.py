"""Which of the new members of a list are which of the old: for lists of nodes and of elements."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable, Sequence
from itertools import pairwise

Prints = Sequence[tuple[Hashable, Hashable]]
"""For each member: what is equal if it did not change, and what is equal if it may be the same
one, changed."""


def aligned(old: Prints, new: Prints) -> list[tuple[int, int]]:
    """Pairs of positions (old, new), both ascending, in time proportional to the lengths.

    Members that did not change are anchors; between two anchors, the rest is paired in order as
    far as members may be the same, so that a change in place is seen as that.
    """
    anchors = [(-1, -1), *_anchors(old, new), (len(old), len(new))]
    pairs: list[tuple[int, int]] = []
    for (old_from, new_from), (old_to, new_to) in pairwise(anchors):
        pairs += _between(old, new, range(old_from + 1, old_to), range(new_from + 1, new_to))
        if old_to < len(old):
            pairs.append((old_to, new_to))
    return pairs


def _anchors(old: Prints, new: Prints) -> list[tuple[int, int]]:
    """Equal members in ascending order: the common ends, and greedily what lies between."""
    first, last = 0, 0
    least = min(len(old), len(new))
    while first < least and old[first][0] == new[first][0]:
        first += 1
    while last < least - first and old[-1 - last][0] == new[-1 - last][0]:
        last += 1
    places: dict[Hashable, deque[int]] = defaultdict(deque)
    for place in range(first, len(old) - last):
        places[old[place][0]].append(place)
    pairs = [(place, place) for place in range(first)]
    reached = first - 1
    for place in range(first, len(new) - last):
        queue = places.get(new[place][0])
        while queue and queue[0] <= reached:
            queue.popleft()
        if queue:
            reached = queue.popleft()
            pairs.append((reached, place))
    pairs += [(len(old) - back, len(new) - back) for back in range(last, 0, -1)]
    return pairs


def _between(old: Prints, new: Prints, olds: range, news: range) -> list[tuple[int, int]]:
    pairs = []
    rest = deque(olds)
    for place in news:
        # Only the next ones are looked at: a pair must not skip more than what was removed.
        while rest and len(rest) > news.stop - place and old[rest[0]][1] != new[place][1]:
            rest.popleft()
        if rest and old[rest[0]][1] == new[place][1]:
            pairs.append((rest.popleft(), place))
    return pairs
