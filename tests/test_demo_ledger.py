"""The demo's count of what became of every reading: its proof must not be wrong."""

import random

import pytest

from routerd.demo.ledger import Account, Ledger


@pytest.fixture
def account() -> Account:
    return Account(published=10, confirmed=8)


def arrive(account: Account, *numbers: int) -> None:
    for number in numbers:
        assert account.arrive(number)


def test_what_is_confirmed_and_not_in_kafka_is_under_way(account: Account) -> None:
    arrive(account, 0, 1, 2)
    assert (account.in_kafka, account.under_way, account.missing) == (3, 5, set())


def test_a_reading_may_be_in_kafka_before_its_bus_knows_that_it_is_confirmed(
    account: Account,
) -> None:
    arrive(account, *range(9))
    assert (account.in_kafka, account.under_way, account.missing) == (9, 0, set())


def test_a_reading_that_was_overtaken_is_lost(account: Account) -> None:
    arrive(account, 0, 1, 4)
    assert (account.in_kafka, account.under_way, account.missing) == (3, 3, {2, 3})


def test_what_was_lost_and_comes_after_all_is_neither_lost_nor_a_duplicate(
    account: Account,
) -> None:
    arrive(account, 0, 2, 1)
    assert (account.in_kafka, account.missing, account.duplicates) == (3, set(), 0)


def test_what_comes_again_is_a_duplicate_and_counts_once(account: Account) -> None:
    arrive(account, 0, 1, 2, 1, 2, 3)
    assert (account.in_kafka, account.missing, account.duplicates) == (4, set(), 2)


@pytest.mark.parametrize("number", [-1, 10, 10**12])
def test_a_number_that_the_bus_never_gave_counts_nowhere(account: Account, number: int) -> None:
    assert not account.arrive(number)
    assert (account.in_kafka, account.missing, account.highest) == (0, set(), -1)


@pytest.mark.parametrize("seed", range(20))
def test_it_agrees_with_a_count_by_sets(seed: int) -> None:
    chance = random.Random(seed)
    account, seen = Account(published=60, confirmed=60), list[int]()
    for _ in range(100):
        number = chance.randrange(60)
        arrive(account, number)
        seen.append(number)
    assert account.in_kafka == len(set(seen))
    assert account.duplicates == len(seen) - len(set(seen))
    assert account.missing == set(range(max(seen))) - set(seen)
    assert account.under_way == 60 - (max(seen) + 1)


def test_the_sums_are_those_of_all_buses() -> None:
    ledger = Ledger(["bus-1", "bus-2"])
    for account in ledger.accounts.values():
        account.published, account.confirmed = 5, 4
    for bus, number in [("bus-1", 0), ("bus-1", 0), ("bus-2", 1)]:
        ledger.arrive(bus, number)
    assert (ledger.published, ledger.confirmed) == (10, 8)
    assert (ledger.in_kafka, ledger.under_way) == (2, 5)
    assert (ledger.lost, ledger.duplicates, ledger.strangers) == (1, 1, 0)


@pytest.mark.parametrize(("bus", "number"), [("bus-9", 0), ("bus-1", None), ("bus-1", 7), ("", 0)])
def test_records_of_others_are_strangers(bus: str, number: int | None) -> None:
    ledger = Ledger(["bus-1"])
    ledger.arrive(bus, number)
    assert (ledger.strangers, ledger.in_kafka, ledger.lost) == (1, 0, 0)
