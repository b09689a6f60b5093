"""File descriptors for so many clients, of the real limits of this process."""

import logging
import resource
from collections.abc import Iterator

import pytest

from routerd.connectors.websocket.files import SPARE, is_spare, make_room

FEW = 512


@pytest.fixture(autouse=True)
def most() -> Iterator[int]:
    """The hard limit; the soft one is low."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW, before[1]))
    yield before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def allowed() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def test_as_many_are_asked_for_as_are_needed(caplog: pytest.LogCaptureFixture) -> None:
    make_room(1000)
    assert allowed() == 1000 + SPARE
    assert caplog.records == []


def test_where_there_are_enough_nothing_is_changed() -> None:
    make_room(FEW - SPARE)
    assert allowed() == FEW


def test_too_few_are_told_of(most: int, caplog: pytest.LogCaptureFixture) -> None:
    make_room(most)
    assert allowed() == most
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert f"connections={most} files={most}" in caplog.text


def test_the_highest_are_kept_for_others() -> None:
    assert not is_spare(FEW - SPARE - 1)
    assert is_spare(FEW - SPARE)


def test_of_very_few_half_are_kept(most: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (SPARE, most))
    assert not is_spare(SPARE // 2 - 1)
    assert is_spare(SPARE // 2)
