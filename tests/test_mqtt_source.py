"""One connection of a route: what is read, acknowledged and kept alive, and how it ends."""

from contextlib import suppress

import pytest
import trio
import trio.testing

from routerd.connectors.mqtt import session as session_module
from routerd.connectors.mqtt import source as source_module
from routerd.connectors.mqtt.settings import MqttFilter
from routerd.errors import Unavailable
from routerd.message import Message
from tests.mqtt_frames import (
    CONNECT,
    DISCONNECT,
    PINGREQ,
    PINGRESP,
    PUBACK,
    PUBCOMP,
    PUBREC,
    SUBSCRIBE,
    connack,
    disconnect,
    publish,
    pubrel,
)
from tests.mqtt_house import MqttRoute, end_of, settle_down, start
from tests.rig.certs import Certs
from tests.scripted_broker import ScriptedBroker, Transport, open_broker

EVERY_TRANSPORT = pytest.mark.parametrize("transport", ["tcp", "tls", "ws", "wss"])


@pytest.fixture
def nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines of a moment."""
    monkeypatch.setattr(session_module, "CONNACK_TIMEOUT", 0.05)
    monkeypatch.setattr(session_module, "SUBACK_TIMEOUT", 0.05)
    monkeypatch.setattr(source_module, "GOODBYE_TIMEOUT", 0.05)


# --- reading


@pytest.mark.slow
@EVERY_TRANSPORT
async def test_a_message_right_behind_connack_is_read(transport: Transport, certs: Certs) -> None:
    async with open_broker(transport, certs) as broker, trio.open_nursery() as nursery:
        life = start(nursery, MqttRoute(broker.settings()))
        peer = await broker.accept()
        await peer.expect(CONNECT)
        await peer.send(connack(is_present=True), publish("t", b"early", packet_id=3))
        assert await life.take(1) == [b"early"]
        await peer.grant(await peer.expect(SUBSCRIBE))
        life.settle()
        assert await peer.acknowledged(1) == [3]
        nursery.cancel_scope.cancel()


@pytest.mark.slow
@EVERY_TRANSPORT
async def test_many_messages_in_one_write_are_all_read(transport: Transport, certs: Certs) -> None:
    async with open_broker(transport, certs) as broker, trio.open_nursery() as nursery:
        life = start(nursery, MqttRoute(broker.settings(), inflight=5000))
        peer = await broker.accept()
        await peer.welcome()
        payloads = [b"%04d" % number for number in range(3000)]
        await peer.send(
            *(publish("t", one, packet_id=number + 1) for number, one in enumerate(payloads))
        )
        assert await life.take(3000) == payloads
        life.settle()
        assert await peer.acknowledged(3000) == list(range(1, 3001))
        nursery.cancel_scope.cancel()


async def test_what_retained_drop_skips_is_acknowledged_in_its_turn() -> None:
    filters = (MqttFilter("#", drops_retained=True),)
    async with open_broker() as broker, trio.open_nursery() as nursery:
        route = MqttRoute(broker.settings(), filters=filters)
        life = start(nursery, route)
        peer = await broker.accept()
        await peer.welcome()
        await peer.send(publish("t", b"old", packet_id=1, is_retained=True))
        assert await peer.acknowledged(1) == [1]  # nothing in flight comes before it
        await peer.send(
            publish("t", b"a", packet_id=2),
            publish("t", b"old", packet_id=3, is_retained=True),
            publish("t", b"old at QoS 0", is_retained=True),
            publish("t", b"b", packet_id=4),
            publish("t", b"at QoS 0"),
            publish("t", b"old", packet_id=5, is_retained=True),
        )
        assert await life.take(3) == [b"a", b"b", b"at QoS 0"]
        assert route.status.dropped == {"filtered": 4}
        life.settle()
        assert await peer.acknowledged(4) == [2, 3, 4, 5]
        nursery.cancel_scope.cancel()
    assert route.status.received == route.status.settled == 7


@pytest.mark.parametrize("transport", ["tcp", "ws"])
async def test_what_an_older_table_subscribed_to_is_dropped_and_named(
    transport: Transport, caplog: pytest.LogCaptureFixture
) -> None:
    filters = (MqttFilter("new/+"), MqttFilter("$share/group/shared"))
    async with open_broker(transport) as broker, trio.open_nursery() as nursery:
        route = MqttRoute(broker.settings(), filters=filters)
        life = start(nursery, route)
        peer = await broker.accept()
        await peer.expect(CONNECT)
        await peer.send(connack(is_present=True))
        await peer.grant(await peer.expect(SUBSCRIBE), 1, 1)
        await peer.send(
            publish("old/a", b"1", packet_id=1),
            publish("new/a", b"2", packet_id=2),
            publish("old/b", b"3", packet_id=3),
            publish("shared", b"4", packet_id=4),
        )
        assert await life.take(2) == [b"2", b"4"]
        life.settle()
        assert await peer.acknowledged(4) == [1, 2, 3, 4]
        nursery.cancel_scope.cancel()
    assert route.status.dropped == {"unroutable": 2}
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 1
    assert "not in the table any more" in warnings[0]
    assert "session=the-session topic='old/" in warnings[0]


@pytest.mark.parametrize("transport", ["tcp", "ws"])
async def test_a_packet_over_the_limit_is_a_message_with_a_problem(transport: Transport) -> None:
    async with open_broker(transport) as broker, trio.open_nursery() as nursery:
        life = start(nursery, MqttRoute(broker.settings(max_packet=1024)))
        peer = await broker.accept()
        await peer.welcome()
        await peer.send(publish("t", b"x" * 5000, packet_id=1), publish("t", b"b", packet_id=2))
        assert await life.take(2) == [b"", b"b"]
        problems = [error for batch in life.batches for error in batch.problems.values()]
        assert [error.reason for error in problems] == ["too_large"]
        assert "`max_packet` is 1024" in str(problems[0])
        nursery.cancel_scope.cancel()


# --- QoS 2, left over in a session


async def test_qos_2_is_confirmed_after_the_sinks() -> None:
    async with open_broker() as broker, trio.open_nursery() as nursery:
        life = start(nursery, MqttRoute(broker.settings()))
        peer = await broker.accept()
        await peer.welcome()
        await peer.send(publish("t", b"a", packet_id=1), publish("t", b"b", packet_id=2, qos=2))
        assert await life.take(2) == [b"a", b"b"]
        life.settle()
        assert await peer.acknowledged(1, PUBACK) == [1]
        assert await peer.acknowledged(1, PUBREC) == [2]
        await peer.send(pubrel(2))
        assert await peer.acknowledged(1, PUBCOMP) == [2]
        nursery.cancel_scope.cancel()


async def test_qos_2_over_websocket_ends_after_the_sinks() -> None:
    async with open_broker("ws") as broker, trio.open_nursery() as nursery:
        life = start(nursery, MqttRoute(broker.settings()))
        peer = await broker.accept()
        await peer.welcome()
        await peer.send(publish("t", b"a", packet_id=2, qos=2))
        assert await peer.acknowledged(1, PUBREC) == [2]
        await peer.send(pubrel(2), pubrel(9))
        assert await life.take(1) == [b"a"]
        assert await peer.acknowledged(1, PUBCOMP) == [9]  # unknown: at once
        life.settle()
        assert await peer.acknowledged(1, PUBCOMP) == [2]
        nursery.cancel_scope.cancel()


# --- one life and the next


@pytest.mark.parametrize("transport", ["tcp", "ws"])
async def test_an_old_acknowledgement_never_leaves_on_a_new_connection(
    transport: Transport,
) -> None:
    async with open_broker(transport) as broker, trio.open_nursery() as nursery:
        route = MqttRoute(broker.settings())
        first = start(nursery, route)
        peer = await broker.accept()
        await peer.welcome()
        await peer.send(publish("t", b"old", packet_id=1))
        await first.take(1)
        peer.reset()
        assert isinstance(await end_of(first), Unavailable)
        second = start(nursery, route)
        peer = await broker.accept()
        await peer.welcome(is_present=True)
        first.settle()
        await peer.send(publish("t", b"new", packet_id=2))
        await second.take(1)
        second.settle()
        assert await peer.acknowledged(1) == [2]
        nursery.cancel_scope.cancel()
    assert route.status.late_acks == 1


@pytest.mark.slow
async def test_nothing_is_read_until_the_last_life_is_resolved_but_pings_go_on() -> None:
    async with open_broker() as broker, trio.open_nursery() as nursery:
        route = MqttRoute(broker.settings(keepalive=1))
        first = start(nursery, route)
        peer = await broker.accept()
        await peer.welcome()
        await peer.send(publish("t", b"a", packet_id=1))
        await first.take(1)
        peer.reset()
        await end_of(first)
        first.mailbox.begin_life()
        second = start(nursery, route, mailbox=first.mailbox)
        peer = await broker.accept()
        await peer.welcome(is_present=True)
        await peer.send(publish("t", b"a", packet_id=1, is_again=True))
        for _ in range(4):  # for longer than silence would be borne
            await peer.expect(PINGREQ)
        assert "the messages of the last connection" in route.status.waits_for
        assert route.status.received == 1
        first.settle()
        assert await second.take(1) == [b"a"]
        second.settle()
        assert await peer.acknowledged(1) == [1]
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(("qos", "session"), [(0, "the-session"), (1, "")])
def test_what_no_session_keeps_does_not_come_again(qos: int, session: str) -> None:
    route = MqttRoute(ScriptedBroker("tcp", None, 1).settings(), session=session)
    assert not route.open().gives_again(Message(b"t", b"x", qos))


async def test_leaving_before_suback_acknowledges_what_was_read() -> None:
    async with open_broker("tcp") as broker, trio.open_nursery() as nursery:
        route = MqttRoute(broker.settings())
        life = start(nursery, route)
        peer = await broker.accept()
        await peer.expect(CONNECT)
        await peer.send(connack(is_present=True))
        await peer.expect(SUBSCRIBE)
        await peer.send(publish("t", b"a", packet_id=7))  # SUBACK is still in line
        assert await life.take(1) == [b"a"]
        life.mailbox.close()
        await trio.testing.wait_all_tasks_blocked(0.05)
        life.settle()
        assert await peer.acknowledged(1) == [7]
        await peer.expect(DISCONNECT)
        peer.close()
        assert await end_of(life) is None


# --- keeping alive


@pytest.mark.slow
@EVERY_TRANSPORT
@pytest.mark.parametrize("end", ["close", "reset"])
async def test_a_full_route_notices_that_the_broker_has_left(
    transport: Transport, end: str, certs: Certs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_module, "LOOK_EVERY", 0.05)
    async with open_broker(transport, certs) as broker, trio.open_nursery() as nursery:
        route = MqttRoute(broker.settings(), inflight=1)
        life = start(nursery, route)
        peer = await broker.accept()
        await peer.welcome()
        await peer.send(publish("t", b"a", packet_id=1))
        assert await life.take(1) == [b"a"]
        await peer.send(publish("t", b"never read, since the route is full", packet_id=2))
        if end == "close":
            peer.close()
        else:
            peer.reset()
        assert isinstance(await end_of(life), Unavailable)
        assert route.status.received == 1


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["tcp", "ws"])
async def test_a_full_route_pings_and_is_not_given_up(transport: Transport) -> None:
    async with open_broker(transport) as broker, trio.open_nursery() as nursery:
        route = MqttRoute(broker.settings(keepalive=1), inflight=1)
        life = start(nursery, route)
        peer = await broker.accept()
        await peer.welcome()
        await peer.send(publish("t", b"a", packet_id=1))
        assert await life.take(1) == [b"a"]
        for _ in range(5):
            await peer.expect(PINGREQ)
            await peer.send(PINGRESP)
        await peer.send(publish("t", b"b", packet_id=2))
        life.settle()
        assert await peer.acknowledged(1) == [1]
        assert await life.take(1) == [b"b"]
        assert not life.ended.is_set()
        nursery.cancel_scope.cancel()


@pytest.mark.slow
async def test_a_broker_that_is_silent_while_we_listen_is_given_up() -> None:
    async with open_broker() as broker, trio.open_nursery() as nursery:
        life = start(nursery, MqttRoute(broker.settings(keepalive=1)))
        peer = await broker.accept()
        await peer.welcome()
        await peer.expect(PINGREQ)
        assert "is silent, even when pinged" in str(await end_of(life))
        peer.close()


@pytest.mark.slow
async def test_the_broker_s_keepalive_counts() -> None:
    async with open_broker() as broker, trio.open_nursery() as nursery:
        start(nursery, MqttRoute(broker.settings(keepalive=60)))
        peer = await broker.accept()
        await peer.welcome(properties=b"\x13\0\x01")
        await peer.expect(PINGREQ)
        nursery.cancel_scope.cancel()


# --- deadlines


@pytest.mark.usefixtures("nobody_waits")
@pytest.mark.parametrize("transport", ["tcp", "ws"])
async def test_connack_has_a_deadline(transport: Transport) -> None:
    async with open_broker(transport) as broker, trio.open_nursery() as nursery:
        life = start(nursery, MqttRoute(broker.settings()))
        peer = await broker.accept()
        failure = await end_of(life)
        assert isinstance(failure, Unavailable)
        where = f"{broker.settings().host}:{broker.settings().port}"
        assert str(failure) == (
            f"{where} does not answer CONNECT: no CONNACK within 0.05 s; is it an MQTT broker?"
        )
        peer.close()


@pytest.mark.usefixtures("nobody_waits")
@pytest.mark.parametrize("transport", ["tcp", "ws"])
async def test_suback_has_a_deadline(transport: Transport) -> None:
    async with open_broker(transport) as broker, trio.open_nursery() as nursery:
        life = start(nursery, MqttRoute(broker.settings()))
        peer = await broker.accept()
        await peer.expect(CONNECT)
        await peer.send(connack())
        assert (
            str(await end_of(life))
            == f"localhost:{broker.settings().port} sends no SUBACK within 0.05 s"
        )
        peer.close()


@pytest.mark.slow
async def test_a_suback_behind_messages_and_a_full_route_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session_module, "SUBACK_TIMEOUT", 0.3)
    async with open_broker() as broker, trio.open_nursery() as nursery:
        route = MqttRoute(broker.settings(), inflight=1)
        life = start(nursery, route)
        peer = await broker.accept()
        await peer.expect(CONNECT)
        await peer.send(connack(is_present=True))
        subscribe = await peer.expect(SUBSCRIBE)
        for packet_id in range(1, 3):
            await peer.send(publish("t", b"x", packet_id=packet_id))
            await life.take(1)
            await trio.sleep(0.4)  # full for longer than the deadline
            life.settle()
        for packet_id in range(3, 7):
            await trio.sleep(0.1)  # never silent for as long as the deadline
            await peer.send(publish("t", b"x", packet_id=packet_id))
            await life.take(1)
            life.settle()
        await peer.grant(subscribe)
        await settle_down(route)
        assert not life.ended.is_set()
        nursery.cancel_scope.cancel()


# --- the end


@pytest.mark.slow
@EVERY_TRANSPORT
async def test_leaving_flushes_says_goodbye_and_reads_to_the_end(
    transport: Transport, certs: Certs
) -> None:
    async with open_broker(transport, certs) as broker, trio.open_nursery() as nursery:
        life = start(nursery, MqttRoute(broker.settings(), inflight=2))
        peer = await broker.accept()
        await peer.welcome()
        await peer.send(publish("t", b"a", packet_id=1), publish("t", b"b", packet_id=2))
        await life.take(2)
        await peer.send(*(publish("t", b"unread", packet_id=3 + n) for n in range(500)))
        life.mailbox.close()
        life.settle()
        assert await peer.acknowledged(2) == [1, 2]
        assert await peer.expect(DISCONNECT) in {b"", b"\0", b"\0\0"}
        with pytest.raises(EOFError):
            await peer.receive()
        assert not life.ended.is_set() or transport == "wss"
        peer.close()
        assert await end_of(life) is None


@pytest.mark.usefixtures("nobody_waits")
async def test_a_broker_that_does_not_close_is_not_waited_for() -> None:
    async with open_broker() as broker, trio.open_nursery() as nursery:
        route = MqttRoute(broker.settings())
        life = start(nursery, route)
        peer = await broker.accept()
        await peer.welcome()
        await settle_down(route)
        life.mailbox.close()
        await peer.expect(DISCONNECT)
        assert await end_of(life) is None
        peer.close()


@pytest.mark.usefixtures("nobody_waits")
async def test_a_broker_that_goes_on_sending_is_not_listened_to_for_ever() -> None:
    async with open_broker() as broker, trio.open_nursery() as nursery:
        route = MqttRoute(broker.settings())
        life = start(nursery, route)
        peer = await broker.accept()
        await peer.welcome()

        async def flood() -> None:
            with suppress(trio.BrokenResourceError):
                while True:
                    await peer.send(bytes(1 << 16))
            peer.close()

        await settle_down(route)
        life.mailbox.close()
        await peer.expect(DISCONNECT)
        nursery.start_soon(flood)
        assert await end_of(life) is None


@pytest.mark.parametrize("transport", ["tcp", "ws"])
async def test_the_broker_s_last_words_are_heard_before_a_closed_connection(
    transport: Transport,
) -> None:
    async with open_broker(transport) as broker, trio.open_nursery() as nursery:
        life = start(nursery, MqttRoute(broker.settings()))
        peer = await broker.accept()
        await peer.welcome()
        await peer.send(publish("t", b"a", packet_id=1), disconnect(0x8B))
        peer.close()
        assert await life.take(1) == [b"a"]
        assert "Server shutting down" in str(await end_of(life))
