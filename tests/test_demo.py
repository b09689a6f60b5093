"""`routerd demo` from outside: it ends well however it is ended, and says what became of all."""

import re

import pytest

from routerd import __version__
from tests.demo_house import Demo, Facts, open_demo

pytestmark = pytest.mark.slow


def assert_nothing_was_lost(demo: Demo) -> None:
    code, summary = demo.end()
    assert (code, summary["lost"]) == (0, 0), demo.child.stdout + demo.child.stderr
    assert summary["published"] == summary["confirmed"] == summary["in_kafka"] > 0
    assert "Traceback" not in demo.child.stderr


def has_begun(facts: Facts) -> bool:
    in_kafka = facts["in_kafka"]
    return isinstance(in_kafka, int) and in_kafka > 36


def test_it_ends_by_itself_and_all_went_the_whole_way() -> None:
    with open_demo("--for", "2s") as demo:
        assert_nothing_was_lost(demo)
        # Nothing is said of what goes as it should.
        assert demo.child.stderr == ""


def test_it_says_first_what_to_open() -> None:
    with open_demo("--for", "1s") as demo:
        lines = [line for line in demo.child.stdout.splitlines() if line.strip()]
        assert re.fullmatch(r"  open http://127\.0\.0\.1:\d+/ in two windows", lines[1])


def test_a_second_demo_has_ports_of_its_own() -> None:
    with open_demo() as first, open_demo() as second:
        assert first.url != second.url
        for demo in (first, second):
            says_so = "port 8801 is taken, perhaps by another demo" in demo.child.stdout
            assert says_so is (":8801/" not in demo.url)
        for demo in (first, second):
            demo.wait_facts(has_begun, "readings in Kafka")
        for demo in (first, second):
            demo.press_ctrl_c()
            assert_nothing_was_lost(demo)


@pytest.mark.parametrize(
    "actions",
    [
        ["stop-kafka"],
        ["stop-mqtt"],
        ["stop-mqtt", "stop-kafka"],
        ["stop-kafka", "fall"],
    ],
    ids=", ".join,
)
def test_ctrl_c_while_something_is_stopped_loses_nothing(actions: list[str]) -> None:
    with open_demo() as demo:
        demo.wait_facts(has_begun, "readings in Kafka")
        for action in actions:
            demo.act(action)

        def is_stuck(facts: Facts) -> bool:
            under_way, kept = facts["under_way"], facts["kept"]
            return isinstance(under_way, int) and isinstance(kept, int) and under_way + kept > 150

        demo.wait_facts(is_stuck, "readings that wait")
        demo.press_ctrl_c()
        assert_nothing_was_lost(demo)


def test_ctrl_c_does_not_wait_for_a_route_that_waits_long() -> None:
    """A new routerd comes at once: it is given what the broker kept of the old one's session."""
    with open_demo() as demo:
        demo.wait_facts(has_begun, "readings in Kafka")
        demo.act("stop-mqtt")

        def waits_long(facts: Facts) -> bool:
            routes = facts["routes"]
            assert isinstance(routes, list)
            (telemetry,) = [route for route in routes if route["name"] == "telemetry"]
            return (telemetry["next_try_seconds"] or 0) > 6

        demo.wait_facts(waits_long, "a long pause before the next try")
        demo.press_ctrl_c()
        assert_nothing_was_lost(demo)


def test_the_facts_are_those_of_this_routerd() -> None:
    with open_demo() as demo:
        demo.wait_facts(has_begun, "readings in Kafka")
        facts = demo.facts()
        assert (facts["kafka"], facts["mqtt"], facts["lost"]) == (True, True, 0)
        assert facts["version"] == __version__
        routes = facts["routes"]
        assert isinstance(routes, list)
        assert [route["name"] for route in routes] == ["telemetry", "overview", "chat"]
        demo.press_ctrl_c()
        assert_nothing_was_lost(demo)
