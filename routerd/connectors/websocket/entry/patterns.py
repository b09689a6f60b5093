"""Which of several path patterns says most of a path: the one whose paths are fewest.

`/chat/lobby` says more than `/chat/{room}`, and that more than `/{any}/{rest#}`. Neither of
`/chat/{room}` and `/{place}/lobby` does, so where they meet a third must decide.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from routerd.address import Level, Pattern


def says_at_least(narrow: Pattern, wide: Pattern) -> bool:
    """Whether every path of `narrow` is one of `wide`."""
    for index, level in enumerate(wide.levels):
        if level.kind == "rest":
            return True
        own = narrow.levels[index] if index < len(narrow.levels) else None
        if own is None or own.kind == "rest":
            return False
        if level.kind == "text" and (own.kind, own.text) != ("text", level.text):
            return False
    return len(narrow.levels) == len(wide.levels)


@dataclass(frozen=True)
class Tie:
    """Two patterns that fit one path, while none of all decides.

    Attributes:
        meeting: the paths that both fit, as a pattern; empty: they fit the same ones.
    """

    first: Pattern
    second: Pattern
    meeting: str


def find_ties(patterns: Sequence[Pattern]) -> Iterator[Tie]:
    """Every two that need a third."""
    for index, second in enumerate(patterns):
        for first in patterns[:index]:
            if not first.overlaps(second):
                continue
            one, other = says_at_least(first, second), says_at_least(second, first)
            meeting = _meeting(first, second)
            if one and other:
                yield Tie(first, second, "")
            elif not one and not other and not any(_is_same(each, meeting) for each in patterns):
                yield Tie(first, second, _written(meeting))


def most_literal_first(patterns: Sequence[Pattern]) -> list[int]:
    """Their places in `patterns`, so that who says more comes earlier. There must be no tie."""
    ranks = [(*pattern.specificity, 1) for pattern in patterns]  # the end says more than a rest
    return sorted(range(len(patterns)), key=lambda place: ranks[place], reverse=True)


def _meeting(first: Pattern, second: Pattern) -> tuple[Level, ...]:
    """The levels of the paths that both have."""
    levels = []
    for index in range(max(len(first.levels), len(second.levels))):
        found = [_level(each, index) for each in (first, second)]
        known = [level for level in found if level is not None]
        levels.append(max(known, key=lambda level: ("rest", "one", "text").index(level.kind)))
    if len(levels) > 1 and levels[-1].kind == "rest" and _ends(first, second) < len(levels):
        levels.pop()
    return tuple(levels)


def _level(pattern: Pattern, index: int) -> Level | None:
    """What a pattern says of one segment; None: that there is none."""
    if index < len(pattern.levels):
        return pattern.levels[index]
    last = pattern.levels[-1]
    return last if last.kind == "rest" else None


def _ends(first: Pattern, second: Pattern) -> int:
    """The fewest segments that one of them ends after; those with a rest never do."""
    fixed = [len(one.levels) for one in (first, second) if one.levels[-1].kind != "rest"]
    return min(fixed, default=len(first.levels) + len(second.levels))


def _is_same(pattern: Pattern, levels: tuple[Level, ...]) -> bool:
    """Whether it fits just these paths, whatever its captures are called."""
    return _kinds(pattern.levels) == _kinds(levels)


def _kinds(levels: Sequence[Level]) -> list[tuple[str, str]]:
    return [(level.kind, level.text if level.kind == "text" else "") for level in levels]


def _written(levels: Sequence[Level]) -> str:
    signs = {"one": "+", "rest": "{rest#}"}
    return "/" + "/".join(signs.get(level.kind, level.text) for level in levels)
