"""Which table of `paths` is a path's, key by key."""

import itertools

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from routerd.address import Pattern, parse_path_pattern
from routerd.connectors.websocket.entry.patterns import (
    find_ties,
    most_literal_first,
    says_at_least,
)
from routerd.connectors.websocket.entry.policy import Policy
from tests.entry_tables import entry_of


def patterns(*texts: str) -> list[Pattern]:
    return [parse_path_pattern(text) for text in texts]


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        ("/a/b", "/a/{x}"),
        ("/a/b", "/{x}/b"),
        ("/a", "/a/{rest#}"),
        ("/a/{x}/{y#}", "/a/{rest#}"),
        ("/a/b/c", "/{rest#}"),
        ("/{x}", "/{rest#}"),
        ("/a/{x}", "/a/{y}"),
        ("/", "/{x}"),
    ],
)
def test_a_pattern_says_as_much_as_one_that_has_all_of_its_paths(narrow: str, wide: str) -> None:
    assert says_at_least(*patterns(narrow, wide))


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        ("/a/{x}", "/a/b"),
        ("/a/{rest#}", "/a/{x}"),
        ("/a/{rest#}", "/a"),
        ("/a", "/a/{x}"),
        ("/a/{x}", "/{y}/b"),
        ("/a/{x}/c", "/a/{x}"),
    ],
)
def test_it_does_not_if_one_of_its_paths_is_not_there(narrow: str, wide: str) -> None:
    assert not says_at_least(*patterns(narrow, wide))


@pytest.mark.parametrize(
    ("texts", "meetings"),
    [
        (["/chat/{room}", "/chat/{name}"], [""]),
        (["/chat/{room}", "/chat/+"], [""]),
        (["/a%62c", "/abc"], [""]),
        (["/chat/{room}", "/{place}/lobby"], ["/chat/lobby"]),
        (["/chat/{room}", "/{place}/lobby", "/chat/lobby"], []),
        (["/chat/lobby", "/{place}/lobby", "/chat/{room}"], []),
        (["/chat/{rest#}", "/{place}/lobby"], ["/chat/lobby"]),
        (["/chat/{rest#}", "/{place}"], ["/chat"]),
        (["/chat/{rest#}", "/{place}", "/chat"], []),
        (["/a/{rest#}", "/{x}/b/{rest#}"], ["/a/b/{rest#}"]),
        (["/a/b/{rest#}", "/{x}/b"], ["/a/b"]),
        (["/a/{x}/{y}", "/{x}/b/{y}"], ["/a/b/+"]),
        (["/a/{x}/{y}", "/{x}/b/{y}", "/a/b/{z}"], []),
        (["/a/{x}", "/b/{x}", "/{rest#}", "/a/{x}/{y}", "/a/b"], []),
    ],
)
def test_two_that_meet_where_nothing_decides_are_a_tie(
    texts: list[str], meetings: list[str]
) -> None:
    assert [tie.meeting for tie in find_ties(patterns(*texts))] == meetings


SEGMENTS = ("a", "b", "c")
PATHS = [path for size in (1, 2, 3, 4) for path in itertools.product(SEGMENTS, repeat=size)]
PIECES = st.lists(st.sampled_from(["a", "b", "+"]), min_size=1, max_size=3)
TEXTS = st.builds(
    lambda pieces, end: "/" + "/".join(pieces) + end, PIECES, st.sampled_from(["", "/{r#}"])
)


@given(st.lists(TEXTS, min_size=1, max_size=5, unique=True))
def test_without_a_tie_one_of_those_that_fit_says_most_of_each_path(texts: list[str]) -> None:
    found = patterns(*texts)
    assume(not [*find_ties(found)])
    order = [found[place] for place in most_literal_first(found)]

    for path in PATHS:
        fitting = [pattern for pattern in order if pattern.match(path) is not None]
        assert all(says_at_least(fitting[0], other) for other in fitting)


@given(st.lists(TEXTS, min_size=2, max_size=4))
def test_a_tie_is_named_by_the_paths_that_both_have(texts: list[str]) -> None:
    for tie in find_ties(patterns(*texts)):
        meeting = parse_path_pattern(tie.meeting or tie.first.source)
        for path in PATHS:
            both = all(one.match(path) is not None for one in (tie.first, tie.second))
            assert (meeting.match(path) is not None) == both


def test_each_key_is_that_of_the_most_literal_table_that_has_it() -> None:
    policy = Policy(
        entry_of(
            """
            origins = ["https://listener.example"]
            [ws.paths."/{rest#}"]
            require_origin = true
            [ws.paths."/echo/{room}"]
            origins = ["https://room.example"]
            [ws.paths."/echo/open"]
            require_origin = false
            """
        )
    )

    found = {path: policy.find(path) for path in (("echo",), ("echo", "1"), ("echo", "open"))}

    assert {path: access.require_origin for path, access in found.items()} == {
        ("echo",): True, ("echo", "1"): True, ("echo", "open"): False,
    }  # fmt: skip
    assert [access.origins for access in found.values()] == [
        frozenset({"https://listener.example"}),
        frozenset({"https://room.example"}),
        frozenset({"https://room.example"}),
    ]
