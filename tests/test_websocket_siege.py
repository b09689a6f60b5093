"""A real routerd that everybody attacks at once, and ten good clients who notice nothing."""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import pytest
import trio

from tests.outside import Outside, wait_deserted
from tests.proofs.watching import wait_running
from tests.raw_websocket import CONTINUATION, PING, TEXT, frame, request
from tests.rig.daemon import Routerd
from tests.siege import attack, good_clients

pytestmark = [pytest.mark.slow, pytest.mark.alone]

TABLE = """
[ws]
listen = "127.0.0.1:0"
limits = { connections_per_address = 100_000, handshake_rate = 100_000, handshake_timeout = "3s" }

[admin]
listen = "127.0.0.1:0"

[[route]]
name = "echo"
from = "ws:/echo/{room}"
to = "group:/echo/{room}"

[[route]]
name = "lobby"
from = "ws:/echo"
to = "group:/echo"
"""
GROWTH_MOST = 16 << 20
"""Bytes, from one siege to the end of the next."""
FIRST_GROWTH_MOST = 32 << 20
"""Bytes, with what a thousand clients at once take the first time, and Python keeps."""
ATTACKS = 3


async def dawdle(door: Outside) -> None:
    """A request that comes in drops, until the listener has had enough."""
    bad = await door.dial()
    with suppress(trio.BrokenResourceError):
        for byte in request("/echo/bad"):
            await bad.send(bytes([byte]))
            await trio.sleep(0.3)
    with trio.fail_after(10):
        assert (await bad.read_answer())[0] == 408
    await bad.aclose()


async def flood_with_connections(door: Outside) -> None:
    """Comes, and goes again without a word, with a reset every other time."""
    for turn in range(400):
        bad = await door.dial()
        if turn % 2:
            await bad.reset()
        else:
            await bad.aclose()


async def flood(door: Outside, data: bytes) -> None:
    """Sends it again and again for a while and reads nothing, or until it is cut."""
    bad = await door.connect("/echo/flood")
    with suppress(trio.BrokenResourceError), trio.move_on_after(1.5):
        while True:
            await bad.send(data)
    await bad.reset()


async def besiege(door: Outside) -> None:
    """All of it at once."""
    async with trio.open_nursery() as nursery:
        for _ in range(1000):
            nursery.start_soon(dawdle, door)
        for _ in range(5):
            nursery.start_soon(flood_with_connections, door)
            for data in FLOODS.values():
                nursery.start_soon(flood, door, data)
        for _ in range(ATTACKS):
            await attack(door)


FLOODS = {
    "pings": frame(PING, b"x" * 125) * 500,
    "messages without a byte": frame(TEXT) * 5000,
    "fragments of a byte": frame(TEXT, fin=False) + frame(CONTINUATION, b"x", fin=False) * 5000,
}


async def test_ten_good_clients_notice_nothing_of_a_siege(
    start_routerd: Callable[..., Routerd],
) -> None:
    routerd = await trio.to_thread.run_sync(start_routerd, TABLE)
    await trio.to_thread.run_sync(wait_running, routerd)
    assert routerd.child is not None
    door = Outside(routerd)
    memory = []
    async with good_clients(door):
        await attack(door)  # what is loaded and allocated once shall not count
        memory.append(routerd.child.resident_bytes)
        for _ in range(2):
            await besiege(door)
            memory.append(routerd.child.resident_bytes)
    assert memory[1] - memory[0] <= FIRST_GROWTH_MOST
    assert memory[2] - memory[1] <= GROWTH_MOST
    assert {line["level"] for line in routerd.log} == {"info"}
    assert routerd.metric("routerd_route_restarts_total") == 0
    # What the kernel had of a flood is still read.
    await trio.to_thread.run_sync(wait_deserted, routerd)


async def test_a_siege_does_not_keep_routerd_from_stopping(
    start_routerd: Callable[..., Routerd],
) -> None:
    routerd = await trio.to_thread.run_sync(start_routerd, TABLE)
    door = Outside(routerd)
    async with trio.open_nursery() as nursery:
        idle = [await door.connect("/echo/flood", receive_bytes=4096) for _ in range(20)]
        for client in idle[:10]:
            await client.send(frame(TEXT, b"x" * 100)[:50])
        for _ in range(100):
            nursery.start_soon(sit, door)
        for data in FLOODS.values():
            nursery.start_soon(flood, door, data)
        await trio.sleep(0.3)
        assert await trio.to_thread.run_sync(routerd.stop) == 0
        for client in idle:
            await client.aclose()
    assert {line["level"] for line in routerd.log} == {"info"}


async def sit(door: Outside) -> None:
    """Connects, says half of what it wants, and stays as long as it may."""
    bad = await door.dial(source="127.0.0.2")
    try:
        await bad.send(request("/echo/bad")[:50])
        await bad.read_to_end()
    except trio.BrokenResourceError:
        return
    finally:
        bad.socket.close()


async def test_an_attacker_at_one_address_takes_no_room_from_others(
    start_routerd: Callable[..., Routerd],
) -> None:
    table = "\n".join(line for line in TABLE.splitlines() if not line.startswith("limits"))
    routerd = await trio.to_thread.run_sync(start_routerd, table)
    door = Outside(routerd)
    async with good_clients(door), trio.open_nursery() as nursery:
        for _ in range(300):
            nursery.start_soon(sit, door)
        for _ in range(20):
            await (await door.connect("/echo/late")).aclose()
            await trio.sleep(0.05)
        nursery.cancel_scope.cancel()
    refused = partial(routerd.metric, "routerd_ws_refused_total")
    assert refused() == refused(reason="handshake_rate") + refused(reason="connections_per_address")
    assert refused() >= 200
    assert len(routerd.events("websocket clients are turned away")) == 1
    assert routerd.troubles() == []


async def test_clients_leave_file_descriptors_for_the_rest_of_routerd(
    start_routerd: Callable[..., Routerd],
) -> None:
    start = partial(start_routerd, TABLE, prefix=["prlimit", "--nofile=256"])
    routerd = await trio.to_thread.run_sync(start)
    door = Outside(routerd)
    clients = [await door.dial() for _ in range(300)]
    answers: Counter[int | None] = Counter()
    with trio.fail_after(10):
        for client in clients:
            with suppress(trio.BrokenResourceError):
                await client.send(request("/echo/room"))
            answers[(await client.read_answer())[0]] += 1
    assert answers[101] > 100
    assert answers[503] > 0
    assert answers.keys() <= {101, 503, None}  # of a crowd, some are just hung up on
    livez = await trio.to_thread.run_sync(routerd.get, "/livez")
    assert livez.status == 200
    assert routerd.events("can't let websocket clients in for now") == []
    for client in clients:
        await client.aclose()
