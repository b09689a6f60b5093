"""The session that a broker keeps for a route: how it is asked for, lost and taken over."""

import logging
from typing import Literal

import pytest
import trio

from routerd import unrest
from routerd.connectors.mqtt.settings import MqttFilter
from routerd.errors import Rejected, Unavailable
from routerd.message import Message
from routerd.unrest import MOST_CHANGES
from tests.mqtt_frames import CONNECT, SUBSCRIBE, connack, disconnect, publish
from tests.mqtt_house import MqttRoute, end_of, settle_down, start
from tests.scripted_broker import PATIENCE, open_broker

# --- what is said to the broker


async def hello(
    version: Literal["5", "3.1.1"] = "5",
    *,
    filters: tuple[MqttFilter, ...] = (MqttFilter("a/#"),),
    session: str = "the-session",
) -> tuple[bytes, bytes]:
    """The bodies of CONNECT and SUBSCRIBE."""
    async with open_broker() as broker, trio.open_nursery() as nursery:
        route = MqttRoute(broker.settings(version=version), filters=filters, session=session)
        start(nursery, route)
        peer = await broker.accept()
        hail = await peer.expect(CONNECT)
        await peer.send(connack(is_v5=version == "5"))
        subscribe = await peer.expect(SUBSCRIBE)
        nursery.cancel_scope.cancel()
    return hail, subscribe


async def test_mqtt_5_asks_for_a_session_that_is_kept() -> None:
    hail, _ = await hello()
    assert hail[:7] == b"\0\4MQTT\5"
    assert hail[7] == 0  # clean start off, no will, no login
    assert int.from_bytes(hail[8:10], "big") == 60
    properties = hail[11 : 11 + hail[10]]
    assert properties == b"\x11" + (7 * 86400).to_bytes(4, "big") + b"\x21\0\x14"
    assert hail.endswith(b"\0\x0bthe-session")


async def test_mqtt_3_asks_for_a_session_that_is_kept() -> None:
    hail, subscribe = await hello("3.1.1")
    assert hail == b"\0\4MQTT\4\0\0\x3c\0\x0bthe-session"
    assert subscribe[2:] == b"\0\3a/#\1"


async def test_a_route_of_qos_0_leaves_no_session_behind() -> None:
    filters = (MqttFilter("a", qos=0),)
    hail, subscribe = await hello(filters=filters, session="")
    assert hail[7] == 2
    assert hail[10:] == b"\x03\x21\0\x14" + b"\0\0"
    assert subscribe[-1] & 3 == 0
    hail, _ = await hello("3.1.1", filters=filters, session="")
    assert hail == b"\0\4MQTT\4\2\0\x3c\0\0"


async def test_retained_messages_are_asked_for_once_or_never() -> None:
    _, subscribe = await hello(filters=(MqttFilter("a"), MqttFilter("b", drops_retained=True)))
    assert subscribe[3:] == b"\0\1a" + bytes([1 << 4 | 1]) + b"\0\1b" + bytes([2 << 4 | 1])


@pytest.mark.parametrize(
    ("version", "is_present", "subscribes_again"),
    [("5", True, True), ("3.1.1", True, False), ("3.1.1", False, True)],
)
async def test_subscribes_again_as_the_version_bears_it(
    version: Literal["5", "3.1.1"], is_present: bool, subscribes_again: bool
) -> None:
    is_v5 = version == "5"
    async with open_broker() as broker, trio.open_nursery() as nursery:
        route = MqttRoute(broker.settings(version=version))
        life = start(nursery, route)
        peer = await broker.accept()
        await peer.welcome(is_v5=is_v5)
        await settle_down(route)
        peer.reset()
        await end_of(life)
        life = start(nursery, route)
        peer = await broker.accept()
        await peer.expect(CONNECT)
        await peer.send(connack(is_present=is_present, is_v5=is_v5))
        if subscribes_again:
            await peer.grant(await peer.expect(SUBSCRIBE), is_v5=is_v5)
        await peer.send(publish("t", b"a", packet_id=1, is_v5=is_v5))
        await life.take(1)
        life.settle()
        assert await peer.acknowledged(1) == [1]  # and no SUBSCRIBE in front of it
        await settle_down(route)
        nursery.cancel_scope.cancel()


async def test_a_shorter_session_and_a_lower_qos_are_warnings(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with open_broker() as broker, trio.open_nursery() as nursery:
        route = MqttRoute(broker.settings())
        for _ in range(2):
            life = start(nursery, route)
            peer = await broker.accept()
            await peer.expect(CONNECT)
            await peer.send(connack(properties=b"\x11\0\0\0\x3c", is_present=True))
            await peer.grant(await peer.expect(SUBSCRIBE), 0)
            await settle_down(route)
            peer.reset()
            await end_of(life)
        nursery.cancel_scope.cancel()
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    shorter = [line for line in warnings if "granted_s=60 asked_s=604800" in line]
    lower = [line for line in warnings if "grants a lower QoS than asked" in line]
    assert len(shorter) == 1
    assert len(lower) == 1


async def test_a_broker_that_comes_and_goes_is_said_once_and_again_when_it_is_steady(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "routerd")
    lives = MOST_CHANGES // 2 + 5
    async with open_broker() as broker, trio.open_nursery() as nursery:
        route = MqttRoute(broker.settings())
        for _ in range(lives):
            life = start(nursery, route)
            peer = await broker.accept()
            await peer.welcome()
            await settle_down(route)
            peer.reset()
            await end_of(life)
        said = [line.partition(" route=")[0] for line in caplog.messages]
        assert said == [
            *["mqtt connected", "mqtt disconnected"],
            "the broker lost our session: what it had queued is gone",
            *["mqtt connected", "mqtt disconnected"] * (MOST_CHANGES // 2 - 1),
            "mqtt connection comes and goes; it is told when it is steady",
        ]
        monkeypatch.setattr(unrest, "RESTS_AFTER", 0.0)
        start(nursery, route)
        peer = await broker.accept()
        await peer.welcome()
        with trio.fail_after(PATIENCE):
            while "mqtt connection is steady again" not in caplog.text:  # noqa: ASYNC110
                await trio.sleep(0.001)
        nursery.cancel_scope.cancel()
    [steady] = [line for line in caplog.messages if "steady again" in line]
    assert steady.endswith(f"untold={2 * 5 + 1}")


async def test_a_route_of_qos_0_does_not_mind_a_short_session(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with open_broker() as broker, trio.open_nursery() as nursery:
        start(nursery, MqttRoute(broker.settings(), filters=(MqttFilter("t", qos=0),), session=""))
        peer = await broker.accept()
        await peer.expect(CONNECT)
        await peer.send(connack(properties=b"\x11\0\0\0\0"))
        await peer.grant(await peer.expect(SUBSCRIBE), 0)
        nursery.cancel_scope.cancel()
    assert "shorter time" not in caplog.text


# --- how it is lost


async def test_a_lost_session_is_an_error_line_and_what_was_in_flight_does_not_come_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    message = Message(b"t", b"x", 1)
    async with open_broker() as broker, trio.open_nursery() as nursery:
        route = MqttRoute(broker.settings())
        first = start(nursery, route)
        peer = await broker.accept()
        await peer.welcome()
        assert first.source.gives_again(message)
        assert "lost our session" not in caplog.text  # it had none before
        peer.reset()
        await end_of(first)
        assert first.source.gives_again(message)
        second = start(nursery, route)
        await (await broker.accept()).welcome(is_present=False)
        await settle_down(route)
        assert not first.source.gives_again(message)
        assert second.source.gives_again(message)
        nursery.cancel_scope.cancel()
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1
    assert "the broker lost our session" in errors[0]
    assert "session=the-session" in errors[0]


async def test_a_session_that_is_taken_over_again_and_again_needs_a_person() -> None:
    async with open_broker() as broker, trio.open_nursery() as nursery:
        route = MqttRoute(broker.settings())
        kinds = []
        for _ in range(4):
            life = start(nursery, route)
            peer = await broker.accept()
            await peer.welcome(is_present=True)
            await peer.send(disconnect(0x8E))
            failure = await end_of(life)
            assert "do two routerd run with one client_id?" in str(failure)
            kinds.append(type(failure))
            peer.close()
        nursery.cancel_scope.cancel()
    assert kinds == [Unavailable, Unavailable, Rejected, Rejected]


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_connections_cut_again_and_again_are_said_to_be_odd(
    version: Literal["5", "3.1.1"],
) -> None:
    is_v5 = version == "5"
    async with open_broker() as broker, trio.open_nursery() as nursery:
        route = MqttRoute(broker.settings(version=version))
        failures = []
        for _ in range(3):
            life = start(nursery, route)
            peer = await broker.accept()
            await peer.expect(CONNECT)
            await peer.send(connack(is_v5=is_v5))
            await peer.grant(await peer.expect(SUBSCRIBE), is_v5=is_v5)
            peer.close()
            failures.append(await end_of(life))
        nursery.cancel_scope.cancel()
    assert all(isinstance(failure, Unavailable) for failure in failures)
    hint = "does another client connect as 'the-session'?"
    assert [hint in str(failure) for failure in failures] == [False, False, True]
