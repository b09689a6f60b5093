"""Who may come in, by how many are there and how often they come."""

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from routerd.connectors.websocket import gate as gate_module
from routerd.connectors.websocket.gate import Gate, neighbourhood
from routerd.connectors.websocket.limits import Limits
from routerd.connectors.websocket.reasons import Refusal


async def test_so_many_may_be_there_at_a_time(autojump_clock: MockClock) -> None:
    gate = Gate(Limits(connections=2))
    assert [gate.enter(f"10.0.0.{n}") for n in range(3)] == [None, None, Refusal.FULL]
    gate.leave("10.0.0.0")
    assert gate.enter("10.0.0.9") is None
    assert gate.clients == 2


async def test_so_many_may_come_from_one_address(autojump_clock: MockClock) -> None:
    gate = Gate(Limits(connections_per_address=2))
    found = [gate.enter("10.0.0.1") for _ in range(3)]
    assert found == [None, None, Refusal.ADDRESS_FULL]
    assert gate.enter("10.0.0.2") is None
    gate.leave("10.0.0.1")
    assert gate.enter("10.0.0.1") is None


async def test_so_often_may_an_address_come(autojump_clock: MockClock) -> None:
    gate = Gate(Limits(handshake_rate=2))

    def come_and_go() -> Refusal | None:
        refusal = gate.enter("10.0.0.1")
        if refusal is None:
            gate.leave("10.0.0.1")
        return refusal

    assert [come_and_go() for _ in range(7)] == [None] * 6 + [Refusal.HANDSHAKE_RATE]
    assert gate.enter("10.0.0.2") is None
    await trio.sleep(0.5)
    assert [come_and_go() for _ in range(2)] == [None, Refusal.HANDSHAKE_RATE]


async def test_whoever_is_refused_counts_nowhere(autojump_clock: MockClock) -> None:
    gate = Gate(Limits(connections=3, connections_per_address=1))
    for _ in range(5):
        gate.enter("10.0.0.1")
    assert gate.clients == 1
    gate.leave("10.0.0.1")
    assert gate.enter("10.0.0.1") is None


async def test_an_address_that_is_known_late_is_counted_then(autojump_clock: MockClock) -> None:
    gate = Gate(Limits(connections_per_address=1))
    assert [gate.enter(None), gate.enter(None)] == [None, None]
    assert [gate.admit("10.0.0.1") for _ in range(2)] == [None, Refusal.ADDRESS_FULL]
    gate.leave("10.0.0.1")
    gate.leave(None)
    assert gate.clients == 0
    assert gate.enter("10.0.0.1") is None


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::1", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("", ""),
        ("no address", "no address"),
    ],
)
def test_one_customer_is_one_address(address: str, name: str) -> None:
    assert neighbourhood(address) == name


async def test_who_was_gone_for_long_is_forgotten(autojump_clock: MockClock) -> None:
    gate = Gate(Limits())
    for number in range(100):
        gate.enter(f"10.0.0.{number}")
        gate.leave(f"10.0.0.{number}")
    assert gate.addresses == 100
    await trio.sleep(1)
    gate.enter("10.0.1.1")
    gate.leave("10.0.1.1")
    assert gate.addresses == 1


async def test_what_is_remembered_is_bounded(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate_module, "MOST_GONE", 50)
    gate = Gate(Limits(connections=10))
    for number in range(500):
        address = f"2001:db8:0:{number:x}::1"
        assert gate.enter(address) is None
        assert gate.addresses <= 60
        gate.leave(address)
    assert gate.addresses == 50


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=200))
def test_it_counts_as_somebody_with_paper_would(steps: list[tuple[bool, int]]) -> None:
    async def count() -> None:
        gate = Gate(Limits(connections=6, connections_per_address=3, handshake_rate=1000))
        there = [0, 0, 0, 0]
        for comes, number in steps:
            address = f"10.0.0.{number}"
            if comes:
                full = sum(there) == 6
                wanted = (
                    Refusal.FULL if full else Refusal.ADDRESS_FULL if there[number] == 3 else None
                )
                assert gate.enter(address) is wanted
                there[number] += wanted is None
            elif there[number]:
                there[number] -= 1
                gate.leave(address)
            assert gate.clients == sum(there)
        await trio.lowlevel.checkpoint()

    trio.run(count)
