"""Patterns of sources and paths of groups: what they match, what they capture, what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.address import (
    AddressError,
    Captured,
    Pattern,
    group_pattern,
    parse_group_path,
    parse_mqtt_pattern,
    parse_path_pattern,
    split_fragment,
    split_path,
)
from routerd.template import TemplateError


def matched(pattern: Pattern, address: str) -> dict[str, Captured] | None:
    levels = pattern.split(address.encode())
    assert levels is not None
    return pattern.match(levels)


# --- MQTT filters


@pytest.mark.parametrize(
    ("pattern", "filter_"),
    [
        ("a/b", "a/b"),
        ("sensors/{device}/temperature", "sensors/+/temperature"),
        ("{a}/+/{rest#}", "+/+/#"),
        ("#", "#"),
        ("/a/", "/a/"),
        ("$share/g/a/{x}", "$share/g/a/+"),
        ("$SYS/{x}", "$SYS/+"),
        ("a b/ä?", "a b/ä?"),
    ],
)
def test_a_pattern_subscribes_with_its_captures_as_wildcards(pattern: str, filter_: str) -> None:
    assert parse_mqtt_pattern(pattern).filter == filter_


@pytest.mark.parametrize(
    ("pattern", "topic", "captures"),
    [
        ("a/{x}", "a/b", {"x": "b"}),
        ("a/{x}", "a/", {"x": ""}),
        ("a/{x}", "a", None),
        ("a/{x}", "a/b/c", None),
        ("a/+/{x}", "a/b/c", {"x": "c"}),
        ("a/{rest#}", "a/b/c", {"rest": ("b", "c")}),
        ("a/{rest#}", "a", {"rest": ()}),
        ("a/{rest#}", "a/", {"rest": ("",)}),
        ("a/#", "a/b/c", {}),
        ("a/#", "b", None),
        ("{x}/b", "$SYS/b", None),
        ("#", "$SYS/b", None),
        ("$SYS/{x}", "$SYS/b", {"x": "b"}),
        ("$share/g/a/{x}", "a/b", {"x": "b"}),
    ],
)
def test_a_filter_captures_whole_levels(
    pattern: str, topic: str, captures: dict[str, Captured] | None
) -> None:
    assert matched(parse_mqtt_pattern(pattern), topic) == captures


def test_a_topic_that_is_not_utf8_has_no_levels() -> None:
    assert parse_mqtt_pattern("#").split(b"a/\xff") is None


@pytest.mark.parametrize(
    ("pattern", "part"),
    [
        ("", "is empty"),
        ("a\0", "NUL"),
        ("a/#/b", "must be the last level"),
        ("a/b#", "a level of their own"),
        ("a/+b", "a level of their own"),
        ("{r#}/a", "must be the last level"),
        ("a/{x}b", "a whole level"),
        ("a/{x", "a whole level"),
        ("a/{x}{y}", "a whole level"),
        ("a/{}", "no capture"),
        ("a/{1x}", "no capture"),
        ("a/{ä}", "no capture"),
        ("{x}/{x}", "`{x}` twice"),
        ("$share", "$share/GROUP/FILTER"),
        ("$share/g/", "$share/GROUP/FILTER"),
        ("$share/+/a", "plain text"),
    ],
)
def test_an_illegal_filter_is_refused_in_a_sentence(pattern: str, part: str) -> None:
    with pytest.raises(AddressError) as refused:
        parse_mqtt_pattern(pattern)

    assert part in str(refused.value)


def test_names_are_those_of_captures_in_order() -> None:
    pattern = parse_mqtt_pattern("{b}/+/{a}/{rest#}")

    assert pattern.names == ("b", "a", "rest")
    assert pattern.rest_name == "rest"
    assert parse_mqtt_pattern("a/#").rest_name is None


@pytest.mark.parametrize(
    ("one", "other", "is_overlap"),
    [
        ("a/b", "a/b", True),
        ("a/{x}", "a/b", True),
        ("a/{x}", "{y}/b", True),
        ("a/{x}", "b/{x}", False),
        ("a/{x}", "a/{x}/c", False),
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("a/b/#", "a/+", True),
        ("#", "a", True),
        ("#", "$SYS/a", False),
        ("+/a", "$SYS/a", False),
        ("$SYS/#", "$SYS/a", True),
        ("$share/g/a", "a", True),
    ],
)
def test_filters_overlap_when_one_topic_can_match_both(
    one: str, other: str, is_overlap: bool
) -> None:
    first, second = parse_mqtt_pattern(one), parse_mqtt_pattern(other)

    assert first.overlaps(second) is is_overlap
    assert second.overlaps(first) is is_overlap


LEVELS = st.sampled_from(["a", "b", "", "$x"])
FILTERS = st.lists(LEVELS | st.just("+"), min_size=1, max_size=3).flatmap(
    lambda levels: st.sampled_from(["/".join(levels), "/".join([*levels, "#"])])
)
TOPICS = st.lists(LEVELS, min_size=1, max_size=4).map("/".join)


@given(FILTERS.filter(bool), FILTERS.filter(bool), TOPICS.filter(bool))
def test_what_matches_two_filters_shows_that_they_overlap(one: str, other: str, topic: str) -> None:
    first, second = parse_mqtt_pattern(one), parse_mqtt_pattern(other)

    both = matched(first, topic) is not None and matched(second, topic) is not None

    assert not both or first.overlaps(second)


# --- paths


@pytest.mark.parametrize(
    ("pattern", "path", "captures"),
    [
        ("/chat/{room}", "/chat/lobby", {"room": "lobby"}),
        ("/chat/{room}", "/chat/a%2Fb", {"room": "a/b"}),
        ("/chat/{room}", "/chat/", {"room": ""}),
        ("/chat/{room}", "/chat", None),
        ("/a%2Fb/+", "/a%2fb/c", {}),
        ("/a%2Fb/+", "/a/b/c", None),
        ("/files/{rest#}", "/files/a/b%20c", {"rest": ("a", "b c")}),
        ("/files/{rest#}", "/files", {"rest": ()}),
        ("/", "/", {}),
        ("/{x}", "/$x", {"x": "$x"}),
    ],
)
def test_a_path_captures_decoded_segments(
    pattern: str, path: str, captures: dict[str, Captured] | None
) -> None:
    assert matched(parse_path_pattern(pattern), path) == captures


@pytest.mark.parametrize(
    ("pattern", "part"),
    [
        ("", "a path begins with `/`"),
        ("chat", "a path begins with `/`"),
        ("/a?b", "before the `?`"),
        ("/{x}?b=1", "before the `?`"),
        ("/%ff", "not UTF-8"),
        ("/a-{x}", "a whole segment"),
        ("/{r#}/a", "the last segment"),
        ("/{x}/{x}", "`{x}` twice"),
    ],
)
def test_an_illegal_path_is_refused_in_a_sentence(pattern: str, part: str) -> None:
    with pytest.raises(AddressError) as refused:
        parse_path_pattern(pattern)

    assert part in str(refused.value)


@pytest.mark.parametrize("path", [b"/%ff", b"a", b"", b"/\xc3\xa4"])
def test_a_path_of_a_client_that_is_none_has_no_segments(path: bytes) -> None:
    assert parse_path_pattern("/{rest#}").split(path) is None


def test_a_path_is_split_before_its_segments_are_decoded() -> None:
    assert split_path("/a%2Fb/%7Bx%7D/") == ("a/b", "{x}", "")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("/a", ("/a", None)),
        ("/a#b", ("/a", "b")),
        ("/{rest#}", ("/{rest#}", None)),
        ("/{rest#}#@connect", ("/{rest#}", "@connect")),
        ("/a#", ("/a", "")),
        ("/a}#b", ("/a}", "b")),
    ],
)
def test_a_fragment_begins_at_the_first_hash_outside_braces(
    text: str, parts: tuple[str, str | None]
) -> None:
    assert split_fragment(text) == parts


def test_more_literal_patterns_are_more_specific() -> None:
    patterns = ["/a/b", "/a/{x}", "/a/{rest#}", "/{x}/b", "/{rest#}"]

    ranked = sorted(patterns, key=lambda text: parse_path_pattern(text).specificity, reverse=True)

    assert ranked == patterns


# --- groups


def test_a_group_is_a_template_for_each_segment() -> None:
    segments = parse_group_path("live/{device}-{.kind}/a%2Fb")

    assert [segment.source for segment in segments] == ["live", "{device}-{.kind}", "a%2Fb"]
    assert segments == parse_group_path("/live/{device}-{.kind}/a%2Fb")
    assert segments[2].literal == "a/b"


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("/a/+", "`+` stands for many"),
        ("/a?b", "before the `?`"),
        ("/%ff", "not UTF-8"),
        ("/a-{rest#}", "a whole segment"),
        ("/{x", "never closed"),
    ],
)
def test_an_illegal_group_is_refused_in_a_sentence(path: str, part: str) -> None:
    with pytest.raises((AddressError, TemplateError)) as refused:
        parse_group_path(path)

    assert part in str(refused.value)


@pytest.mark.parametrize(
    ("group", "path", "is_member"),
    [
        ("/live/{device}", "/live/42", True),
        ("/live/{device}", "/live/42/x", False),
        ("/live/a-{device}", "/live/b", True),
        ("/live/{rest#}", "/live", True),
        ("/live/{rest#}", "/live/a/b", True),
        ("/{rest#}/{device}", "/a/b/42", True),
        ("/a/{rest#}/{device}", "/b/c/42", False),
        ("/live", "/other", False),
    ],
)
def test_the_paths_of_a_group_are_all_that_its_templates_can_come_to(
    group: str, path: str, is_member: bool
) -> None:
    pattern = group_pattern(parse_group_path(group))

    assert pattern.source == group
    assert (matched(pattern, path) is not None) is is_member


@given(st.text(alphabet="{}#+?/%$.@abf0-", max_size=12))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    for parse in (parse_mqtt_pattern, parse_path_pattern, parse_group_path):
        try:
            parse(text)
        except (AddressError, TemplateError):
            continue
