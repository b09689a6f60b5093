"""Which paths can be connected to, and whom their messages go to."""

import pytest

from routerd.address import group_pattern, parse_group_path, parse_path_pattern
from routerd.connectors.websocket.paths import Paths
from routerd.connectors.websocket.source import Inlet
from tests.fakes import fake_status


def listen(paths: Paths, *patterns: str) -> Inlet:
    """A route that reads from these patterns."""
    inlet = Inlet(fake_status())
    for pattern in patterns:
        paths.add(parse_path_pattern(pattern), inlet)
    return inlet


def inlets(paths: Paths, *segments: str) -> list[Inlet]:
    place = paths.find(segments)
    assert place is not None
    return list(place.inlets)


def test_a_path_that_nobody_reads_from_or_broadcasts_to_is_nowhere() -> None:
    paths = Paths()
    listen(paths, "/chat/{room}")
    assert paths.find(("chat",)) is None
    assert paths.find(("chat", "a", "b")) is None
    assert paths.find(("", "chat", "a")) is None
    assert paths.find(()) is None


def test_every_route_that_matches_hears_a_path() -> None:
    paths = Paths()
    rooms, plant, rest = listen(paths, "/a/{x}"), listen(paths, "/a/7"), listen(paths, "/a/{r#}")
    assert inlets(paths, "a", "7") == [rooms, plant, rest]
    assert inlets(paths, "a", "8") == [rooms, rest]
    assert inlets(paths, "a", "8", "9") == [rest]


def test_a_route_with_two_patterns_that_match_hears_it_once() -> None:
    paths = Paths()
    route = listen(paths, "/a/{x}", "/{y}/b")
    assert inlets(paths, "a", "b") == [route]


def test_a_group_can_be_connected_to_though_nobody_reads_from_it() -> None:
    paths = Paths()
    paths.add(group_pattern(parse_group_path("live/{device}")))
    place = paths.find(("live", "42"))
    assert place is not None
    assert (place.label, place.inlets) == ("/live/{device}", ())


@pytest.mark.parametrize(
    ("segments", "label"),
    [
        (("a",), "/a"),
        (("a", "b"), "/a/b"),
        (("a", "c"), "/a/{x}"),
        (("a", "b", "c"), "/a/{rest#}"),
        (("z", "b"), "/{y}/b"),
    ],
)
def test_a_path_is_counted_under_its_most_literal_pattern(
    segments: tuple[str, ...], label: str
) -> None:
    paths = Paths()
    listen(paths, "/a/{rest#}", "/{y}/b", "/a/{x}", "/a/b", "/a")
    place = paths.find(segments)
    assert place is not None
    assert place.label == label


def test_a_segment_is_compared_decoded_and_never_split() -> None:
    paths = Paths()
    listen(paths, "/a%2Fb/{x}")
    assert paths.find(("a/b", "1")) is not None
    assert paths.find(("a%2Fb", "1")) is None
    assert paths.find(("a", "b", "1")) is None


def test_dots_and_nothing_are_segments_like_any_other() -> None:
    paths = Paths()
    listen(paths, "/a/../b", "/c/")
    assert paths.find(("a", "..", "b")) is not None
    assert paths.find(("b",)) is None
    assert paths.find(("c", "")) is not None
    assert paths.find(("c",)) is None
