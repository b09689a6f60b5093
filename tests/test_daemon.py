"""The whole daemon on embedded brokers: started, used, and stopped in every way."""

import json
import signal
from collections.abc import Callable

import pytest
import trio
import trio_websocket

from tests.proofs.history import judge, some_readings
from tests.proofs.tables import head, telemetry
from tests.proofs.watching import status_of, wait_running, wait_state
from tests.rig.daemon import Routerd
from tests.rig.embedded_mqtt import EmbeddedMqtt
from tests.rig.mockkafka import MockKafka
from tests.rig.mosquitto import Mosquitto
from tests.rig.mqttpub import Publisher
from tests.rig.ports import free_port
from tests.rig.waiting import wait_until

pytestmark = pytest.mark.slow

StartRouterd = Callable[..., Routerd]

NOWHERE = "127.0.0.1:1"
CHAT = """
[[route]]
name = "chat"
from = "ws:/chat/{room}"
to = ["group:/chat/{room}", "kafka:chat"]
key = "{room}"
"""


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_messages_go_from_mqtt_to_kafka(
    version: str, embedded_mqtt: EmbeddedMqtt, mockkafka: MockKafka, start_routerd: StartRouterd
) -> None:
    mockkafka.create_topic("telemetry", 4)
    is_v5 = version == "5"
    url = embedded_mqtt.url if is_v5 else embedded_mqtt.url_311
    table = head(url, mockkafka.bootstrap, version=version) + telemetry('"kafka:telemetry"')
    routerd = start_routerd(table)
    wait_running(routerd)
    messages = some_readings(500)
    with Publisher(embedded_mqtt.port_311) as publisher:
        assert len(publisher.publish(messages)) == 500
    mockkafka.records.wait_until_count("telemetry", 500)
    assert routerd.stop() == 0
    records = mockkafka.records.read("telemetry")
    assert judge(messages, records).is_clean
    assert {record.key for record in records} == {b"d%d" % device for device in range(20)}


async def test_a_chat_is_heard_in_its_room_and_kept_in_kafka(
    mockkafka: MockKafka, start_routerd: StartRouterd
) -> None:
    def prepare() -> Routerd:
        mockkafka.create_topic("chat", 1)
        table = head("mqtt://127.0.0.1:1", mockkafka.bootstrap) + CHAT
        return start_routerd(table)

    routerd = await trio.to_thread.run_sync(prepare)
    host, port = routerd.ws_address
    rooms = [f"ws://{host}:{port}/chat/{room}" for room in ("a", "a", "b")]
    async with (
        trio_websocket.open_websocket_url(rooms[0]) as alice,
        trio_websocket.open_websocket_url(rooms[1]) as bob,
        trio_websocket.open_websocket_url(rooms[2]) as eve,
    ):
        await alice.send_message("hello")
        assert [await alice.get_message(), await bob.get_message()] == ["hello", "hello"]
        await eve.send_message("anybody?")
        assert await eve.get_message() == "anybody?"

    def settle() -> None:
        mockkafka.records.wait_until_count("chat", 2)
        assert routerd.stop() == 0
        kept = [(record.key, record.value) for record in mockkafka.records.read("chat")]
        assert kept == [(b"a", b"hello"), (b"b", b"anybody?")]

    await trio.to_thread.run_sync(settle)


def test_brokers_that_are_down_are_no_failed_start(start_routerd: StartRouterd) -> None:
    routerd = start_routerd(head("mqtt://127.0.0.1:1", NOWHERE) + telemetry('"kafka:telemetry"'))
    status = wait_state(routerd, "telemetry", "backoff")
    assert "127.0.0.1:1" in status["reason"]
    assert status["next_try"] is not None
    assert status["restarts"] == 0  # it never ran
    assert routerd.get("/livez").status == 200
    answer = routerd.get("/readyz")
    assert answer.status == 503
    assert json.loads(answer.text)["routes"][0]["state"] == "backoff"
    connections = json.loads(routerd.get("/status.json").text)["connections"]
    assert {one["key"] for one in connections} == {"mqtt", "kafka", "ws"}
    [mqtt] = [one for one in connections if one["key"] == "mqtt"]
    assert mqtt["address"] == "mqtt://127.0.0.1:1"
    assert mqtt["trouble"] == "1 of 1 sessions not connected: telemetry"
    assert routerd.metric("routerd_connection_up", connection="mqtt") == 0
    assert routerd.stop() == 0


def test_a_route_connects_when_its_broker_has_come_up(
    mockkafka: MockKafka, start_routerd: StartRouterd
) -> None:
    embedded = EmbeddedMqtt()
    mockkafka.create_topic("telemetry", 1)
    routerd = start_routerd(
        head(embedded.url, mockkafka.bootstrap) + telemetry('"kafka:telemetry"')
    )
    wait_state(routerd, "telemetry", "backoff")
    with embedded, Publisher(embedded.port_311) as publisher:
        wait_running(routerd, timeout=30)
        assert len(publisher.publish(some_readings(10))) == 10
        mockkafka.records.wait_until_count("telemetry", 10)
        assert routerd.stop() == 0


def test_a_drain_that_takes_too_long_is_cut_and_says_what_is_left(
    embedded_mqtt: EmbeddedMqtt, start_routerd: StartRouterd
) -> None:
    table = head(embedded_mqtt.url, NOWHERE).replace('"20s"', '"1s"')
    routerd = start_routerd(table + telemetry('"kafka:telemetry"'))
    _take_some(routerd, embedded_mqtt)
    assert routerd.stop() == 0
    [left] = routerd.events("messages left unconfirmed")
    assert (left["route"], left["count"]) == ("telemetry", 10)


def test_a_second_signal_ends_it_at_once(
    embedded_mqtt: EmbeddedMqtt, start_routerd: StartRouterd
) -> None:
    routerd = start_routerd(head(embedded_mqtt.url, NOWHERE) + telemetry('"kafka:telemetry"'))
    _take_some(routerd, embedded_mqtt)
    assert routerd.child is not None
    routerd.child.signal(signal.SIGTERM)
    routerd.wait_event("draining")
    routerd.child.signal(signal.SIGINT)
    assert routerd.wait(timeout=5) == 1
    assert routerd.events("stopped at once by a second signal")


def test_the_admin_listener_can_be_turned_off(start_routerd: StartRouterd) -> None:
    table = head("mqtt://127.0.0.1:1", NOWHERE).replace(
        '[admin]\nlisten = "127.0.0.1:0"', "[admin]\nenabled = false"
    )
    routerd = start_routerd(table + CHAT)
    [ready] = routerd.events("ready")
    assert "admin" not in ready
    assert routerd.stop() == 0


def test_two_sessions_with_one_name_are_named(
    mosquitto: Mosquitto, mockkafka: MockKafka, start_routerd: StartRouterd
) -> None:
    table = head(mosquitto.url, mockkafka.bootstrap) + telemetry('"kafka:telemetry"')
    first = start_routerd(table)
    wait_running(first)
    second = start_routerd(table)
    wait_until(
        lambda: any("another client connect" in str(line) for line in first.log + second.log),
        "one of them says who took its session",
    )


def _take_some(routerd: Routerd, broker: EmbeddedMqtt) -> None:
    wait_running(routerd)
    with Publisher(broker.port_311) as publisher:
        assert len(publisher.publish(some_readings(10))) == 10
    wait_until(lambda: status_of(routerd, "telemetry")["inflight"] == 10, "all are in flight")


def test_a_free_port_is_really_bound(start_routerd: StartRouterd) -> None:
    port = free_port()
    table = head("mqtt://127.0.0.1:1", NOWHERE).replace(
        '[ws]\nlisten = "127.0.0.1:0"', f'[ws]\nlisten = "127.0.0.1:{port}"'
    )
    routerd = start_routerd(table + CHAT)
    assert routerd.ws_address == ("127.0.0.1", port)
