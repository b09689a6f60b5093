"""Publishing with an answer, over real sockets."""

from dataclasses import replace
from functools import partial

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from routerd.connectors.websocket.acks import desk as desk_module
from routerd.connectors.websocket.acks.ledger import Ledger
from routerd.connectors.websocket.codecs.kratos import KratosCodec
from routerd.connectors.websocket.frames import encode
from routerd.errors import DeliveryFailed, Unavailable
from routerd.receipt import Receipt
from routerd.shape import Condition
from routerd.template import Reference
from tests import websocket_house
from tests.ack_house import ACK, Kept, open_kept, speaker
from tests.raw_websocket import BINARY, PING, PONG, TEXT, Frame, RawClient, frame, request
from tests.rig.certs import Certs
from tests.websocket_house import ROOMY, eventually, open_house

# --- the handshake


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ([ACK], b"routerd.ack.v1"),
        ([b"Sec-WebSocket-Protocol: bearer.x, routerd.ack.v1 , chat"], b"routerd.ack.v1"),
        ([b"Sec-WebSocket-Protocol: chat", ACK], b"routerd.ack.v1"),
        ([b"Sec-WebSocket-Protocol: chat, Routerd.Ack.V1, routerd.ack.v2"], None),
        ([], None),
    ],
)
async def test_the_subprotocol_is_spoken_by_those_who_ask_for_it(
    offered: list[bytes], chosen: bytes | None
) -> None:
    async with open_house() as house:
        client = await house.dial()
        await client.send(request("/echo", *offered))
        status, head = await client.read_answer()
        lines = head.lower().split(b"\r\n")
        echoed = [line.partition(b": ")[2] for line in lines if line.startswith(b"sec-websocket-p")]
        assert (status, echoed) == (101, [] if chosen is None else [chosen])


async def test_a_listener_may_insist_on_it() -> None:
    async with open_house(require_ack=True) as house:
        client = await house.dial()
        await client.send(request("/echo"))
        status, head = await client.read_answer()
        assert status == 400
        assert b"\r\nSec-WebSocket-Protocol: routerd.ack.v1\r\n" in head
        assert house.connection.status.refused == {("/echo", "no_ack"): 1}
        assert (await speaker(house, "/echo")).client is not None


# --- answers


async def test_a_message_is_answered_after_its_sink_has_confirmed_it() -> None:
    async with open_kept() as (_, client, kept):
        kept.sink.confirms_at_once = False
        await client.say("pub 1 hello", "pub 2 ", "pub three pub 4 x")
        assert await kept.accepted(3) == [b"hello", b"", b"pub 4 x"]
        assert await client.hears_nothing()
        kept.sink.confirm()
        assert await client.hear(3) == ["ack 1", "ack 2", "ack three"]
        assert kept.status.delivered == 3


async def test_a_message_that_is_refused_for_good_is_answered_so_in_its_turn() -> None:
    async with open_kept() as (_, client, kept):
        kept.sink.refuses[b"bad"] = DeliveryFailed("the Kafka topic payroll does not exist")
        kept.sink.refuses[b"odd"] = DeliveryFailed("`{.to}` has no value", reason="unroutable")
        await client.say("pub 1 a", "pub 2 bad", "pub 3 odd", "pub 4 b")
        assert await client.hear(4) == [
            "ack 1",
            "nack 2 final chat: rejected",
            "nack 3 final chat: unroutable: `{.to}` has no value",
            "ack 4",
        ]
        assert kept.status.dropped == {"rejected": 1, "unroutable": 1}


async def test_one_of_two_routes_that_fails_is_a_nack_that_says_so() -> None:
    async with open_house() as house:
        chat, archive = Kept(house, "/in"), Kept(house, "/in", name="archive")
        for kept in (chat, archive):
            await kept.route.begun.wait()
        client = await speaker(house, "/in")
        archive.sink.refuses[b"bad"] = DeliveryFailed("no")
        archive.sink.confirms_at_once = False
        await client.say("pub 1 bad", "pub 2 good")
        await chat.accepted(2)
        await archive.accepted(2)
        assert await client.hears_nothing()
        archive.sink.confirms_at_once = True  # it is offered the bad one once more
        archive.sink.confirm()
        assert await client.hear(2) == [
            "nack 1 final archive: rejected; 1 of 2 routes took it",
            "ack 2",
        ]


async def test_a_message_that_is_sent_again_is_confirmed_again_and_not_routed() -> None:
    async with open_kept() as (_, client, kept):
        kept.sink.confirms_at_once = False
        await client.say("pub 1 a", "pub 2 b", "pub 1 a")
        await kept.accepted(2)
        kept.sink.confirm()
        assert await client.hear(3) == ["ack 1", "ack 2", "ack 1"]
        await client.say("pub 2 something else")
        assert await client.hear(1) == ["ack 2"]
        assert kept.sink.accepted == [b"a", b"b"]


async def test_what_was_refused_may_be_sent_again() -> None:
    async with open_kept() as (_, client, kept):
        kept.sink.refuses[b"a"] = DeliveryFailed("no")
        await client.say("pub 1 a")
        assert await client.hear(1) == ["nack 1 final chat: rejected"]
        kept.sink.refuses.clear()
        await client.say("pub 1 a")
        assert await client.hear(1) == ["ack 1"]


async def test_each_session_has_names_of_its_own() -> None:
    async with open_kept() as (house, client, kept):
        other = await speaker(house, "/in")
        for one in (client, other):
            await one.say("pub 1 a")
            assert await one.hear(1) == ["ack 1"]
        assert kept.sink.accepted == [b"a", b"a"]


async def test_what_a_route_filters_has_been_taken() -> None:
    async with open_house() as house:
        when = {Reference("meta", ("session",)): Condition(one_of=("nobody",))}
        kept = Kept(house, "/in", when=when)
        await kept.route.begun.wait()
        client = await speaker(house, "/in")
        await client.say("pub 1 a")
        assert await client.hear(1) == ["ack 1"]
        assert kept.status.dropped == {"filtered": 1}


async def test_a_message_that_no_route_takes_is_answered() -> None:
    async with open_kept(codec="kratos", kind="1") as (house, client, _):
        await client.client.send(frame(BINARY, b"pub 1 \x02\x00\x00\x00x"))
        assert await client.hear(1) == ["nack 1 final unmatched: no route takes such a message"]
        assert house.connection.status.unmatched["/in"] == 1


async def test_a_path_that_nobody_reads_from_has_an_answer_too() -> None:
    async with open_house() as house:
        house.allow("/live/{room}")
        client = await speaker(house, "/live/1")
        await client.say("pub 1 a")
        assert await client.hear(1) == ["nack 1 final unmatched: no route takes such a message"]


async def test_a_frame_that_the_codec_cannot_read_is_answered_by_its_name_and_counted() -> None:
    async with open_kept(codec="kratos", bad_frames=3) as (house, client, _):
        await client.say("pub 1 abc", "hello", "pub 2 abc")
        assert await client.hear(2) == [
            "nack 1 final undecodable: its frame is not of this listener's codec",
            "nack 2 final undecodable: its frame is not of this listener's codec",
        ]
        assert house.connection.status.undecodable["/in"] == 3
        assert await client.client.read_close() == 1007


async def test_the_codec_sees_the_frame_behind_the_name() -> None:
    async with open_kept(codec="kratos", kind="7") as (house, client, kept):
        await client.client.send(frame(BINARY, b"pub a \x07\x00\x00\x00{}"))
        assert await client.hear(1) == ["ack a"]
        assert kept.sink.accepted == [b"{}"]
        house.publish(("in",), KratosCodec().encode("7", b"\xff", is_text=None))
        assert await client.hear(1) == [r"b'msg \x07\x00\x00\x00\xff'"]


# --- what others say


async def test_nobody_forges_an_answer_by_what_he_says_to_the_group() -> None:
    async with open_house() as house:
        plain = await house.connect("/echo/1")
        client = await speaker(house, "/echo/1")
        for text in (b"ack 1", b"msg ack 1", b"", b"nack 1 final no"):
            await plain.send(frame(TEXT, text))
            assert await read_text(plain) == text.decode()
            assert await client.hear(1) == [f"msg {text.decode()}"]


async def test_a_flush_of_many_broadcasts_is_marked_one_by_one() -> None:
    async with open_house() as house:
        house.allow("/live")
        clients = [await speaker(house, "/live") for _ in range(2)]
        sizes = [0, 1, 121, 122, 125, 126, 1000, 65_531, 65_532, 65_536, 100_000]
        for size in sizes:
            house.publish(("live",), encode(b"x" * size, is_text=True))
        for client in clients:
            assert [len(text) - len("msg ") for text in await client.hear(len(sizes))] == sizes


async def test_over_tls_it_is_the_same(certs: Certs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_house, "TLS", certs)
    async with open_kept() as (house, client, kept):
        await client.say("pub 1 a", "pub 2 b")
        assert await client.hear(2) == ["ack 1", "ack 2"]
        house.publish(("in",), encode(b"ack 3", is_text=True))
        assert await client.hear(1) == ["msg ack 3"]
        assert kept.sink.accepted == [b"a", b"b"]


# --- the bound


async def test_a_client_whose_messages_find_no_room_is_not_read_until_they_do() -> None:
    async with open_kept(inflight=20) as (_, client, kept):
        kept.sink.confirms_at_once = False
        await client.say(*[f"pub {number} m{number}" for number in range(61)])
        await kept.accepted(20)
        assert await client.hears_nothing()
        assert kept.status.inflight == 20
        kept.sink.confirms_at_once = True
        kept.sink.confirm()
        assert await client.hear(61) == [f"ack {number}" for number in range(61)]
        assert kept.sink.accepted == [b"m%d" % number for number in range(61)]
        assert kept.status.dropped == {}


async def test_other_clients_and_routes_of_its_path_go_on_meanwhile() -> None:
    async with open_house() as house:
        kept, room = Kept(house, "/in", inflight=1), house.add_room("/in")
        await kept.route.begun.wait()
        kept.sink.confirms_at_once = False
        client, plain = await speaker(house, "/in"), await house.connect("/in")
        await client.say("pub 1 a", "pub 2 b", "pub 3 c")
        assert [await read_text(plain) for _ in range(3)] == ["a", "b", "c"]
        await plain.send(frame(TEXT, b"d"))
        assert await read_text(plain) == "d"
        assert await client.hear(4) == ["msg a", "msg b", "msg c", "msg d"]
        assert kept.sink.accepted == [b"a"]
        assert [message.payload for message in room.heard] == [b"a", b"b", b"c", b"d"]
        kept.sink.confirms_at_once = True
        kept.sink.confirm()
        assert await client.hear(3) == ["ack 1", "ack 2", "ack 3"]


async def test_what_is_unanswered_is_bounded_whatever_its_routes_allow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(desk_module, "Ledger", partial(Ledger, most=5))
    async with open_kept() as (_, client, kept):
        kept.sink.confirms_at_once = False
        texts = [f"pub {number} m{number}" for number in range(12)]
        await client.say(*texts[:7])  # a read may exceed it; there is no other one then
        await kept.accepted(7)
        await client.say(*texts[7:])
        assert await client.hears_nothing()
        assert kept.status.inflight == 7
        kept.sink.confirms_at_once = True
        kept.sink.confirm()
        assert await client.hear(12) == [f"ack {number}" for number in range(12)]


@pytest.mark.slow
async def test_the_pong_of_a_client_that_is_not_read_is_not_missed() -> None:
    limits = replace(ROOMY, ping_every=0.02, pong_timeout=0.05)
    async with open_kept(inflight=1, limits=limits) as (_, client, kept):
        kept.sink.confirms_at_once = False
        await client.say("pub 1 a", "pub 2 b", "pub 3 c")
        for _ in range(5):
            ping = await read_frame(client.client)
            assert ping.opcode == PING  # whose answer is not read
            await client.client.send(frame(PONG, ping.payload))
        kept.sink.confirms_at_once = True
        kept.sink.confirm()
        assert await client.hear(3) == ["ack 1", "ack 2", "ack 3"]
        assert await client.client.read_close() == 1011  # it is read now, and answers no more


async def test_a_client_that_is_gone_while_it_is_not_read_is_noticed_by_the_next_ping() -> None:
    limits = replace(ROOMY, ping_every=0.02, pong_timeout=0.02)
    async with open_kept(inflight=1, limits=limits) as (
        house,
        client,
        kept,
    ):
        kept.sink.confirms_at_once = False
        await client.say("pub 1 a", "pub 2 b")
        await kept.accepted(1)
        await eventually(lambda: kept.status.inflight == 1)
        await client.client.reset()
        await eventually(lambda: house.connection.status.connections["/in"] == 0)
        assert kept.status.dropped == {"overloaded": 1}
        assert kept.status.inflight == 1


# --- ends


async def test_what_a_client_left_behind_goes_on_and_nobody_is_told() -> None:
    async with open_kept() as (house, client, kept):
        kept.sink.confirms_at_once = False
        await client.say("pub 1 a", "pub 2 b")
        await kept.accepted(2)
        await client.client.reset()
        await eventually(lambda: house.connection.status.connections["/in"] == 0)
        kept.sink.confirm()
        await eventually(lambda: kept.status.delivered == 2)
        assert kept.status.inflight == 0


async def test_a_route_that_restarts_answers_what_it_had_in_hand() -> None:
    async with open_kept() as (_, client, kept):
        accept = kept.sink.accept

        async def fall(messages: object) -> Receipt:
            kept.sink.accept = accept  # type: ignore[method-assign]
            raise Unavailable("the sink is gone")

        kept.sink.accept = fall  # type: ignore[method-assign]
        await client.say("pub 1 a")
        assert await client.hear(1) == ["nack 1 retry chat: route_restarted"]
        assert kept.status.dropped == {"route_restarted": 1}
        await client.say("pub 1 a")  # the route waits for its next try
        assert await client.hear(1) == ["nack 1 retry chat: route_restarted"]


async def test_a_route_that_drains_takes_nothing_more_and_answers_what_it_has() -> None:
    async with open_kept() as (_, client, kept):
        kept.sink.confirms_at_once = False
        await client.say("pub 1 a")
        await kept.accepted(1)
        kept.route.drain()
        await client.say("pub 2 b")
        assert await client.hears_nothing()
        kept.sink.confirm()
        assert await client.hear(2) == ["ack 1", "nack 2 retry chat: shutdown"]


async def test_a_client_that_is_sent_home_has_its_answers_before_the_goodbye() -> None:
    async with open_kept() as (house, client, kept), trio.open_nursery() as nursery:
        house.keep_clients()
        kept.sink.confirms_at_once = False
        await client.say("pub 1 a")
        await kept.accepted(1)
        nursery.start_soon(house.connection.dismiss)
        await eventually(lambda: house.connection.status.connections["/in"] == 0)
        kept.sink.confirm()
        assert await client.hear(1) == ["ack 1"]
        assert await client.client.read_close() == 1012
        await client.client.aclose()


async def test_what_is_unconfirmed_when_it_is_sent_home_may_be_sent_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(desk_module, "LAST_ANSWERS_WITHIN", 0.02)
    async with open_kept(inflight=2) as (house, client, kept), trio.open_nursery() as nursery:
        house.keep_clients()
        kept.sink.confirms_at_once = False
        await client.say("pub 1 a", "pub 2 b", "pub 3 c")
        await kept.accepted(1)
        await wait_all_tasks_blocked(0.005)
        nursery.start_soon(house.connection.dismiss)
        last = "retry shutdown: routerd stops, and may have it all the same"
        assert await client.hear(3) == [f"nack {number} {last}" for number in (1, 2, 3)]
        assert await client.client.read_close() == 1012
        await client.client.aclose()
        kept.sink.confirm()
        kept.sink.confirms_at_once = True
        await eventually(lambda: kept.status.delivered == 2)
        assert kept.status.dropped == {"overloaded": 1}


async def read_frame(client: RawClient) -> Frame:
    with trio.fail_after(5):
        found = await client.read()
    assert found is not None
    return found


async def read_text(client: RawClient) -> str:
    """The next message, which is text."""
    found = await read_frame(client)
    assert found.opcode == TEXT
    return found.payload.decode()
