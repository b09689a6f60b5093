"""What the demo's page says in words is what is so."""

import dataclasses
import time

import pytest

from routerd.demo.story import Scenery, tell
from routerd.status import RouteStatus


def a_route(name: str = "telemetry", *, inflight: int = 0) -> RouteStatus:
    return RouteStatus(name, "mqtt:a", [], inflight_limit=100, inflight=inflight)


WELL = Scenery(
    is_kafka_up=True,
    is_mqtt_up=True,
    kept=3,
    is_full=False,
    under_way=12,
    lost=0,
    telemetry=a_route(),
    fallen=[],
)


def told(**changes: object) -> str:
    return tell(dataclasses.replace(WELL, **changes))  # type: ignore[arg-type]


def test_all_is_well() -> None:
    assert told().startswith("All is well")


def test_kafka_is_away_and_it_says_where_everything_waits() -> None:
    story = told(is_kafka_up=False, under_way=462, telemetry=a_route(inflight=100))
    assert "462 readings wait: 100 in routerd, which takes at most 100, and 362 in" in story
    assert "The broker has not been told that they are done" in story


def test_what_waits_in_routerd_is_never_more_than_all_that_waits() -> None:
    """A route still holds what another life of it has delivered."""
    story = told(is_kafka_up=False, under_way=10, telemetry=a_route(inflight=30))
    assert "10 readings wait: 10 in routerd, which takes at most 100, and 0 in" in story


def test_the_map_goes_on_without_kafka_but_not_without_mqtt() -> None:
    assert "map goes on" in told(is_kafka_up=False)
    assert "map goes on" not in told(is_kafka_up=False, is_mqtt_up=False)


def test_mqtt_is_away_and_the_buses_keep_what_they_have() -> None:
    story = told(is_mqtt_up=False, kept=1)
    assert "The buses keep 1 reading: published, and not confirmed" in story
    assert "make no new ones" not in story
    assert "make no new ones" in told(is_mqtt_up=False, kept=5000, is_full=True)


def test_both_are_away() -> None:
    story = told(is_mqtt_up=False, is_kafka_up=False)
    assert "The MQTT broker is cut off" in story
    assert "Kafka is away" in story


def test_fallen_routes_are_named_with_their_next_try() -> None:
    waiting, coming = a_route(), a_route("overview")
    waiting.enter("backoff", reason="reset", next_try_at=time.time() + 7.5)
    story = told(fallen=[waiting, coming])
    assert story.startswith("Route telemetry fell and tries again within 8 s. Route overview fell")
    assert "gives them again whatever they had not acknowledged" in story


def test_one_fallen_route_is_one() -> None:
    assert "gives it again whatever it had not acknowledged" in told(fallen=[a_route()])


@pytest.mark.parametrize("change", [{"kept": 400}, {"under_way": 400}])
def test_it_says_how_much_there_is_to_catch_up(change: dict[str, int]) -> None:
    assert told(**change).startswith("Catching up: 4")


def test_a_loss_is_said_before_everything_else() -> None:
    story = told(lost=2, is_kafka_up=False, fallen=[a_route()])
    assert story == "2 readings that the broker confirmed are lost. That must never happen."
