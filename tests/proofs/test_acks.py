"""What a WebSocket client was told is true: its answers against what a real Kafka has."""

import itertools
import time
from collections.abc import Callable
from contextlib import suppress

import trio

from tests.ack_house import ACK, Speaker
from tests.raw_websocket import CLOSE, TEXT, RawClient, connect, frame
from tests.rig.daemon import Routerd
from tests.rig.kafka import Kafka
from tests.rig.waiting import wait_until

StartRouterd = Callable[..., Routerd]

HEAD = """
[ws]
listen = "127.0.0.1:0"
require_ack = true
{ws}
[kafka]
bootstrap_servers = "{kafka}"
options = {{ "topic.metadata.propagation.max.ms" = 200 }}
[admin]
listen = "127.0.0.1:0"
"""
ROUTE = """
[[route]]
name = "{name}"
from = "ws:{path}"
to = "kafka:{topic}"
guarantee = "at_least_once"
"""
FIRST, WINDOW, MORE = 5, 2000, 500
FAST_PINGS = 'limits = { ping_every = "500ms", pong_timeout = "500ms" }'
FROZEN = 1.5
"""Seconds; several pings and the time for their answers."""
CLIENTS, ENOUGH = 20, 2000


def table(kafka: Kafka, *routes: tuple[str, str, str], ws: str = "") -> str:
    """Routes as name, path and topic."""
    found = [ROUTE.format(name=name, path=path, topic=topic) for name, path, topic in routes]
    return HEAD.format(kafka=kafka.bootstrap, ws=ws) + "".join(found)


async def enter(routerd: Routerd, path: str) -> RawClient:
    return await (await connect(routerd.ws_address[1])).open(path, ACK)


async def test_a_frozen_kafka_acknowledges_nothing_and_cuts_nobody(
    start_kafka: Callable[..., Kafka], start_routerd: StartRouterd
) -> None:
    def prepare() -> tuple[Kafka, Routerd]:
        kafka = start_kafka()
        kafka.create_topic("chat", 1)
        return kafka, start_routerd(table(kafka, ("chat", "/chat", "chat"), ws=FAST_PINGS))

    def wait_and_thaw() -> None:
        full = "the route's window is full"
        wait_until(lambda: routerd.metric("routerd_inflight_messages") >= WINDOW, full)
        time.sleep(FROZEN)
        assert routerd.metric("routerd_inflight_messages") == WINDOW
        assert speaker.heard == FIRST
        kafka.thaw()

    kafka, routerd = await trio.to_thread.run_sync(prepare)
    speaker = Speaker(await enter(routerd, "/chat"))
    texts = [f"pub {number} m{number}" for number in range(FIRST + WINDOW + MORE)]
    answers = [f"ack {number}" for number in range(len(texts))]
    await speaker.say(*texts[:FIRST])
    assert await speaker.hear(FIRST) == answers[:FIRST]
    kafka.freeze()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(speaker.say, *texts[FIRST:])
        nursery.start_soon(trio.to_thread.run_sync, wait_and_thaw)
        assert await speaker.hear(WINDOW + MORE) == answers[FIRST:]
    await speaker.client.aclose()

    def judge() -> None:
        assert routerd.stop() == 0
        assert [record.value for record in kafka.records.read("chat")] == [
            b"m%d" % number for number in range(len(texts))
        ]

    await trio.to_thread.run_sync(judge)


async def test_what_was_acknowledged_before_a_kill_is_in_kafka(
    kafka: Kafka, topic: str, start_routerd: StartRouterd
) -> None:
    kafka.create_topic(topic, 4)
    routerd = await trio.to_thread.run_sync(
        start_routerd, table(kafka, ("chat", "/chat/{room}", topic))
    )
    acked: set[bytes] = set()
    some = trio.Event()

    async def publish(number: int) -> None:
        client = await enter(routerd, f"/chat/{number}")
        async with client.stream, trio.open_nursery() as nursery:
            nursery.start_soon(say_all, client, number)
            while (found := await client.read()) is not None:
                word, _, ident = found.payload.partition(b" ")
                assert word == b"ack"
                acked.add(ident)
                if len(acked) >= ENOUGH:
                    some.set()
            nursery.cancel_scope.cancel()

    async def say_all(client: RawClient, number: int) -> None:
        with suppress(trio.BrokenResourceError):
            for count in itertools.count():
                name = b"%d.%d" % (number, count)
                await client.send(frame(TEXT, b"pub %s %s" % (name, name)))
                await trio.sleep(0.005)

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            for number in range(CLIENTS):
                nursery.start_soon(publish, number)
            await some.wait()
            await trio.to_thread.run_sync(routerd.kill)
    found = await trio.to_thread.run_sync(kafka.records.read, topic)
    assert len(acked) >= ENOUGH
    assert acked - {record.value for record in found} == set()


async def test_what_kafka_refuses_is_a_nack_and_what_it_takes_is_not(
    kafka: Kafka, topic: str, start_routerd: StartRouterd
) -> None:
    kafka.create_topic(topic, 1)
    absent = f"{topic}-absent"
    routes = [("kept", "/in", topic), ("gone", "/in/+", absent), ("both", "/in/both", topic)]
    routerd = await trio.to_thread.run_sync(start_routerd, table(kafka, *routes))
    kept, both = [Speaker(await enter(routerd, path)) for path in ("/in", "/in/both")]
    await kept.say("pub 1 a", "pub 2 " + "x" * 1_000_000, "pub 3 b")
    await both.say("pub 1 c")
    assert await kept.hear(3) == ["ack 1", "nack 2 final kept: rejected", "ack 3"]
    assert await both.hear(1) == ["nack 1 final gone: rejected; 1 of 2 routes took it"]
    assert await trio.to_thread.run_sync(routerd.stop) == 0
    for speaker in (kept, both):
        goodbye = await speaker.client.read()
        assert goodbye is not None
        assert (goodbye.opcode, goodbye.code) == (CLOSE, 1012)
        await speaker.client.aclose()
    found = await trio.to_thread.run_sync(kafka.records.read, topic)
    assert {record.value for record in found} == {b"a", b"b", b"c"}
