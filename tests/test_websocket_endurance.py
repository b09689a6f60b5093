"""What broke the server that routerd replaces does not break this one, on the real program.

That one stopped a room for good when one of its members didn't read, kept the memory of clients
that had left, took messages of any size and text that is none, and gave payloads a new spelling.
"""

import json
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from http.client import HTTPConnection

import pytest
import trio

from tests.outside import Outside, wait_deserted
from tests.proofs.watching import wait_running
from tests.raw_websocket import BINARY, CLOSE, CONTINUATION, TEXT, Frame, RawClient, frame, request
from tests.rig.daemon import Routerd
from tests.rig.waiting import wait_until
from tests.siege import good_clients

pytestmark = pytest.mark.slow

TABLE = """
[ws]
listen = "127.0.0.1:0"
limits = { connections_per_address = 100_000, handshake_rate = 100_000 }

[admin]
listen = "127.0.0.1:0"

[[route]]
name = "echo"
from = "ws:/echo/{room}"
to = "group:/echo/{room}"

[[route]]
name = "push"
from = "ws:/push"
to = "group:/room"
"""
MIB = 1 << 20


async def start(start_routerd: Callable[..., Routerd], table: str = TABLE) -> Routerd:
    routerd = await trio.to_thread.run_sync(start_routerd, table)
    await trio.to_thread.run_sync(wait_running, routerd)
    return routerd


# --- one that never reads, at 2,000 messages a second

RATE = 2000
COUNT = 6000
AT_ONCE = 20
READERS = 50
PAYLOADS = [b"%07d " % number + b"x" * 300 for number in range(COUNT)]


def number_of(payload: bytes) -> int:
    return int(payload[:7])


async def hear_all(client: RawClient, stream: bytes) -> None:
    """Returns when `client` has read exactly that."""
    offset = 0
    while offset < len(stream):
        data = await client.stream.receive_some(MIB)
        assert data, offset
        assert stream.startswith(data, offset), offset
        offset += len(data)
    await client.aclose()


async def come_late(door: Outside) -> None:
    """Returns when a new member has heard all from some message to the last."""
    client = await door.connect("/room")
    heard = -1
    while heard < COUNT - 1:
        message = await client.read()
        assert message is not None
        assert heard in {-1, number_of(message.payload) - 1}
        heard = number_of(message.payload)
    await client.aclose()


async def push(door: Outside, payloads: list[bytes]) -> None:
    """Sends them at the rate, some at once."""
    client = await door.connect("/push")
    start = trio.current_time()
    for first in range(0, len(payloads), AT_ONCE):
        await trio.sleep_until(start + first / RATE)
        await client.send(b"".join(frame(TEXT, p) for p in payloads[first : first + AT_ONCE]))
    await client.aclose()


async def test_one_that_never_reads_holds_up_none_of_fifty(
    start_routerd: Callable[..., Routerd],
) -> None:
    routerd = await start(start_routerd)
    door = Outside(routerd)
    stream = b"".join(frame(TEXT, payload, masked=False) for payload in PAYLOADS)
    stuck = await door.connect("/room", receive_bytes=4096)
    readers = [await door.connect("/room") for _ in range(READERS)]
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            for reader in readers:
                nursery.start_soon(hear_all, reader, stream)
            third = COUNT // 3
            await push(door, PAYLOADS[:third])
            nursery.start_soon(come_late, door)
            await push(door, PAYLOADS[third : 2 * third])
            nursery.start_soon(come_late, door)
            await push(door, PAYLOADS[2 * third :])
        assert len(await stuck.read_to_end()) < len(stream)  # it was cut
        await stuck.aclose()
        async with trio.open_nursery() as nursery:  # and all is as it was
            await nursery.start(come_again, door)
            await push(door, PAYLOADS[-1:])
    await trio.to_thread.run_sync(wait_deserted, routerd)
    assert routerd.metric("routerd_ws_closed_total", reason="slow") == 1
    assert {line["level"] for line in routerd.log} == {"info"}


async def come_again(door: Outside, *, task_status: trio.TaskStatus[None]) -> None:
    client = await door.connect("/room")
    task_status.started()
    message = await client.read()
    assert message is not None
    assert message.payload == PAYLOADS[-1]
    await client.aclose()


# --- 20,000 connects and disconnects

VISITORS = 50
VISITS = 20_000
GROWTH_MOST = 4 * MIB


async def visit(door: Outside, *, source: str, turns: int) -> None:
    """Comes and leaves again and again, in four ways."""
    for turn in range(turns):
        client = await door.dial(source=source)
        if turn % 4 == 0:  # amid the handshake
            await client.send(request("/echo/visitors")[:60])
            await client.reset()
            continue
        await client.open("/echo/visitors")
        if turn % 4 == 1:  # amid a frame
            await client.send(frame(TEXT, b"x" * 100)[:50])
            await client.reset()
        elif turn % 4 == 2:
            await client.aclose()
        else:
            await client.send(frame(CLOSE, b"\x03\xe8"))
            assert await client.read_close() == 1000
            await client.aclose()


async def visit_often(door: Outside, count: int) -> None:
    async with trio.open_nursery() as nursery:
        for number in range(VISITORS):
            nursery.start_soon(
                partial(visit, door, source=f"127.0.1.{number}", turns=count // VISITORS)
            )


class Gauges:
    """Reads metrics over one connection: each further one would leave its traces for seconds."""

    def __init__(self, routerd: Routerd) -> None:
        self._connection = HTTPConnection(*routerd.admin_address, timeout=5)

    def read(self) -> dict[str, float]:
        """Descriptors, tasks and clients now."""
        self._connection.request("GET", "/metrics")
        lines = self._connection.getresponse().read().decode().splitlines()
        found = dict(line.split() for line in lines if line.startswith(GAUGES))
        return {name: float(value) for name, value in found.items()}

    def close(self) -> None:
        self._connection.close()


CLIENTS = 'routerd_ws_connections{path="/echo/{room}"}'
GAUGES = (CLIENTS, "process_open_fds", "routerd_event_loop_tasks")


async def test_20000_connects_and_disconnects_leave_nothing_behind(
    start_routerd: Callable[..., Routerd],
) -> None:
    routerd = await trio.to_thread.run_sync(start_routerd, TABLE)
    assert routerd.child is not None
    door = Outside(routerd)
    with closing(Gauges(routerd)) as gauges:
        before = gauges.read()
        await visit_often(door, 1000)  # what is loaded and allocated once shall not count
        memory = routerd.child.resident_bytes
        await visit_often(door, VISITS)
        await trio.to_thread.run_sync(
            partial(wait_until, lambda: gauges.read() == before, "nothing is left behind")
        )
    assert routerd.child.resident_bytes - memory <= GROWTH_MOST
    assert {line["level"] for line in routerd.log} == {"info"}


# --- a message of 32 MiB, and text that is none


async def test_a_message_of_32_mib_is_too_big_and_nobody_elses_business(
    start_routerd: Callable[..., Routerd],
) -> None:
    routerd = await start(start_routerd)
    assert routerd.child is not None
    door = Outside(routerd)
    whole = frame(TEXT, b"x" * (32 * MIB))
    piece = frame(CONTINUATION, b"x" * MIB, fin=False)
    in_pieces = frame(TEXT, b"x" * MIB, fin=False) + piece * 31
    async with good_clients(door):
        memory = routerd.child.resident_bytes
        for data in (whole, in_pieces):
            client = await door.connect("/echo/large")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(send_all, client, data)
                assert await client.read_close() == 1009
                nursery.cancel_scope.cancel()
            await client.aclose()
    assert routerd.child.resident_bytes - memory <= 8 * MIB
    assert routerd.metric("routerd_ws_closed_total", reason="too_big") == 2
    assert {line["level"] for line in routerd.log} == {"info"}


async def send_all(client: RawClient, data: bytes) -> None:
    """As much of it as is taken."""
    with suppress(trio.BrokenResourceError):
        await client.send(data)


async def test_text_that_is_no_utf8_closes_its_sender_alone(
    start_routerd: Callable[..., Routerd],
) -> None:
    routerd = await start(start_routerd)
    door = Outside(routerd)
    async with good_clients(door):
        listener = await door.connect("/echo/room")
        client = await door.connect("/echo/room")
        await client.send(frame(TEXT, b"\xff\xfe"))
        assert await client.read_close() == 1007
        await client.aclose()
        assert await listener.echo(b"the first that is heard") == b"the first that is heard"
        await listener.aclose()
    assert routerd.metric("routerd_ws_closed_total", reason="invalid_utf8") == 1
    assert {line["level"] for line in routerd.log} == {"info"}


# --- the payload's bytes

PAYLOAD = (
    '\t{"type": 1,  "b":1.0,"a":[12345678901234567890123, 1E+2 , -0],\r\n "tag":"<b>&amp;</b>",'
    '"escapes":"\\u003c\\/\\u00e4\\ud83d\\ude00", "plain":"\N{EURO SIGN}\N{GRINNING FACE}\u2028",'
    '"a":"twice", "":null} \n'
).encode()
"""Nobody who decoded this and encoded it again would come to the same bytes."""


def quoted(head: bytes, payload: bytes) -> bytes:
    """An envelope with the payload in a string, escaped no more than JSON demands."""
    return head + b',"payload":' + json.dumps(payload.decode(), ensure_ascii=False).encode() + b"}"


@pytest.mark.parametrize(
    ("codec", "opcode", "data"),
    [
        ("raw", TEXT, PAYLOAD),
        ("raw", BINARY, PAYLOAD),
        ("raw", BINARY, b"\xff\x00\xfe"),
        ("kratos", BINARY, b"\x01\x00\x00\x00" + PAYLOAD),
        ("kratos", BINARY, b"\x01\x00\x00\x00" + b"\xff\x00\xfe"),
        ("kratos-text", TEXT, quoted(b'{"type":1', PAYLOAD)),
        ("event", BINARY, quoted(b'{"event_id":"a"', PAYLOAD)),
    ],
)
async def test_the_bytes_of_a_payload_stay_as_they_are(
    codec: str, opcode: int, data: bytes, start_routerd: Callable[..., Routerd]
) -> None:
    listen = 'listen = "127.0.0.1:0"\n'
    door = Outside(
        await start(start_routerd, TABLE.replace(listen, listen + f'codec = "{codec}"\n', 1))
    )
    client = await door.connect("/echo/room")
    await client.send(frame(opcode, data))
    with trio.fail_after(10):
        assert await client.read() == Frame(opcode, data)
    await client.aclose()
