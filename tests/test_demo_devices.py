"""The demo's buses, with a real broker behind a relay: whatever happens, their count is right."""

from collections.abc import AsyncIterator, Callable

import pytest
import trio

from routerd.demo import devices as module
from routerd.demo.city import all_buses
from routerd.demo.devices import Devices
from routerd.demo.ledger import Ledger
from routerd.demo.relay import Relay
from tests.rig.embedded_mqtt import EmbeddedMqtt

pytestmark = pytest.mark.slow

BUSES = all_buses()


async def wait_until(is_so: Callable[[], bool], what: str) -> None:
    with trio.move_on_after(20):
        while not is_so():  # noqa: ASYNC110 - paho has no event for it
            await trio.sleep(0.01)
        return
    raise AssertionError(f"waited in vain: {what}")


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(bus.name for bus in BUSES)


@pytest.fixture
async def relay(embedded_mqtt: EmbeddedMqtt, nursery: trio.Nursery) -> Relay:
    made = Relay(embedded_mqtt.port)
    await nursery.start(made.run)
    return made


@pytest.fixture
async def devices(relay: Relay, ledger: Ledger, nursery: trio.Nursery) -> AsyncIterator[Devices]:
    made = Devices(relay.port, BUSES, ledger)
    nursery.start_soon(made.converse)
    nursery.start_soon(made.drive)
    yield made
    nursery.cancel_scope.cancel()


async def test_every_bus_publishes_and_is_confirmed(ledger: Ledger, devices: Devices) -> None:
    accounts = ledger.accounts.values()
    await wait_until(lambda: all(each.confirmed >= 2 for each in accounts), "two rounds")
    assert all(each.confirmed <= each.published for each in accounts)
    assert not devices.is_full


async def test_cut_off_they_go_on_publishing_and_catch_up_afterwards(
    ledger: Ledger, relay: Relay, devices: Devices
) -> None:
    await wait_until(lambda: ledger.confirmed > 36, "a first round")
    relay.close()
    confirmed, published = ledger.confirmed, ledger.published
    await wait_until(lambda: ledger.published > published + 100, "readings that are kept")
    assert ledger.confirmed == confirmed
    relay.open()
    await wait_until(lambda: ledger.confirmed > published + 100, "what they kept is confirmed")
    assert not devices.is_full


async def test_connections_that_break_again_and_again_confuse_no_count(
    ledger: Ledger, relay: Relay, devices: Devices
) -> None:
    for _ in range(5):
        confirmed = ledger.confirmed
        await wait_until(lambda before=confirmed: ledger.confirmed > before + 20, "it goes on")  # type: ignore[misc]
        relay.cut()
    await wait_until(lambda: ledger.published - ledger.confirmed <= 36, "it is caught up")
    assert not devices.is_full


async def test_they_keep_so_much_and_no_more(
    ledger: Ledger, relay: Relay, devices: Devices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_UNCONFIRMED", 90)
    relay.close()
    await wait_until(lambda: devices.is_full, "they are full")
    published = ledger.published
    assert published - ledger.confirmed < 90 + 6
    await trio.sleep(1)
    assert ledger.published == published
    relay.open()
    await wait_until(lambda: ledger.published > published, "they go on")
