"""Five thousand devices through one templated group, each heard only by those who look at it."""

from collections.abc import Callable

import trio
import trio_websocket

from tests.proofs.tables import head, telemetry
from tests.proofs.watching import wait_running
from tests.rig.daemon import Routerd
from tests.rig.mockkafka import MockKafka
from tests.rig.mosquitto import Mosquitto
from tests.rig.mqttpub import Publisher

DEVICES = 5000
WATCHED = (0, 7, 2500, 4999)
ROUNDS = 2


async def test_five_thousand_devices_have_a_group_each(
    mosquitto: Mosquitto, mockkafka: MockKafka, start_routerd: Callable[..., Routerd]
) -> None:
    def prepare() -> Routerd:
        mockkafka.create_topic("telemetry", 4)
        route = telemetry('["kafka:telemetry", "group:/live/{device}"]')
        routerd = start_routerd(head(mosquitto.url, mockkafka.bootstrap) + route)
        wait_running(routerd)
        return routerd

    routerd = await trio.to_thread.run_sync(prepare)
    host, port = routerd.ws_address
    messages = [
        (f"sensors/d{device}/temperature", b"%d:%d" % (device, number))
        for number in range(ROUNDS)
        for device in range(DEVICES)
    ]

    async def watch(device: int) -> None:
        url = f"ws://{host}:{port}/live/d{device}"
        async with trio_websocket.open_websocket_url(url) as socket:
            ready.append(device)
            heard = [await socket.get_message() for _ in range(ROUNDS)]
        assert heard == [f"{device}:{number}" for number in range(ROUNDS)]

    def publish() -> None:
        with Publisher(mosquitto.port) as publisher:
            assert len(publisher.publish(messages)) == len(messages)

    ready: list[int] = []
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            for device in WATCHED:
                nursery.start_soon(watch, device)
            while len(ready) < len(WATCHED):  # noqa: ASYNC110 - four short handshakes
                await trio.sleep(0.01)
            await trio.to_thread.run_sync(publish)

    def settle() -> None:
        mockkafka.records.wait_until_count("telemetry", len(messages))
        assert routerd.metric("routerd_sink_messages_total", outcome="failed") == 0
        assert routerd.stop() == 0

    await trio.to_thread.run_sync(settle)
