"""Each limit over real sockets: what the client is told, what is counted, who notices nothing."""

from dataclasses import replace

import pytest

from routerd.connectors.websocket import porter as porter_module
from routerd.connectors.websocket.limits import Limits
from routerd.connectors.websocket.reasons import Refusal
from tests.raw_websocket import RawClient, request
from tests.websocket_house import ROOMY, House, eventually, open_house


async def answered(house: House) -> tuple[RawClient, int | None]:
    """A client that asks to come in, and what it is told."""
    client = await house.dial()
    await client.send(request("/echo/1"))
    status, _ = await client.read_answer()
    return client, status


@pytest.mark.parametrize(
    ("limits", "fits", "refusal"),
    [
        (replace(ROOMY, connections=3), 2, Refusal.FULL),
        (replace(ROOMY, connections_per_address=3), 2, Refusal.ADDRESS_FULL),
        (replace(ROOMY, handshake_rate=1), 2, Refusal.HANDSHAKE_RATE),
    ],
    ids=["in all", "of an address", "handshakes of an address"],
)
async def test_whoever_is_too_many_is_told_so(
    limits: Limits, fits: int, refusal: Refusal, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_house(limits=limits) as house:
        good = await house.connect("/echo/1")
        assert [(await answered(house))[1] for _ in range(fits)] == [101] * fits
        late, status = await answered(house)
        assert status == refusal.status
        assert await late.read_to_end() == b""
        assert house.counts.refused == {("", refusal.word): 1}
        assert await good.echo(b"still here") == b"still here"
    assert [record.getMessage() for record in caplog.records] == [
        f"websocket clients are turned away limit={refusal.word} address=127.0.0.1"
    ]


async def test_there_is_room_again_when_somebody_has_left() -> None:
    async with open_house(limits=replace(ROOMY, connections=1)) as house:
        first = await house.connect("/echo/1")
        assert (await answered(house))[1] == 503
        await first.aclose()
        await eventually(lambda: house.connection.roster.gate.clients == 0)
        assert (await answered(house))[1] == 101


async def test_a_client_that_is_refused_for_something_else_makes_room_as_well() -> None:
    async with open_house(limits=replace(ROOMY, connections=1)) as house:
        for _ in range(3):
            client = await house.dial()
            await client.send(request("/nowhere"))
            assert (await client.read_answer())[0] == 404
            await client.aclose()
            await eventually(lambda: house.connection.roster.gate.clients == 0)


async def test_a_crowd_is_hung_up_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(porter_module, "MOST_TOLD", 2)
    async with open_house(limits=replace(ROOMY, connections=1)) as house:
        good = await house.connect("/echo/1")
        crowd = [await house.dial() for _ in range(10)]
        answers = [(await client.read_answer())[0] for client in crowd]
        assert answers == [503, 503] + [None] * 8
        assert house.counts.refused == {("", "connections"): 10}
        assert await good.echo(b"still here") == b"still here"
    assert len(caplog.records) == 1
