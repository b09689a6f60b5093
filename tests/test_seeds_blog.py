"""The WebSocket chat of the blog post, served by etc/examples/chat.toml: its rows B1 to B6."""

from collections.abc import Callable, Iterator

import pytest
import trio

from tests.example_house import Guest, eventually, example, guests, knock, port_of
from tests.raw_websocket import BINARY, TEXT, Frame
from tests.rig.daemon import Routerd

pytestmark = pytest.mark.slow

HI = b'\x01\x00\x00\x00{"type":1,"message":"hi"}'
ODD = b'\x01\x00\x00\x00 { "message" : "\\u00e9\xc3\xa9",\n"type":1, "type":1.0e0 }'
"""The same JSON could be written in other bytes."""
TYPE_2 = b'\x02\x00\x00\x00{"type":2,"message":"hi"}'
BIG_ENDIAN = b'\x00\x00\x00\x01{"type":1,"message":"hi"}'
PATHS = ("/ws", "/ws", "/ws")


@pytest.fixture(scope="module")
def chat() -> Iterator[Routerd]:
    with Routerd(example("chat.toml")) as daemon:
        yield daemon


async def everybody_hears(present: list[Guest], payload: bytes) -> None:
    """Nothing came before it: whatever was sent earlier reached nobody."""
    await present[0].send(payload)
    for guest in present:
        assert await guest.hear() == Frame(BINARY, payload)


@pytest.mark.parametrize("payload", [HI, ODD])
async def test_b1_a_frame_comes_back_byte_identical_to_every_session(
    chat: Routerd, payload: bytes
) -> None:
    async with guests(port_of(chat), *PATHS) as present:
        await everybody_hears(present, payload)


@pytest.mark.parametrize("payload", [TYPE_2, BIG_ENDIAN])
async def test_b2_another_type_reaches_no_one_and_is_counted(chat: Routerd, payload: bytes) -> None:
    unmatched = chat.metric("routerd_ws_unmatched_total", path="/ws")
    async with guests(port_of(chat), *PATHS) as present:
        await present[0].send(payload)
        await everybody_hears(present, HI)
    assert chat.metric("routerd_ws_unmatched_total", path="/ws") == unmatched + 1


async def test_b3_a_frame_of_three_bytes_is_counted_and_nobody_notices(chat: Routerd) -> None:
    garbage = chat.metric("routerd_ws_undecodable_total", path="/ws")
    async with guests(port_of(chat), *PATHS) as present:
        await present[0].send(b"\x01\x00\x00")
        await everybody_hears(present, HI)
    assert chat.metric("routerd_ws_undecodable_total", path="/ws") == garbage + 1


async def test_b3_a_payload_that_is_no_json_is_counted_and_nobody_notices(chat: Routerd) -> None:
    dropped = chat.metric("routerd_messages_dropped_total", route="chat", reason="unroutable")
    async with guests(port_of(chat), *PATHS) as present:
        await present[0].send(b"\x01\x00\x00\x00{")
        await everybody_hears(present, HI)
    now = chat.metric("routerd_messages_dropped_total", route="chat", reason="unroutable")
    assert now == dropped + 1


async def test_b4_each_session_is_one_connect_and_one_disconnect(
    start_routerd: Callable[..., Routerd],
) -> None:
    daemon = start_routerd(example("chat.toml"))

    def said() -> list[list[str]]:
        return [str(line["event"]).split(" ") for line in daemon.log if "route" in line]

    async with guests(port_of(daemon), "/ws", "/ws") as (one, other):
        await eventually(lambda: len(said()) == 2)
        await one.leave()
        await eventually(lambda: len(said()) == 3)
        await other.client.reset()
        await eventually(lambda: len(said()) == 4)
    await trio.sleep(0.1)  # for one that is too many
    sessions = sorted(said())
    assert [event for _, event in sessions] == ["@connect", "@disconnect"] * 2
    assert len({session for session, _ in sessions}) == 2


async def test_b5_a_text_frame_comes_back_as_the_same_text_frame(
    start_routerd: Callable[..., Routerd],
) -> None:
    table = example("chat.toml").replace('codec = "kratos"', 'codec = "kratos-text"')
    said = '{"type":1,"payload":"{\\"type\\":1,\\"message\\":\\"hié\\"}"}'.encode()
    async with guests(port_of(start_routerd(table)), *PATHS) as present:
        await present[0].send(said, opcode=TEXT)
        for guest in present:
            assert await guest.hear() == Frame(TEXT, said)


@pytest.mark.parametrize("path", ["/", "/ws/", "/ws/x", "/wss", "/WS"])
async def test_b6_a_path_that_no_route_has_is_refused_with_404(chat: Routerd, path: str) -> None:
    assert await knock(port_of(chat), path) == 404
