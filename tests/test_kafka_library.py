"""Librdkafka's own log lines."""

import logging

import pytest

from routerd.connectors.kafka.library import LINES_PER_SECOND, LibraryLog

LINE = (logging.ERROR, "%s [%s] %s", "FAIL", "rdkafka#producer-1", "Connection refused")


def test_its_lines_are_for_debugging_only(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "routerd")
    LibraryLog().log(*LINE)
    assert caplog.records == []


def test_it_never_logs_more_than_a_few_lines_a_second(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "routerd")
    log = LibraryLog()
    for _ in range(100):
        log.log(*LINE)
    assert LINES_PER_SECOND <= len(caplog.records) <= 2 * LINES_PER_SECOND
    assert {record.levelname for record in caplog.records} == {"DEBUG"}
    assert "severity=ERROR text='FAIL [rdkafka#producer-1] Connection refused'" in caplog.text
