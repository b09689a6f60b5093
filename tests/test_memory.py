"""A memory by address is bounded in number and in size."""

from routerd.memory import LONGEST_ADDRESS, MOST_ADDRESSES, remember


def test_what_is_remembered_is_found_again() -> None:
    memory: dict[bytes, int] = {}
    assert remember(memory, b"t", 7) == 7
    assert memory[b"t"] == 7


def test_a_full_memory_starts_anew() -> None:
    memory: dict[bytes, int] = {}
    for number in range(MOST_ADDRESSES + 1):
        remember(memory, b"%d" % number, number)
    assert memory == {b"%d" % MOST_ADDRESSES: MOST_ADDRESSES}


def test_a_long_address_is_not_kept() -> None:
    memory: dict[bytes, int] = {}
    assert remember(memory, b"x" * (LONGEST_ADDRESS + 1), 7) == 7
    assert not memory
