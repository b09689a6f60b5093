"""The MQTT source with real brokers: mosquitto, and rumqttd as far as it goes."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import pytest
import trio
from paho.mqtt import publish as paho_publish
from paho.mqtt import subscribe as paho_subscribe

from routerd.connectors.mqtt.settings import MqttFilter, MqttSettings
from routerd.errors import Rejected, Unavailable
from routerd.mailbox import Mailbox
from routerd.secrets import Secret
from tests.contracts import SOURCE_RULES, Life, SourceRule, living, name_of
from tests.mqtt_house import MqttRoute, end_of, failure_of
from tests.rig.certs import Certs
from tests.rig.embedded_mqtt import EmbeddedMqtt
from tests.rig.mosquitto import Mosquitto
from tests.rig.mqttpub import Publisher
from tests.rig.ports import free_port
from tests.scripted_broker import PATIENCE, SCHEMES, Transport

Version = Literal["5", "3.1.1"]
StartMosquitto = Callable[..., Mosquitto]
pytestmark = pytest.mark.slow
VERSIONS = pytest.mark.parametrize("version", ["5", "3.1.1"])
TRANSPORTS = pytest.mark.parametrize("transport", ["tcp", "tls", "ws", "wss"])


class House:
    """A mosquitto with a listener of every transport."""

    def __init__(self, start: StartMosquitto, certs: Certs, **options: object) -> None:
        self._certs = certs
        self._wss_port = free_port()
        lines = [
            "log_type debug",
            f"listener {self._wss_port} 127.0.0.1",
            "protocol websockets",
            f"cafile {certs.ca}",
            f"certfile {certs.server.cert}",
            f"keyfile {certs.server.key}",
        ]
        options["lines"] = [*options.pop("lines", []), *lines]  # type: ignore[misc]
        self.mosquitto = start(tls=certs, websockets=True, **options)

    def settings(
        self, transport: Transport = "tcp", version: Version = "5", **options: object
    ) -> MqttSettings:
        ports = {
            "tcp": self.mosquitto.port,
            "tls": self.mosquitto.tls_port,
            "ws": self.mosquitto.websocket_port,
            "wss": self._wss_port,
        }
        return MqttSettings(
            "mqtt",
            SCHEMES[transport],
            "localhost",
            ports[transport],
            version=version,
            ca=self._certs.ca if transport in {"tls", "wss"} else None,
            **options,  # type: ignore[arg-type]
        )

    async def publish(self, *messages: tuple[str, bytes], **options: object) -> None:
        """Publishes and waits for the broker to have them."""
        await publish(self.mosquitto.port, messages, **options)


@pytest.fixture
def house(start_mosquitto: StartMosquitto, certs: Certs) -> House:
    return House(start_mosquitto, certs)


async def publish(port: int, messages: Sequence[tuple[str, bytes]], **options: object) -> None:
    def run() -> int:
        with Publisher(port) as publisher:
            return len(publisher.publish(messages, **options))  # type: ignore[arg-type]

    assert await trio.to_thread.run_sync(run) == len(messages)


class MosquittoRoute(MqttRoute):
    """A source at a real mosquitto: a `SourceCase`."""

    def __init__(self, house: House, transport: Transport, version: Version) -> None:
        super().__init__(house.settings(transport, version))
        self._house = house

    async def send(self, payloads: Sequence[bytes]) -> None:
        await self._house.publish(*(("t", payload) for payload in payloads))

    async def acknowledged(self, count: int) -> None:
        while await self.count_acknowledged() < count:  # noqa: ASYNC110 - only its log says
            await trio.sleep(0.01)

    async def count_acknowledged(self) -> int:
        return self._house.mosquitto.log.count("Received PUBACK from the-session")

    async def break_off(self) -> None:
        self._house.mosquitto.kill()


@VERSIONS
@TRANSPORTS
@pytest.mark.parametrize("rule", SOURCE_RULES, ids=name_of)
async def test_the_source_keeps_the_contract_with_mosquitto(
    rule: SourceRule, transport: Transport, version: Version, house: House
) -> None:
    await rule(MosquittoRoute(house, transport, version))


# --- sessions


@VERSIONS
@TRANSPORTS
async def test_what_comes_while_we_are_away_is_kept(
    transport: Transport, version: Version, house: House
) -> None:
    route = MqttRoute(house.settings(transport, version), inflight=5000)
    payloads = [b"%04d" % number for number in range(2000)]
    async with living(route) as first:
        pass
    await house.publish(*(("t", payload) for payload in payloads))
    async with living(route, mailbox=first.mailbox) as life:
        found = await life.take(1000)
        life.settle()
        found += await life.take(2000 - len(found))
        life.settle()
    assert found == payloads


@VERSIONS
async def test_a_broker_that_restarts_with_its_memory_loses_nothing(
    version: Version, start_mosquitto: StartMosquitto, certs: Certs
) -> None:
    house = House(start_mosquitto, certs, persistence=True)
    route = MqttRoute(house.settings(version=version))
    async with living(route) as life:
        await house.publish(("t", b"a"), ("t", b"b"))
        await life.take(2)
        await trio.to_thread.run_sync(house.mosquitto.stop)
        assert isinstance(await end_of(life), Unavailable)
        life.settle()  # too late
    house.mosquitto.start()
    async with living(route, mailbox=life.mailbox) as life:
        assert await life.take(2) == [b"a", b"b"]
    assert route.status.late_acks == 2


@VERSIONS
async def test_a_broker_that_forgets_is_named_and_subscribed_to_again(
    version: Version, house: House, caplog: pytest.LogCaptureFixture
) -> None:
    route = MqttRoute(house.settings(version=version))
    async with living(route) as first:
        await trio.to_thread.run_sync(house.mosquitto.stop)
        await end_of(first)
    house.mosquitto.start()
    async with living(route, mailbox=first.mailbox) as life:
        await house.publish(("t", b"new"))
        assert await life.take(1) == [b"new"]
    assert "the broker lost our session" in caplog.text


@VERSIONS
async def test_a_session_that_is_taken_over_again_and_again_gets_a_hint(
    version: Version, house: House
) -> None:
    """Mosquitto 2.0.11 closes the connection without a word, also in MQTT 5."""
    route = MqttRoute(house.settings(version=version))
    twin = MqttRoute(house.settings(version=version))
    failures = []
    for _ in range(3):
        async with living(route) as life, living(twin):
            failures.append(str(await end_of(life)))
    closed = "the broker closed the connection"
    hint = ", time and again: does another client connect as 'the-session'?"
    assert failures == [closed, closed, closed + hint]


# --- silence


@TRANSPORTS
async def test_a_frozen_broker_is_noticed_while_we_listen(
    transport: Transport, house: House
) -> None:
    async with living(MqttRoute(house.settings(transport, keepalive=1))) as life:
        house.mosquitto.freeze()
        assert "is silent, even when pinged" in str(await end_of(life))
    house.mosquitto.thaw()


@TRANSPORTS
async def test_a_full_route_keeps_its_connection_for_many_keepalives(
    transport: Transport, house: House
) -> None:
    route = MqttRoute(house.settings(transport, keepalive=1), inflight=2)
    async with living(route) as life:
        payloads = [b"%03d" % number for number in range(200)]
        await house.publish(*(("t", payload) for payload in payloads))
        await trio.sleep(3.5)
        assert not life.ended.is_set()
        found: list[bytes] = []
        while len(found) < 200:
            found += await life.take(1)
            life.settle()
    assert found == payloads  # each of them once
    assert "has exceeded timeout" not in house.mosquitto.log


# --- what comes


async def heard(house: House, life: Life, payload: bytes) -> bytes:
    """The next message after one that is published now."""
    await house.publish(("t", payload))
    return (await life.take(1))[0]


@VERSIONS
@pytest.mark.parametrize("transport", ["tcp", "ws"])
async def test_retained_messages_come_once_or_not_at_all(
    transport: Transport, version: Version, house: House
) -> None:
    await house.publish(("t", b"retained"), retain=True)
    keeps = MqttRoute(house.settings(transport, version), session="keeps")
    drops = MqttRoute(
        house.settings(transport, version),
        session="drops",
        filters=(MqttFilter("t", drops_retained=True),),
    )
    async with living(keeps) as life:
        assert await life.take(1) == [b"retained"]
        life.settle()
        await trio.sleep(0.1)  # for the PUBACK to arrive
    async with living(keeps, mailbox=life.mailbox) as life:
        assert await heard(house, life, b"new") == b"new"
    async with living(drops) as life:
        assert await heard(house, life, b"new") == b"new"
    assert drops.status.dropped == ({} if version == "5" else {"filtered": 1})


@VERSIONS
@TRANSPORTS
async def test_a_shared_subscription_gives_each_message_to_one(
    transport: Transport, version: Version, house: House
) -> None:
    filters = (MqttFilter("$share/group/t"),)
    settings = house.settings(transport, version)
    routes = [MqttRoute(settings, filters=filters, session=name) for name in ("one", "two")]
    payloads = [b"%d" % number for number in range(20)]
    async with living(routes[0]) as one, living(routes[1]) as two:
        await house.publish(*(("t", payload) for payload in payloads))
        with trio.fail_after(PATIENCE):
            while sum(route.status.received for route in routes) < 20:  # noqa: ASYNC110
                await trio.sleep(0.01)
        counts = [route.status.received for route in routes]
        assert sorted(await one.take(counts[0]) + await two.take(counts[1])) == sorted(payloads)
    assert min(counts) > 0


@VERSIONS
@pytest.mark.parametrize("transport", ["tcp", "ws"])
async def test_qos_0_needs_no_acknowledgement(
    transport: Transport, version: Version, house: House
) -> None:
    route = MqttRoute(
        house.settings(transport, version), filters=(MqttFilter("t", qos=0),), session=""
    )
    async with living(route) as life:
        await house.publish(("t", b"a"), ("t", b"b"))
        assert await life.take(2) == [b"a", b"b"]
        assert [one.token for batch in life.batches for one in batch.messages] == [0, 0]
        life.settle()
    assert house.mosquitto.log.count("Received PUBACK from auto-") == 0


@VERSIONS
@TRANSPORTS
async def test_qos_2_left_over_in_a_session_is_routed_and_ends(
    transport: Transport, version: Version, house: House
) -> None:
    """As an older client left it: subscribed at QoS 2, with a message in the queue."""
    port = house.mosquitto.port

    def leave_over() -> None:
        paho_publish.single("t", b"wakes", qos=2, port=port, retain=True)
        paho_subscribe.simple(  # type: ignore[no-untyped-call]
            "t", qos=2, port=port, client_id="the-session", clean_session=False
        )
        paho_publish.single("t", b"", port=port, retain=True)
        paho_publish.single("t", b"exactly once", qos=2, port=port)

    await trio.to_thread.run_sync(leave_over)
    route = MqttRoute(house.settings(transport, version), filters=(MqttFilter("t"),))
    async with living(route) as life:
        found = await life.take(1)
        while found[-1] != b"exactly once":
            life.settle()
            found += await life.take(1)
        life.settle()
        with trio.fail_after(PATIENCE):
            while (  # noqa: ASYNC110 - only its log says
                "Received PUBCOMP from the-session" not in house.mosquitto.log
            ):
                await trio.sleep(0.01)
        assert await heard(house, life, b"next") == b"next"


# --- who may come in


@VERSIONS
@pytest.mark.parametrize("transport", ["tcp", "ws"])
async def test_a_wrong_password_needs_a_person(
    transport: Transport, version: Version, start_mosquitto: StartMosquitto, certs: Certs
) -> None:
    house = House(start_mosquitto, certs, users={"routerd": "right"})

    def route(password: str) -> MqttRoute:
        secret = Secret(password)
        return MqttRoute(house.settings(transport, version, username="routerd", password=secret))

    async with living(route("right")):
        pass
    failure = await failure_of(route("wrong"))
    assert isinstance(failure, Rejected)
    assert "refuses the connection of 'the-session': " in str(failure)
    assert str(failure).endswith("check [mqtt]")
    assert "wrong" not in str(failure)


def find_plugin() -> list[Path]:
    return list(Path("/usr/lib").rglob("mosquitto_dynamic_security.so"))


@VERSIONS
async def test_a_refused_filter_needs_a_person(
    version: Version, start_mosquitto: StartMosquitto, certs: Certs, tmp_path: Path
) -> None:
    rules = {"publishClientSend": True, "publishClientReceive": True, "subscribe": False}
    (tmp_path / "dynsec.json").write_text(json.dumps({"defaultACLAccess": rules}))
    (plugin,) = await trio.to_thread.run_sync(find_plugin)
    house = House(
        start_mosquitto,
        certs,
        lines=[f"plugin {plugin}", f"plugin_opt_config_file {tmp_path}/dynsec.json"],
    )
    failure = await failure_of(MqttRoute(house.settings(version=version)))
    assert isinstance(failure, Rejected)
    assert "the broker refuses route 'fake' the filter '#'" in str(failure)


@VERSIONS
async def test_a_client_certificate_is_shown(
    version: Version, start_mosquitto: StartMosquitto, certs: Certs
) -> None:
    house = House(start_mosquitto, certs, client_certs=True)
    route = MqttRoute(
        house.settings("tls", version, cert=certs.client.cert, cert_key=certs.client.key)
    )
    async with living(route) as life:
        await house.publish(("t", b"a"))
        assert await life.take(1) == [b"a"]
    failure = await failure_of(MqttRoute(house.settings("tls", version)))
    assert isinstance(failure, Rejected)
    assert "the broker refuses our TLS connection" in str(failure)
    assert "certificate required" in str(failure)


# --- rumqttd


@VERSIONS
async def test_rumqttd_gives_again_what_was_not_acknowledged(
    version: Version, embedded_mqtt: EmbeddedMqtt
) -> None:
    port = embedded_mqtt.port if version == "5" else embedded_mqtt.port_311
    route = MqttRoute(MqttSettings("mqtt", "mqtt", "127.0.0.1", port, version=version))
    payloads = [b"%02d" % number for number in range(50)]
    async with living(route) as life:
        await publish(embedded_mqtt.port_311, [("t", payload) for payload in payloads])
        found = await life.take(10)
        life.settle()
        while len(found) < 40:
            found += await life.take(1)
            life.settle()
        await trio.sleep(0.1)  # for the PUBACKs to arrive
    mailbox = Mailbox(route.status)
    async with living(route, mailbox=mailbox) as life:
        while len(found) < 50:
            found += await life.take(1)
            life.settle()
    assert found == payloads
