"""An open Kafka connection and its sinks, for tests; the cluster behind it is the test's."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from routerd.address import parse_mqtt_pattern
from routerd.connectors.kafka.connector import KafkaConnection, KafkaConnector
from routerd.connectors.kafka.options import DEFAULTS
from routerd.connectors.kafka.settings import KafkaSettings, KafkaSinkSpec
from routerd.interfaces import RouteContext, Sink
from routerd.message import Message
from routerd.receipt import Receipt, SinkCounts
from routerd.scope import Scope
from routerd.status import DaemonStatus, RouteStatus
from routerd.template import parse_template

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from tests.rig.kafka import Kafka
    from tests.rig.mockkafka import MockKafka

PATIENCE = 20.0
"""Seconds for something that must happen."""


@asynccontextmanager
async def open_kafka(
    bootstrap: str, *, total_inflight: int = 2000, **options: str | int | bool
) -> AsyncIterator[KafkaConnection]:
    """The connection of a `[kafka]` table; `linger_ms=0` is the option `linger.ms`."""
    given = {name.replace("_", "."): value for name, value in options.items()}
    settings = KafkaSettings("kafka", {**DEFAULTS, "bootstrap.servers": bootstrap, **given})
    status = DaemonStatus("test")
    async with KafkaConnector().open(
        settings, total_inflight=total_inflight, status=status
    ) as connection:
        yield connection


@dataclass
class Output:
    """A sink, and what a route would see of it."""

    sink: Sink
    counts: SinkCounts
    status: RouteStatus
    scope: Scope

    async def accept(self, messages: Sequence[Message]) -> Receipt:
        """`Sink.accept`, after what a route does first."""
        self.scope.look(messages, 0.0)
        return await self.sink.accept(messages)

    async def deliver(self, messages: Sequence[Message]) -> Receipt:
        """The receipt of these, resolved."""
        with trio.fail_after(PATIENCE):
            receipt = await self.accept(messages)
            await receipt.wait()
        return receipt


def open_output(
    connection: KafkaConnection,
    topic: str,
    *,
    key: str | None = None,
    headers: Mapping[str, str] | None = None,
    required: bool = True,
    inflight: int = 2000,
    max_destinations: int = 1000,
) -> Output:
    """The output of a route from `mqtt:s/{device}`."""
    scope = scope_of(topic, key or "", *(headers or {}).values())
    status, counts = RouteStatus("route", "mqtt:s/{device}", []), SinkCounts()
    route = RouteContext(
        name="route",
        status=status,
        scope=scope,
        key=None if key is None else parse_template(key),
        headers={name: parse_template(text) for name, text in (headers or {}).items()},
        inflight=inflight,
        max_destinations=max_destinations,
    )
    spec = KafkaSinkSpec(parse_template(topic), required=required)
    return Output(connection.open_sink(spec, route, counts), counts, status, scope)


def scope_of(*templates: str) -> Scope:
    """What a route from `mqtt:s/{device}` sees, with these templates."""
    references = [r for text in templates for r in parse_template(text).references]
    return Scope([parse_mqtt_pattern("s/{device}")], references)


def numbered(count: int, *, start: int = 0, device: str = "a") -> list[Message]:
    """Messages of one device whose payloads are numbers."""
    return [Message(b"s/" + device.encode(), b"%d" % n, 1) for n in range(start, start + count)]


async def wait_until(condition: Callable[[], bool]) -> None:
    """Returns when it holds."""
    with trio.fail_after(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is waited for is another library's
            await trio.sleep(0.01)


def payloads(messages: Sequence[Message]) -> list[bytes]:
    """What should be found in Kafka."""
    return [message.payload for message in messages]


def values(cluster: MockKafka | Kafka, topic: str) -> list[bytes | None]:
    """What is found in a topic, partition by partition."""
    return [record.value for record in cluster.records.read(topic)]


class KafkaSinkCase:
    """A Kafka sink with the topic `{device}`, as the rules of every sink drive it."""

    def __init__(
        self, output: Output, cluster: MockKafka | Kafka, topic: str, *, is_required: bool
    ) -> None:
        self.sink = output.sink
        self.counts = output.counts
        self.is_required = is_required
        self._cluster = cluster
        self._topic = topic

    def message(self, payload: bytes) -> Message:
        return Message(b"s/" + self._topic.encode(), payload, 1)

    def unroutable(self) -> Message:
        return Message(b"s/no topic", b"unroutable", 1)

    async def arrived(self, count: int) -> list[bytes]:
        records = self._cluster.records
        await trio.to_thread.run_sync(records.wait_until_count, self._topic, count)
        found = await trio.to_thread.run_sync(records.read, self._topic)
        return [record.value or b"" for record in found]

    async def stall(self) -> None:
        self._cluster.freeze()

    async def resume(self) -> None:
        self._cluster.thaw()
