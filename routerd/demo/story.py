"""What is happening now, in a sentence or two, and only what is really so."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from routerd.status import RouteStatus

_MANY = 150
"""Messages: about two seconds of all buses. What is on its way normally is less."""


@dataclass(frozen=True)
class Scenery:
    """What the story is told from.

    Attributes:
        kept: readings that the buses keep, since the broker has not confirmed them.
        is_full: the buses make no more of them.
        under_way: confirmed readings that are not in Kafka yet.
        telemetry: the route from the buses to Kafka.
        fallen: routes that do not run, and that nobody has cut off.
    """

    is_kafka_up: bool
    is_mqtt_up: bool
    kept: int
    is_full: bool
    under_way: int
    lost: int
    telemetry: RouteStatus
    fallen: Sequence[RouteStatus]


def tell(now: Scenery) -> str:
    """The story, most important first."""
    if now.lost:
        return f"{_readings(now.lost)} that the broker confirmed are lost. That must never happen."
    if not (now.is_kafka_up and now.is_mqtt_up):
        return " ".join([*_of_mqtt(now), *_of_kafka(now)])
    if now.fallen:
        return " ".join([*map(_of_fallen, now.fallen), *_of_return(now)])
    if now.kept + now.under_way > _MANY:
        return f"Catching up: {_readings(now.kept + now.under_way)} to go, in their order."
    return "All is well: what the broker has confirmed is in Kafka a moment later."


def _of_fallen(route: RouteStatus) -> str:
    if route.next_try_at is None:
        return f"Route {route.name} fell and comes back now."
    seconds = max(1, math.ceil(route.next_try_at - time.time()))
    return f"Route {route.name} fell and tries again within {seconds} s."


def _of_return(now: Scenery) -> list[str]:
    told = "The broker gives it again whatever it had not acknowledged."
    if len(now.fallen) > 1:
        told = "The broker gives them again whatever they had not acknowledged."
    return [told, "No other route notices."]


def _of_mqtt(now: Scenery) -> list[str]:
    if now.is_mqtt_up:
        return []
    told = (
        f"The MQTT broker is cut off. The buses keep {_readings(now.kept)}: published, and not "
        "confirmed, so nothing is promised for them yet. Chat goes on, it needs no MQTT."
    )
    if now.is_full:
        told += " That is all that they can keep: they make no new ones until it is back."
    return [told]


def _of_kafka(now: Scenery) -> list[str]:
    if now.is_kafka_up:
        return []
    inside = min(now.under_way, now.telemetry.inflight)
    told = (
        f"Kafka is away. {_readings(now.under_way)} wait: {inside} in routerd, which takes at most "
        f"{now.telemetry.inflight_limit}, and {now.under_way - inside} in the MQTT broker's queue. "
        "The broker has not been told that they are done, so it keeps them all."
    )
    if now.is_mqtt_up:
        told += " The map goes on: its route does without Kafka."
    return [told]


def _readings(count: int) -> str:
    return "1 reading" if count == 1 else f"{count} readings"
