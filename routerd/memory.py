"""What is remembered by the address of a message, within bounds: devices choose addresses."""

from typing import TypeVar

T = TypeVar("T")

MOST_ADDRESSES = 10_000
"""Addresses that one memory holds; then it starts anew: cheaper than to know the oldest."""
LONGEST_ADDRESS = 512
"""Bytes; 10,000 topics of 64 KB would be 640 MB. Longer ones are worked out each time."""


def remember(memory: dict[bytes, T], address: bytes, value: T) -> T:
    """Keeps `value` for the next message from `address`, if it may be kept; gives it back."""
    if len(address) <= LONGEST_ADDRESS:
        if len(memory) >= MOST_ADDRESSES:
            memory.clear()
        memory[address] = value
    return value
