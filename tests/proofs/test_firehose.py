"""While devices shout, browsers and probes are answered."""

import json
from collections.abc import Callable

import pytest
import trio
import trio_websocket

from tests.proofs.publishing import Firehose
from tests.proofs.tables import head, telemetry
from tests.proofs.watching import wait_running
from tests.rig.daemon import Routerd
from tests.rig.mockkafka import MockKafka
from tests.rig.mosquitto import Mosquitto

SECONDS = 5.0
BEATS_LEAST = 10
LAG = "routerd_event_loop_lag_seconds_bucket"


@pytest.mark.alone
async def test_pings_and_probes_are_answered_under_a_firehose(
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
    pongs, alive = 0, 0
    async with trio_websocket.open_websocket_url(f"ws://{host}:{port}/live/quiet") as socket:
        with Firehose(mosquitto.port) as firehose:
            until = trio.current_time() + SECONDS
            while trio.current_time() < until:
                with trio.fail_after(5):
                    await socket.ping()
                pongs += 1
                answer = await trio.to_thread.run_sync(routerd.get, "/livez")
                alive += answer.status == 200 and json.loads(answer.text)["alive"]
                await trio.sleep(0.06)  # a client may send 20 pings a second
            await trio.to_thread.run_sync(firehose.stop)
        assert socket.closed is None
    assert pongs == alive > SECONDS

    def lags() -> tuple[float, float]:
        return routerd.metric(LAG, le="0.05"), routerd.metric(LAG, le="+Inf")

    within, beats = await trio.to_thread.run_sync(lags)
    assert beats > BEATS_LEAST
    # Other programs of this machine take their share of it, so a few late beats prove nothing.
    assert within >= 0.9 * beats
    assert len(firehose.acknowledged) > 10_000

    def settle() -> None:
        mockkafka.records.wait_until_count("telemetry", len(firehose.acknowledged), timeout=60)
        assert routerd.stop() == 0

    await trio.to_thread.run_sync(settle)
