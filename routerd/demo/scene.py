"""What is on the stage, what can be done to it, and all that a page shows of it."""

import time
from dataclasses import asdict
from typing import Final, Literal

import trio

from routerd.demo.city import all_buses
from routerd.demo.devices import Devices
from routerd.demo.kafka import Kafka
from routerd.demo.ledger import Ledger
from routerd.demo.relay import Relay
from routerd.demo.story import Scenery, tell
from routerd.demo.tail import READINGS, Tail
from routerd.status import DaemonStatus, RouteStatus

Action = Literal["stop-kafka", "start-kafka", "stop-mqtt", "start-mqtt", "fall"]
ACTIONS: Final[tuple[Action, ...]] = (
    "stop-kafka", "start-kafka", "stop-mqtt", "start-mqtt", "fall",
)  # fmt: skip

Facts = dict[str, object]


class Scene:
    """The two brokers, the buses, the count, and the daemon between them.

    Attributes:
        to_devices: the broker's port for the buses leads through it.
        to_routerd: and this one for routerd.
        status: of the daemon that runs now.
    """

    def __init__(self, kafka: Kafka, broker_port: int) -> None:
        buses = all_buses()
        self.kafka = kafka
        self.to_devices = Relay(broker_port)
        self.to_routerd = Relay(broker_port)
        self.ledger = Ledger(bus.name for bus in buses)
        self.devices = Devices(self.to_devices.port, buses, self.ledger)
        self.tail = Tail(kafka.bootstrap, self.ledger)
        self.status = DaemonStatus("")
        self._is_ending = False

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Leads connections on, keeps that of the buses, and watches Kafka, until cancelled."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self.to_devices.run)
            await nursery.start(self.to_routerd.run)
            nursery.start_soon(self.devices.converse)
            nursery.start_soon(self.tail.run)
            task_status.started()

    # --- what can be done

    def act(self, action: Action) -> None:
        """Does it; harmless if it is so already. Takes a millisecond or two."""
        if self._is_ending:
            return
        match action:
            case "stop-kafka":
                self.kafka.stop()
            case "start-kafka":
                self.kafka.start()
            case "stop-mqtt":
                self.to_devices.close()
                self.to_routerd.close()
            case "start-mqtt":
                self.to_devices.open()
                self.to_routerd.open()
            case "fall":
                self.to_routerd.cut()

    def end(self) -> None:
        """Takes back whatever was stopped, and does nothing more."""
        self.act("start-kafka")
        self.act("start-mqtt")
        self._is_ending = True

    # --- what is so

    @property
    def telemetry(self) -> RouteStatus:
        """The route from the buses to Kafka; an idle one while the daemon starts."""
        idle = RouteStatus(READINGS, "", [])
        return next((route for route in self.status.routes if route.name == READINGS), idle)

    @property
    def is_running(self) -> bool:
        """Whether every route runs."""
        return all(route.state == "running" for route in self.status.routes)

    @property
    def is_settled(self) -> bool:
        """Whether all that was published is confirmed and in Kafka, as far as it isn't lost."""
        return self.ledger.confirmed == self.ledger.published and not self.ledger.under_way

    def facts(self) -> Facts:
        """All that the page shows, as JSON can say it."""
        ledger = self.ledger
        return {
            "version": self.status.version,
            "story": tell(self._scenery()),
            "published": ledger.published,
            "confirmed": ledger.confirmed,
            "in_kafka": ledger.in_kafka,
            "kept": ledger.published - ledger.confirmed,
            "under_way": ledger.under_way,
            "lost": ledger.lost,
            "duplicates": ledger.duplicates,
            "strangers": ledger.strangers,
            "kafka": self.kafka.is_up,
            "mqtt": self.to_routerd.is_open,
            "routes": [_route(route) for route in self.status.routes],
            "topics": [
                {
                    "name": topic,
                    "count": self.tail.counts[topic],
                    "newest": [asdict(record) for record in newest],
                }
                for topic, newest in self.tail.newest.items()
            ],
            "status_page": f"http://{self.status.listening.get('admin', '')}/",
        }

    def _scenery(self) -> Scenery:
        is_mqtt_up = self.to_routerd.is_open
        ledger = self.ledger
        return Scenery(
            is_kafka_up=self.kafka.is_up,
            is_mqtt_up=is_mqtt_up,
            kept=ledger.published - ledger.confirmed,
            is_full=self.devices.is_full,
            under_way=ledger.under_way,
            lost=ledger.lost,
            telemetry=self.telemetry,
            fallen=[route for route in self.status.routes if route.state != "running"],
        )


def _route(route: RouteStatus) -> Facts:
    waits = None if route.next_try_at is None else max(0.0, route.next_try_at - time.time())
    return {
        "name": route.name,
        "source": route.source,
        "sinks": [sink.address for sink in route.sinks],
        "state": route.state,
        "reason": route.reason,
        "waits_for": route.waiting,
        "next_try_seconds": None if waits is None else round(waits, 1),
        "restarts": route.restarts,
        "inflight": route.inflight,
        "inflight_limit": route.inflight_limit,
    }
