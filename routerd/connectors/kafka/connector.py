"""The `kafka` scheme: one connection is one cluster, and one producer that its routes share."""

from __future__ import annotations

from contextlib import asynccontextmanager
from itertools import count
from typing import TYPE_CHECKING, cast

import trio

from routerd.connectors.kafka.probe import Probe
from routerd.connectors.kafka.producer import HealingProducer
from routerd.connectors.kafka.reachability import Reachability
from routerd.connectors.kafka.records import RecordMaker
from routerd.connectors.kafka.sink import KafkaSink
from routerd.errors import DeliveryFailed
from routerd.interfaces import Connection
from routerd.secrets import Secret
from routerd.status import ConnectionStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from routerd.connectors.kafka.settings import KafkaSettings, KafkaSinkSpec
    from routerd.interfaces import RouteContext, Sink, Source
    from routerd.receipt import SinkCounts
    from routerd.status import DaemonStatus

LEAST_QUEUE = 100_000
QUEUE_PER_INFLIGHT = 4
"""Room in librdkafka's queue for each message of the routes' windows: a route may have several
outputs here, and best-effort ones take up to twice its window. A limit costs no memory."""
_MOST_KBYTES = 2_147_483_647
_DEFAULT_MAX_BYTES = 1_000_000
_PROPAGATION_MS = 3000

CLOSE_WITHIN = 2.0
"""Seconds for the end of both producers."""

_CLOSED = DeliveryFailed("routerd stopped before Kafka confirmed it", reason="shutdown")


class KafkaConnector:
    """See `interfaces.Connector`."""

    @asynccontextmanager
    async def open(
        self, settings: object, *, total_inflight: int, status: DaemonStatus
    ) -> AsyncIterator[KafkaConnection]:
        """See `interfaces.Connector.open`. Connects in the background, by librdkafka's threads."""
        connection = KafkaConnection(cast("KafkaSettings", settings), total_inflight)
        await connection.producer.open()
        status.connections.append(
            ConnectionStatus(
                connection.key, connection.address, connection.reachability.describe_trouble
            )
        )
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(connection.producer.run, name=f"{connection.key}: poll")
                await nursery.start(connection.alone.run, name=f"{connection.key}: poll, alone")
                await nursery.start(connection.reachability.run, name=f"{connection.key}: look")
                await nursery.start(connection.probe.run, name=f"{connection.key}: probe")
                yield connection
                nursery.cancel_scope.cancel()
        finally:
            with trio.move_on_after(CLOSE_WITHIN, shield=True):
                await connection.close()
            connection.abandon()


class KafkaConnection(Connection):
    """One `[kafka]` table; see `interfaces.Connection`.

    Attributes:
        key: the table's.
        address: its bootstrap servers.
        producer: shared by all routes.
        probe: asks for its topics, and whether it is back.
        alone: makes batches of a single record; for what was refused together with others.
    """

    def __init__(self, settings: KafkaSettings, total_inflight: int) -> None:
        config = library_config(settings.options, total_inflight)
        self.key = settings.key
        self.address = str(settings.options["bootstrap.servers"])
        self.reachability = Reachability(settings.key)
        self._max_bytes = int(str(config["message.max.bytes"]))
        self.alone = HealingProducer(
            {**config, "batch.num.messages": 1, "linger.ms": 0},
            connection=settings.key,
            reachability=Reachability(settings.key),  # its own: the other one may well confirm
        )
        self.producer = HealingProducer(
            config, connection=settings.key, reachability=self.reachability, alone=self.alone
        )
        self.probe = Probe(config, connection=settings.key, reachability=self.reachability)
        self._numbers = count()
        self._sinks: list[KafkaSink] = []

    def open_source(self, spec: object, route: RouteContext) -> Callable[[], Source]:
        """Comes with a later version."""
        raise NotImplementedError("routes can't read from Kafka yet")

    def open_sink(self, spec: object, route: RouteContext, counts: SinkCounts) -> Sink:
        """See `interfaces.Connection.open_sink`."""
        output = cast("KafkaSinkSpec", spec)
        maker = RecordMaker(
            route.scope,
            topic=output.topic,
            key=route.key,
            headers=route.headers,
            max_bytes=self._max_bytes,
            max_topics=route.max_destinations,
        )
        sink = KafkaSink(
            maker,
            producer=self.producer,
            alone=self.alone,
            numbers=self._numbers,
            counts=counts,
            status=route.status,
            most_outstanding=None if output.required else 2 * route.inflight,
        )
        self._sinks.append(sink)
        if output.topic.literal is not None:
            needs = route.status if output.required else None
            self.probe.expect(output.topic.literal, needs)
        if output.required:
            self.reachability.watch(route.status, lambda: sink.oldest)
        return sink

    def serve(self) -> None:
        """Every topic is known; librdkafka connects by itself."""
        self.probe.begin()

    async def close(self) -> None:
        """Ends both producers. After a drain nothing is outstanding, and it takes no time."""
        await self.producer.close()
        await self.alone.close()

    def abandon(self) -> None:
        """Leaves no receipt open."""
        for sink in self._sinks:
            sink.abandon(_CLOSED)


def library_config(
    options: Mapping[str, str | int | float | bool | Secret], total_inflight: int
) -> dict[str, object]:
    """What librdkafka is given: the table's options, and what is the program's to say."""
    config: dict[str, object] = {
        "message.max.bytes": _DEFAULT_MAX_BYTES,
        # A topic that is not there is to be named within seconds; librdkafka waits 30 s for it.
        "topic.metadata.propagation.max.ms": _PROPAGATION_MS,
        # What bounds memory is the routes' `inflight_bytes`; nothing must wait earlier than that.
        "queue.buffering.max.kbytes": _MOST_KBYTES,
    }
    for name, value in options.items():
        config[name] = value.reveal() if isinstance(value, Secret) else value
    # Less would keep the largest record waiting for ever.
    least_kbytes = 2 * int(str(config["message.max.bytes"])) // 1024 + 1
    kbytes = int(str(config["queue.buffering.max.kbytes"]))
    config["queue.buffering.max.kbytes"] = max(kbytes, least_kbytes)
    config["queue.buffering.max.messages"] = max(LEAST_QUEUE, QUEUE_PER_INFLIGHT * total_inflight)
    return config
