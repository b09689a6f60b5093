"""A Kafka that stands for several keepalives costs no connection, no message and no browser."""

import time
from collections.abc import Callable

import trio
import trio_websocket

from tests.proofs.history import judge
from tests.proofs.publishing import Firehose
from tests.proofs.tables import head, telemetry
from tests.proofs.watching import wait_running
from tests.rig.daemon import Routerd
from tests.rig.kafka import Kafka
from tests.rig.mosquitto import Mosquitto

KEEPALIVE = 2
FROZEN = 3.5 * KEEPALIVE

CHAT = """
[[route]]
name = "chat"
from = "ws:/chat/{room}"
to = ["group:/chat/{room}", "kafka:chat"]
key = "{room}"

[[route]]
name = "lobby"
from = "ws:/lobby"
to = "group:/lobby"
"""


async def test_a_kafka_frozen_for_three_keepalives_is_not_noticed(
    mosquitto: Mosquitto,
    start_kafka: Callable[..., Kafka],
    start_routerd: Callable[..., Routerd],
) -> None:
    def prepare() -> tuple[Kafka, Routerd]:
        kafka = start_kafka()
        kafka.create_topic("telemetry", 4)
        kafka.create_topic("chat", 1)
        table = head(mosquitto.url, kafka.bootstrap, mqtt=f'keepalive = "{KEEPALIVE}s"')
        routerd = start_routerd(table + telemetry('"kafka:telemetry"') + CHAT)
        wait_running(routerd)
        return kafka, routerd

    kafka, routerd = await trio.to_thread.run_sync(prepare)
    chat, lobby = [f"ws://{_shown(routerd.ws_address)}{path}" for path in ("/chat/a", "/lobby")]
    async with (
        trio_websocket.open_websocket_url(chat) as in_chat,
        trio_websocket.open_websocket_url(lobby) as in_lobby,
    ):
        await in_chat.send_message("before")
        assert await in_chat.get_message() == "before"
        firehose = await trio.to_thread.run_sync(_freeze_under_load, mosquitto, kafka)
        for client in (in_chat, in_lobby):
            await client.send_message("after")
            assert await client.get_message() == "after"
            assert client.closed is None

    def settle() -> None:
        kafka.records.wait_until_count("telemetry", len(firehose.acknowledged), timeout=60)
        assert len(routerd.events("mqtt connected")) == 1
        assert routerd.metric("routerd_route_restarts_total") == 0
        assert routerd.stop() == 0
        assert judge(firehose.acknowledged, kafka.records.read("telemetry")).is_clean
        chatted = [record.value for record in kafka.records.read("chat")]
        assert chatted == [b"before", b"after"]

    await trio.to_thread.run_sync(settle)


def _freeze_under_load(mosquitto: Mosquitto, kafka: Kafka) -> Firehose:
    with Firehose(mosquitto.port, rate=3000) as firehose:
        time.sleep(0.5)
        kafka.freeze()
        time.sleep(FROZEN)
        kafka.thaw()
        time.sleep(0.5)
    return firehose


def _shown(address: tuple[str, int]) -> str:
    return f"{address[0]}:{address[1]}"
