"""Membership and broadcast, without sockets."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from routerd import groups as groups_module
from routerd.feed import Frame
from routerd.groups import (
    AT_ONCE,
    FLUSH_BYTES,
    FRAMES_PER_TURN,
    GROUP_BYTES,
    MEMBERS_PER_TURN,
    PAUSE,
    TOTAL_BYTES,
    Groups,
)

LIVE = ("live", "42")


class Recorder:
    """A member that remembers what it was pushed."""

    def __init__(self, on_push: Callable[[], None] = lambda: None) -> None:
        self.pushes: list[bytes] = []
        self.frames: list[Frame] = []
        self._on_push = on_push

    def push(self, data: bytes, frames: Sequence[Frame]) -> None:
        assert b"".join(frame.data for frame in frames) == data
        self.frames += frames
        self.pushes.append(data)
        self._on_push()

    @property
    def heard(self) -> bytes:
        return b"".join(self.pushes)


@asynccontextmanager
async def running() -> AsyncIterator[Groups]:
    groups = Groups()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(groups.run)  # noqa: ASYNC113 - what is published waits for it
        yield groups
        nursery.cancel_scope.cancel()


async def test_a_frame_reaches_every_member_once() -> None:
    async with running() as groups:
        members = [Recorder() for _ in range(3)]
        for member in members:
            groups.join(LIVE, member)
        groups.publish(LIVE, b"x")
        await groups.wait_flushed()
        assert [member.pushes for member in members] == [[b"x"]] * 3


async def test_an_empty_group_is_not_kept() -> None:
    async with running() as groups:
        member = Recorder()
        groups.publish(LIVE, b"x")
        groups.join(LIVE, member)
        assert LIVE in groups
        groups.leave(LIVE, member)
        assert LIVE not in groups
        assert groups.pending_bytes == 0


async def test_joining_twice_is_joining_once() -> None:
    async with running() as groups:
        member = Recorder()
        groups.join(LIVE, member)
        groups.join(LIVE, member)
        groups.publish(LIVE, b"x")
        await groups.wait_flushed()
        assert member.heard == b"x"
        assert groups.count(LIVE) == 1


async def test_leaving_twice_or_never_having_joined_is_harmless() -> None:
    groups = Groups()
    member, other = Recorder(), Recorder()
    groups.leave(LIVE, member)
    groups.join(LIVE, other)
    groups.leave(LIVE, member)
    assert groups.count(LIVE) == 1


async def test_groups_are_told_apart_by_their_segments() -> None:
    async with running() as groups:
        names = [("a/b",), ("a", "b"), ("a", ""), ("a",), ("",), ("..",), ("a", "..", "b")]
        members = {name: Recorder() for name in names}
        for name, member in members.items():
            groups.join(name, member)
        for name in names:
            groups.publish(name, repr(name).encode())
        await groups.wait_flushed()
        assert {name: member.heard for name, member in members.items()} == {
            name: repr(name).encode() for name in names
        }


async def test_frames_published_together_are_one_push(autojump_clock: MockClock) -> None:
    async with running() as groups:
        member = Recorder()
        groups.join(LIVE, member)
        for number in range(5):
            groups.publish(LIVE, b"%d" % number)
        await groups.wait_flushed()
        assert member.pushes == [b"01234"]


async def test_after_quiet_a_frame_goes_out_at_once(autojump_clock: MockClock) -> None:
    async with running() as groups:
        member = Recorder()
        groups.join(LIVE, member)
        await trio.sleep(1)
        before = trio.current_time()
        groups.publish(LIVE, b"x")
        await groups.wait_flushed()
        assert trio.current_time() == before
        assert member.pushes == [b"x"]


async def test_a_busy_group_is_flushed_once_per_pause(autojump_clock: MockClock) -> None:
    async with running() as groups:
        member = Recorder()
        groups.join(LIVE, member)
        before = trio.current_time()
        for number in range(AT_ONCE):
            groups.publish(LIVE, b"%d" % number)
            await wait_all_tasks_blocked()
        assert member.pushes == [b"0", b"1", b"2"]
        assert trio.current_time() == before
        for expected in (b"ab", b"cd"):
            for frame in expected:
                groups.publish(LIVE, bytes([frame]))
            await groups.wait_flushed()
            assert member.pushes[-1] == expected
        assert trio.current_time() - before == pytest.approx(2 * PAUSE)


async def test_a_quiet_spell_saves_flushes_up_but_not_for_ever(autojump_clock: MockClock) -> None:
    async with running() as groups:
        member = Recorder()
        groups.join(LIVE, member)
        await trio.sleep(60)
        before = trio.current_time()
        for number in range(AT_ONCE + 1):
            groups.publish(LIVE, b"%d" % number)
            await groups.wait_flushed()
        assert trio.current_time() - before == pytest.approx(PAUSE)


async def test_a_quiet_group_does_not_wait_for_a_busy_one(autojump_clock: MockClock) -> None:
    async with running() as groups:
        quiet, busy = Recorder(), Recorder()
        groups.join(("quiet",), quiet)
        groups.join(("busy",), busy)
        groups.publish(("busy",), b"0")
        await wait_all_tasks_blocked()
        groups.publish(("busy",), b"1")
        await wait_all_tasks_blocked()
        before = trio.current_time()
        groups.publish(("quiet",), b"x")
        await wait_all_tasks_blocked()
        assert trio.current_time() == before
        assert quiet.pushes == [b"x"]


async def test_every_member_hears_frames_in_the_order_of_publication() -> None:
    async with running() as groups:
        members = [Recorder() for _ in range(MEMBERS_PER_TURN * 3)]
        for member in members:
            groups.join(LIVE, member)
        for number in range(500):
            groups.publish(LIVE, b"%d," % number)
            if number % 7 == 0:
                await trio.lowlevel.checkpoint()
        await groups.wait_flushed()
        expected = b"".join(b"%d," % number for number in range(500))
        assert all(member.heard == expected for member in members)


async def test_members_that_come_and_go_in_a_broadcast_are_neither_skipped_nor_doubled() -> None:
    async with running() as groups:
        leavers = [Recorder() for _ in range(1000)]
        stayers = [Recorder() for _ in range(1000)]
        late: list[Recorder] = []

        def disturb() -> None:
            if leavers:
                groups.leave(LIVE, leavers.pop())
            late.append(Recorder())
            groups.join(LIVE, late[-1])

        first = Recorder(on_push=disturb)
        groups.join(LIVE, first)
        for pair in zip(leavers, stayers, strict=True):
            for member in pair:
                groups.join(LIVE, member)
        for number in range(20):
            groups.publish(LIVE, b"%02d" % number)
            await trio.lowlevel.checkpoint()
            await trio.lowlevel.checkpoint()
            disturb()
        await groups.wait_flushed()
        everything = b"".join(b"%02d" % number for number in range(20))
        assert all(member.heard == everything for member in stayers)
        assert all(everything.endswith(member.heard) for member in late)


async def test_a_member_that_left_during_a_broadcast_hears_no_more_of_it() -> None:
    async with running() as groups:
        members: list[Recorder] = []
        first = Recorder(on_push=lambda: groups.leave(LIVE, members[-1]))
        groups.join(LIVE, first)
        for _ in range(MEMBERS_PER_TURN * 2):
            members.append(Recorder())
            groups.join(LIVE, members[-1])
        groups.publish(LIVE, b"x")
        await groups.wait_flushed()
        assert members[-1].pushes == []
        assert members[-2].pushes == [b"x"]


async def test_a_broadcast_to_many_lets_others_run() -> None:
    async with running() as groups:
        order: list[str] = []
        for _ in range(MEMBERS_PER_TURN * 4):
            groups.join(LIVE, Recorder(on_push=lambda: order.append("push")))

        async def bystander() -> None:
            while len(order) < MEMBERS_PER_TURN * 4:
                order.append("turn")
                await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            groups.publish(LIVE, b"x")
            nursery.start_soon(bystander)
        between = "".join(word[0] for word in order).strip("t")
        assert "t" in between
        # Twice, because trio shuffles the order of tasks within one pass of its loop.
        assert max(map(len, between.split("t"))) <= 2 * MEMBERS_PER_TURN


async def test_a_small_group_is_served_between_the_turns_of_a_large_one() -> None:
    async with running() as groups:
        pushed_before: list[int] = []
        large = [Recorder() for _ in range(MEMBERS_PER_TURN * 8)]
        for member in large:
            groups.join(("large",), member)
        small = Recorder(
            on_push=lambda: pushed_before.append(sum(bool(member.pushes) for member in large))
        )
        groups.join(("small",), small)
        groups.publish(("large",), b"x" * 100)
        await trio.lowlevel.checkpoint()
        await trio.lowlevel.checkpoint()
        groups.publish(("small",), b"y")
        await groups.wait_flushed()
        assert pushed_before[0] < len(large)


async def test_a_flood_is_flushed_in_bounded_pieces() -> None:
    async with running() as groups:
        member = Recorder()
        groups.join(LIVE, member)
        frames = [bytes([number]) * 1000 for number in range(200)] * 5
        for frame in frames:
            groups.publish(LIVE, frame)
        groups.publish(LIVE, b"L" * FLUSH_BYTES * 2)
        await groups.wait_flushed()
        assert member.heard == b"".join(frames) + b"L" * FLUSH_BYTES * 2
        assert max(map(len, member.pushes[:-1])) <= FLUSH_BYTES


async def test_a_flush_of_many_small_frames_lets_others_run_more_often() -> None:
    async with running() as groups:
        order: list[str] = []
        for _ in range(10):
            groups.join(LIVE, Recorder(on_push=lambda: order.append("push")))

        async def bystander() -> None:
            while len(order) - order.count("turn") < 10:
                order.append("turn")
                await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            for _ in range(FRAMES_PER_TURN // 2):
                groups.publish(LIVE, b"x")
            nursery.start_soon(bystander)
        assert "push" * 5 not in "".join(order)


async def test_what_waits_for_a_group_that_everybody_left_is_forgotten() -> None:
    async with running() as groups:
        member, later = Recorder(), Recorder()
        groups.join(LIVE, member)
        groups.publish(LIVE, b"x")
        groups.leave(LIVE, member)
        groups.join(LIVE, later)
        groups.publish(LIVE, b"y")
        await groups.wait_flushed()
        assert member.pushes == []
        assert later.pushes == [b"y"]


async def test_a_group_that_is_published_to_too_fast_refuses_and_recovers() -> None:
    async with running() as groups:
        member = Recorder()
        groups.join(LIVE, member)
        frame = b"x" * (1 << 20)
        taken = [groups.publish(LIVE, frame) for _ in range(GROUP_BYTES // len(frame) + 5)]
        assert taken == [True] * (GROUP_BYTES // len(frame)) + [False] * 5
        await groups.wait_flushed()
        assert member.heard == frame * sum(taken)
        assert groups.pending_bytes == 0
        assert groups.publish(LIVE, frame)


async def test_a_lone_frame_of_any_size_is_taken() -> None:
    async with running() as groups:
        member = Recorder()
        groups.join(LIVE, member)
        frame = b"x" * (GROUP_BYTES + 1)
        assert groups.publish(LIVE, frame)
        assert not groups.publish(LIVE, b"y")
        await groups.wait_flushed()
        assert member.heard == frame


async def test_all_groups_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups_module, "TOTAL_BYTES", 1000)
    async with running() as groups:
        members = [Recorder() for _ in range(20)]
        for number, member in enumerate(members):
            groups.join((str(number),), member)
        taken = [groups.publish((str(number),), b"x" * 100) for number in range(20)]
        assert taken == [True] * 10 + [False] * 10
        await groups.wait_flushed()
        assert groups.pending_bytes == 0
        assert all(groups.publish((str(number),), b"x") for number in range(20))


async def test_what_waited_for_a_group_that_everybody_left_counts_no_more() -> None:
    groups = Groups()
    member = Recorder()
    groups.join(LIVE, member)
    groups.publish(LIVE, b"x" * 100)
    assert groups.pending_bytes == 100
    groups.leave(LIVE, member)
    assert groups.pending_bytes == 0


def test_one_group_can_not_use_up_what_all_may_have() -> None:
    assert 4 * GROUP_BYTES <= TOTAL_BYTES
