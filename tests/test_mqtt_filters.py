"""A filter takes the topics that MQTT says it takes, and no other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub

from routerd.connectors.mqtt.filters import Wanted
from routerd.connectors.mqtt.settings import MqttFilter

LEVELS = st.sampled_from(["", "a", "b", "ab", "$SYS", "größe", ".", "a.b"])


@st.composite
def filters(draw: st.DrawFn) -> str:
    levels = draw(st.lists(st.one_of(LEVELS, st.just("+")), max_size=3))
    levels += draw(st.sampled_from([[], ["#"]]))
    return "/".join(levels) or "a"


@given(filter_=filters(), topic=st.lists(LEVELS, min_size=1, max_size=4).map("/".join))
def test_takes_what_paho_says_that_it_matches(filter_: str, topic: str) -> None:
    wanted = Wanted((MqttFilter(filter_),))
    assert wanted.takes(topic.encode()) == topic_matches_sub(filter_, topic)


@pytest.mark.parametrize(
    ("filter_", "topic", "takes"),
    [
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("a/#", "ab", False),
        ("+", "a", True),
        ("+", "", True),
        ("+", "a/b", False),
        ("#", "a/b", True),
        ("#", "$SYS/x", False),
        ("+/x", "$SYS/x", False),
        ("$SYS/#", "$SYS/x", True),
        ("a/+/c", "a/b\nb/c", True),
        ("$share/group/a/+", "a/b", True),
        ("$share/group/a/+", "$share/group/a/b", False),
        ("a.b", "axb", False),
    ],
)
def test_filters_match_as_the_standard_says(filter_: str, topic: str, takes: bool) -> None:
    assert Wanted((MqttFilter(filter_),)).takes(topic.encode()) is takes


def test_several_filters_are_one_question() -> None:
    wanted = Wanted((MqttFilter("a/+"), MqttFilter("b/#", drops_retained=True)))
    assert wanted.takes(b"a/x")
    assert wanted.takes(b"b/x/y")
    assert not wanted.takes(b"c")
    assert wanted.drops_retained
    assert wanted.takes_retained(b"a/x")
    assert not wanted.takes_retained(b"b/x/y")


def test_retained_messages_are_wanted_unless_the_table_says_so() -> None:
    wanted = Wanted((MqttFilter("a/+"),))
    assert not wanted.drops_retained
    assert wanted.takes_retained(b"a/x")
