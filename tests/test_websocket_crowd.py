"""Slow members by the hundred: what they cost, what they miss, and that nobody else notices."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from routerd.connectors.websocket.limits import DEFAULTS
from routerd.feed import REASONS, Slow
from tests.rig.daemon import Routerd
from tests.slow_crowd import FRAME_BYTES, KEYS, MEMBERS, SLEEPERS, Crowd, Message, allow_files

pytestmark = pytest.mark.slow

QUEUE = DEFAULTS.queue_messages
BOUND = SLEEPERS * (QUEUE + 1) * FRAME_BYTES
"""Of all queues together; one more each is half written."""
MANY, MORE = 1200, 300
"""Messages: the first are more than a sleeper's queue and its kernel buffers take."""
TABLE = """
[ws]
listen = "127.0.0.1:0"
[ws.limits]
connections_per_address = 2000
handshake_rate = 100000
ping_every = "0s"
[admin]
listen = "127.0.0.1:0"
[[route]]
name = "news"
from = "ws:/pub"
to = {{ address = "group:/sub", slow = "{policy}" }}
key = "{{.key}}"
"""


def resident(daemon: Routerd) -> int:
    """Bytes of memory that it has now."""
    assert daemon.child is not None
    status = Path(f"/proc/{daemon.child.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) << 10


def dropped(daemon: Routerd, reason: str) -> int:
    labels = {"route": "news", "sink": "group:/sub", "reason": reason}
    return int(daemon.metric("routerd_ws_dropped_total", **labels))


@pytest.fixture
def open_crowd(
    start_routerd: Callable[..., Routerd],
) -> Iterator[Callable[[Slow], tuple[Routerd, Crowd]]]:
    """A daemon with this policy, and everybody connected to it."""
    allow_files()
    with ExitStack() as stack:

        def start(policy: Slow) -> tuple[Routerd, Crowd]:
            daemon = start_routerd(TABLE.format(policy=policy))
            crowd = Crowd(daemon.ws_address)
            stack.callback(crowd.close)
            return daemon, crowd

        yield start


Open = Callable[[Slow], tuple[Routerd, Crowd]]


@pytest.mark.parametrize("policy", ["drop_oldest", "drop_newest", "latest"])
def test_a_hundred_sleepers_cost_their_bound_and_miss_what_is_counted(
    open_crowd: Open, policy: Slow
) -> None:
    daemon, crowd = open_crowd(policy)
    before = resident(daemon)

    crowd.publish(MANY)  # all who read have got all of it
    full = resident(daemon)
    crowd.publish(MORE)

    queued = daemon.metric("routerd_ws_queued_bytes", path="/sub")
    assert queued <= (BOUND if policy != "latest" else SLEEPERS * (KEYS + 1) * FRAME_BYTES)
    assert queued >= SLEEPERS * FRAME_BYTES
    assert full - before < BOUND
    assert resident(daemon) - full < BOUND / 4
    crowd.wake()
    missed = {reason: dropped(daemon, reason) for reason in REASONS[policy]}
    heard = [sleeper.messages() for sleeper in crowd.sleepers]
    assert sum(map(len, heard)) + sum(missed.values()) == (MANY + MORE) * SLEEPERS
    assert missed[REASONS[policy][0]] >= (MANY + MORE - QUEUE) * SLEEPERS * 0.5
    assert daemon.metric("routerd_ws_connections", path="/sub") == MEMBERS
    if policy == "latest":
        _check_latest(heard)
    else:
        assert all(numbers(row) == sorted(set(numbers(row))) for row in heard)


def numbers(row: Sequence[Message]) -> list[int]:
    return [message.number for message in row]


def _check_latest(heard: Sequence[Sequence[Message]]) -> None:
    """Of each key everybody has heard the newest, and never an older one after a newer one."""
    newest = {str(n % KEYS): n for n in range(MANY + MORE)}
    for row in heard:
        last: dict[str, int] = {}
        for message in row:
            assert message.number > last.get(message.key, -1)
            last[message.key] = message.number
        assert last == newest


def test_a_hundred_sleepers_are_disconnected(open_crowd: Open) -> None:
    daemon, crowd = open_crowd("disconnect")
    before = resident(daemon)

    crowd.publish(MANY + MORE)

    assert daemon.metric("routerd_ws_closed_total", path="/sub", reason="slow") == SLEEPERS
    assert resident(daemon) - before < BOUND
    crowd.wake()
    heard = sum(len(sleeper.messages()) for sleeper in crowd.sleepers)
    assert heard + dropped(daemon, "disconnected") <= (MANY + MORE) * SLEEPERS
    assert dropped(daemon, "disconnected") >= QUEUE * SLEEPERS
    assert dropped(daemon, "gone") == 0
    assert daemon.metric("routerd_ws_queued_bytes", path="/sub") == 0
